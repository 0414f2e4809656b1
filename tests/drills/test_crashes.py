"""Processes that die or freeze under load: every acknowledged write is there afterwards, no two nodes owned a shard.

Where `min-acks 1` promises it, that is to the last write; such shards have two replicas, for one that has lost all but
its primary refuses writes then. Otherwise what was acknowledged in the last moments before a crash may be missing.
"""

from __future__ import annotations

import signal
import time

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.servers import Fleet, wait_until


def test_a_killed_primary_is_replaced_and_returns_as_a_replica(fleet: Fleet) -> None:
    drill = Drill(fleet)
    old, new = drill.shards[0]
    with drill.load() as history:
        since = drill.kill(old)
        history.await_write(0, since, RECOVERY_S, not_at=old.name)
        old.start()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history, unsafe={0: (since, since)})


def test_a_frozen_primary_is_replaced_and_accepts_nothing_when_it_wakes(fleet: Fleet) -> None:
    drill = Drill(fleet, replicas=2, min_acks="1")
    old = drill.primary(0)
    with drill.load(everywhere=[0]) as history:
        since = drill.signal(signal.SIGSTOP, old)
        new = history.await_write(0, since, RECOVERY_S, not_at=old.name).node
        drill.signal(signal.SIGCONT, old)
        drill.await_health()
    assert history.owners(0) == [old.name, new]
    drill.check(history)


@long_drill
def test_two_primaries_die_at_once(fleet: Fleet) -> None:
    """Five shards, since two of three dead primaries leave no majority; both get successors, each by an election."""
    drill = Drill(fleet, shards=5)
    dying = (0, 1)
    with drill.load() as history:
        since = drill.kill(*(drill.primary(shard) for shard in dying))
        for shard in dying:
            history.await_write(shard, since, RECOVERY_S, not_at=drill.primary(shard).name)
        fleet.restart(*(drill.primary(shard) for shard in dying))
        drill.await_health()
    for shard in dying:
        assert history.owners(shard) == [node.name for node in drill.shards[shard]]
    drill.check(history, unsafe=dict.fromkeys(dying, (since, since)))


@long_drill
def test_a_primary_and_a_replica_of_its_die_at_once(fleet: Fleet) -> None:
    """The remaining replica has every write that waited for two acknowledgements, whichever replica dies."""
    drill = Drill(fleet, replicas=2, min_acks="2")
    old, other, new = drill.shards[0]
    with drill.load() as history:
        drill.kill(old, other)
        wait_until(lambda: new.info("replication")["role"] == "master", f"{new.name} is the primary", RECOVERY_S)
        fleet.restart(old, other)
        drill.await_health()
        history.await_write(0, time.monotonic(), RECOVERY_S)
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
    """Its primary goes on alone, as no min-acks forbids it; a replica that another shard can spare comes to it."""
    drill = Drill(fleet, replicas=2, cluster_migration_barrier="1")
    lonely = drill.primary(0)
    with drill.load() as history:
        since = drill.kill(*drill.shards[0][1:])
        history.await_write(0, since + 2 * NODE_TIMEOUT_MS / 1000, RECOVERY_S)
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
    drill = Drill(fleet, replicas=2, min_acks="1")
    with drill.load() as history:
        for _ in range(5):
            victim = drill.owner(0)
            since = drill.kill(victim)
            history.await_write(0, since, RECOVERY_S, not_at=victim.name)
            victim.start()
            drill.await_health()
    drill.check(history)
