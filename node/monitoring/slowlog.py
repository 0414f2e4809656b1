"""The slow log: the last commands that took longer than slowlog-log-slower-than."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.engine.session.session import Session

MAX_ARGUMENTS = 32
MAX_ARGUMENT_BYTES = 128


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    unix_s: int
    duration_us: int
    argv: list[bytes]
    peer: bytes
    name: bytes


class SlowLog:
    """Newest first. `max_len` 0 keeps nothing."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.next_id = 0
        self._max_len = 128

    @property
    def max_len(self) -> int:
        return self._max_len

    @max_len.setter
    def max_len(self, length: int) -> None:
        self._max_len = length
        self._trim()

    def add(self, session: Session, argv: list[bytes], duration_us: int, unix_s: int) -> None:
        """Record a command; long arguments and long lists of them are cut, as Redis cuts them."""
        entry = Entry(self.next_id, unix_s, duration_us, shortened(argv), session.peer or b"", session.name)
        self.next_id += 1
        self.entries.appendleft(entry)
        self._trim()

    def reset(self) -> None:
        self.entries.clear()

    def _trim(self) -> None:
        while len(self.entries) > self._max_len:
            self.entries.pop()


def shortened(argv: list[bytes]) -> list[bytes]:
    """At most 32 arguments of at most 128 bytes, with a remark about what is left out."""
    shown = argv
    if len(argv) > MAX_ARGUMENTS:
        shown = argv[: MAX_ARGUMENTS - 1]
    out = []
    for arg in shown:
        if len(arg) > MAX_ARGUMENT_BYTES:
            arg = arg[:MAX_ARGUMENT_BYTES] + b"... (%d more bytes)" % (len(arg) - MAX_ARGUMENT_BYTES)
        out.append(arg)
    if len(argv) > MAX_ARGUMENTS:
        out.append(b"... (%d more arguments)" % (len(argv) - MAX_ARGUMENTS + 1))
    return out
