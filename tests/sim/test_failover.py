"""Failures of a primary in a simulated cluster of three shards: who takes over, and how soon."""

from dataclasses import replace

import pytest

from tests.simulator import checkers
from tests.simulator.clock import MS, SECOND
from tests.simulator.faults import BusCut, Freeze, Kill, Partition
from tests.simulator.network import BUS
from tests.simulator.packets import AUTH_ACK, peek
from tests.simulator.parameters import derive
from tests.simulator.replication import EMPTY
from tests.simulator.world import World

TIMEOUT_MS = 5000


class Trial:
    """One cluster, its writers, and what may strike it."""

    def __init__(self, seed, min_acks=None, **parameters):
        drawn = derive(seed, **{"node_timeout_ms": TIMEOUT_MS, "shards": 3, "replicas": 2, **parameters})
        self.parameters = drawn if min_acks is None else replace(drawn, min_acks=min_acks)
        self.world = World(self.parameters, [*checkers.ALL, checkers.Availability])
        self.availability = self.world.checkers[-1]
        self.world.form()
        self.world.start_clients()
        self.wait(5000)

    def wait(self, ms):
        self.world.timeline.run_until(self.world.timeline.now_us + ms * MS)

    def owner(self, shard=0):
        """The host that serves a shard."""
        slot = self.world.slots[shard]
        return next(p.host for p in self.world.running() if p.accepts(slot))

    def strike(self, kind, host, lasts_ms, **more):
        fault = kind(self.world.timeline.now_us, lasts_ms * MS, (host.number,), **more)
        self.world.strike([fault])

    def replaced_after_ms(self, host, shard=0, limit_ms=20_000):
        """How long it takes until another host serves the shard."""
        slot = self.world.slots[shard]
        for waited_ms in range(0, limit_ms, 10):
            if any(p.host is not host and p.accepts(slot) for p in self.world.running()):
                return waited_ms
            self.wait(10)
        raise AssertionError(f"nobody replaces {host.name}")

    def others(self, host):
        return tuple(other.number for other in self.world.hosts if other is not host)


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_killed_primary_is_replaced_within_half_a_second(seed):
    trial = Trial(seed)
    before = trial.owner()
    trial.world.kill(before)
    assert trial.replaced_after_ms(before) < 500
    assert [p.host for p in trial.world.running() if p.core.failovers] == [trial.owner()]
    trial.world.boot(before)
    trial.world.finish()
    assert before.process.core.myself.is_replica


@pytest.mark.parametrize("kind", [Freeze, Partition])
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_silent_primary_is_replaced_and_comes_back_as_a_replica(seed, kind):
    trial = Trial(seed)
    before = trial.owner()
    more = {"others": trial.others(before)} if kind is Partition else {}
    trial.strike(kind, before, 4 * TIMEOUT_MS, **more)
    after = trial.owner()
    assert after is not before
    trial.world.finish()
    assert before.process.core.myself.primary.id == after.process.id


