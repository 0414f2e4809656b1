"""How soon a rewrite that fails again and again is tried again.

Each attempt begins a new increment, so that a rewrite which fails at every tick would leave thousands of files. After
three failures in a row the next attempt waits a minute, then two, four and so on up to an hour. BGREWRITEAOF does not
wait.
"""

from __future__ import annotations

FAILURES = 3
MINUTES_MAX = 60


class Backoff:
    """`failures` counts those in a row."""

    def __init__(self) -> None:
        self.failures = 0
        self.minutes = 0
        """For how long it holds back, if it does."""
        self.began = False
        """It has begun to with the last question."""
        self._next_ms = 0

    def holds(self, now_ms: int) -> bool:
        """True if it is too early."""
        self.began = False
        if self.failures < FAILURES:
            self.minutes = self._next_ms = 0
            return False
        if self._next_ms:
            if now_ms < self._next_ms:
                return True
            self._next_ms = 0
            return False
        self.minutes = min(max(1, self.minutes * 2), MINUTES_MAX)
        self._next_ms = now_ms + self.minutes * 60_000
        self.began = True
        return True
