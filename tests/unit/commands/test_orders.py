"""No table has the order of another, however it was filled: that is what keeps filling one from another proportional.

Filled in its own order, a table would put every member behind all that are there: time would grow with the square.
What that costs is counted in tests/unit/engine/structures/test_dict.py; here are the ways in which members travel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from node.persistence.aof.convert import Converter
from node.persistence.rdb.load import load
from tests.support.embedded import Embedded, EmbeddedClient

N = 3000


@pytest.fixture
def node() -> Embedded:
    return Embedded()


@pytest.fixture
def client(node: Embedded) -> EmbeddedClient:
    return node.client()


def unrelated(before: Sequence[bytes], after: Sequence[bytes]) -> bool:
    """Whether neighbours in the one order are as often turned around in the other as chance has it."""
    assert sorted(before) == sorted(after)
    rank = {member: i for i, member in enumerate(after)}
    ascending = sum(rank[a] < rank[b] for a, b in pairwise(before))
    return 0.4 * len(before) < ascending < 0.6 * len(before)


def scanned(client: EmbeddedClient, *command: str, step: int = 1) -> list[bytes]:
    """The members that a scan returns, in its order."""
    found: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, some = client(command[0], *command[1:2], cursor, *command[2:], "COUNT", "100")
        found += some[::step]
        if cursor == b"0":
            return found


def order(client: EmbeddedClient, key: str) -> list[bytes]:
    """The order of the key's table, as dict_scan goes through it."""
    match client("TYPE", key):
        case "set" | b"set":
            return scanned(client, "SSCAN", key)
        case "hash" | b"hash":
            return scanned(client, "HSCAN", key, step=2)
        case "zset" | b"zset":
            return scanned(client, "ZSCAN", key, step=2)
    raise AssertionError(key)


def fill(client: EmbeddedClient) -> None:
    for i in range(N):
        client("SADD", "{t}set", f"m{i}")
        client("HSET", "{t}hash", f"m{i}", "v")
        client("ZADD", "{t}zset", str(i % 7), f"m{i}")


def in_steps(client: EmbeddedClient, command: str, key: str, words: list[bytes]) -> None:
    for i in range(0, len(words), 100):
        client(command, key, *words[i : i + 100])


def by_script(client: EmbeddedClient) -> None:
    client(
        "EVAL",
        "local all = redis.call('SMEMBERS', KEYS[1]) for i = 1, #all do redis.call('SADD', KEYS[2], all[i]) end",
        "2",
        "{t}set",
        "{t}to",
    )


def by_ranks(client: EmbeddedClient) -> None:
    members = scanned(client, "ZSCAN", "{t}zset")
    in_steps(client, "ZADD", "{t}to", [word for pair in zip(members[1::2], members[::2], strict=True) for word in pair])


WAYS: dict[str, tuple[str, Callable[[EmbeddedClient], object]]] = {
    "SUNIONSTORE": ("{t}set", lambda c: c("SUNIONSTORE", "{t}to", "{t}set")),
    "SINTERSTORE": ("{t}set", lambda c: c("SINTERSTORE", "{t}to", "{t}set", "{t}set")),
    "SDIFFSTORE": ("{t}set", lambda c: c("SDIFFSTORE", "{t}to", "{t}set", "{t}none")),
    "ZUNIONSTORE of a set": ("{t}set", lambda c: c("ZUNIONSTORE", "{t}to", "1", "{t}set")),
    "ZUNIONSTORE": ("{t}zset", lambda c: c("ZUNIONSTORE", "{t}to", "1", "{t}zset")),
    "ZINTERSTORE": ("{t}zset", lambda c: c("ZINTERSTORE", "{t}to", "2", "{t}zset", "{t}set")),
    "ZDIFFSTORE": ("{t}zset", lambda c: c("ZDIFFSTORE", "{t}to", "2", "{t}zset", "{t}none")),
    "ZRANGESTORE": ("{t}zset", lambda c: c("ZRANGESTORE", "{t}to", "{t}zset", "0", "-1")),
    "COPY of a set": ("{t}set", lambda c: c("COPY", "{t}set", "{t}to")),
    "COPY of a hash": ("{t}hash", lambda c: c("COPY", "{t}hash", "{t}to")),
    "COPY of a sorted set": ("{t}zset", lambda c: c("COPY", "{t}zset", "{t}to")),
    "SMEMBERS, SADD": ("{t}set", lambda c: in_steps(c, "SADD", "{t}to", c("SMEMBERS", "{t}set"))),
    "SSCAN, SADD": ("{t}set", lambda c: in_steps(c, "SADD", "{t}to", order(c, "{t}set"))),
    "HGETALL, HSET": ("{t}hash", lambda c: in_steps(c, "HSET", "{t}to", c("HGETALL", "{t}hash"))),
    "ZSCAN, ZADD": ("{t}zset", by_ranks),
    "a set by RESTORE": ("{t}set", lambda c: c("RESTORE", "{t}to", "0", c("DUMP", "{t}set"))),
    "a hash by RESTORE": ("{t}hash", lambda c: c("RESTORE", "{t}to", "0", c("DUMP", "{t}hash"))),
    "a sorted set by RESTORE": ("{t}zset", lambda c: c("RESTORE", "{t}to", "0", c("DUMP", "{t}zset"))),
    "a script": ("{t}set", by_script),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_filled_from_a_table_has_an_order_of_its_own(client: EmbeddedClient, way: str) -> None:
    fill(client)
    source, transfer = WAYS[way]
    transfer(client)
    assert unrelated(order(client, source), order(client, "{t}to"))


@pytest.mark.parametrize("key", ["{t}set", "{t}hash", "{t}zset"])
def test_so_has_what_is_loaded_from_a_file(node: Embedded, client: EmbeddedClient, key: str) -> None:
    """An RDB file and the commands of a log of writes are in the order of the tables that they were written from."""
    fill(client)
    before = order(client, key)
    data = b"".join(node.core.saving.pieces())
    other = Embedded()
    load(other.core.space, data)
    assert unrelated(before, order(other.client(), key))
    converter = Converter()
    replayed = Embedded().client()
    replayed.session.feed(converter.feed(data) + converter.finish())
    assert unrelated(before, order(replayed, key))


def test_so_have_the_tables_of_keys(client: EmbeddedClient) -> None:
    """One slot with many keys: read here in SCAN's order, set in another database."""
    for i in range(N):
        client("SET", f"{{t}}{i}", "v")
    keys = scanned(client, "SCAN")
    client("SELECT", "1")
    for key in keys:
        client("SET", key, "v")
    assert unrelated(keys, scanned(client, "SCAN"))
