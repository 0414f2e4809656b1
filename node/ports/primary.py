"""What a replica needs of the world: a connection, a file, time to load (node/aio/replication.py gives it)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.ports.steps import Steps


class Events(Protocol):
    """Who is told what becomes of a connection."""

    def connected_to(self, now_ms: int) -> None:
        """It has been made."""

    def received(self, data: bytes, now_ms: int) -> None: ...
    def lost(self, reason: str, now_ms: int) -> None:
        """It has ended, or could not be made."""


class Progress(Protocol):
    """How far a load is."""

    loaded_bytes: int

    def goes_on(self, now_ms: int) -> None:
        """Something else had a turn meanwhile."""


class Host(Protocol):
    """What carries the bytes, and keeps a snapshot while it arrives. OSError says what the disk would not do."""

    def connect(self, host: str, port: int, events: Events) -> None: ...
    def send(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def begin_file(self) -> None:
        """Keep what `store_file` is given in a new file."""

    def store_file(self, data: bytes) -> None: ...
    def finish_file(self, name: str) -> None:
        """Put the file, which is whole now, into the place of this one."""

    def remove_file(self, name: str) -> None:
        """Delete a file that is not to stay. Harmless if that cannot be."""

    def drop_file(self) -> None:
        """Forget a file that is not whole. Harmless if there is none."""

    def load(self, steps: Steps[None], progress: Progress, done: Callable[[Exception | None, int], None]) -> None:
        """Take these steps between other work, then tell how it went, what they raised if anything, and the time."""

    def cancel_load(self) -> None:
        """Take no more of them, and tell nothing. Harmless if there are none."""

    def read(self, on: bool) -> None:
        """Whether what comes from the primary is wanted now."""


class NoHost:
    """The port of a node that nobody connects with anything."""

    def connect(self, host: str, port: int, events: Events) -> None:
        pass

    def send(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def begin_file(self) -> None:
        raise OSError("this node has no disk")

    def store_file(self, data: bytes) -> None:
        raise OSError("this node has no disk")

    def finish_file(self, name: str) -> None:
        raise OSError("this node has no disk")

    def remove_file(self, name: str) -> None:
        pass

    def drop_file(self) -> None:
        pass

    def load(self, steps: Steps[None], progress: Progress, done: Callable[[Exception | None, int], None]) -> None:
        pass

    def cancel_load(self) -> None:
        pass

    def read(self, on: bool) -> None:
        pass