def test_an_isolated_primary_stops_before_it_can_be_replaced():
    trial = Trial(3)
    before = trial.owner()
    world = trial.world
    world.network.block(Partition(0, 0, (before.number,), trial.others(before)).paths())
    trial.wait(TIMEOUT_MS * 8 // 10 - 1)
    trial.wait(100)
    assert not before.process.accepted_slots()
    assert not [p for p in world.running() if p.accepts(world.slots[0])]  # and nobody has replaced it yet
    trial.wait(2 * TIMEOUT_MS)
    assert trial.owner() is not before


def test_a_frozen_primary_that_wakes_serves_nothing_of_what_it_finds():
    """Requests that came in while it slept are answered by its expired lease, before it has heard anything new."""
    trial = Trial(4, faults=0)
    before = trial.owner()
    served = []
    accepted = trial.world.accepted
    trial.world.accepted = lambda process, write: (served.append(process.host), accepted(process, write))
    trial.world.freeze(before)
    trial.wait(3 * TIMEOUT_MS)
    assert trial.owner() is not before
    trial.world.thaw(before)
    trial.wait(SECOND // MS)
    assert before not in served


@pytest.mark.parametrize("seed", range(1, 6))
def test_shards_that_fail_together_do_not_split_the_votes(seed):
    trial = Trial(seed, shards=5)
    victims = [trial.owner(0), trial.owner(1)]
    for host in victims:
        trial.world.kill(host)
    assert trial.replaced_after_ms(victims[0], 0) < 1000
    assert trial.replaced_after_ms(victims[1], 1) < 1000


@pytest.mark.parametrize(("shards", "replicas"), [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)])
@pytest.mark.parametrize("seed", [1, 2])
def test_small_clusters_fail_over_too(seed, shards, replicas):
    trial = Trial(seed, shards=shards, replicas=replicas)
    before = trial.owner()
    trial.world.kill(before)
    assert trial.replaced_after_ms(before) < 500
    trial.world.boot(before)
    trial.world.finish()
    assert before.process.core.myself.is_replica


@pytest.mark.parametrize("kind", [Kill, Freeze, Partition])
def test_the_primary_of_a_pair_does_not_need_its_replica(kind):
    trial = Trial(2, shards=1, replicas=1)
    primary = trial.owner()
    (replica,) = (host for host in trial.world.hosts if host is not primary)
    more = {"others": (primary.number,)} if kind is Partition else {}
    fault = kind(0, 0, (replica.number,), **more)
    fault.begin(trial.world)
    for _ in range(200):
        trial.wait(100)
        assert trial.owner() is primary
    fault.end(trial.world)
    trial.world.finish()


def test_a_primary_goes_on_when_all_its_replicas_have_died():
    """Their processes are known to be dead, so they elect nobody."""
    trial = Trial(3, shards=1, replicas=2)
    primary = trial.owner()
    for host in trial.world.hosts:
        if host is not primary:
            trial.world.kill(host)
    for _ in range(100):
        trial.wait(100)
        assert trial.owner() is primary


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_primary_that_comes_back_without_its_data_gives_way(replicas):
    trial = Trial(6, replicas=replicas)
    before, world = trial.owner(), trial.world
    written = set(world.ledger.acked)
    world.kill(before)
    before.saved = EMPTY
    world.boot(before)  # before anybody has missed it
    assert not before.process.accepted_slots()
    assert trial.replaced_after_ms(before) < 1000
    world.finish()
    kept = {number for process in world.running() for number in process.store.data}
    assert written <= kept


def test_an_empty_primary_serves_if_there_is_nothing_to_save():
    trial = Trial(6, replicas=1)
    before, world = trial.owner(), trial.world
    for host in world.hosts:
        world.kill(host)
        host.saved = EMPTY
    for host in world.hosts:
        world.boot(host)
    trial.wait(4000)
    assert before.process.accepted_slots()


def test_a_replica_moves_to_a_shard_that_has_lost_its_own():
    trial = Trial(7)
    orphan = trial.owner(0).process.core.myself.id
    own = [p.host for p in trial.world.running() if p.core.myself.primary and p.core.myself.primary.id == orphan]
    for host in own:
        trial.world.kill(host)
    trial.wait(8000)
    followers = [p for p in trial.world.running() if p.core.myself.primary and p.core.myself.primary.id == orphan]
    assert len(followers) == 1
    assert followers[0].store.in_sync


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_primary_that_is_stopped_hands_over_first(seed):
    trial = Trial(seed)
    before, world = trial.owner(), trial.world
    written = set(world.ledger.acked)
    world.stop(before)
    assert trial.replaced_after_ms(before) < 300
    trial.wait(100)
    assert before.process is None
    assert written <= {number for process in world.running() for number in process.store.data}


def test_nobody_serves_while_a_hand_over_waits_for_votes():
    trial = Trial(2)
    before, world = trial.owner(), trial.world
    owners = [trial.owner(shard) for shard in (1, 2)]
    for host in owners:
        world.freeze(host)
    before.process.hand_over()
    trial.wait(100)
    assert not [process for process in world.running() if process.accepts(world.slots[0])]
    for host in owners:
        world.thaw(host)
    world.finish()


@pytest.mark.parametrize("seed", range(1, 4))
def test_slow_voters_are_waited_for_and_not_made_to_vote_twice(seed):
    """Their disks take longer than a candidate waits before it asks again."""
    trial = Trial(seed, replicas=1)
    before, world = trial.owner(), trial.world
    epoch = before.process.core.state.current_epoch
    for host in world.hosts:
        if host.process.core.myself.is_primary:
            host.disk.sync_time_us = lambda: 1200 * MS
    world.kill(before)
    assert trial.replaced_after_ms(before) < 1800
    assert trial.owner().process.core.state.current_epoch == epoch + 1


def test_a_vote_that_was_lost_with_its_connection_is_sent_again():
    trial = Trial(1, replicas=1)
    before, world = trial.owner(), trial.world
    voters = [trial.owner(shard) for shard in (1, 2)]
    epoch = before.process.core.state.current_epoch
    send, lost = world.network.send, []

    def lossy(end, payload, extra_us=0):
        if end.channel == BUS and end.holder.host in voters and peek(payload)[0] == AUTH_ACK and len(lost) < 2:
            lost.append(end)
        else:
            send(end, payload, extra_us)

    world.network.send = lossy
    world.kill(before)
    assert 500 <= trial.replaced_after_ms(before) < 1000
    assert len(lost) == 2
    assert trial.owner().process.core.state.current_epoch == epoch + 1


@pytest.mark.parametrize("seed", [3, 6, 7])
def test_a_voter_that_could_not_be_reached_is_asked_as_soon_as_it_can(seed):
    """However long the election has lasted: the candidate asks it again and again."""
    trial = Trial(seed, replicas=1)
    before, world = trial.owner(), trial.world
    me = before.process.core.myself.id
    candidate = next(p.host for p in world.running() if p.core.myself.primary and p.core.myself.primary.id == me)
    cut = BusCut(0, 0, (candidate.number,), (trial.owner(1).number,))
    cut.begin(world)
    world.kill(before)
    trial.wait(21_000)
    assert not any(process.accepts(world.slots[0]) for process in world.running())
    cut.end(world)
    assert trial.replaced_after_ms(before) < 1500


def test_a_candidate_that_has_lost_is_free_to_vote_for_another():
    """Where replicas vote, each has voted for itself; of four members three must agree, and one is dead."""
    trial = Trial(1, shards=1, replicas=3)
    before, world = trial.owner(), trial.world
    one, *others = (host for host in world.hosts if host is not before)
    cut = BusCut(0, 0, (one.number,), tuple(host.number for host in others))
    cut.begin(world)
    world.kill(before)
    trial.wait(3 * TIMEOUT_MS)
    assert not [p for p in world.running() if p.accepted_slots()]
    cut.end(world)
    assert trial.replaced_after_ms(before) < TIMEOUT_MS
