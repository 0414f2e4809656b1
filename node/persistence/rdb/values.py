"""One value in RDB form: the kind byte that opens it, and what follows.

Written is what Redis 7.0 writes, byte for byte where the encodings are equal (the order inside a hash table is each
server's own). Read is everything from Redis 2.2 to 7.4 for the five types. Streams and modules are not here yet.

A value from outside is rebuilt element by element or checked as a whole before it becomes a collection: repeated
members, empty collections, scores that are no numbers and broken compact forms are Malformed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from node.engine.hash import Hash
from node.engine.list import List
from node.engine.numbers import parse_double
from node.engine.rdb import Malformed, Reader, Writer
from node.engine.set import Set
from node.engine.zset import ZSet
from node.persistence.rdb import kinds
from node.persistence.rdb.legacy import ziplist_elements, zipmap_pairs

Value = bytes | Hash | List | Set | ZSet


def write_value(w: Writer, value: Value) -> None:
    """The kind byte and the value."""
    _WRITERS[type(value)](w, value)


def kind_of(value: Value) -> int:
    """The kind that write_value gives the value. In a snapshot the key stands between the two."""
    w = Writer(compress=False)
    write_value(w, value)
    return w.take()[0]


def read_value(r: Reader, kind: int) -> Value:
    """The value whose kind byte has been read; Malformed if it is not one."""
    reader = _READERS.get(kind)
    if reader is None:
        raise Malformed(f"unknown kind of value: {kind}")
    try:
        return reader(r)
    except Malformed:
        raise
    except ValueError as error:  # the collections' own refusal of a broken compact form
        raise Malformed(str(error)) from error


# Writing.


def _write_string(w: Writer, value: bytes) -> None:
    w.byte(kinds.STRING)
    w.string(value)


def _write_list(w: Writer, value: List) -> None:
    nodes = value.nodes()
    w.byte(kinds.LIST_NODES)
    w.length(len(nodes))
    for container, node in nodes:
        w.length(container)
        w.string(node)


def _write_set(w: Writer, value: Set) -> None:
    integers = value.intset()
    if integers is not None:
        w.byte(kinds.SET_INTSET)
        w.string(integers)
    else:
        w.byte(kinds.SET)
        w.length(len(value))
        w.strings(value.members())


def _write_hash(w: Writer, value: Hash) -> None:
    packed = value.listpack()
    if packed is not None:
        w.byte(kinds.HASH_LISTPACK)
        w.string(packed)
    else:
        w.byte(kinds.HASH)
        w.length(len(value))
        w.pairs(value.items())


def _write_zset(w: Writer, value: ZSet) -> None:
    packed = value.listpack()
    if packed is not None:
        w.byte(kinds.ZSET_LISTPACK)
        w.string(packed)
    else:
        w.byte(kinds.ZSET)
        w.length(len(value))
        w.scored(value.range(0, -1, rev=True))  # highest first: a reader's skiplist then inserts at its head


_WRITERS: dict[type, Callable[[Writer, Any], None]] = {
    bytes: _write_string,
    List: _write_list,
    Set: _write_set,
    Hash: _write_hash,
    ZSet: _write_zset,
}


# Reading: today's forms.


def _count(r: Reader) -> int:
    """How many elements follow. Only a promise: it is kept by reading them, never by reserving room."""
    n = r.length()
    if n == 0:
        raise Malformed("an empty collection")
    return n


def _read_list(r: Reader) -> List:
    return _list_of(r.string() for _ in range(_count(r)))


def _read_list_nodes(r: Reader) -> List:
    """The nodes as they are, so that a list comes out of a restore as it went into its dump."""
    return List.from_nodes((r.length(), r.string()) for _ in range(_count(r)))


def _read_set(r: Reader) -> Set:
    value = Set()
    for _ in range(_count(r)):
        if not value.add(r.string()):
            raise Malformed("a member is there twice")
    return value


def _read_hash(r: Reader) -> Hash:
    return _hash_of((r.string(), r.string()) for _ in range(_count(r)))


def _read_zset(r: Reader) -> ZSet:
    return _zset_of((r.string(), r.double()) for _ in range(_count(r)))


def _read_zset_text(r: Reader) -> ZSet:
    return _zset_of((r.string(), r.double_text()) for _ in range(_count(r)))


# Reading: the forms of Redis before 7.


def _read_list_ziplist(r: Reader) -> List:
    return _list_of(ziplist_elements(r.string()))


def _read_list_ziplists(r: Reader) -> List:
    return _list_of(element for _ in range(_count(r)) for element in ziplist_elements(r.string()))


def _read_hash_ziplist(r: Reader) -> Hash:
    return _hash_of(_paired(ziplist_elements(r.string())))


def _read_hash_zipmap(r: Reader) -> Hash:
    return _hash_of(zipmap_pairs(r.string()))


def _score(text: bytes) -> float:
    score = parse_double(text)
    if score is None:
        raise Malformed("a score that is not a number")
    return score


def _read_zset_ziplist(r: Reader) -> ZSet:
    return _zset_of((member, _score(score)) for member, score in _paired(ziplist_elements(r.string())))


_READERS: dict[int, Callable[[Reader], Value]] = {
    kinds.STRING: Reader.string,
    kinds.LIST: _read_list,
    kinds.LIST_NODES: _read_list_nodes,
    kinds.LIST_ZIPLIST: _read_list_ziplist,
    kinds.LIST_ZIPLISTS: _read_list_ziplists,
    kinds.SET: _read_set,
    kinds.SET_INTSET: lambda r: _not_empty(Set.from_intset(r.string())),
    kinds.SET_LISTPACK: lambda r: _not_empty(Set.from_listpack(r.string())),
    kinds.HASH: _read_hash,
    kinds.HASH_LISTPACK: lambda r: _not_empty(Hash.from_listpack(r.string())),
    kinds.HASH_ZIPLIST: _read_hash_ziplist,
    kinds.HASH_ZIPMAP: _read_hash_zipmap,
    kinds.ZSET: _read_zset,
    kinds.ZSET_TEXT: _read_zset_text,
    kinds.ZSET_LISTPACK: lambda r: _not_empty(ZSet.from_listpack(r.string())),
    kinds.ZSET_ZIPLIST: _read_zset_ziplist,
}


# Building collections from what was read.


def _not_empty(value: Any) -> Any:
    if not len(value):
        raise Malformed("an empty collection")
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


def _zset_of(pairs: Iterable[tuple[bytes, float]]) -> ZSet:
    value = ZSet()
    for member, score in pairs:
        if math.isnan(score):
            raise Malformed("a score that is not a number")
        if not value.set(member, score):
            raise Malformed("a member is there twice")
    return _not_empty(value)
