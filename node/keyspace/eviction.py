"""Making room: keys go, by maxmemory-policy, until the data fits into maxmemory again.

The engine samples candidates (Redis' approximated LRU and LFU with a pool); this module decides when to stop. Work is
bounded: when a few milliseconds were not enough the command goes on as long as some memory was freed, and the next one
continues.

What has been deleted but is still being freed, in slices, comes first: nothing more goes, and nobody is refused, as
long as there is some of it. What only a snapshot still holds counts as gone; nothing here can hasten that.
"""

from __future__ import annotations

from collections.abc import Callable

from node.basics import Basics
from node.engine.keyspace.table import Db
from node.engine.memory.alloc import mem_used
from node.engine.session.session import Session
from node.engine.session.wire import used_by_buffers
from node.monitoring.figure import Table, shown
from node.replication.write_stream import WriteStream

KeyChanged = Callable[[Session | None, Db, bytes, str, str], None]

KEYS_A_CALL = 4096
FREEING_SLICES = 16


class Eviction:
    """Eviction of one node."""

    def __init__(self, basics: Basics, stream: WriteStream, key_changed: KeyChanged) -> None:
        self.basics = basics
        self._stream = stream
        self._key_changed = key_changed
        self.due = False
        """The limit has changed: ticks make room until the data fits, or nothing more may go."""
        self._exceeded_since_ms = 0
        self._exceeded_ms = 0

    def over_limit(self) -> int:
        """Bytes over maxmemory, or 0."""
        limit = self.basics.engine.maxmemory
        excess = mem_used() + used_by_buffers() - limit if limit else 0
        return max(0, excess - self.basics.space.held_bytes) if excess > 0 else 0

    def make_room(self) -> bool:
        """Evict until the data fits. False: it does not, and the policy (or what there is) allows no more."""
        if not self.over_limit():
            self._note_excess(False)
            return True
        try:
            return self._evict()
        finally:
            self._note_excess(self.over_limit() > 0)
            self._stream.end_unit(atomic=False)

    @property
    def exceeded_ms(self) -> int:
        """How long the data has been over the limit by now, since it last fitted; 0: it fits."""
        return self.basics.now_ms - self._exceeded_since_ms if self._exceeded_since_ms else 0

    @property
    def total_exceeded_ms(self) -> int:
        return self._exceeded_ms + self.exceeded_ms

    def reset_stats(self) -> None:
        self._exceeded_since_ms = self._exceeded_ms = 0

    def _note_excess(self, exceeded: bool) -> None:
        if exceeded:
            self._exceeded_since_ms = self._exceeded_since_ms or self.basics.now_ms
        elif self._exceeded_since_ms:
            self._exceeded_ms += self.exceeded_ms
            self._exceeded_since_ms = 0

    def tick(self) -> None:
        """Go on with what a change of the limit has begun, and notice when the data fits again."""
        if self._exceeded_since_ms and not self.over_limit():
            self._note_excess(False)
        if self.due:
            self.due = self.make_room() and self.over_limit() > 0

    def _evict(self) -> bool:
        space, config = self.basics.space, self.basics.config
        policy = config["maxmemory-policy"]
        samples = config["maxmemory-samples"]
        lazy = config["lazyfree-lazy-eviction"]
        slices = 0
        for _ in range(KEYS_A_CALL):
            if space.freeing:
                if slices == FREEING_SLICES:
                    return True
                slices += 1
                space.free_some(2000)
                if not self.over_limit():
                    return True
                continue
            if policy == "noeviction":
                return False
            candidate = space.evict_candidate(policy, samples)
            if candidate is None:
                return False
            db, key = candidate
            db.delete(key, lazy=lazy)
            space.evicted += 1
            if self.basics.engine.propagating:
                self._stream.deleted(db, key, lazy)
            self._key_changed(None, db, key, "evicted", "e")
            if not self.over_limit():
                return True
        return True


def figures() -> Table[Eviction]:
    return (
        shown(
            "stats",
            "total_eviction_exceeded_time",
            lambda own: own.total_exceeded_ms,
            "Milliseconds for which the data has been over maxmemory.",
            after="evicted_clients",
            reset=Eviction.reset_stats,
        ),
        shown(
            "stats", "current_eviction_exceeded_time", lambda own: own.exceeded_ms, "The same, since it last fitted."
        ),
    )
