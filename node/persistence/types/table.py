"""All types of values: a new one is a file beside this one, and a name here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from node.engine.durable.rdb import Reader
from node.persistence.types.datatype import DataType
from node.persistence.types.hashes import HASH
from node.persistence.types.lists import LIST
from node.persistence.types.sets import SET
from node.persistence.types.sorted_sets import ZSET
from node.persistence.types.streams import STREAM
from node.persistence.types.strings import STRING

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

TYPES = (STRING, LIST, SET, ZSET, HASH, STREAM)

_BY_CLASS = {each.values: each for each in TYPES}

READERS: Mapping[int, Callable[[Reader], Value]] = {
    kind: reader for each in TYPES for kind, reader in each.readers.items()
}
"""By the byte that opens a value in RDB form."""


def type_of(value: object) -> DataType:
    """The type of a value that a key has."""
    return _BY_CLASS[type(value)]
