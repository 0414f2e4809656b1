"""What nearly every part of a node goes by, and what knows of no part itself."""

from __future__ import annotations

import random
from dataclasses import dataclass

from node.config import Config
from node.engine.keyspace.table import Keyspace
from node.engine.session.session import Engine
from node.monitoring.latency import LatencyMonitor
from node.monitoring.log import Log
from node.ports.host import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Basics:
    """One set for each node, which lasts as long as it does."""

    config: Config
    log: Log
    rng: random.Random
    space: Keyspace
    """The data; `space.now_ms` is the time by which commands go."""
    engine: Engine
    clock: Clock
    latency: LatencyMonitor

    @property
    def now_ms(self) -> int:
        return self.space.now_ms

    def set_state(self, state: int, holds: bool) -> None:
        """A state of the node begins or ends: gates close or open (node/requests/gates.py)."""
        self.engine.states = self.engine.states | state if holds else self.engine.states & ~state
