"""Limits of memory: maxmemory and what it makes go, and the output of clients."""

from __future__ import annotations

import gc

import pytest

from node import flags
from node.engine.durable.snapshot import Snapshot
from node.requests.clients import FREE_OUTPUT_BYTES, LEAST_BUFFERS_BYTES
from tests.support.embedded import Embedded, EmbeddedClient


@pytest.fixture
def node() -> Embedded:
    gc.collect()  # what nodes of other tests still have is used memory of this process, too, until it is collected
    return Embedded()


def used_bytes(node: Embedded) -> int:
    return node.core.used_memory()


def test_a_lower_limit_makes_room_after_the_transaction_that_sets_it(node: Embedded) -> None:
    client = node.client()
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    client("MULTI")
    client("INCR", "x")
    client("CONFIG", "SET", "maxmemory", "1")
    client("INCR", "x")
    node.replicate()
    assert client("EXEC") == [1, b"OK", 2]
    node.advance(100)
    assert client("DBSIZE") == 0
    node.core.engine.before_replies()
    assert node.replicated == [[b"MULTI"], [b"INCR", b"x"], [b"INCR", b"x"], [b"EXEC"], [b"DEL", b"x"]]


def test_ticks_go_on_until_the_data_fits(node: Embedded) -> None:
    client = node.client()
    for i in range(20_000):
        client("SET", f"key:{i}", "v")
    limit = used_bytes(node) - 300_000
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", limit)
    node.advance(100)
    assert used_bytes(node) > limit  # one tick is not enough
    for _ in range(10):
        node.advance(100)
    assert used_bytes(node) <= limit
    assert client("DBSIZE") > 0
    assert not node.core.eviction.due


@pytest.mark.parametrize("db", [0, 9])
def test_the_first_key_after_a_flush_costs_no_more_than_others(node: Embedded, db: int) -> None:
    client = node.client()
    client("SELECT", db)
    client("SET", "k", "v")
    client("FLUSHALL")
    empty = used_bytes(node)
    client("SET", "k", "v", "EX", "100")
    assert used_bytes(node) - empty < 1000


