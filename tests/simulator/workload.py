"""Clients of the simulated cluster: each writes one numbered value after the other and follows redirections.

They reach every node at any time, on whatever side of a partition it is: the worst case for two primaries. What they
were told is written down in the `Ledger`; whether it is still true in the end is the checkers' business.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulator.clock import MS
from tests.simulator.replication import Write

if TYPE_CHECKING:
    from tests.simulator.process import SimHost
    from tests.simulator.world import World

TIMEOUT_US = 1000 * MS
RETRY_US = 40 * MS


@dataclass(slots=True)
class Ledger:
    """What clients were told about their writes."""

    acked: dict[int, int] = field(default_factory=dict)  # number of a write that was acknowledged -> its slot
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    last_number: int = 0

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number


class Client:
    """Writes, waits for the reply, pauses, and writes again."""

    def __init__(self, world: World, rng: random.Random, slots: list[int], pause_us: int) -> None:
        self._world = world
        self._rng = rng
        self._slots = slots
        self._pause_us = pause_us
        self._owner: dict[int, SimHost] = {}
        self._waits_for = 0
        self.stopped = False

    def write(self) -> None:
        """Send the next write."""
        if self.stopped:
            return
        world = self._world
        write = Write(world.ledger.next_number(), self._rng.choice(self._slots))
        self._waits_for = write.number
        host = self._owner.get(write.slot) or self._rng.choice(world.hosts)
        world.timeline.after(self._way_us(), self._reach, host, write)
        world.timeline.after(TIMEOUT_US, self._time_out, write)

    def _way_us(self) -> int:
        return 100 + int(self._rng.random() * 400)

    def _reach(self, host: SimHost, write: Write) -> None:
        if host.process is None:
            self._answer(write, "refused", "")
            return
        host.process.request(write, lambda outcome, where: self._answer(write, outcome, where))

    def _answer(self, write: Write, outcome: str, where: str) -> None:
        self._world.timeline.after(self._way_us(), self._hear, write, outcome, where)

    def _hear(self, write: Write, outcome: str, where: str) -> None:
        if self._waits_for != write.number:
            return  # given up
        ledger = self._world.ledger
        if outcome == "ok":
            ledger.acked[write.number] = write.slot
            self._next(self._pause_us)
            return
        (ledger.unknown if outcome == "error" else ledger.refused).add(write.number)
        self._owner.pop(write.slot, None)
        if outcome == "moved":
            host = self._world.host_at(where)
            if host is not None:
                self._owner[write.slot] = host
            self._next(0)
        else:
            self._next(RETRY_US)

    def _time_out(self, write: Write) -> None:
        if self._waits_for == write.number:
            self._world.ledger.unknown.add(write.number)
            self._owner.pop(write.slot, None)
            self._next(0)

    def _next(self, pause_us: int) -> None:
        self._waits_for = 0
        self._world.timeline.after(int(pause_us * (0.5 + self._rng.random())), self.write)
