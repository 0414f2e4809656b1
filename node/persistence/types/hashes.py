"""Hashes, and those with fields that die."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from node.engine.durable.rdb import Malformed, Reader
from node.engine.structures.listpack import unpack
from node.engine.structures.numbers import parse_int64
from node.engine.types.hash import Hash
from node.persistence.types import kinds
from node.persistence.types.datatype import ZERO, Argv, DataType, chunks, mix, xor
from node.persistence.types.legacy import ziplist_elements, zipmap_pairs
from node.persistence.types.reading import EMPTY_LISTPACK, Empty, compact, native, not_empty, paired, read_native

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

FIELD_DEATH_MAX_MS = (1 << 48) - 2


def _of(pairs: Iterable[tuple[bytes, bytes]]) -> Hash:
    value = Hash()
    for field, content in pairs:
        if not value.set(field, content):
            raise Malformed("a field is there twice")
    return not_empty(value)


def _with_deaths(triples: Iterable[tuple[bytes, bytes, int | None]]) -> Hash:
    value = Hash()
    for field, content, at_ms in triples:
        if not value.set(field, content):
            raise Malformed("a field is there twice")
        if at_ms is not None:
            if not 0 <= at_ms <= FIELD_DEATH_MAX_MS:
                raise Malformed("an expiry that no command could have set")
            value.expire(field, at_ms)
    return not_empty(value)


def _read_expiring_listpack(r: Reader) -> Hash:
    """Redis 7.4, small: a listpack of field, value and death (0: none)."""
    r.raw(8)  # the first death
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
    return _with_deaths(zip(elements[::3], elements[1::3], (at_ms or None for at_ms in deaths), strict=True))


def _commands(key: bytes, value: Hash) -> Iterator[Argv]:
    yield from chunks([b"HSET", key], (list(pair) for pair in value.items()))
    for field, at_ms in value.deaths():
        yield [b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field]


def _digest(digest: bytes, value: Hash) -> bytes:
    for field, content in value.items():
        each = mix(mix(ZERO, field), content)
        digest = xor(digest, each if value.death(field) is None else xor(each, b"!!hexpire!!"))
    return digest


READERS: Mapping[int, Callable[[Reader], Value]] = {
    **native(kinds.HASH, kinds.HASH_LISTPACK, kinds.HASH_EXPIRING),
    kinds.HASH_VALKEY: partial(read_native, kind=kinds.HASH_EXPIRING_PRE_GA, foreign=True),
    kinds.HASH_LISTPACK_EXPIRING: _read_expiring_listpack,
    kinds.HASH_ZIPLIST: compact("Hash ziplist", lambda data: _of(paired(ziplist_elements(data)))),
    kinds.HASH_ZIPMAP: compact("Zipmap", lambda data: _of(zipmap_pairs(data))),
}
HASH = DataType("hash", Hash, READERS, _commands, _digest)
