"""Our node as the replica of redis-server: all data, the stream, a broken link, replicas of the replica."""

from __future__ import annotations

import pytest

from tests.compat.test_snapshots_with_redis import digest, fill
from tests.support.peers import needs
from tests.support.servers import Fleet, Server, wait_until

pytestmark = needs("redis")


def follow(replica: Server, primary: Server) -> None:
    assert replica.call("REPLICAOF", "127.0.0.1", primary.port) == b"OK"
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", f"{replica.name} is synchronised")


def caught_up(replica: Server, primary: Server) -> None:
    wait_until(
        lambda: (
            replica.info("replication")["slave_repl_offset"] == primary.info("replication")["master_repl_offset"]
        ),
        f"{replica.name} has read everything",
    )


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "swapdb", "on-empty-db"])
def test_all_data_then_the_stream_then_a_broken_link(fleet: Fleet, diskless: str, load: str) -> None:
    redis = fleet.oracle(repl_diskless_sync=diskless, repl_diskless_sync_delay="0")
    ours = fleet.ours(repl_diskless_load=load)
    fill(redis, seed=21, count=120)
    follow(ours, redis)
    caught_up(ours, redis)
    assert digest(ours) == digest(redis)
    fill(redis, seed=22, count=120)
    redis.call("SET", "short", "lived", "PX", "1")
    wait_until(lambda: not redis.call("EXISTS", "short"), "the key is dead")  # which makes the primary delete it
    caught_up(ours, redis)
    assert digest(ours) == digest(redis)
    assert redis.info("replication")["slave0"].startswith(f"ip=127.0.0.1,port={ours.port},state=online,")

    assert redis.call("CLIENT", "KILL", "TYPE", "replica") == 1
    fill(redis, seed=23, count=40)
    wait_until(lambda: ours.info("replication")["master_link_status"] == "up", "the link is whole again")
    caught_up(ours, redis)
    assert digest(ours) == digest(redis)
    assert redis.info("stats")["sync_full"] == "1"
    assert redis.info("stats")["sync_partial_ok"] == "1"
    assert "Successful partial resynchronization with master." in ours.log.read_text()
    assert "Partial resynchronization request from" in redis.log.read_text()
    assert ours.info("stats")["unexpected_error_replies"] == "0"


def test_replicas_of_a_replica_have_the_same_offsets(fleet: Fleet) -> None:
    redis, ours = fleet.oracle(repl_diskless_sync_delay="0"), fleet.ours()
    last, other = fleet.ours(), fleet.oracle()
    fill(redis, seed=24, count=60)
    follow(ours, redis)
    follow(last, ours)
    follow(other, ours)
    fill(redis, seed=25, count=60)
    for each in (ours, last, other):
        caught_up(each, redis)
        assert digest(each) == digest(redis)
        assert each.info("replication")["master_replid"] == redis.info("replication")["master_replid"]


def test_what_a_replica_says(fleet: Fleet) -> None:
    redis, ours = fleet.oracle(repl_diskless_sync_delay="0"), fleet.ours()
    follow(ours, redis)
    caught_up(ours, redis)
    host, port, state, offset = ours.call("ROLE")[1:]
    assert [host, port, state] == [b"127.0.0.1", redis.port, b"connected"]
    assert offset == int(redis.info("replication")["master_repl_offset"])
    assert str(ours.ask("SET", "k", "v").value).startswith("READONLY")
    assert ours.call("REPLICAOF", "127.0.0.1", redis.port) == b"OK Already connected to specified master"
    assert ours.call("CONFIG", "GET", "replicaof") == [b"replicaof", b"127.0.0.1 %d" % redis.port]
    assert b" flags=M " in ours.call("CLIENT", "LIST", "TYPE", "master")
    theirs = fleet.oracle()
    follow(theirs, redis)
    assert list(ours.info("replication")) == list(theirs.info("replication"))
    assert ours.call("REPLICAOF", "NO", "ONE") == b"OK"
    assert ours.call("ROLE")[0] == b"master"
    assert ours.call("SET", "k", "v") == b"OK"
    assert ours.info("replication")["master_replid2"] == redis.info("replication")["master_replid"]


@pytest.mark.parametrize("ours_restarts", [True, False], ids=["our replica", "our primary"])
def test_after_a_restart_it_goes_on_where_the_file_ends(fleet: Fleet, ours_restarts: bool) -> None:
    redis, ours = fleet.oracle(repl_diskless_sync_delay="0"), fleet.ours()
    primary, replica = (redis, ours) if ours_restarts else (ours, redis)
    fill(primary, seed=26, count=60)
    follow(replica, primary)
    fill(primary, seed=27, count=20)
    caught_up(replica, primary)
    ours.call("SAVE")
    ours.kill()
    ours.directives = {**ours.directives, **({"replicaof": f"127.0.0.1 {redis.port}"} if ours_restarts else {})}
    if ours_restarts:
        fill(redis, seed=28, count=20)
    ours.start()
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", "the link is whole again")
    fill(primary, seed=29, count=20)
    caught_up(replica, primary)
    assert digest(ours) == digest(redis)
    assert primary.info("stats")["sync_partial_ok"] == "1"


def test_a_snapshot_of_many_parts_through_a_file(fleet: Fleet) -> None:
    ours, redis, other = fleet.ours(repl_diskless_sync="no"), fleet.oracle(), fleet.ours()
    with ours.connect() as connection:
        connection.pipeline([["SET", f"key:{n}", f"{n:0200d}"] for n in range(3000)])
    for replica in (redis, other):
        follow(replica, ours)
        caught_up(replica, ours)
        assert digest(replica) == digest(ours)
