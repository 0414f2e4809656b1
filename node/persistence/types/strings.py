"""Strings."""

from __future__ import annotations

from collections.abc import Iterator

from node.engine.durable.rdb import Reader
from node.persistence.types import kinds
from node.persistence.types.datatype import Argv, DataType, mix


def _commands(key: bytes, value: bytes) -> Iterator[Argv]:
    yield [b"SET", key, value]


STRING = DataType("string", bytes, {kinds.STRING: Reader.string}, _commands, mix)
