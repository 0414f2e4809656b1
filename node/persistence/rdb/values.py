"""Reading one value in RDB form: the kind byte that opens it, and what follows (node/engine/rdbvalue.pyx writes it).

Read is everything from Redis 2.2 to 8.0, and of Valkey 9, each form by the type that it is of
(node/persistence/types); values of modules are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from node.engine.hash import Hash
from node.engine.list import List
from node.engine.rdb import Malformed, Reader
from node.engine.set import Set
from node.engine.stream import Stream
from node.engine.zset import ZSet
from node.persistence.rdb import kinds
from node.persistence.rdb.modules import refuse_old_value, refuse_value
from node.persistence.types.table import READERS

Value = bytes | Hash | List | Set | Stream | ZSet

_READERS: Mapping[int, Callable[[Reader], Any]] = {
    **READERS,
    kinds.MODULE_OLD: refuse_old_value,
    kinds.MODULE: refuse_value,
}


def read_value(r: Reader, kind: int) -> Value:
    """The value whose kind byte has been read; Malformed if it is not one."""
    reader = _READERS.get(kind)
    if reader is None:
        raise Malformed(f"unknown kind of value: {kind}")
    value: Value = reader(r)
    return value
