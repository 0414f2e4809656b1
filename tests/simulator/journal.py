"""The stream of writes as bytes, in the place of the engine's journal: an offset, a backlog, and who reads there."""

from __future__ import annotations

from collections import deque


class Journal:
    """The first byte ever has the offset 1, as PSYNC counts. `capacity`: how many past bytes are worth keeping."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: deque[bytes] = deque()
        self._kept_from = 0
        self.offset = 0
        self.keeps = False
        """There is a backlog. Nobody counts what is written before there is one."""
        self.unit_open = False
        self.database = 0
        self.readers: dict[object, int] = {}
        """Who reads later, and after how many bytes: for them the backlog is kept longer."""

    def keep(self) -> None:
        """Begin the backlog, here."""
        self._blocks.clear()
        self._kept_from = self.offset
        self.keeps = True

    def restart(self, offset: int) -> None:
        """What was written so far is of another history. Nobody reads."""
        self.offset = offset
        if self.keeps:
            self.keep()

    def append(self, data: bytes) -> None:
        self.offset += len(data)
        if not self.keeps:
            return
        self._blocks.append(data)
        least = min(self.readers.values(), default=self.offset)
        while (
            self.offset - self._kept_from - len(self._blocks[0]) > self._capacity
            and self._kept_from + len(self._blocks[0]) <= least
        ):
            self._kept_from += len(self._blocks.popleft())

    def holds(self, position: int) -> bool:
        """Whether somebody could read from after so many bytes."""
        return self.keeps and self._kept_from <= position <= self.offset

    def since(self, position: int) -> bytes:
        """What comes after so many bytes."""
        assert self.holds(position), (position, self._kept_from, self.offset)
        found: list[bytes] = []
        begins = self.offset
        for block in reversed(self._blocks):
            if begins <= position:
                break
            begins -= len(block)
            found.append(block[max(0, position - begins) :])
        return b"".join(reversed(found))