@pytest.mark.parametrize(
    ("limit", "policy", "shared"),
    [(0, "allkeys-lru", True), (1 << 30, "allkeys-random", True), (1 << 30, "volatile-lfu", False)],
)
def test_small_integers_look_shared_where_redis_shares_them(
    node: Embedded, limit: int, policy: str, shared: bool
) -> None:
    client = node.client()
    client("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy)
    client("SET", "a", "1")
    assert (client("OBJECT", "REFCOUNT", "a") > 1) is shared


@pytest.mark.parametrize(
    ("fill", "ask"),
    [
        ("HSET k f v", "HRANDFIELD k -999999999"),
        ("ZADD k 1 m", "ZRANDMEMBER k -999999999"),
        ("SADD k m", "SRANDMEMBER k -999999999"),
    ],
)
def test_no_more_is_drawn_than_the_client_may_be_sent(node: Embedded, fill: str, ask: str) -> None:
    client = node.client()
    client(*fill.split())
    assert str(client(*ask.split())) == "ERR value is out of range"
    client("CONFIG", "SET", "client-output-buffer-limit", "normal 1000000 0 0")
    client.send(*ask.split())
    assert len(client.unread) > 1_000_000


@pytest.mark.parametrize(("begun_ms", "stays_until_ms", "goes_ms"), [(1000, 4999, 5000), (1999, 4999, 5000)])
def test_a_soft_limit_counts_whole_seconds(node: Embedded, begun_ms: int, stays_until_ms: int, goes_ms: int) -> None:
    client, clients, space = node.client(), node.core.clients, node.core.space
    client("CONFIG", "SET", "client-output-buffer-limit", "normal 0 1000 3")
    assert not client.session.flags & flags.CLOSED
    for now_ms, over in [(begun_ms, False), (stays_until_ms, False), (goes_ms, True)]:
        space.now_ms = now_ms
        assert clients.over_output_limit(client.session, FREE_OUTPUT_BYTES + 1000) is over


def test_the_largest_clients_go_when_all_buffers_are_too_much(node: Embedded) -> None:
    admin, small, large, kept = (node.client() for _ in range(4))
    kept("CLIENT", "NO-EVICT", "on")
    for client, words in ((small, 10), (large, 200), (kept, 400)):
        client.session.feed(b"*1000\r\n" + (b"$1000\r\n" + b"x" * 1000 + b"\r\n") * words)
    total_bytes = sum(each.session.input_capacity + each.session.output_capacity for each in (small, large, kept))
    admin("CONFIG", "SET", "maxmemory-clients", total_bytes + 100_000)
    node.core.clients.evict()
    assert not large.session.flags & flags.CLOSED
    admin("CONFIG", "SET", "maxmemory", 2 * (total_bytes - 1000), "maxmemory-clients", "50%")
    node.core.clients.evict()
    gone = [bool(each.session.flags & flags.CLOSED) for each in (admin, small, large, kept)]
    assert gone == [False, False, True, False]
    assert b"evicted_clients:1\r\n" in admin("INFO", "stats")


def test_the_smallest_limit_of_buffers_leaves_room_to_be_served(node: Embedded) -> None:
    client = node.client()
    client("CONFIG", "SET", "maxmemory-clients", "1")
    assert node.core.clients.buffers_limit() == LEAST_BUFFERS_BYTES
    node.core.clients.evict()
    assert client("PING") == b"PONG"


@pytest.mark.parametrize("limit", ["1 2 3", "18446744073709551615 0 0", "0 18446744073709551615 1"])
def test_the_least_output_to_look_at_fits_a_machine_word(node: Embedded, limit: str) -> None:
    client = node.client()
    client("CONFIG", "SET", "client-output-buffer-limit", f"normal {limit}")
    assert FREE_OUTPUT_BYTES < node.core.clients.least_output_limit() < 1 << 63


def test_buffers_have_no_limit_by_default(node: Embedded) -> None:
    node.core.clients.evict()
    assert len(node.core.clients.by_id) == 0
    assert node.core.clients.buffers_limit() > 1 << 60


LARGE = 200_000
"""Members of a set that takes many turns to be freed."""


def filled(node: Embedded) -> EmbeddedClient:
    """A client of a node with a large set `big` and some other keys."""
    client = node.client()
    for i in range(100):
        client("SET", f"key:{i}", "v" * 20)
    for start in range(0, LARGE, 1000):
        client("SADD", "big", *(b"member:%d" % i for i in range(start, start + 1000)))
    return client


def fill_up(node: Embedded, client: EmbeddedClient, policy: str = "noeviction") -> None:
    """Set the limit below what is there now, by less than the large set has."""
    client("CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", used_bytes(node) - 3_000_000)


DELETIONS = {
    "DEL": [["DEL", "big"]],
    "UNLINK": [["UNLINK", "big"]],
    "FLUSHALL": [["FLUSHALL"]],
    "FLUSHALL ASYNC": [["FLUSHALL", "ASYNC"]],
    "RENAME over it": [["RENAME", "key:1", "big"]],
    "SPOP of all": [["SPOP", "big", LARGE]],
    "SREM of most": [["SPOP", "big", LARGE - 100], ["DEL", "big"]],
    "DEL in a script": [["EVAL", "return redis.call('del', KEYS[1])", 1, "big"]],
    "a time in the past": [["PEXPIREAT", "big", 1]],
    "expiry": [["PEXPIRE", "big", 1]],
    "GETDEL": [["DEL", "big"], ["GETDEL", "key:1"]],
}


@pytest.mark.parametrize("way", DELETIONS)
def test_what_is_on_its_way_out_refuses_nobody(node: Embedded, way: str) -> None:
    client = filled(node)
    fill_up(node, client)
    assert str(client("SET", "w", "1")).startswith("OOM")
    for words in DELETIONS[way]:
        client(*words)
    node.core.space.now_ms += 10
    client("EXISTS", "big")
    for _ in range(100):
        assert client("SET", "w", "1") == b"OK"
    # How much is freed before each depends on the time that it takes: on a busy machine it may need some more.
    for _ in range(10_000):
        if used_bytes(node) <= node.core.engine.maxmemory:
            break
        assert client("SET", "w", "1") == b"OK"
    assert used_bytes(node) <= node.core.engine.maxmemory


def test_a_node_that_stays_too_full_refuses_all_the_same(node: Embedded) -> None:
    client = filled(node)
    client("CONFIG", "SET", "maxmemory", 100_000)
    client("SADD", "other", *range(100))
    client("DEL", *(f"key:{i}" for i in range(100)), "other")
    assert str(client("SET", "w", "1")).startswith("OOM")


def test_no_key_is_evicted_for_room_that_is_on_its_way(node: Embedded) -> None:
    client = filled(node)
    client("UNLINK", "big")
    fill_up(node, client, "allkeys-random")
    assert used_bytes(node) > node.core.engine.maxmemory
    for _ in range(100):
        client("SET", "w", "1")
    assert node.core.space.evicted == 0
    assert client("DBSIZE") == 101


def test_what_waits_to_be_freed_is_shown(node: Embedded) -> None:
    client = filled(node)
    before = used_bytes(node)
    client("DEL", "big")
    memory = client("INFO", "memory")
    assert b"lazyfree_pending_objects:1\r\n" in memory
    assert int(memory.split(b"used_memory:")[1].split(b"\r\n")[0]) > before // 2


@pytest.mark.parametrize("deletion", [["DEL", "big"], ["FLUSHALL"]], ids=lambda words: words[0])
@pytest.mark.parametrize("policy", ["noeviction", "allkeys-random"])
def test_what_only_a_snapshot_still_needs_counts_as_gone(node: Embedded, policy: str, deletion: list[str]) -> None:
    client = filled(node)
    snapshot = Snapshot(node.core.space)
    client(*deletion)
    fill_up(node, client, policy)
    assert used_bytes(node) > node.core.engine.maxmemory
    for _ in range(100):
        assert client("SET", "w", "1") == b"OK"
    assert node.core.space.evicted == 0
    snapshot.cancel()
    assert node.core.space.held_bytes == 0
    assert client("SET", "w", "1") == b"OK"
