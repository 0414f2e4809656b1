"""The digest of a data set, as DEBUG DIGEST computes it in Redis: equal data gives equal digests on either server.

Ordered things are mixed in one after the other; members of unordered ones are combined by XOR.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha1
from typing import TYPE_CHECKING

from node.engine.keyspace.table import TYPE_NAMES
from node.engine.structures.shortest import format_shortest
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.stream import Stream
from node.engine.types.zset import ZSet

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db, Value

ZERO = bytes(20)
TYPES = {name: number for number, name in enumerate(TYPE_NAMES)}


def xor(digest: bytes, data: bytes) -> bytes:
    """Combine without regard to order."""
    return (int.from_bytes(digest) ^ int.from_bytes(sha1(data).digest())).to_bytes(len(digest))


def mix(digest: bytes, data: bytes) -> bytes:
    """Combine so that the order counts."""
    return sha1(xor(digest, data)).digest()


def of_key(db: Db, key: bytes, digest: bytes = ZERO) -> bytes:
    """The digest of a key's type, value and having an expiry; `digest` unchanged if there is no such key."""
    value = db.peek(key)
    kind = db.type_of(key)
    if value is None or kind is None:
        return digest
    digest = of_value(mix(digest, struct.pack(">I", TYPES[kind])), value)
    return digest if db.expire_at(key) is None else xor(digest, b"!!expire!!")


def of_value(digest: bytes, value: Value) -> bytes:
    if isinstance(value, bytes):
        return mix(digest, value)
    if isinstance(value, List):
        for element in value.range(0, -1):
            digest = mix(digest, element)
        return digest
    if isinstance(value, Set):
        for member in value.members():
            digest = xor(digest, member)
        return digest
    if isinstance(value, Stream):
        for id, fields in value.range():
            for text in (id.replace(b"-", b"."), *fields):
                digest = mix(digest, text)
        return digest
    if isinstance(value, Hash):
        for field, content in value.items():
            each = mix(mix(ZERO, field), content)
            digest = xor(digest, each if value.death(field) is None else xor(each, b"!!hexpire!!"))
        return digest
    pairs: Iterable[tuple[bytes, bytes]] = ()
    if isinstance(value, ZSet):
        pairs = [(member, format_shortest(score)) for member, score in value.range(0, -1)]
    for first, second in pairs:
        digest = xor(digest, mix(mix(ZERO, first), second))
    return digest


def of_databases(dbs: Iterable[Db]) -> bytes:
    """The digest of everything."""
    digest = ZERO
    for db in dbs:
        if len(db):
            digest = mix(digest, struct.pack(">I", db.index))
            for key in db.keys():
                digest = xor(digest, of_key(db, key, mix(ZERO, key)))
    return digest
