"""A value as the commands that make it: how a base file is written that is not to hold a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from node.persistence.types.datatype import Argv
from node.persistence.types.table import type_of


def commands_for(key: bytes, value: object, expire_at_ms: int | None) -> Iterator[Argv]:
    """What to run, in this order, where the key does not exist yet."""
    yield from type_of(value).commands(key, value)
    if expire_at_ms is not None:
        yield [b"PEXPIREAT", key, b"%d" % expire_at_ms]
