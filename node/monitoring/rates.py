"""Counters of INFO that the engine does not keep itself, and rates over the last seconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.engine.session import Engine

SAMPLES = 16


class Rate:
    """How fast a counter grows, from samples of the last 16 ticks."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)

    def sample(self, now_ms: int, count: int) -> None:
        self._samples.append((now_ms, count))

    @property
    def per_second(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (start_ms, start), (end_ms, end) = self._samples[0], self._samples[-1]
        return max(end - start, 0) * 1000 / (end_ms - start_ms) if end_ms > start_ms else 0.0


class Stats:
    """One node's counters. All of them start again with CONFIG RESETSTAT."""

    def __init__(self, now_ms: int) -> None:
        self.started_ms = now_ms
        self.reset()

    def reset(self) -> None:
        self.connections_received = 0
        self.rejected_connections = 0
        self.query_buffer_limit_disconnections = 0
        self.output_buffer_limit_disconnections = 0
        self.acl_denied_auth = 0
        self.evicted_clients = 0
        self.full_syncs = 0
        self.partial_syncs = 0
        self.background_jobs = 0
        """Snapshots and rewrites begun: what a server that forks would have forked for."""
        self.partial_syncs_refused = 0
        self.repl_bytes_in = 0
        self.expire_cycle_us = 0
        self.peak_memory_bytes = 0
        self.commands = Rate()
        self.input = Rate()
        self.output = Rate()
        self.repl_input = Rate()
        self.repl_output = Rate()
        self.loop_turns = Rate()
        self.loop_us = Rate()
        self.restored_collections = 0

    def sample(self, engine: Engine, now_ms: int) -> None:
        """Called on every tick."""
        self.commands.sample(now_ms, engine.processed)
        self.input.sample(now_ms, engine.bytes_in)
        self.output.sample(now_ms, engine.bytes_out)
        self.repl_input.sample(now_ms, self.repl_bytes_in)
        self.repl_output.sample(now_ms, engine.stream_bytes_out)
        self.loop_turns.sample(now_ms, engine.loop_turns)
        self.loop_us.sample(now_ms, engine.loop_ns // 1000)
