"""How fast counters grow, over the last seconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from node.monitoring.figure import Table, measured, shown

if TYPE_CHECKING:
    from node.engine.session.session import Engine

SAMPLES = 16


class Rate:
    """How fast a counter grows, from samples of the last 16 ticks."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)

    def sample(self, now_ms: int, count: int) -> None:
        self._samples.append((now_ms, count))

    def restart(self) -> None:
        self._samples.clear()

    @property
    def per_second(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (start_ms, start), (end_ms, end) = self._samples[0], self._samples[-1]
        return max(end - start, 0) * 1000 / (end_ms - start_ms) if end_ms > start_ms else 0.0

    @property
    def kib_per_second(self) -> str:
        """As INFO shows it."""
        return f"{self.per_second / 1024:.2f}"


class Rates:
    """One node's."""

    def __init__(self) -> None:
        self.ticks = 0
        self.commands = Rate()
        self.input = Rate()
        self.output = Rate()
        self.repl_input = Rate()
        self.repl_output = Rate()
        self.loop_turns = Rate()
        self.loop_us = Rate()

    def sample(self, engine: Engine, repl_bytes_in: int, now_ms: int) -> None:
        """Called on every tick."""
        self.ticks += 1
        self.commands.sample(now_ms, engine.processed)
        self.input.sample(now_ms, engine.bytes_in)
        self.output.sample(now_ms, engine.bytes_out)
        self.repl_input.sample(now_ms, repl_bytes_in)
        self.repl_output.sample(now_ms, engine.stream_bytes_out)
        self.loop_turns.sample(now_ms, engine.loop_turns)
        self.loop_us.sample(now_ms, engine.loop_ns // 1000)


def _turn_us(own: Rates) -> int:
    turns = own.loop_turns.per_second
    return round(own.loop_us.per_second / turns) if turns else 0


def figures() -> Table[Rates]:
    return (
        measured(
            "ticks",
            lambda own: own.ticks,
            "Rounds of the regular work: `hz` a second, and one a second at rest.",
            after="uptime_seconds",
            kind="counter",
        ),
        shown(
            "stats",
            "instantaneous_ops_per_sec",
            lambda own: round(own.commands.per_second),
            "Commands a second.",
            after="total_commands_processed",
            reset=lambda own: own.commands.restart(),
        ),
        shown(
            "stats",
            "instantaneous_input_kbps",
            lambda own: own.input.kib_per_second,
            "KiB a second from clients.",
            after="total_net_repl_output_bytes",
            reset=lambda own: own.input.restart(),
        ),
        shown(
            "stats",
            "instantaneous_output_kbps",
            lambda own: own.output.kib_per_second,
            "KiB a second to clients.",
            reset=lambda own: own.output.restart(),
        ),
        shown(
            "stats",
            "instantaneous_input_repl_kbps",
            lambda own: own.repl_input.kib_per_second,
            "KiB a second from the primary.",
            reset=lambda own: own.repl_input.restart(),
        ),
        shown(
            "stats",
            "instantaneous_output_repl_kbps",
            lambda own: own.repl_output.kib_per_second,
            "KiB a second to replicas.",
            reset=lambda own: own.repl_output.restart(),
        ),
        shown(
            "stats",
            "instantaneous_eventloop_cycles_per_sec",
            lambda own: round(own.loop_turns.per_second),
            "Turns of the event loop a second.",
            after="eventloop_duration_cmd_sum",
            reset=lambda own: own.loop_turns.restart(),
        ),
        shown(
            "stats",
            "instantaneous_eventloop_duration_usec",
            _turn_us,
            "How long one takes, in microseconds.",
            reset=lambda own: own.loop_us.restart(),
        ),
    )
