"""Processes that die or freeze under load: every acknowledged write is there afterwards, no two nodes owned a shard."""

from __future__ import annotations

import signal
import time

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.servers import Fleet, wait_until


@long_drill
def test_a_killed_primary_is_replaced_and_returns_as_a_replica(fleet: Fleet) -> None:
    drill = Drill(fleet, min_acks="1")
    old, new = drill.shards[0]
    with drill.load() as history:
        since = drill.kill(old)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        old.start()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_a_frozen_primary_is_replaced_and_accepts_nothing_when_it_wakes(fleet: Fleet) -> None:
    drill = Drill(fleet, min_acks="1")
    old, new = drill.shards[0]
    with drill.load(everywhere=[0]) as history:
        since = drill.signal(signal.SIGSTOP, old)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        drill.signal(signal.SIGCONT, old)
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_two_primaries_die_at_once(fleet: Fleet) -> None:
    """Five shards, since two of three dead primaries are no majority; both get a new one, in elections of their own."""
    drill = Drill(fleet, shards=5, min_acks="1")
    with drill.load() as history:
        since = drill.kill(drill.primary(0), drill.primary(1))
        for shard in (0, 1):
            history.await_write(shard, since, RECOVERY_S, by=drill.shards[shard][1].name)
        for shard in (0, 1):
            drill.primary(shard).start()
        drill.await_health()
    for shard in (0, 1):
        assert history.owners(shard) == [node.name for node in drill.shards[shard]]
    drill.check(history)


@long_drill
def test_a_primary_and_a_replica_of_its_die_at_once(fleet: Fleet) -> None:
    drill = Drill(fleet, replicas=2, min_acks="1")
    old, other, new = drill.shards[0]
    with drill.load() as history:
        since = drill.kill(old, other)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        fleet.restart(old, other)
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_a_majority_of_primaries_dies_at_once_and_returns(fleet: Fleet) -> None:
    """Nobody can be elected meanwhile; when they are back, all goes on as it was, with what their files hold."""
    drill = Drill(fleet, appendonly="yes")
    with drill.load() as history:
        drill.kill(drill.primary(0), drill.primary(1))
        wait_until(lambda: history.refused["CLUSTERDOWN"], "the remaining primary serves no more", RECOVERY_S)
        fleet.restart(drill.primary(0), drill.primary(1))
        since = time.monotonic()
        for shard in range(3):
            history.await_write(shard, since, RECOVERY_S)
        drill.await_health()
    drill.check(history)


@long_drill
def test_all_replicas_of_a_shard_gone(fleet: Fleet) -> None:
    """Its primary goes on alone, as min-acks does not forbid it here; a replica that another shard can spare comes."""
    drill = Drill(fleet, replicas=2, cluster_migration_barrier="1")
    lonely = drill.primary(0)
    with drill.load() as history:
        since = drill.kill(*drill.shards[0][1:])
        history.await_write(0, since + 2 * NODE_TIMEOUT_MS / 1000, RECOVERY_S, by=lonely.name)
        wait_until(
            lambda: int(lonely.info("replication")["connected_slaves"]) > 0, "a replica has come", 3 * RECOVERY_S
        )
        fleet.restart(*drill.shards[0][1:])
        drill.await_health()
    assert history.owners(0) == [lonely.name]
    drill.check(history)


@long_drill
def test_a_primary_that_is_killed_again_and_again(fleet: Fleet) -> None:
    """Whoever owns the shard is killed and comes back as a replica, five times: the shard changes hands each time."""
    drill = Drill(fleet, min_acks="1")
    with drill.load() as history:
        for _ in range(5):
            victim = drill.owner(0)
            heir = next(node for node in drill.shards[0] if node is not victim)
            since = drill.kill(victim)
            history.await_write(0, since, RECOVERY_S, by=heir.name)
            victim.start()
            drill.await_health()
    drill.check(history)
