"""How the bytes of our primary's stream become changes of our data, and how many of them count.

A stream is cut anywhere on its way. A request counts once it is whole and has been carried out, a transaction once its
EXEC has been. What counts goes byte for byte into our own stream, so that replicas of ours have the same offsets as we
and can change to our primary, or to us once we are promoted. What does not is forgotten when the link ends, for it will
come again. So our offset is always one at which somebody who has the same bytes has the same data.

Who carries the requests out is behind `Executor`: a session of the engine (stream_session.py), or whatever the
simulator has in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from node.replication.lineage import Lineage


class Executor(Protocol):
    """Carries out the requests of one stream, in the order in which their bytes come."""

    @property
    def bytes_whole(self) -> int:
        """How many bytes were carried out since it was made, up to the last request outside of a transaction."""

    @property
    def database(self) -> int:
        """That in which the next one is meant."""

    @property
    def broken(self) -> bool:
        """What has come is no stream of requests; or it was said that nothing more is to be taken."""

    def input(self, data: bytes) -> None: ...
    def close(self) -> None:
        """No more will come."""


class Applier:
    """Applies the primary's stream to one node.

    `start` makes who carries the stream out; while `waits` says so, the data must not change.
    """

    def __init__(self, lineage: Lineage, start: Callable[[], Executor], waits: Callable[[], bool]) -> None:
        self._lineage = lineage
        self._stream = lineage.stream
        self._start = start
        self._waits = waits
        self._executor: Executor | None = None
        self._unapplied = bytearray()
        self._later = bytearray()
        """What has come while a script ran that is not done: its data must not change meanwhile."""
        self._done = 0

    @property
    def running(self) -> bool:
        """There is a stream."""
        return self._executor is not None

    @property
    def applied_offset(self) -> int:
        """How much of the stream has been carried out, up to the last complete request or transaction."""
        executor = self._executor
        return self._stream.offset + (executor.bytes_whole - self._done if executor is not None else 0)

    @property
    def read_offset(self) -> int:
        """How much of it has come."""
        return self._stream.offset + len(self._unapplied) + len(self._later)

    def enter(self) -> None:
        """The stream begins, behind the data that we have."""
        self._executor = self._start()
        self._unapplied.clear()
        self._done = 0
        self._lineage.stream_runs()

    def leave(self, now_ms: int) -> None:
        """The link is gone. What was not carried out whole is forgotten: it will come again."""
        executor, self._executor = self._executor, None
        self._unapplied.clear()
        self._later.clear()
        if executor is not None:
            self._lineage.stream_ended(now_ms)
            executor.close()

    def apply(self, data: bytes) -> bool:
        """Carry out what has come; False: the stream is not what it should be, and the rest could not be trusted."""
        executor = self._executor
        if executor is None:
            return True
        if self._waits():
            self._later += data
            return True
        self._unapplied += data
        executor.input(data)
        done = executor.bytes_whole - self._done
        if done:
            self._done += done
            self._stream.relay(bytes(memoryview(self._unapplied)[:done]))
            del self._unapplied[:done]
            self._lineage.database = executor.database
        if executor.broken:
            self._lineage.stream_broken()
            return False
        return True

    def go_on(self) -> bool:
        """Carry out what has come while it had to wait; False: see `apply`."""
        data, self._later = bytes(self._later), bytearray()
        return not data or self.apply(data)
