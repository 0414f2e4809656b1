"""What is stored has Redis' bytes: random values built on both servers, compared by DUMP and GET, and moved across."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

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
        case "hash":
            return [["HSET", "k", *(word for part in parts for word in (part[:60], text(rng)))]]
        case _:
            return [["ZADD", "k", *(word for part in parts for word in (repr(rng.uniform(-9, 9)), part))]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["string", "list", "set", "intset", "hash", "zset"])
def test_dump(pair: Pair, kind: str, seed: int) -> None:
    ours, redis = pair.ours("standalone"), pair.oracle("standalone")
    rng = random.Random(f"{kind} {seed}")
    for server in (ours, redis):
        server.call("DEL", "k", "copy")
    for command in build(rng, kind, rng.choice([1, 3, 30, 150, 700])):
        assert ours.call(*command) == redis.call(*command)
    dumped, expected = ours.call("DUMP", "k"), redis.call("DUMP", "k")
    if ours.call("OBJECT", "ENCODING", "k") != b"hashtable":  # each server has its own order there
        assert dumped == expected
    for server, payload in ((ours, expected), (redis, dumped)):
        server.call("RESTORE", "copy", 0, payload)
        assert digest(server, "copy") == digest(server, "k")


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
