"""Sorted set commands: what counts as a change, what is notified, and set algebra with odd scores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded import Embedded, EmbeddedClient


def embedded(*commands: str) -> tuple[Embedded, EmbeddedClient]:
    node = Embedded()
    client = node.client()
    for command in commands:
        client(*command.split())
    return node, client


def changes(node: Embedded, client: EmbeddedClient, command: str) -> tuple[int, list[tuple[str, bytes]]]:
    """How many changes a command counts, and which events it notifies."""
    events: list[tuple[str, bytes]] = []
    client("CONFIG", "SET", "notify-keyspace-events", "KEA")
    node.core.notifications.notify = lambda kind, event, key, db: events.append((event, key))
    before = node.core.space.dirty
    client(*command.split())
    return node.core.space.dirty - before, events


@pytest.mark.parametrize(
    ("command", "count", "events"),
    [
        ("ZADD z 1 a 2 b", 0, []),
        ("ZADD z 1 a 3 b", 1, ["zadd"]),
        ("ZADD z 1 a 3 b 4 c", 2, ["zadd"]),
        ("ZADD z NX 5 a", 0, []),
        ("ZADD z XX 5 x", 0, []),
        ("ZADD z GT 0 a", 0, []),
        ("ZADD z XX CH 5 a", 1, ["zadd"]),
        ("ZADD z INCR 0 a", 0, []),
        ("ZINCRBY z 1 a", 1, ["zincr"]),
        ("ZREM z x", 0, []),
        ("ZREM z a b", 2, ["zrem", "del"]),
        ("ZPOPMIN z 0", 0, []),
        ("ZPOPMIN z 9", 2, ["zpopmin", "del"]),
        ("ZREMRANGEBYRANK z 0 0", 1, ["zremrangebyrank"]),
        ("ZREMRANGEBYSCORE z 5 9", 0, []),
        ("ZREMRANGEBYLEX z - +", 2, ["zremrangebylex", "del"]),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_only_what_changes_counts(command: str, count: int, events: list[str], indexed: bool) -> None:
    node, client = embedded("CONFIG SET zset-max-listpack-entries " + ("0" if indexed else "128"), "ZADD z 1 a 2 b")
    try:
        assert changes(node, client, command) == (count, [(event, b"z") for event in events])
    finally:
        client("CONFIG", "SET", "zset-max-listpack-entries", "128")


@pytest.mark.parametrize(
    ("command", "event"),
    [
        ("ZUNIONSTORE {d} 1 z", "zunionstore"),
        ("ZINTERSTORE {d} 1 z", "zinterstore"),
        ("ZDIFFSTORE {d} 1 z", "zdiffstore"),
        ("ZRANGESTORE {d} z 0 -1", "zrangestore"),
    ],
)
def test_an_empty_result_deletes_the_destination(command: str, event: str) -> None:
    node, client = embedded("ZADD z 1 a")
    assert changes(node, client, command.format(d="d")) == (1, [(event, b"d")])
    client("DEL", "z")
    assert changes(node, client, command.format(d="d")) == (1, [("del", b"d")])
    assert changes(node, client, command.format(d="d")) == (0, [])


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("ZUNION 2 a b WITHSCORES", [b"x", b"0", b"y", b"3"]),
        ("ZUNION 2 a b WEIGHTS 0 1 WITHSCORES", [b"x", b"-inf", b"y", b"1"]),
        ("ZUNION 2 a b AGGREGATE MIN WITHSCORES", [b"x", b"-inf", b"y", b"1"]),
        ("ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MAX WITHSCORES", [b"y", b"2", b"x", b"inf"]),
        ("ZINTER 2 a s WITHSCORES", [b"y", b"3"]),
        ("ZUNION 2 s a WITHSCORES", [b"w", b"1", b"y", b"3", b"x", b"inf"]),
        ("ZDIFF 2 a s WITHSCORES", [b"x", b"inf"]),
        ("ZDIFF 2 s a", [b"w"]),
        ("ZINTERCARD 2 a b", 2),
        ("ZINTERCARD 2 a b LIMIT 1", 1),
        ("ZDIFF 2 a nothing", [b"y", b"x"]),
        ("ZINTER 2 a nothing", []),
    ],
)
def test_algebra(command: str, reply: Any) -> None:
    _, client = embedded("ZADD a inf x 2 y", "ZADD b -inf x 1 y", "SADD s y w")
    assert client(*command.split()) == reply


def test_zrevrange_counts_from_the_top() -> None:
    _, client = embedded("ZADD z 1 a 2 b 3 c 4 d")
    assert client("ZREVRANGE", "z", "0", "1") == [b"d", b"c"]
    assert client("ZREVRANGE", "z", "-1", "-1", "WITHSCORES") == [b"a", b"1"]
    assert client("ZRANGE", "z", "0", "1", "REV") == [b"d", b"c"]
