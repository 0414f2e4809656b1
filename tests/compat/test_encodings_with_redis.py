"""Every type in every encoding goes to redis-server and back, by file and by synchronisation, and is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.compat.test_replica_of_redis import caught_up, follow
from tests.support.compare import encoding_in_7_0
from tests.support.contents import without_fields
from tests.support.peers import needs
from tests.support.servers import Fleet, Server

pytestmark = needs("redis")

FAR_MS = 4_000_000_000_000
BIG = 200_000  # bytes: more than 64 KB, and compressed in more than one step
NOISE = "".join(chr(33 + n * n * 7919 % 89) for n in range(BIG))

# Key -> the encoding that OBJECT ENCODING tells on redis-server, and the commands that make it.
VALUES: dict[str, tuple[str, list[list[str]]]] = {
    "string:int": ("int", [["SET", "string:int", "-9223372036854775808"]]),
    "string:embedded": ("embstr", [["SET", "string:embedded", "short"]]),
    "string:raw": ("raw", [["SET", "string:raw", "x" * 45]]),
    "string:lzf": ("raw", [["SET", "string:lzf", "word " * (BIG // 5)]]),
    "string:noise": ("raw", [["SET", "string:noise", NOISE]]),
    "string:empty": ("embstr", [["SET", "string:empty", ""]]),
    "list:one node": ("quicklist", [["RPUSH", "list:one node", "a", "1", "-70000", "x" * 100]]),
    "list:nodes": ("quicklist", [["RPUSH", "list:nodes", *(f"element:{n}" for n in range(3000))]]),
    "list:plain node": ("quicklist", [["RPUSH", "list:plain node", "a", NOISE, "z", "y" * BIG]]),
    "set:ints 16": ("intset", [["SADD", "set:ints 16", "1", "-5", "32767"]]),
    "set:ints 32": ("intset", [["SADD", "set:ints 32", "1", "70000"]]),
    "set:ints 64": ("intset", [["SADD", "set:ints 64", "1", "9223372036854775807"]]),
    "set:text": ("hashtable", [["SADD", "set:text", "a", "1", "x" * 64]]),
    "set:table": ("hashtable", [["SADD", "set:table", *(f"member:{n}" for n in range(1000)), NOISE]]),
    "hash:compact": ("listpack", [["HSET", "hash:compact", "f", "v", "1", "2", "big", "4294967296000"]]),
    "hash:table": ("hashtable", [["HSET", "hash:table", *(f"{n}" for n in range(2000))]]),
    "hash:long value": ("hashtable", [["HSET", "hash:long value", "f", NOISE, "g", "v"]]),
    "zset:compact": ("listpack", [["ZADD", "zset:compact", "1", "a", "-inf", "b", "inf", "c", "0.5", "d"]]),
    "zset:tree": ("skiplist", [["ZADD", "zset:tree", *(f"{n}" for n in range(2000))]]),
    "zset:long member": ("skiplist", [["ZADD", "zset:long member", "-1.5", NOISE]]),
    "stream:empty": ("stream", [["XADD", "stream:empty", "5-5", "f", "v"], ["XDEL", "stream:empty", "5-5"]]),
    "stream:big": ("stream", [["XADD", "stream:big", "1-1", "field", NOISE], ["XADD", "stream:big", "*", "f", "v"]]),
    "hll:sparse": ("raw", [["PFADD", "hll:sparse", *(f"{n}" for n in range(20))]]),
    "hll:dense": ("raw", [["PFADD", "hll:dense", *(f"{n}" for n in range(20000))]]),
}


def groups() -> Iterator[list[str]]:
    """A stream of several nodes, some of its entries deleted, with groups, consumers and what they have pending."""
    key = "stream:groups"
    for n in range(400):
        yield ["XADD", key, f"{n * 1000 + 1}-{n}", "same", f"{n}", *(["other", "x"] if n % 5 == 0 else [])]
    yield ["XDEL", key, "1001-1", "50001-50"]
    for group, start in (("first", "0"), ("late", "200001-200"), ("idle", "$")):
        yield ["XGROUP", "CREATE", key, group, start]
    for consumer, count in (("ann", "30"), ("bob", "70")):
        yield ["XREADGROUP", "GROUP", "first", consumer, "COUNT", count, "STREAMS", key, ">"]
    yield ["XREADGROUP", "GROUP", "late", "ann", "STREAMS", key, ">"]
    yield ["XACK", key, "first", "1-0", "2001-2"]
    yield ["XGROUP", "CREATECONSUMER", key, "idle", "nobody"]
    yield ["XTRIM", key, "MAXLEN", "300"]


def build(server: Server) -> None:
    with server.connect() as connection:
        for commands in (*(made for _, made in VALUES.values()), groups()):
            for line in commands:
                assert not connection.ask(*line).is_error, line[:3]
        for n, key in enumerate(VALUES):
            if n % 3 == 0:
                connection.call("PEXPIREAT", key, FAR_MS + n)
        connection.call("SELECT", 7)
        connection.call("SET", "elsewhere", "1", "PXAT", FAR_MS)


def facts(server: Server) -> dict[str, object]:
    """What makes the data set, and what DEBUG DIGEST does not tell: times of death, encodings, groups."""
    found: dict[str, object] = {"digest": server.call("DEBUG", "DIGEST")}
    for key in VALUES:
        kind, encoding = server.call("TYPE", key), server.call("OBJECT", "ENCODING", key)
        found[key] = (encoding_in_7_0(kind, encoding), server.call("PEXPIRETIME", key))
    for key in ("stream:groups", "stream:empty"):
        whole = server.call("XINFO", "STREAM", key, "FULL", "COUNT", "0")
        found[f"{key} whole"] = without_fields(whole, b"active-time")  # which Redis 7.0 does not tell
        found[f"{key} groups"] = server.call("XINFO", "GROUPS", key)
    return found


def by_rdb(source: Server, target: Server) -> None:
    source.call("SAVE")
    target.kill()
    (target.directory / "dump.rdb").write_bytes((source.directory / "dump.rdb").read_bytes())
    target.start()


def by_synchronisation(source: Server, target: Server) -> None:
    follow(target, source)
    caught_up(target, source)
    target.call("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("way", [by_rdb, by_synchronisation])
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours, theirs, ours", "theirs, ours, theirs"])
def test_there_and_back(fleet: Fleet, ours_first: bool, way: Callable[[Server, Server], None]) -> None:
    ours, redis = fleet.ours(repl_diskless_sync_delay="0"), fleet.oracle(repl_diskless_sync_delay="0")
    first, second = (ours, redis) if ours_first else (redis, ours)
    build(first)
    built = facts(first)
    assert {key: built[key][0] for key in VALUES} == {key: each.encode() for key, (each, _) in VALUES.items()}  # type: ignore[index]
    way(first, second)
    assert facts(second) == built
    first.call("FLUSHALL")
    way(second, first)
    assert facts(first) == built
