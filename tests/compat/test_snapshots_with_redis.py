"""Snapshots and the stream of writes between us and redis-server: the same data afterwards, by DEBUG DIGEST."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import pytest

from tests.compat.test_stored_bytes import build
from tests.support.peers import needs
from tests.support.servers import Fleet, Server, wait_until

KINDS = ["string", "list", "set", "intset", "hash", "zset", "stream"]

pytestmark = needs("redis")


def writes(seed: int, count: int) -> Iterator[list[bytes | str]]:
    """Commands that make keys of every type in several databases, change some and let some expire one day."""
    rng = random.Random(seed)
    for _ in range(count):
        key = f"key:{rng.randrange(80)}"
        yield ["SELECT", str(rng.choice([0, 0, 0, 5, 9]))]
        yield ["DEL", key]
        for verb, _, *rest in build(rng, rng.choice(KINDS), rng.choice([1, 3, 30, 150, 600])):
            yield [verb, key, *rest]
        if rng.random() < 0.3:
            yield ["EXPIRE", key, str(rng.randrange(1000, 10**6))]
        if rng.random() < 0.1:
            yield from (["MULTI"], ["SET", "t", "1"], ["INCRBYFLOAT", "t", "0.1"], ["SPOP", "s", "2"], ["EXEC"])
        yield ["SADD", "s", str(rng.random())]


def fill(server: Server, seed: int, count: int = 250) -> None:
    with server.connect() as connection:
        connection.pipeline(writes(seed, count))


def digest(server: Server) -> str:
    return server.call("DEBUG", "DIGEST")


def restarted(server: Server) -> Server:
    server.kill()
    return server.start()


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "allkeys-lfu"])
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours to theirs", "theirs to ours"])
def test_a_saved_file_is_loaded_by_the_other(fleet: Fleet, ours_first: bool, policy: str) -> None:
    ours, redis = fleet.ours(maxmemory_policy=policy), fleet.oracle(maxmemory_policy=policy)
    writer, reader = (ours, redis) if ours_first else (redis, ours)
    fill(writer, seed=3)
    assert writer.call("SAVE") == b"OK"
    reader.kill()
    (reader.directory / "dump.rdb").write_bytes((writer.directory / "dump.rdb").read_bytes())
    reader.start()
    assert digest(reader) == digest(writer)
    assert reader.info("keyspace").keys() == writer.info("keyspace").keys()


def test_our_own_file_is_there_after_a_restart(fleet: Fleet) -> None:
    ours = fleet.ours()
    fill(ours, seed=4)
    before = digest(ours)
    assert ours.call("BGSAVE") == b"Background saving started"
    wait_until(lambda: ours.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot is saved")
    assert ours.info("persistence")["rdb_changes_since_last_save"] == "0"
    assert digest(restarted(ours)) == before
    ours.call("DEBUG", "RELOAD")
    assert digest(ours) == before


def test_a_broken_file_stops_the_start(fleet: Fleet) -> None:
    ours = fleet.ours()
    fill(ours, seed=5, count=20)
    ours.call("SAVE")
    ours.kill()
    path = ours.directory / "dump.rdb"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Exception, match=r"dump\.rdb is no good snapshot: the data ends too early"):
        ours.start()


def test_redis_as_our_replica(fleet: Fleet) -> None:
    ours, redis = fleet.ours(), fleet.oracle()
    fill(ours, seed=6)
    redis.call("REPLICAOF", "127.0.0.1", ours.port)
    wait_until(lambda: redis.info("replication")["master_link_status"] == "up", "the replica is synchronised")
    assert digest(redis) == digest(ours)
    fill(ours, seed=7)
    ours.call("SET", "short", "lived", "PX", "1")

    def caught_up() -> bool:
        if ours.call("EXISTS", "short"):
            return False
        return redis.info("replication")["slave_repl_offset"] == ours.info("replication")["master_repl_offset"]

    wait_until(caught_up, "the replica has read everything")
    assert digest(redis) == digest(ours)
    shown = ours.info("replication")["slave0"]
    assert shown.startswith(f"ip=127.0.0.1,port={redis.port},state=online,")
    assert ours.info("replication")["connected_slaves"] == "1"
    # It acknowledges by itself, every second.
    wait_until(
        lambda: f"offset={ours.info('replication')['master_repl_offset']}," in ours.info("replication")["slave0"],
        "the replica acknowledges",
    )
    redis.kill()
    wait_until(lambda: ours.info("replication")["connected_slaves"] == "0", "the replica is forgotten")


def test_a_node_takes_the_unassigned_slots_that_its_snapshot_has_keys_of(fleet: Fleet) -> None:
    """In cluster mode. A slot that is another's is opened instead (tests/unit/topology/test_core.py)."""
    plain = fleet.ours("plain")
    for key in ("foo", "bar", "{foo}2"):
        plain.call("SET", key, "1")
    plain.call("SAVE")
    nodes = (fleet.ours("ours", cluster_enabled="yes"), fleet.oracle(cluster_enabled="yes"))
    for node in nodes:
        node.kill()
        shutil.copy(plain.directory / "dump.rdb", node.directory)
    fleet.restart(*nodes)
    for node in nodes:
        assert node.call("CLUSTER", "NODES").split()[-2:] == [b"5061", b"12182"], node.name
        assert node.cluster_info()["cluster_slots_assigned"] == "2"
