"""CLUSTER FAILOVER in a cluster of both kinds: each hands its place to the other, and no write is lost."""

from __future__ import annotations

import pytest

from tests.support.peers import needs
from tests.support.servers import Fleet, Server, form_cluster, wait_until

pytestmark = needs("redis")

Shard = tuple[Server, Server]


@pytest.fixture
def shards(fleet: Fleet) -> list[Shard]:
    """Three shards, each a primary and its replica: ours with a Redis replica, the reverse, and two of ours."""
    directives = {"cluster_enabled": "yes", "cluster_node_timeout": "2000"}
    primaries = [fleet.ours("a", **directives), fleet.oracle("b", **directives), fleet.ours("c", **directives)]
    replicas = [fleet.oracle("ar", **directives), fleet.ours("br", **directives), fleet.ours("cr", **directives)]
    form_cluster(primaries, replicas)
    return list(zip(primaries, replicas, strict=True))


def in_sync(replica: Server, primary: Server) -> bool:
    theirs = replica.info("replication")
    return theirs.get("master_link_status") == "up" and theirs["slave_repl_offset"] == offset(primary)


def offset(server: Server) -> str:
    return server.info("replication")["master_repl_offset"]


def own_key(primary: Server) -> bytes:
    """A key of one of its slots."""
    return next(key for key in (b"key:%d" % n for n in range(1000)) if primary.ask("SET", key, "1").value == b"OK")


def is_primary(server: Server) -> bool:
    return b"myself,master" in server.call("CLUSTER", "NODES")


def take_over(replica: Server, primary: Server, *how: str) -> None:
    wait_until(lambda: in_sync(replica, primary), "the replica is in sync")
    full_syncs = replica.info("stats")["sync_full"]
    key = own_key(primary)
    if how:  # TAKEOVER asks nobody, so the replica must have the write already; a plain one waits for it
        wait_until(lambda: in_sync(replica, primary), "the replica has the write")
    assert replica.call("CLUSTER", "FAILOVER", *how) == b"OK"
    wait_until(lambda: is_primary(replica) and not is_primary(primary), "they have changed places", 15)
    assert replica.ask("GET", key).value == b"1"
    wait_until(lambda: in_sync(primary, replica), "the old primary follows", 15)
    assert replica.ask("SET", key, "2").value == b"OK"
    wait_until(lambda: in_sync(primary, replica), "it has the new write", 15)
    assert replica.info("stats")["sync_full"] == full_syncs  # it went on where it was


@pytest.mark.parametrize("number", [0, 1, 2], ids=["redis takes over", "ours takes over", "ours among ours"])
def test_both_change_places_and_back(shards: list[Shard], number: int) -> None:
    primary, replica = shards[number]
    take_over(replica, primary)
    take_over(primary, replica)
    take_over(replica, primary, "TAKEOVER")


def test_force_needs_no_primary(shards: list[Shard]) -> None:
    primary, replica = shards[1]
    wait_until(lambda: in_sync(replica, primary), "the replica is in sync")
    primary.kill()
    assert replica.call("CLUSTER", "FAILOVER", "FORCE") == b"OK"
    wait_until(lambda: is_primary(replica), "it has taken over", 15)


def test_refusals(shards: list[Shard]) -> None:
    (ours, redis_replica), (redis, our_replica), _ = shards
    for words in ([], ["FORCE"], ["TAKEOVER"], ["NOW"], ["FORCE", "NOW"]):
        assert ours.ask("CLUSTER", "FAILOVER", *words) == redis.ask("CLUSTER", "FAILOVER", *words)
    for words in (["NOW"], ["FORCE", "NOW"]):
        assert our_replica.ask("CLUSTER", "FAILOVER", *words) == redis_replica.ask("CLUSTER", "FAILOVER", *words)
