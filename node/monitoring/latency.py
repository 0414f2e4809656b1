"""The latency monitor: time series of events that took longer than latency-monitor-threshold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

HISTORY = 160


@dataclass(slots=True)
class Event:
    """One kind of event: at most one sample a second, the worst of it."""

    max_ms: int = 0
    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """(unix time in seconds, milliseconds), oldest first."""


class LatencyMonitor:
    """Events by name (`command`, `fast-command`, `expire-cycle`, `eviction-cycle`...). threshold_ms 0: none."""

    def __init__(self) -> None:
        self.threshold_ms = 0
        self.events: dict[str, Event] = {}

    def add(self, name: str, unix_s: int, duration_ms: int) -> None:
        """Record a duration if it is worth it."""
        if not self.threshold_ms or duration_ms < self.threshold_ms:
            return
        event = self.events.setdefault(name, Event())
        event.max_ms = max(event.max_ms, duration_ms)
        if event.samples and event.samples[-1][0] == unix_s:
            event.samples[-1] = (unix_s, max(event.samples[-1][1], duration_ms))
        else:
            event.samples.append((unix_s, duration_ms))

    def reset(self, names: list[str]) -> int:
        """Forget these events, or all if none is named; how many there were."""
        chosen = [name for name in (names or list(self.events)) if name in self.events]
        for name in chosen:
            del self.events[name]
        return len(chosen)
