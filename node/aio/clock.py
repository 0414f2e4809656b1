"""The clock of a running node."""

from __future__ import annotations

import time


def unix_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds since some moment; never goes back."""
    return time.monotonic_ns() // 1_000_000


class SystemClock:
    """The exact time (node/ports/)."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
