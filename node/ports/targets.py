"""What MIGRATE needs of the world: connections to other servers (node/aio/targets.py makes them)."""

from __future__ import annotations

from typing import Protocol


class Events(Protocol):
    """Who is told what becomes of a connection, always after the call that caused it has returned."""

    def connected(self, now_ms: int) -> None:
        """It has been made."""

    def written(self, now_ms: int) -> None:
        """All that was sent has left this process: there is room for more."""

    def received(self, data: bytes, now_ms: int) -> None: ...
    def lost(self, reason: str, now_ms: int) -> None:
        """It has ended, or could not be made. Nothing more is told."""


class Connection(Protocol):
    """A connection, from when it is asked for."""

    def send(self, data: bytes) -> None:
        """Only after `connected`."""

    def close(self) -> None:
        """Give it up. Nothing more is told."""


class Targets(Protocol):
    """Whoever can be connected with."""

    def connect(self, host: str, port: int, events: Events) -> Connection: ...


class NoConnection:
    def send(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class NoTargets:
    """The port of a node that nobody connects with anything: no attempt comes to an end."""

    def connect(self, host: str, port: int, events: Events) -> Connection:
        return NoConnection()
