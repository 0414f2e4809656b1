"""What the readers of several types in RDB form share.

A value from outside is rebuilt element by element or checked as a whole before it becomes a collection: repeated
members, scores that are no numbers and broken compact forms are Malformed, and so are empty collections, though those
have a class of their own, since old versions of Redis could save them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from node.engine.durable.rdb import Malformed, Reader
from node.engine.durable.rdbload import read_collection
from node.engine.structures.listpack import pack
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.zset import ZSet

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

EMPTY_LISTPACK = pack([])


Collection = TypeVar("Collection", Hash, List, Set, ZSet)


class Empty(Malformed):
    """A collection without elements. A snapshot may go on without it."""


def native(*kinds: int) -> Mapping[int, Callable[[Reader], Value]]:
    """The readers of forms that the engine reads."""
    return {kind: partial(read_native, kind=kind) for kind in kinds}


def read_native(r: Reader, kind: int, foreign: bool = False) -> Value:
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


def compact(form: str, build: Callable[[bytes], Value]) -> Callable[[Reader], Value]:
    """The reader of a value that is one string, a compact form; `form` names it when the collection refuses it."""

    def read(r: Reader) -> Value:
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


def not_empty(value: Collection) -> Collection:
    if not len(value):
        raise Empty("an empty collection")
    return value


def paired(elements: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    if len(elements) % 2:
        raise Malformed("a field without its value")
    return zip(elements[::2], elements[1::2], strict=True)
