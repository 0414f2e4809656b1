"""All that a server holds, as values that can be compared with another server's, whatever each of them calls encodings.

DEBUG DIGEST says less: of an expiry only that there is one, nothing of groups, and between versions it differs.
"""

from __future__ import annotations

from typing import Any

from tests.support.resp import Connection
from tests.support.servers import Server

Contents = dict[Any, Any]


def contents(server: Server, in_cluster: bool = False, mortal_fields: bool = True) -> Contents:
    """The type of every key, when it dies and its value, and the libraries. In Redis 7.0 no fields die."""
    found: Contents = {}
    with server.connect() as connection:
        libraries = connection.call("FUNCTION", "LIST", "WITHCODE")
        found["libraries"] = sorted(library[-1] for library in libraries)
        if in_cluster:
            connection.call("READONLY")
        for database in range(1 if in_cluster else 16):
            if not in_cluster:
                connection.call("SELECT", database)
            for key in connection.call("KEYS", "*"):
                kind = connection.call("TYPE", key)
                found[database, key] = (
                    kind,
                    connection.call("PEXPIRETIME", key),
                    _value(connection, kind, key, mortal_fields),
                )
    return found


def _value(c: Connection, kind: str | bytes, key: bytes, mortal_fields: bool) -> object:
    match kind if isinstance(kind, str) else kind.decode():
        case "string":
            return c.call("GET", key)
        case "list":
            return c.call("LRANGE", key, 0, -1)
        case "set":
            return set(c.call("SMEMBERS", key))
        case "zset":
            words = c.call("ZRANGE", key, 0, -1, "WITHSCORES")
            return [(member, float(score)) for member, score in zip(words[::2], words[1::2], strict=True)]
        case "hash":
            words = c.call("HGETALL", key)
            if not mortal_fields:
                return dict(zip(words[::2], words[1::2], strict=True))
            deaths = c.call("HPEXPIRETIME", key, "FIELDS", len(words) // 2, *words[::2])
            return dict(zip(words[::2], zip(words[1::2], deaths, strict=True), strict=True))
        case "stream":
            return c.call("XRANGE", key, "-", "+"), c.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)
        case other:
            raise AssertionError(f"{key!r} is a {other}")


def differences(one: Contents, other: Contents) -> list[str]:
    """For the reader of a failed test."""
    return [
        f"{key}: {_around(str(one.get(key)), str(other.get(key)))}"
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    ]


def _around(one: str, other: str) -> str:
    """The two from shortly before the place where they differ."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))
    start = max(0, same - 100)
    return f"{one[start : same + 100]} | {other[start : same + 100]}"


def without(found: Contents, *names: bytes) -> Contents:
    """The same, without fields of these names: "active-time" of consumers is not in files in the form of Redis 7.0, and
    both of their times are those of each server's own clock when a command comes by replication."""
    return {key: without_fields(value, *names) for key, value in found.items()}


def without_fields(value: object, *names: bytes) -> object:
    """A reply of nested lists, without these fields and what follows each."""
    if not isinstance(value, (list, tuple)):
        return value
    items = [without_fields(item, *names) for item in value]
    for name in names:
        if name in items:
            at = items.index(name)
            del items[at : at + 2]
    return items
