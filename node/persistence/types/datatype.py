"""A type of value, said once: its name, what it looks like in RDB, the commands that make it, its digest.

    ZSET = DataType("zset", ZSet, readers={...}, commands=commands, digest=digest)

Each type has a file with its record, and table.py lists them. What runs on every request (the bytes in memory, the
native commands, the writer and the fast reader of RDB, freeing in slices) is compiled and stands in node/engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha1
from itertools import islice
from typing import TYPE_CHECKING, Any

from node.engine.durable.rdb import Reader

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

Argv = list[bytes]

ITEMS_A_COMMAND = 64


@dataclass(frozen=True, slots=True)
class DataType:
    """What is to be known of a type; `name` is TYPE's word for it."""

    name: str
    values: type
    """The class of its values."""
    readers: Mapping[int, Callable[[Reader], Value]]
    """How each of its forms in RDB is read, by the byte that opens it; Malformed if it is none."""
    commands: Callable[[bytes, Any], Iterable[Argv]]
    """What to run, in this order, to have this value at a key that does not exist yet."""
    digest: Callable[[bytes, Any], bytes]
    """A digest with the value mixed in."""


# What the digests are made of.

ZERO = bytes(20)


def xor(digest: bytes, data: bytes) -> bytes:
    """Combine without regard to order."""
    return (int.from_bytes(digest) ^ int.from_bytes(sha1(data).digest())).to_bytes(len(digest))


def mix(digest: bytes, data: bytes) -> bytes:
    """Combine so that the order counts."""
    return sha1(xor(digest, data)).digest()


# What the commands are made of.


def chunks(head: Argv, items: Iterable[Argv]) -> Iterator[Argv]:
    """Sixty-four items to a command, as Redis writes them: enough to be cheap, few enough to run in no time."""
    rest = iter(items)
    while chunk := list(islice(rest, ITEMS_A_COMMAND)):
        yield head + [word for item in chunk for word in item]
