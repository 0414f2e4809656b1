"""For the commands of a script or a transaction time stands still: all of them see that of its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.ports.host import Clock


class Standstill:
    """The time that the commands of what runs now go by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at_us = 0
        """When the script or transaction that runs began, in microseconds since 1970. 0: none runs."""

    def begin(self) -> int:
        """A script or a transaction begins, perhaps within another one. What is returned is for `end`."""
        around_us = self.at_us
        self.at_us = around_us or self._clock.now_us()
        return around_us

    def end(self, around_us: int) -> None:
        self.at_us = around_us

    def now_us(self) -> int:
        """The exact time for a command of what runs."""
        return self.at_us or self._clock.now_us()
