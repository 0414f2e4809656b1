"""Sorted sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from node.engine.durable.rdb import Malformed
from node.engine.structures.numbers import format_double, parse_double
from node.engine.structures.shortest import format_shortest
from node.engine.types.zset import ZSet
from node.persistence.types import kinds
from node.persistence.types.datatype import ZERO, Argv, DataType, chunks, mix, xor
from node.persistence.types.legacy import ziplist_elements
from node.persistence.types.reading import compact, native, not_empty, paired


def _of(pairs: Iterable[tuple[bytes, float]]) -> ZSet:
    value = ZSet()
    for member, score in pairs:
        if math.isnan(score):
            raise Malformed("a score that is not a number")
        if not value.set(member, score):
            raise Malformed("a member is there twice")
    return not_empty(value)


def _score(text: bytes) -> float:
    score = parse_double(text)
    if score is None:
        raise Malformed("a score that is not a number")
    return score


def _of_ziplist(data: bytes) -> ZSet:
    return _of((member, _score(score)) for member, score in paired(ziplist_elements(data)))


def _commands(key: bytes, value: ZSet) -> Iterator[Argv]:
    return chunks([b"ZADD", key], ([format_double(score), member] for member, score in value.range(0, -1)))


def _digest(digest: bytes, value: ZSet) -> bytes:
    for member, score in value.range(0, -1):
        digest = xor(digest, mix(mix(ZERO, member), format_shortest(score)))
    return digest


READERS = {
    **native(kinds.ZSET, kinds.ZSET_LISTPACK, kinds.ZSET_TEXT),
    kinds.ZSET_ZIPLIST: compact("Zset ziplist", _of_ziplist),
}
ZSET = DataType("zset", ZSet, READERS, _commands, _digest)
