"""Strings that a command computed, which keep the encoding `raw` however short they are or whatever they spell."""

from __future__ import annotations

from node.engine.keyspace.table import Db


def store_raw(db: Db, key: bytes, value: bytes, keep_ttl: bool = False) -> None:
    """Redis builds such values in a buffer of their own and OBJECT ENCODING says so. `value` is not empty."""
    db.set(key, value, keep_ttl)
    db.grow(key, len(value))
