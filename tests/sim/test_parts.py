"""The parts of the simulator by themselves: a simulator that is wrong about TCP or disks proves nothing."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from gossip.effects import Closed
from gossip.messages import AuthAck
from gossip.wire import encode
from tests.simulator.checkers import ALL, Durability, Epochs, OneWriter, Violation, Votes
from tests.simulator.clock import MS, SECOND, START_WALL_MS, NodeClock, Timeline
from tests.simulator.disk import Disk
from tests.simulator.faults import Kill
from tests.simulator.network import BUS, DATA, Arrival, End, Network
from tests.simulator.parameters import derive
from tests.simulator.world import World, run


@dataclass(eq=False)
class Box:
    """A host with one process that writes down what arrives."""

    number: int
    ip: str
    up: bool = True
    listens: bool = True
    ends: dict[End, None] = field(default_factory=dict)
    heard: list[tuple[Arrival, Any]] = field(default_factory=list)
    last: End | None = None

    @property
    def host(self) -> Box:
        return self

    def listener(self, channel: str) -> Box | None:
        return self if self.listens else None

    def arrived(self, end: End, what: Arrival, payload: Any) -> None:
        self.last = end
        self.heard.append((what, payload))

    def data(self) -> list[Any]:
        return [payload for what, payload in self.heard if what is Arrival.DATA]

    def closed(self) -> list[Closed]:
        return [payload for what, payload in self.heard if what is Arrival.CLOSED]


class Wire:
    """Two boxes on a network."""

    def __init__(self, seed: int = 1, jitter_us: int = 20_000) -> None:
        self.timeline = Timeline()
        self.network = Network(self.timeline, random.Random(seed), 100, jitter_us)
        self.a, self.b = Box(1, "a"), Box(2, "b")
        self.network.hosts = {"a": self.a, "b": self.b}

    def run(self, us: int) -> None:
        self.timeline.run_until(self.timeline.now_us + us)

    def connected(self) -> End:
        end = self.network.connect(self.a, "b", BUS)
        self.run(SECOND)
        assert [what for what, _ in self.a.heard + self.b.heard] == [Arrival.OPENED, Arrival.ACCEPTED]
        return end


THERE, BACK = [(BUS, 1, 2)], [(BUS, 2, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_reordered_or_lost_whatever_is_blocked_meanwhile(seed: int) -> None:
    wire = Wire(seed)
    end = wire.connected()
    rng = random.Random(seed)
    blocked = False
    for number in range(200):
        wire.network.send(end, number)
        wire.run(rng.randrange(2000))
        if rng.random() < 0.1:
            (wire.network.unblock if blocked else wire.network.block)(THERE)
            blocked = not blocked
    if blocked:
        wire.network.unblock(THERE)
    wire.run(10 * SECOND)
    assert wire.b.data() == list(range(200))


def test_a_blocked_direction_holds_only_what_goes_that_way() -> None:
    wire = Wire()
    end = wire.connected()
    wire.network.block(THERE)
    wire.network.send(end, "there")
    assert wire.b.last is not None
    wire.network.send(wire.b.last, "back")
    wire.run(30 * SECOND)
    assert (wire.a.data(), wire.b.data()) == (["back"], [])
    wire.network.unblock(THERE)
    wire.run(10 * SECOND)
    assert wire.b.data() == ["there"]


@pytest.mark.parametrize("path", [THERE, BACK])
def test_a_connection_needs_both_directions(path: list[Any]) -> None:
    wire = Wire()
    wire.network.block(path)
    wire.network.connect(wire.a, "b", BUS)
    wire.network.connect(wire.a, "b", DATA)
    wire.run(3 * SECOND)
    assert [what for what, _ in wire.a.heard] == [Arrival.OPENED]  # the other channel is free
    wire.network.unblock(path)
    wire.run(10 * SECOND)
    assert [what for what, _ in wire.a.heard] == [Arrival.OPENED, Arrival.OPENED]


def test_a_connection_into_nothing_times_out() -> None:
    wire = Wire()
    wire.network.connect(wire.a, "nowhere", BUS)
    wire.run(100 * SECOND)
    assert wire.a.closed() == [Closed.TIMEOUT]


def test_a_dead_process_refuses_and_its_connections_end() -> None:
    wire = Wire()
    wire.connected()
    wire.b.listens = False
    wire.network.process_ended(wire.b)
    wire.network.connect(wire.a, "b", BUS)
    wire.run(SECOND)
    assert len(wire.a.closed()) == 2
    assert Closed.REFUSED in wire.a.closed()


def test_a_host_without_power_is_silent_and_resets_when_it_is_back() -> None:
    wire = Wire()
    end = wire.connected()
    wire.b.up = False
    wire.network.power_lost(wire.b)
    wire.network.send(end, 1)
    wire.run(10 * SECOND)
    assert wire.a.closed() == []
    wire.b.up = True
    wire.network.send(end, 2)
    wire.run(SECOND)
    assert wire.a.closed() == [Closed.RESET]
    assert wire.b.data() == []


def test_slow_paths_are_slow() -> None:
    wire = Wire(jitter_us=0)
    end = wire.connected()
    wire.network.slow_down(THERE, SECOND)
    wire.network.send(end, 1)
    wire.run(SECOND)
    assert wire.b.data() == []
    wire.run(200)
    assert wire.b.data() == [1]


@pytest.mark.parametrize("drift_ppm", [-200, 0, 137])
def test_a_clock_shows_a_time_when_it_says_so(drift_ppm: int) -> None:
    timeline = Timeline()
    timeline.run_until(5 * SECOND)
    clock = NodeClock(timeline, 1000, drift_ppm)
    assert clock.now_ms() == START_WALL_MS + 6000
    for ahead_ms in (1, 10, 12_345):
        at_ms = clock.now_ms() + ahead_ms
        timeline.run_until(clock.when_us(at_ms))
        assert at_ms <= clock.now_ms() <= at_ms + 1
    assert abs(timeline.now_us - 5 * SECOND - 12_356 * MS) < 4 * MS


def test_a_disk_keeps_what_was_synced_and_perhaps_more() -> None:
    left = set()
    for seed in range(50):
        disk = Disk(random.Random(seed), 100)
        disk.synced("safe")
        disk.write("later")
        assert disk.nodes_conf == "later"
        disk.power_lost(None)
        left.add(disk.nodes_conf)
    assert left == {"safe", "later"}


def test_what_was_being_synced_at_a_kill_is_there_or_not() -> None:
    left = set()
    for seed in range(50):
        disk = Disk(random.Random(seed), 100)
        disk.synced("old")
        disk.killed("new")
        left.add(disk.nodes_conf)
    assert left == {"old", "new"}


# The checkers: each must be able to fail.


def formed(**wanted: int) -> World:
    world = World(derive(1, **{"shards": 3, "replicas": 1, "faults": 0, **wanted}))
    world.form()
    return world


def test_two_writers_are_noticed() -> None:
    world = formed()
    first, second = world.hosts[0].process, world.hosts[1].process
    assert first is not None
    assert second is not None
    second.serves |= 1
    with pytest.raises(Violation, match=r"OneWriter: n2 and n1 both accept writes for 0"):
        world.serving_changed(second)


def test_a_forgotten_epoch_is_noticed() -> None:
    world = formed()
    host = world.hosts[0]
    world.kill(host)
    host.disk.synced(re.sub(r" 3( (dis)?connected|(?= lastVote))", r" 1\1", host.disk.nodes_conf))
    with pytest.raises(Violation, match="Epochs: n1 told others of epoch 3"):
        world.boot(host)


def test_two_votes_are_noticed() -> None:
    world = formed()
    voter = world.hosts[0].process
    assert voter is not None
    vote = encode(AuthAck(voter.core.bus.header()))
    ends = [end for end in voter.ends if end.channel == BUS and end.remote is not None]
    one = ends[0]
    other = next(end for end in ends if end.remote.holder.host is not one.remote.holder.host)  # type: ignore[union-attr]
    world.sending(voter, one, vote)
    world.sending(voter, one, vote)
    with pytest.raises(Violation, match="Votes: n1 voted for"):
        world.sending(voter, other, vote)


def test_a_lost_write_is_noticed() -> None:
    world = formed()
    world.start_clients()
    world.timeline.run_until(world.timeline.now_us + 5 * SECOND)
    assert len(world.ledger.acked) > 10
    for host in world.hosts:
        host.process.store.data.popitem()  # type: ignore[union-attr]
    with pytest.raises(Violation, match="Durability"):
        world.finish()


def test_each_checker_is_used() -> None:
    assert set(ALL) == {OneWriter, Epochs, Votes, Durability}


def test_a_crash_of_a_core_is_a_problem_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.core.ClusterCore.tick", lambda self, now_ms: 1 / 0)
    assert "ZeroDivisionError" in run(derive(1)).problem


def test_a_cluster_that_does_not_recover_is_noticed() -> None:
    """A host that is not started again: the liveness phase must not wait for it for ever."""

    class Forgotten(Kill):
        def end(self, world: World) -> None:
            pass

    outcome = run(derive(1, shards=3, replicas=1), plan=[Forgotten(5 * SECOND, SECOND, (2,))])
    assert outcome.problem == "Convergence: not all processes run"
