"""What goes wrong in a simulated world, and when: a plan drawn from the seed before anything happens.

A fault begins at its moment and is undone after its duration; many overlap. Each acts on hosts by number and does
nothing if the host is not in the state for it (a dead process cannot be frozen), so that any part of a plan is a plan
too: that is what the search for the smallest plan that still fails lives on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulator.clock import MS, SECOND
from tests.simulator.network import BUS, DATA, Path
from tests.simulator.parameters import source

if TYPE_CHECKING:
    from tests.simulator.parameters import Parameters
    from tests.simulator.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """`hosts` are those that it strikes; `others`, where it has two sides, the rest."""

    at_us: int
    lasts_us: int
    hosts: tuple[int, ...]
    others: tuple[int, ...] = ()

    def begin(self, world: World) -> None:
        raise NotImplementedError

    def end(self, world: World) -> None:
        """Undo it."""

    def __str__(self) -> str:
        where = ",".join(f"n{number}" for number in self.hosts)
        if self.others:
            where += " / " + ",".join(f"n{number}" for number in self.others)
        return f"{type(self).__name__} {where} for {self.lasts_us // MS} ms"


class Kill(Fault):
    """kill -9, and a restart later."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.kill(world.host(number))

    def end(self, world: World) -> None:
        for number in self.hosts:
            world.boot(world.host(number))


class PowerLoss(Kill):
    """The machine goes, silently, and what was not synced is lost."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.kill(world.host(number), power=True)


class Blink(Kill):
    """A process dies and is back at once, before anybody has missed it."""


class Freeze(Fault):
    """A process gets no time."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.freeze(world.host(number))

    def end(self, world: World) -> None:
        for number in self.hosts:
            world.thaw(world.host(number))


class Stutter(Fault):
    """A process gets its time late, again and again, as on a machine that has too much to do."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.stutter(world.host(number), world.timeline.now_us + self.lasts_us)


class Partition(Fault):
    """Two sides do not reach each other, for data and bus alike."""

    channels: tuple[str, ...] = (BUS, DATA)
    both_ways = True

    def paths(self) -> Iterator[Path]:
        for one in self.hosts:
            for other in self.others:
                for channel in self.channels:
                    yield channel, one, other
                    if self.both_ways:
                        yield channel, other, one

    def begin(self, world: World) -> None:
        world.network.block(self.paths())

    def end(self, world: World) -> None:
        world.network.unblock(self.paths())


class OneWay(Partition):
    """What `hosts` send does not reach `others`; the other direction works."""

    both_ways = False


class BusCut(Partition):
    """Only the bus is cut."""

    channels: tuple[str, ...] = (BUS,)


class DataCut(Partition):
    """Only the replication is cut."""

    channels: tuple[str, ...] = (DATA,)


class SlowPaths(Partition):
    """Packets take long."""

    def begin(self, world: World) -> None:
        world.network.slow_down(self.paths(), world.parameters.node_timeout_ms * MS // 3)

    def end(self, world: World) -> None:
        world.network.slow_down(self.paths(), 0)


class Reset(Fault):
    """All connections between two hosts break."""

    def begin(self, world: World) -> None:
        process = world.host(self.hosts[0]).process
        if process is not None:
            world.network.break_between(process, world.host(self.others[0]))


class SlowDisk(Fault):
    """Syncs take very long."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.host(number).disk.slowness = 50

    def end(self, world: World) -> None:
        for number in self.hosts:
            world.host(number).disk.slowness = 1


class Move(Kill):
    """Hosts go and come back with other addresses, as pods do: new ones, or each with that of another."""

    def end(self, world: World) -> None:
        world.move([world.host(number) for number in self.hosts])
        super().end(world)


