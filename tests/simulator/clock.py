"""Time in a simulated world: the queue of what is going to happen, and the clocks that processes read.

The world's time is counted in microseconds from 0. A process never sees it: it reads its own clock, which shows the
wall time of its host when it started and runs a little fast or slow from then on. A change of the host's wall clock
therefore shows only after a restart, as with the steady clock that the bus of a real node uses.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

START_WALL_MS = 1_700_000_000_000
MS = 1000  # microseconds
SECOND = 1_000_000


class Timeline:
    """What is going to happen, in order; at the same moment, in the order in which it was planned."""

    def __init__(self) -> None:
        self.now_us = 0
        self.steps = 0
        self._serial = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, at_us: int, action: Callable[..., None], *args: Any) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (at_us, self._serial, action, args))

    def after(self, delay_us: int, action: Callable[..., None], *args: Any) -> None:
        self.at(self.now_us + delay_us, action, *args)

    def run_until(self, until_us: int) -> None:
        """Let everything happen that is due up to this moment."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            at_us, _, action, args = heapq.heappop(heap)
            self.now_us = max(self.now_us, at_us)
            self.steps += 1
            action(*args)
        self.now_us = until_us


class NodeClock:
    """What one process reads."""

    def __init__(self, timeline: Timeline, skew_ms: int, drift_ppm: int) -> None:
        self._timeline = timeline
        self._started_us = timeline.now_us
        self._wall_ms = START_WALL_MS + timeline.now_us // MS + skew_ms
        self._drift_ppm = drift_ppm

    def now_ms(self) -> int:
        elapsed_us = self._timeline.now_us - self._started_us
        return self._wall_ms + (elapsed_us + elapsed_us * self._drift_ppm // 1_000_000) // MS

    def when_us(self, at_ms: int) -> int:
        """The moment in the world's time at which this clock shows `at_ms`; now, if it has done so already."""
        own_us = (at_ms - self._wall_ms) * MS
        elapsed_us = own_us * 1_000_000 // (1_000_000 + self._drift_ppm) + 2  # rounding is on the late side
        return max(self._timeline.now_us, self._started_us + elapsed_us)
