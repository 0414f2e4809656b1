"""Who waits until a write is on disk: WAITAOF.

Here that is told by the append-only file, of replicas by what they acknowledge as durable (REPLCONF ACK ... FACK ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from node import flags
from node.replies import Blocked, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Engine, Session
    from node.replication.replica import Replica


class Waits(Protocol):
    """Ends the waits of clients (node/requests/blocking.py)."""

    def answer(self, session: Session, reply: Reply) -> bool:
        """End one's wait; False: it does not wait."""


class DurableWrites:
    """The clients of one node that wait for disks.

    `here` tells how much of the stream is on our own disk, if it is to be (None: it is not). `go_on` lets go on those
    who have been answered, when no command does.
    """

    def __init__(
        self,
        engine: Engine,
        attached: Mapping[Session, Replica],
        waits: Waits,
        here: Callable[[], int | None],
        go_on: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._attached = attached
        self._waits = waits
        self._here = here
        self._go_on = go_on
        self.waiting: dict[Session, tuple[int, int]] = {}
        """Who waits in WAITAOF: for how many disks here, and of replicas."""

    def counts(self, offset: int) -> list[int]:
        """On how many disks so much of the stream is: here (0 or 1), and of replicas."""
        here = self._here()
        return [
            int(here is not None and here >= offset),
            sum(each.is_online and each.durable_offset >= offset for each in self._attached.values()),
        ]

    def wait(self, session: Session, local: int, replicas: int, timeout_ms: int) -> Reply:
        """WAITAOF: at once if that many disks have the client's writes already."""
        offset = session.written
        counts = self.counts(offset)
        if self._enough(counts, (local, replicas)) or session.flags & flags.NEVER_WAITS:
            return counts
        self.waiting[session] = (local, replicas)
        if replicas:
            self._engine.wants_acks = True
        return Blocked(
            [], timeout_ms, lambda _: None, lambda: self.counts(offset), kind="waitaof", forget=self.waiting.pop
        )

    def look(self) -> None:
        """More may be on disk, here or elsewhere."""
        here, attached = self._here(), self._attached.values()
        # How much so many of the replicas have on disk, once for all who wait.
        offsets = sorted((each.durable_offset for each in attached if each.is_online), reverse=True)
        for session, (local, replicas) in list(self.waiting.items()):
            is_here = not local or (here is not None and here >= session.written)
            if is_here and (not replicas or (replicas <= len(offsets) and offsets[replicas - 1] >= session.written)):
                self._waits.answer(session, self.counts(session.written))
        if self._engine.ready and self._engine.current is None:
            self._go_on()

    @staticmethod
    def _enough(counts: list[int], wanted: tuple[int, int]) -> bool:
        return all(count >= want for count, want in zip(counts, wanted, strict=True))
