"""Reading one value in RDB form: the kind byte that opens it, and what follows (engine/durable/rdbvalue.pyx writes it).

Read is everything from Redis 2.2 to 8.0, and of Valkey 9, each form by the type that it is of
(node/persistence/types); values of modules are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from node.engine.durable.rdb import Malformed, Reader
from node.persistence.rdb.modules import refuse_old_value, refuse_value
from node.persistence.types import kinds
from node.persistence.types.table import READERS

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

_READERS: Mapping[int, Callable[[Reader], Value]] = {
    **READERS,
    kinds.MODULE_OLD: refuse_old_value,
    kinds.MODULE: refuse_value,
}


def read_value(r: Reader, kind: int) -> Value:
    """The value whose kind byte has been read; Malformed if it is not one."""
    reader = _READERS.get(kind)
    if reader is None:
        raise Malformed(f"unknown kind of value: {kind}")
    return reader(r)
