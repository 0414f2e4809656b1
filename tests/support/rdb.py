"""What is in an RDB file, for tests."""

from __future__ import annotations

from typing import Any

from node.engine.keyspace.table import Keyspace
from node.persistence.rdb.load import load


def contents(data: bytes) -> dict[bytes, Any]:
    """The keys of a file's databases with their values."""
    space = Keyspace()
    load(space, data, keep_dead=True)
    return {key: db.get(key) for db in space.dbs for key in db.keys()}
