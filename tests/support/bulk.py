"""Very many keys of all types, for tests that need a data set of some size, and a closer look at some of them.

DEBUG DIGEST tells whether all keys and values are the same, but of an expiry only that there is one, and nothing of the
groups of streams; so of some keys these are asked for, too.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.support.resp import Connection

FAR_MS = 4_000_000_000_000
KINDS = 10
BATCH = 500

Line = list[str]


def fill(connection: Connection, keys: int) -> None:
    """Make that many keys."""
    for lines in batches(keys):
        for reply in connection.pipeline(lines):
            assert not reply.is_error, reply.raw


def batches(keys: int) -> Iterator[list[Line]]:
    """Commands that make that many keys, some of them with an expiry, in pieces fit for a pipeline."""
    numbers = iter(range(keys))
    while chunk := list(itertools.islice(numbers, BATCH)):
        yield [line for n in chunk for line in _lines(n)]


def _key(n: int) -> str:
    return f"bulk:{n}"


def _lines(n: int) -> Iterator[Line]:
    """The commands that make one key; its number decides on everything."""
    key = _key(n)
    values = [f"value:{n}:{i}" for i in range(1 + n // KINDS % 5)]
    match n % KINDS:
        case 0:
            yield ["SET", key, values[-1]]
        case 1:
            yield ["SET", key, str(n * 7919)]
        case 2:
            yield ["RPUSH", key, *values]
        case 3:
            yield ["HSET", key, *(word for value in values for word in (value, value))]
        case 4:
            yield ["HSET", key, *(word for value in values for word in (value, value))]
            yield ["HPEXPIREAT", key, str(FAR_MS + n), "FIELDS", "1", values[0]]
        case 5:
            yield ["SADD", key, *values]
        case 6:
            yield ["SADD", key, *(str(n + i) for i in range(len(values)))]
        case 7:
            yield ["ZADD", key, *(word for i, value in enumerate(values) for word in (str(i), value))]
        case 8:
            yield from (["XADD", key, f"{n + 1}-{i + 1}", "field", value] for i, value in enumerate(values))
            yield ["XGROUP", "CREATE", key, "group", "0"]
            yield ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "2", "STREAMS", key, ">"]
        case _:
            yield ["SET", key, values[0] * 20]  # which compresses
    if n // KINDS % 7 == 0:
        yield ["PEXPIREAT", key, str(FAR_MS + n)]


def closer_look(connection: Connection, keys: int, count: int = 500, seed: int = 1) -> list[bytes]:
    """What DEBUG DIGEST does not tell of some of them: when keys and fields die, and what groups have pending."""
    found = []
    for n in random.Random(seed).sample(range(keys), min(keys, count)):
        found.append(connection.ask("PEXPIRETIME", _key(n)).raw)
        if n % KINDS == 4:
            found.append(connection.ask("HPEXPIRETIME", _key(n), "FIELDS", 1, f"value:{n}:0").raw)
        if n % KINDS == 8:
            found.append(connection.ask("XINFO", "GROUPS", _key(n)).raw)
            found.append(connection.ask("XPENDING", _key(n), "group").raw)
    return found
