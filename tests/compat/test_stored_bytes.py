"""What is stored has Redis' bytes: random values built on both servers, compared by DUMP and GET, and moved across."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.support.contents import without_fields
from tests.support.servers import Pair, Server

SEEDS = range(12)


def text(rng: random.Random) -> bytes:
    """Numbers, noise, and what compresses."""
    match rng.randrange(4):
        case 0:
            return b"%d" % rng.randrange(-(10 ** rng.randrange(1, 19)), 10 ** rng.randrange(1, 19))
        case 1:
            return rng.randbytes(rng.randrange(30))
        case 2:
            return b"word " * rng.randrange(30)
        case _:
            return rng.randbytes(3) * rng.randrange(200)


def build(rng: random.Random, kind: str, size: int) -> list[list[bytes | str]]:
    """Commands that make a value at `k`."""
    parts = [text(rng) for _ in range(size)]
    match kind:
        case "string":
            return [["SET", "k", parts[0]]]
        case "list":
            return [["RPUSH", "k", *parts]]
        case "set":
            return [["SADD", "k", *parts]]
        case "intset":
            return [["SADD", "k", *(b"%d" % rng.randrange(-(10**9), 10**9) for _ in parts)]]
        case "stream":
            return build_stream(rng, parts)
        case "hash":
            return [["HSET", "k", *(word for part in parts for word in (part[:60], text(rng)))]]
        case _:
            # These scores have the same text in Redis 7.0 and in later ones (test_doubles.py has the others).
            return [["ZADD", "k", *(word for part in parts for word in (repr(rng.randrange(-600, 600) / 64), part))]]


def build_stream(rng: random.Random, parts: list[bytes]) -> list[list[bytes | str]]:
    """Entries with ids near and far, with the fields of the one before or others; some are deleted."""
    ms, seq = rng.randrange(10**13), rng.randrange(300)
    commands: list[list[bytes | str]] = []
    for part in parts:
        fields = [b"a", part, b"b", b"1"] if rng.random() < 0.8 else [part, text(rng)]
        commands.append(["XADD", "k", f"{ms}-{seq}", *fields])
        if rng.random() < 0.1:
            commands.append(["XDEL", "k", f"{ms}-{seq}"])
        ms, seq = ms + rng.choice([0, 1, 200, 10**6]), seq + rng.choice([1, 1, 1, 500, 10**10])
    return [*commands, ["XTRIM", "k", "MAXLEN", str(len(parts))], ["XTRIM", "k", "MINID", f"{ms - 10**5}"]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["string", "list", "set", "intset", "hash", "zset", "stream"])
def test_dump(pair: Pair, kind: str, seed: int) -> None:
    ours, redis = pair.ours("standalone"), pair.oracle("standalone")
    rng = random.Random(f"{kind} {seed}")
    for server in (ours, redis):
        server.call("DEL", "k", "copy")
    for command in build(rng, kind, rng.choice([1, 3, 30, 150, 700])):
        assert ours.call(*command) == redis.call(*command)
    dumped, expected = ours.call("DUMP", "k"), redis.call("DUMP", "k")
    if redis.call("OBJECT", "ENCODING", "k") != b"hashtable":  # each server has its own order there
        assert dumped == expected
    for server, payload in ((ours, expected), (redis, dumped)):
        server.call("RESTORE", "copy", 0, payload)
        assert digest(server, "copy") == digest(server, "k")


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours to theirs", "theirs to ours"])
def test_groups_travel(pair: Pair, ours_first: bool) -> None:
    source, target = pair.ours("standalone"), pair.oracle("standalone")
    if not ours_first:
        source, target = target, source
    source.call("DEL", "k")
    for i in range(300):
        source.call("XADD", "k", f"{i + 1}-{i}", "f", i)
    for group in range(3):
        source.call("XGROUP", "CREATE", "k", f"group {group}", group * 50, "ENTRIESREAD", group * 50)
        for consumer in range(5):
            read = ("XREADGROUP", "GROUP", f"group {group}", f"consumer {consumer}", "COUNT", 40, "STREAMS", "k", ">")
            source.call(*read)
        source.call("XGROUP", "CREATECONSUMER", "k", f"group {group}", "idle")
        source.call("XACK", "k", f"group {group}", *(f"{i + 1}-{i}" for i in range(0, 300, 3)))
    source.call("XDEL", "k", "70-69", "75-74")
    target.call("DEL", "k")
    target.call("RESTORE", "k", 0, source.call("DUMP", "k"))
    for command in (("XINFO", "STREAM", "k", "FULL", "COUNT", "0"), ("XINFO", "GROUPS", "k"), ("DUMP", "k")):
        theirs, ours = (without_fields(server.call(*command), b"active-time") for server in (target, source))
        assert theirs == ours, command


def digest(server: Server, key: str) -> bytes:
    return server.call("DEBUG", "DIGEST-VALUE", key)[0]


@pytest.fixture
def sparse_limit(pair: Pair, seed: int) -> Iterator[None]:
    servers = pair.ours("standalone"), pair.oracle("standalone")
    for server in servers:
        server.call("CONFIG", "SET", "hll-sparse-max-bytes", [3000, 200, 12000][seed % 3])
    yield
    for server in servers:
        server.call("CONFIG", "SET", "hll-sparse-max-bytes", 3000)


@pytest.mark.parametrize("seed", SEEDS)
def test_hyperloglog(pair: Pair, seed: int, sparse_limit: None) -> None:
    ours, redis = pair.ours("standalone"), pair.oracle("standalone")
    rng = random.Random(seed)
    keys = ["h1", "h2", "h3"]
    for server in (ours, redis):
        server.call("DEL", *keys)
    for _ in range(60):
        key = rng.choice(keys)
        command: list[bytes | str] = [
            "PFADD",
            key,
            *(rng.randbytes(rng.randrange(20)) for _ in range(rng.randrange(80))),
        ]
        if rng.random() < 0.3:
            command = rng.choice([["PFCOUNT", key], ["PFCOUNT", *keys], ["PFMERGE", key, *rng.sample(keys, 2)]])
        assert ours.call(*command) == redis.call(*command)
        assert ours.call("GET", key) == redis.call("GET", key)
