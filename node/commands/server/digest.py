"""The digest of a data set, as DEBUG DIGEST computes it in Redis: equal data gives equal digests on either server.

Ordered things are mixed in one after the other; members of unordered ones are combined by XOR.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.engine.types.record import type_number
from node.persistence.types.datatype import ZERO, mix, xor
from node.persistence.types.table import type_of

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db


def of_key(db: Db, key: bytes, digest: bytes = ZERO) -> bytes:
    """The digest of a key's type, value and having an expiry; `digest` unchanged if there is no such key."""
    value = db.peek(key)
    if value is None:
        return digest
    kind = type_of(value)
    digest = kind.digest(mix(digest, struct.pack(">I", type_number(kind.name))), value)
    return digest if db.expire_at(key) is None else xor(digest, b"!!expire!!")


def of_databases(dbs: Iterable[Db]) -> bytes:
    """The digest of everything."""
    digest = ZERO
    for db in dbs:
        if len(db):
            digest = mix(digest, struct.pack(">I", db.index))
            for key in db.keys():
                digest = xor(digest, of_key(db, key, mix(ZERO, key)))
    return digest
