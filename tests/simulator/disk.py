"""The disk of one simulated host: what a process wrote, and how much of that a crash leaves.

A file is replaced whole, so it is always one of the versions that were written, never a mixture. `kill -9` loses
nothing that reached the operating system. A loss of power leaves the last version that was synced or, as luck will
have it, a later one; a version that was being synced may be there or not.
"""

from __future__ import annotations

import random

from tests.simulator.clock import MS


class Disk:
    """nodes.conf of one host, and how long a sync takes."""

    def __init__(self, rng: random.Random, sync_us: int) -> None:
        self._rng = rng
        self.sync_us = sync_us
        self.slowness = 1  # a fault multiplies how long a sync takes
        self._versions: list[str] = [""]  # the last that is safe, then those that a loss of power may forget

    @property
    def nodes_conf(self) -> str:
        """What a process that starts now reads."""
        return self._versions[-1]

    def write(self, text: str) -> None:
        """Write without a sync: the operating system has it."""
        self._versions.append(text)
        if len(self._versions) > 8:
            del self._versions[1]  # any later one stands for it

    def synced(self, text: str) -> None:
        """A write with a sync is complete."""
        self._versions = [text]

    def sync_time_us(self) -> int:
        return (self.sync_us + int(self._rng.random() * self.sync_us) + MS // 10) * self.slowness

    def killed(self, being_synced: str | None) -> None:
        """The process died, perhaps while it was writing `being_synced`."""
        if being_synced is not None and self._rng.random() < 0.5:
            self.write(being_synced)

    def power_lost(self, being_synced: str | None) -> None:
        """The host lost its power."""
        self.killed(being_synced)
        self._versions = [self._rng.choice(self._versions)]
