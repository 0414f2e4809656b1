"""Reading one value in RDB form: the kind byte that opens it, and what follows (node/engine/rdbvalue.pyx writes it).

Read is everything from Redis 2.2 to 8.0, and of Valkey 9. Streams have a file of their own; values of modules are
refused.

A value from outside is rebuilt element by element or checked as a whole before it becomes a collection: repeated
members, scores that are no numbers and broken compact forms are Malformed, and so are empty collections, though those
have a class of their own, since old versions of Redis could save them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from node.engine.hash import Hash
from node.engine.list import List
from node.engine.listpack import pack, unpack
from node.engine.numbers import parse_double, parse_int64
from node.engine.rdb import Malformed, Reader
from node.engine.rdbload import NATIVE, read_collection
from node.engine.set import Set
from node.engine.stream import Stream
from node.engine.zset import ZSet
from node.persistence.rdb import kinds
from node.persistence.rdb.legacy import ziplist_elements, zipmap_pairs
from node.persistence.rdb.modules import refuse_old_value, refuse_value
from node.persistence.types.streams import read_stream

EMPTY_LISTPACK = pack([])
FIELD_DEATH_MAX_MS = (1 << 48) - 2

Value = bytes | Hash | List | Set | Stream | ZSet


class Empty(Malformed):
    """A collection without elements. A snapshot may go on without it."""


def read_value(r: Reader, kind: int) -> Value:
    """The value whose kind byte has been read; Malformed if it is not one."""
    reader = _READERS.get(kind)
    if reader is None:
        raise Malformed(f"unknown kind of value: {kind}")
    return reader(r)


# Reading: today's forms.


def _count(r: Reader) -> int:
    """How many elements follow. Only a promise: it is kept by reading them, not by reserving room."""
    n = r.length()
    if n == 0:
        raise Empty("an empty collection")
    return n


def _compact(form: str, build: Callable[[bytes], Value]) -> Callable[[Reader], Value]:
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


def _read_native(r: Reader, kind: int, foreign: bool = False) -> Value:
    value: Value | None = read_collection(r, kind, foreign)
    if value is None:
        raise Empty("an empty collection")
    return value


def _read_expiring_listpack(r: Reader) -> Hash:
    """Redis 7.4, small: a listpack of field, value and death (0: none)."""
    _time_ms(r)
    data = r.string()
    if data == EMPTY_LISTPACK:
        raise Empty("an empty collection")
    try:
        elements = unpack(data)
    except ValueError as error:
        raise Malformed(f"Hash listpack integrity check failed: {error}") from error
    if len(elements) % 3:
        raise Malformed("a field without its value and expiry")
    deaths = [parse_int64(text) for text in elements[2::3]]
    if None in deaths:
        raise Malformed("an expiry that is not a number")
    triples = zip(elements[::3], elements[1::3], (at_ms or None for at_ms in deaths), strict=True)
    return _expiring_hash_of(triples)


def _time_ms(r: Reader) -> int:
    return int.from_bytes(r.raw(8), "little", signed=True)


# Reading: the forms of Redis before 7.


def _read_list_ziplists(r: Reader) -> List:
    elements: list[bytes] = []
    for node in [r.string() for _ in range(_count(r))]:
        try:
            elements += ziplist_elements(node)
        except Malformed as error:
            raise Malformed(f"Ziplist integrity check failed: {error}") from error
    return _list_of(elements)


def _score(text: bytes) -> float:
    score = parse_double(text)
    if score is None:
        raise Malformed("a score that is not a number")
    return score


def _zset_of_ziplist(data: bytes) -> ZSet:
    return _zset_of((member, _score(score)) for member, score in _paired(ziplist_elements(data)))


_READERS: dict[int, Callable[[Reader], Value]] = {
    kinds.STRING: Reader.string,
    **{kind: partial(_read_native, kind=kind) for kind in NATIVE},
    kinds.HASH_VALKEY: partial(_read_native, kind=kinds.HASH_EXPIRING_PRE_GA, foreign=True),
    kinds.LIST_ZIPLIST: _compact("List ziplist", lambda data: _list_of(ziplist_elements(data))),
    kinds.LIST_ZIPLISTS: _read_list_ziplists,
    kinds.HASH_LISTPACK_EXPIRING: _read_expiring_listpack,
    kinds.HASH_ZIPLIST: _compact("Hash ziplist", lambda data: _hash_of(_paired(ziplist_elements(data)))),
    kinds.HASH_ZIPMAP: _compact("Zipmap", lambda data: _hash_of(zipmap_pairs(data))),
    kinds.MODULE_OLD: refuse_old_value,
    kinds.MODULE: refuse_value,
    kinds.ZSET_ZIPLIST: _compact("Zset ziplist", _zset_of_ziplist),
    **{kind: partial(read_stream, kind=kind) for kind in (kinds.STREAM_5, kinds.STREAM_7, kinds.STREAM_72)},
}


# Building collections from what was read.


def _not_empty(value: Any) -> Any:
    if not len(value):
        raise Empty("an empty collection")
    return value


def _paired(elements: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    if len(elements) % 2:
        raise Malformed("a field without its value")
    return zip(elements[::2], elements[1::2], strict=True)


def _list_of(elements: Iterable[bytes]) -> List:
    value = List()
    for element in elements:
        value.push(element, False)
    return _not_empty(value)


def _hash_of(pairs: Iterable[tuple[bytes, bytes]]) -> Hash:
    value = Hash()
    for field, content in pairs:
        if not value.set(field, content):
            raise Malformed("a field is there twice")
    return _not_empty(value)


def _expiring_hash_of(triples: Iterable[tuple[bytes, bytes, int | None]]) -> Hash:
    value = Hash()
    for field, content, at_ms in triples:
        if not value.set(field, content):
            raise Malformed("a field is there twice")
        if at_ms is not None:
            if not 0 <= at_ms <= FIELD_DEATH_MAX_MS:
                raise Malformed("an expiry that no command could have set")
            value.expire(field, at_ms)
    return _not_empty(value)


def _zset_of(pairs: Iterable[tuple[bytes, float]]) -> ZSet:
    value = ZSet()
    for member, score in pairs:
        if math.isnan(score):
            raise Malformed("a score that is not a number")
        if not value.set(member, score):
            raise Malformed("a member is there twice")
    return _not_empty(value)
