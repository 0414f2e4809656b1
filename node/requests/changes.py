"""Who hears of changes to keys: clients that watch, clients that wait, and subscribers to notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.engine.keyspace.keyslot import slot_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.engine.keyspace.table import Db, Keyspace
    from node.engine.session.session import Engine, Session
    from node.requests.blocking import BlockedClients
    from node.requests.held_keys import HeldKeys
    from node.requests.notifications import Notifications
    from node.requests.transactions import WatchTable


class Changes:
    """Tells of changes to one key, and of those to whole databases. Each is told only to whom has asked for it."""

    def __init__(
        self,
        engine: Engine,
        space: Keyspace,
        watches: WatchTable,
        blocking: BlockedClients,
        notifications: Notifications,
        held: HeldKeys,
    ) -> None:
        self._engine = engine
        self._space = space
        self._watches = watches
        self._blocking = blocking
        self._notifications = notifications
        self._held = held

    def key(self, session: Session | None, db: Db, key: bytes, event: str, kind: str) -> None:
        """A key has changed, by this client or by none: `event` of this `kind` (a letter of notify-keyspace-events).

        Without an event subscribers are told nothing.
        """
        hooks = self._engine.hooks
        if hooks & flags.HOOK_WATCH:
            self._watches.touch(db.index, key)
        if hooks & flags.HOOK_BLOCKED:
            self._blocking.signal(db.index, key)
        if hooks & flags.HOOK_HELD:
            self._held.touch(db.index, key, event)
        if hooks & flags.HOOK_NOTIFY and event:
            self._notifications.notify(kind, event, key, db.index)

    def flush(self, dbs: Iterable[Db], lazy: bool) -> None:
        """Empty databases: FLUSHDB, and the part of FLUSHALL that concerns the data."""
        for db in dbs:
            self.database(db)
            self._space.dirty += len(db)
            if db.flush(lazy):
                db.prepare()

    def database(self, db: Db) -> None:
        """All keys of a database are about to change."""
        if self._engine.hooks & flags.HOOK_WATCH:
            self._watches.touch_all(db)
        self._held.touch_all(db.index)
        self._wake_those_who_wait(db.index)

    def slots(self, slots: bytes) -> None:
        """Other keys are in these slots of all databases (one byte for each slot: whether it is one of them)."""
        self._watches.touch_slots(slots)
        for db in self._space.dbs:
            for key in self._blocking.keys_waited_for(db.index):
                if slots[slot_of(key)]:
                    self._blocking.signal(db.index, key)

    def swap(self, first: int, second: int) -> None:
        """SWAPDB: two databases change places; watchers and waiting clients see keys come and go."""
        a, b = self._space.dbs[first], self._space.dbs[second]
        self._watches.touch_all(a, b)
        self._watches.touch_all(b, a)
        self._space.swap(first, second)
        self._space.dirty += 1
        for index in (first, second):
            self._held.touch_all(index)
            self._wake_those_who_wait(index)

    def _wake_those_who_wait(self, db_index: int) -> None:
        """Keys of a database come and go: whoever waits for one looks for itself once the command has ended."""
        for key in self._blocking.keys_waited_for(db_index):
            self._blocking.signal(db_index, key)
