"""Sets."""

from __future__ import annotations

from collections.abc import Iterator

from node.engine.types.set import Set
from node.persistence.types import kinds
from node.persistence.types.datatype import Argv, DataType, chunks, xor
from node.persistence.types.reading import native


def _commands(key: bytes, value: Set) -> Iterator[Argv]:
    return chunks([b"SADD", key], ([member] for member in value.members()))


def _digest(digest: bytes, value: Set) -> bytes:
    for member in value.members():
        digest = xor(digest, member)
    return digest


SET = DataType("set", Set, native(kinds.SET, kinds.SET_INTSET, kinds.SET_LISTPACK), _commands, _digest)
