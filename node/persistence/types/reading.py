"""What the readers of several types in RDB form share.

A value from outside is rebuilt element by element or checked as a whole before it becomes a collection: repeated
members, scores that are no numbers and broken compact forms are Malformed, and so are empty collections, though those
have a class of their own, since old versions of Redis could save them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from node.engine.listpack import pack
from node.engine.rdb import Malformed, Reader
from node.engine.rdbload import read_collection

EMPTY_LISTPACK = pack([])


class Empty(Malformed):
    """A collection without elements. A snapshot may go on without it."""


def native(*kinds: int) -> Mapping[int, Callable[[Reader], Any]]:
    """The readers of forms that the engine reads."""
    return {kind: partial(read_native, kind=kind) for kind in kinds}


def read_native(r: Reader, kind: int, foreign: bool = False) -> Any:
    value = read_collection(r, kind, foreign)
    if value is None:
        raise Empty("an empty collection")
    return value


def read_count(r: Reader) -> int:
    """How many elements follow. Only a promise: it is kept by reading them, not by reserving room."""
    n = r.length()
    if n == 0:
        raise Empty("an empty collection")
    return n


def compact(form: str, build: Callable[[bytes], Any]) -> Callable[[Reader], Any]:
    """The reader of a value that is one string, a compact form; `form` names it when the collection refuses it."""

    def read(r: Reader) -> Any:
        data = r.string()
        if data == EMPTY_LISTPACK:
            raise Empty("an empty collection")
        try:
            return build(data)
        except Empty:
            raise
        except ValueError as error:
            raise Malformed(f"{form} integrity check failed: {error}") from error

    return read


def not_empty(value: Any) -> Any:
    if not len(value):
        raise Empty("an empty collection")
    return value


def paired(elements: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    if len(elements) % 2:
        raise Malformed("a field without its value")
    return zip(elements[::2], elements[1::2], strict=True)
