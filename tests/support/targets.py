"""Servers that take keys (node/ports/targets.py), as a test scripts them.

    targets = ScriptedTargets()
    ...
    link = targets.last          # the connection that was asked for last
    link.connect()
    assert link.requests() == [[b"SELECT", b"0"], [b"RESTORE", b"k", b"0", payload]]
    link.answer(b"+OK\\r\\n+OK\\r\\n")
"""

from __future__ import annotations

from collections.abc import Callable

from node.ports.targets import Events
from tests.support.resp import parse


class ScriptedTarget:
    """One connection."""

    def __init__(self, targets: ScriptedTargets, host: str, port: int, events: Events) -> None:
        self.host, self.port = host, port
        self.closed = False
        self.unread = b""
        self._targets = targets
        self._events = events

    # -- what the node does

    def send(self, data: bytes) -> None:
        assert not self.closed
        self.unread += data

    def close(self) -> None:
        self.closed = True

    # -- what a test does

    def connect(self) -> None:
        self._events.connected(self._targets.now_ms())

    def take(self) -> None:
        """What was sent has left."""
        self._events.written(self._targets.now_ms())

    def answer(self, data: bytes) -> None:
        self._events.received(data, self._targets.now_ms())

    def lose(self) -> None:
        self._events.lost("connection lost", self._targets.now_ms())

    def requests(self) -> list[list[bytes]]:
        """What has come since the last time."""
        found = []
        while self.unread:
            frame, end = parse(self.unread)
            self.unread = self.unread[end:]
            found.append(frame.value)
        return found

    def names(self) -> list[bytes]:
        """The same without arguments."""
        return [each[0] for each in self.requests()]


class ScriptedTargets:
    """All connections that were asked for, in order."""

    def __init__(self) -> None:
        self.made: list[ScriptedTarget] = []
        self.now_ms: Callable[[], int] = lambda: 1_000_000

    def connect(self, host: str, port: int, events: Events) -> ScriptedTarget:
        self.made.append(ScriptedTarget(self, host, port, events))
        return self.made[-1]

    @property
    def last(self) -> ScriptedTarget:
        return self.made[-1]
