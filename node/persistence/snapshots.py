"""Snapshots of a node while it serves: who wants one starts it here, the host gives the walks their slices of time.

    handle = node.snapshots.start(consumer, aux={"repl-id": ...})

BGSAVE, the rewrite of the append-only file and the full synchronisation of a replica are consumers. The data is that
of the moment of `start`: what changes later is kept for the snapshot before it changes
(node/engine/durable/snapshot.pyx). A consumer gets a whole RDB file in pieces of some 64 KiB, and then `done`: all of
it from the host's slices, nothing from within a command. While it is not `ready` its walk pauses; what must be saved
before it changes is then kept in memory.

Several snapshots may be under way; they take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Protocol

from node.basics import Basics
from node.engine.durable.snapshot import Snapshot
from node.monitoring.figure import Table, counted, shown
from node.persistence.rdb.snapshot import write_head
from node.persistence.types.kinds import Form
from node.ports.host import WakeUps


class Consumer(Protocol):
    """Takes a snapshot in. It may cancel its handle at any time, also from inside these calls."""

    def write(self, piece: bytes) -> None:
        """The next bytes of the file."""

    def ready(self) -> bool:
        """False: come again later. Whoever becomes ready may call Snapshots.wake, to have no time lost."""

    def done(self) -> None:
        """All has been written."""

    def failed(self, reason: str) -> None:
        """There will be no more: memory has run out, or the node gave the snapshot up. Not called after `cancel`."""


class Next(Enum):
    """When the walks want their next slice."""

    AT_ONCE = 1
    SOON = 2
    """In a millisecond or two: they wait for consumers, or are slowed down on purpose."""
    NEVER = 3
    """There is none."""


class Handle:
    """One snapshot that is being taken."""

    def __init__(self, snapshots: Snapshots, walk: Snapshot, consumer: Consumer, now_us: int) -> None:
        self.walk = walk
        self.consumer = consumer
        self.active = True
        self.started_ms = now_us // 1000
        self._snapshots = snapshots
        self._started_us = now_us
        self._walking = True
        self._waiting: list[bytes] = []

    @property
    def keys_done(self) -> int:
        return self.walk.keys_done

    @property
    def keys_total(self) -> int:
        return self.walk.keys_total

    def cancel(self) -> None:
        """Give it up. The consumer hears nothing more."""
        self.active = False
        self._waiting = []
        self.walk.cancel()
        self._snapshots.forget(self)

    def fail(self, reason: str) -> None:
        """Give it up, and say so."""
        if self.active:
            self.cancel()
            self.consumer.failed(reason)

    def step(self, budget_us: int, now_us: int) -> Next:
        """A slice: hand on what there is, walk on if the consumer keeps up."""
        if not self._deliver():
            return Next.SOON
        if self.active and self._walking and not self._walk(budget_us, now_us):
            return Next.SOON
        if not self._deliver():
            return Next.SOON
        if self._walking:
            return Next.AT_ONCE
        if self.active:
            self.active = False
            self._snapshots.forget(self)
            self.consumer.done()
        return Next.NEVER

    def _walk(self, budget_us: int, now_us: int) -> bool:
        """False: it was too early for the next key (rdb-key-save-delay)."""
        keys = -1
        # A change of it counts at once: there is no child with a configuration of its own.
        delay_us = key_delay_us(self._snapshots.basics.config["rdb-key-save-delay"])
        if delay_us:
            due = int((now_us - self._started_us) / delay_us)
            keys = max(0, due - self.walk.keys_done)
            if keys == 0 and due < self.walk.keys_total:
                return False  # keys that were saved because they changed make it no faster
        try:
            self._walking = self.walk.step(budget_us, keys)
        except Exception as error:
            self.fail(f"the snapshot cannot go on: {error!r}")
            return True
        self._waiting += self.walk.take()
        return True

    def _deliver(self) -> bool:
        """Hand pieces on; False: the consumer has enough for now."""
        self._waiting += self.walk.take()
        for count, piece in enumerate(self._waiting):
            if not self.consumer.ready():
                del self._waiting[:count]
                return False
            self.consumer.write(piece)
            if not self.active:
                return True
        self._waiting = []
        return self.active is False or self.consumer.ready()


class Snapshots:
    """The snapshots that a node is taking. `wake`: the host calls `step`, soon, until it says NEVER."""

    def __init__(self, basics: Basics, wake_ups: WakeUps) -> None:
        self.basics = basics
        self.jobs = 0
        self.handles: list[Handle] = []
        self.wake = wake_ups.take_snapshots
        self.functions: Callable[[], Iterable[bytes]] = lambda: ()
        """The code of the function libraries, to be written before the keys."""

    def start(
        self,
        consumer: Consumer,
        *,
        slots: bytes | None = None,
        aux: Mapping[str, object] | None = None,
        form: Form = Form.REDIS_70,
    ) -> Handle:
        """Take a snapshot of the data as it is now.

        `form` is what its reader understands. `slots` has 16384 bytes, one a slot, 0 for the slots to leave out. `aux`
        are further facts for the file's head ("repl-id", "repl-offset", "repl-stream-db", "aof-base").
        """
        space, config = self.basics.space, self.basics.config
        walk = Snapshot(
            space, slots, config["rdbcompression"], config["rdbchecksum"], config["maxmemory-policy"], form
        )
        write_head(walk.writer, space, aux, self.functions())
        handle = Handle(self, walk, consumer, self.basics.clock.now_us())
        self.handles.append(handle)
        self.wake()
        return handle

    def step(self, budget_us: int) -> Next:
        """Give every snapshot its part of a slice of so many microseconds."""
        wish = Next.NEVER
        handles = list(self.handles)
        for handle in handles:
            if handle.active:
                each = handle.step(budget_us // len(handles), self.basics.clock.now_us())
                wish = min(wish, each, key=lambda next: next.value)
        if wish is Next.NEVER and self.handles:
            return Next.AT_ONCE  # somebody has started another one meanwhile
        return wish

    def abandon(self, reason: str) -> None:
        """End all of them: the data is about to be replaced as a whole."""
        for handle in list(self.handles):
            handle.fail(reason)

    def forget(self, handle: Handle) -> None:
        if handle in self.handles:
            self.handles.remove(handle)


def key_delay_us(setting: int) -> float:
    """`rdb-key-save-delay`: microseconds a key; a negative one is a microsecond every so many keys."""
    return float(setting) if setting >= 0 else 1 / -setting


def _kept_bytes(own: Snapshots) -> int:
    return sum(each.walk.waiting_bytes for each in own.handles)


def _keys_done(own: Snapshots) -> int:
    return sum(each.keys_done for each in own.handles)


def _keys_total(own: Snapshots) -> int:
    return sum(each.keys_total for each in own.handles)


def _percent(own: Snapshots) -> str:
    total = _keys_total(own)
    return f"{100 * _keys_done(own) / total if total else 0:.2f}"


def figures() -> Table[Snapshots]:
    return (
        shown(
            "persistence",
            "current_cow_peak",
            _kept_bytes,
            "What is kept for the snapshots under way.",
            after="async_loading",
        ),
        shown("persistence", "current_cow_size", _kept_bytes, "The same."),
        shown("persistence", "current_cow_size_age", lambda own: 0, "Always 0: it is of this moment."),
        shown("persistence", "current_fork_perc", _percent, "How far the snapshots under way are."),
        shown("persistence", "current_save_keys_processed", _keys_done, "Keys that they have."),
        shown("persistence", "current_save_keys_total", _keys_total, "Keys that they will have."),
        counted(
            "stats", "total_forks", "jobs", "Snapshots and rewrites begun; nothing forks.", after="latest_fork_usec"
        ),
    )
