"""Nodes that missed what happened while they were cut off or frozen: what they may do when they come back.

Each situation was found by a seed; here it is made by hand, so that it stays when seeds come to mean something else.
"""

import pytest

from cluster.agreement.errors import ClusterError
from cluster.views import ClusterViews
from tests.sim.test_failover import TIMEOUT_MS, Trial
from tests.simulator.faults import Partition
from tests.simulator.replication import EMPTY


def cut(trial, hosts):
    """Separate these hosts from all others; call `end` on what is returned."""
    apart = tuple(sorted(host.number for host in hosts))
    rest = tuple(host.number for host in trial.world.hosts if host.number not in apart)
    fault = Partition(0, 0, apart, rest)
    fault.begin(trial.world)
    return fault


def replicas_of(trial, host):
    primary_id = host.process.id
    primaries = {p.host: p.core.myself.primary for p in trial.world.running()}
    return [each for each, primary in primaries.items() if primary is not None and primary.id == primary_id]


@pytest.mark.parametrize("seed", range(1, 6))
def test_two_replaced_primaries_and_a_replica_decide_nothing_among_themselves(seed):
    """Neither knows that the other was replaced, or itself: for the third shard they would be a majority."""
    trial = Trial(seed)
    world = trial.world
    first, second, third = (trial.owner(shard) for shard in range(3))
    witness = replicas_of(trial, third)[0]
    one = cut(trial, [first])
    assert trial.replaced_after_ms(first, 0) < 3 * TIMEOUT_MS
    trial.wait(2 * TIMEOUT_MS)
    two = cut(trial, [second, witness])
    assert trial.replaced_after_ms(second, 1) < 3 * TIMEOUT_MS
    three = cut(trial, [first, second, witness])
    one.end(world)
    two.end(world)
    for _ in range(60):
        trial.wait(TIMEOUT_MS // 10)
        assert not [host for host in (first, second, witness) if host.process.accepted_slots()]
    three.end(world)
    world.finish()


@pytest.mark.parametrize("seed", range(1, 6))
def test_who_was_replaced_while_it_was_frozen_does_not_stand_when_it_wakes(seed):
    """Its successor is dead by then; a sibling has more, and wakes a moment later."""
    trial = Trial(seed)
    world = trial.world
    before = trial.owner()
    world.freeze(before)
    assert trial.replaced_after_ms(before) < 3 * TIMEOUT_MS
    after = trial.owner()
    trial.wait(2000)
    (sibling,) = (host for host in replicas_of(trial, after) if host is not before)
    written = set(sibling.process.store.data)
    world.freeze(sibling)
    world.kill(after)
    trial.wait(1000)
    world.thaw(before)
    trial.wait(100)
    world.thaw(sibling)
    assert trial.replaced_after_ms(after) < TIMEOUT_MS
    assert trial.owner() is sibling
    assert written <= set(sibling.process.store.data)
    world.boot(after)
    world.finish()


@pytest.mark.parametrize(("seed", "replicas"), [(seed, replicas) for seed in range(1, 5) for replicas in (1, 2)])
def test_a_primary_goes_on_although_somebody_may_have_replaced_it_unheard(seed, replicas):
    """The winner of an election is frozen before it has told anybody; what it then tells must be old."""
    trial = Trial(seed, min_acks=0, replicas=replicas)
    world = trial.world
    before = trial.owner()
    standing = replicas_of(trial, before)
    for host in standing:
        host.disk.slowness = 500
    world.freeze(before)
    while not (won := [process for process in world.running() if process.core.failovers]):
        trial.wait(1)
    winner = won[0].host
    world.freeze(winner)
    for host in standing:
        host.disk.slowness = 1
    for host in standing:
        if host is not winner:
            world.kill(host)
    world.thaw(before)
    trial.wait(5 * TIMEOUT_MS)
    assert trial.owner() is before
    written = {number for number, slot in world.ledger.acked.items() if slot == world.slots[0]}
    world.thaw(winner)
    for host in standing:
        world.boot(host)
    world.finish()
    assert trial.owner() is before
    assert written <= set(before.process.store.data)


def empty_and_alone(seed, min_acks):
    """A primary that restarts without its data, while its only replica, which has it, is cut off."""
    trial = Trial(seed, min_acks=min_acks, replicas=1)
    before = trial.owner()
    (holder,) = replicas_of(trial, before)
    fault = cut(trial, [holder])
    trial.wait(500)
    trial.world.kill(before)
    before.saved = EMPTY
    trial.world.boot(before)
    return trial, before, holder, fault


@pytest.mark.parametrize("seed", range(1, 4))
def test_with_min_acks_an_empty_primary_waits_for_its_replica_however_long_it_is_cut_off(seed):
    trial, before, holder, fault = empty_and_alone(seed, min_acks=1)
    for _ in range(100):
        trial.wait(500)
        assert not before.process.accepted_slots()
    assert before.process.core.empty.awaited() == [holder.process.id]
    assert f"cluster_empty_primary_waits_for:{holder.process.id}" in info(before)
    fault.end(trial.world)
    trial.wait(3 * TIMEOUT_MS)
    assert trial.owner() is holder
    trial.world.finish()
    for checker in trial.world.checkers:
        checker.at_end()


def test_an_operator_may_end_the_wait():
    trial, before, _, _ = empty_and_alone(1, min_acks=1)
    with pytest.raises(ClusterError, match="You should send CLUSTER FAILOVER to a replica"):
        before.process.do("failover", [])
    trial.wait(5 * TIMEOUT_MS)
    assert not before.process.accepted_slots()
    before.process.do("failover", [b"TAKEOVER"])
    trial.wait(2 * TIMEOUT_MS)
    assert before.process.accepted_slots()
    assert "cluster_empty_primary" not in info(before)


def test_a_replica_that_is_forgotten_is_not_waited_for():
    trial, before, holder, _ = empty_and_alone(1, min_acks=1)
    trial.wait(3 * TIMEOUT_MS)
    for process in trial.world.running():
        if process.host is not holder:
            process.do("forget", holder.process.id.encode())
    trial.wait(3 * TIMEOUT_MS)
    assert before.process.accepted_slots()


def test_without_min_acks_an_empty_primary_serves_after_a_while():
    trial, before, _, _ = empty_and_alone(1, min_acks=0)
    trial.wait(2 * TIMEOUT_MS - 500)
    assert not before.process.accepted_slots()
    trial.wait(2 * TIMEOUT_MS)
    assert before.process.accepted_slots()


def info(host):
    return ClusterViews(host.process.core).info().decode()