class ClockJump(Fault):
    """Somebody sets the wall clock; a process that starts later sees it."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.host(number).skew_ms += (self.lasts_us // MS - 2000) * 100


class Failover(Fault):
    """An operator asks a replica to take over."""

    def begin(self, world: World) -> None:
        world.ask_for_failover(world.host(self.hosts[0]))


class Stop(Kill):
    """SIGTERM: the process hands over if it can, and is started again later."""

    def begin(self, world: World) -> None:
        for number in self.hosts:
            world.stop(world.host(number))

    def end(self, world: World) -> None:
        for number in self.hosts:
            world.kill(world.host(number))  # if it has not come to an end by itself
        super().end(world)


KINDS: list[tuple[type[Fault], int]] = [
    (Kill, 6),
    (Blink, 3),
    (PowerLoss, 3),
    (Freeze, 6),
    (Partition, 5),
    (OneWay, 4),
    (BusCut, 2),
    (DataCut, 2),
    (SlowPaths, 2),
    (Reset, 3),
    (SlowDisk, 2),
    (ClockJump, 1),
    (Move, 2),
    (Failover, 3),
    (Stop, 3),
]


def draw_plan(parameters: Parameters, rng: random.Random, begins_us: int) -> list[Fault]:
    """The faults of one world, in order."""
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    plan = [_draw(rng.choice(kinds), parameters, rng, begins_us) for _ in range(parameters.faults)]
    if parameters.overloaded:
        everybody = tuple(range(1, parameters.nodes + 1))
        plan.append(Stutter(begins_us, parameters.storm_us, everybody))
    if parameters.overlapping:
        plan += draw_overlaps(parameters, source(parameters.seed, "overlaps"), begins_us)
    return sorted(plan, key=lambda fault: fault.at_us)


def draw_overlaps(parameters: Parameters, rng: random.Random, begins_us: int) -> Iterator[Fault]:
    """Partitions one after the other, each long enough for a replacement, with sides that differ by a host or two.

    So there are nodes that have missed one election and not the next, which meet others that know of neither; and
    inside, restarts and freezes of several, so that they find out late, or have just forgotten.
    """
    numbers = list(range(1, parameters.nodes + 1))
    primaries = numbers[: parameters.shards]
    timeout_us = parameters.node_timeout_ms * MS
    if len(numbers) < 2:
        return
    apart = {rng.choice(primaries), *rng.sample(numbers, rng.randrange(0, len(numbers) // 2 + 1))}
    at_us = begins_us + int(rng.random() * timeout_us)
    for _ in range(rng.randrange(2, 6)):
        lasts_us = int(rng.choice([1.1, 1.3, 1.7, 2.5]) * timeout_us)
        longer_us = int(rng.choice([-0.02, 0.0, 0.02, 0.3, 1.0]) * timeout_us)
        rest = [number for number in numbers if number not in apart]
        if apart and rest:
            kind = rng.choice([Partition, Partition, Partition, OneWay, BusCut])
            yield kind(at_us, lasts_us + longer_us, tuple(sorted(apart)), tuple(rest))
        if rng.random() < 0.6:
            yield _inside(numbers, rng, at_us, lasts_us)
        for _ in range(rng.choice([1, 1, 2])):
            apart ^= {rng.choice(primaries) if rng.random() < 0.5 else rng.choice(numbers)}
        at_us += lasts_us


def _inside(numbers: list[int], rng: random.Random, at_us: int, lasts_us: int) -> Fault:
    """Something that strikes one host or several while a partition lasts, and may end with it."""
    kind = rng.choice([Blink, Blink, Kill, PowerLoss, Freeze, Freeze])
    struck = tuple(sorted(rng.sample(numbers, min(len(numbers), rng.choice([1, 1, 2, 3])))))
    begins_us = at_us + int(rng.random() * lasts_us)
    if kind is Blink:
        return kind(begins_us, int((0.05 + 0.3 * rng.random()) * SECOND), struck)
    until_us = at_us + lasts_us + int(rng.uniform(-0.02, 0.02) * SECOND)
    return kind(begins_us, max(until_us - begins_us, MS), struck)


def _draw(kind: type[Fault], parameters: Parameters, rng: random.Random, begins_us: int) -> Fault:
    numbers = list(range(1, parameters.nodes + 1))
    at_us = begins_us + int(rng.random() * parameters.storm_us)
    lasts_us = _duration_us(kind, parameters, rng)
    if len(numbers) > 1 and (issubclass(kind, Partition) or kind is Reset):
        hosts, others = _two_sides(kind, numbers, rng)
        return kind(at_us, lasts_us, hosts, others)
    struck = rng.sample(numbers, min(len(numbers), rng.choice([1, 1, 1, 1, 2])))
    if kind is Move and rng.random() < 0.4:
        struck = numbers
    if kind in (Failover, Reset):
        struck = struck[:1]
    return (kind if kind is not Reset else Kill)(at_us, lasts_us, tuple(struck))


def _duration_us(kind: type[Fault], parameters: Parameters, rng: random.Random) -> int:
    """Around the node timeout, where verdicts are close; now and then much shorter or longer."""
    if kind is Blink:
        return int((0.05 + 0.3 * rng.random()) * SECOND)
    timeouts = rng.choice([0.3, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0, 4.0])
    return int(timeouts * (0.8 + 0.4 * rng.random()) * parameters.node_timeout_ms * MS)


def _two_sides(kind: type[Fault], numbers: list[int], rng: random.Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shuffled = rng.sample(numbers, len(numbers))
    if kind is Reset or rng.random() < 0.3:
        return (shuffled[0],), (shuffled[1],)
    size = 1 if rng.random() < 0.4 else rng.randrange(1, max(2, len(numbers) // 2 + 1))
    return tuple(sorted(shuffled[:size])), tuple(sorted(shuffled[size:]))
