"""WATCH and the state of MULTI: what a transaction needs beside its queue.

A watched key that changes marks the session, and EXEC then does nothing. A key that was dead already when it was
watched, and is then found to be gone, has not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.engine.keyspace.keyslot import slot_of
from node.monitoring.figure import Table, shown

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db
    from node.engine.session.session import Engine, Session

KeyId = tuple[int, bytes]

WATCHED_BYTES = 400
"""What a watched key takes beside its name, about: the entries of the table and of the session."""


class WatchTable:
    """Which sessions watch which keys."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._by_key: dict[KeyId, dict[Session, None]] = {}

    def watch(self, session: Session, key: bytes) -> None:
        """Mark the session once this key changes."""
        key_id = (session.db.index, key)
        if session.watched is None:
            session.watched = {}
        if key_id not in session.watched:
            expires = session.db.expire_at(key) if session.db.exists(key) else None
            session.watched[key_id] = expires
            session.watched_bytes += WATCHED_BYTES + len(key)
            self._by_key.setdefault(key_id, {})[session] = None
            self.engine.hooks |= flags.HOOK_WATCH

    @property
    def key_count(self) -> int:
        return len(self._by_key)

    def unwatch(self, session: Session) -> None:
        """Forget all keys of the session."""
        for key_id in session.watched or ():
            sessions = self._by_key[key_id]
            del sessions[session]
            if not sessions:
                del self._by_key[key_id]
        session.watched = None
        session.watched_bytes = 0
        if not self._by_key:
            self.engine.hooks &= ~flags.HOOK_WATCH

    def touch(self, db_index: int, key: bytes) -> None:
        """The key changed."""
        for session in self._by_key.get((db_index, key), ()):
            session.flags |= flags.DIRTY_CAS

    def touch_all(self, db: Db, others: Db | None = None) -> None:
        """The whole database is about to be flushed, or swapped with another one: every key that is there changes."""
        for (index, key), sessions in self._by_key.items():
            if index == db.index and (db.exists(key) or (others is not None and others.exists(key))):
                for session in sessions:
                    session.flags |= flags.DIRTY_CAS

    def touch_slots(self, slots: bytes) -> None:
        """Other keys have come into these slots (one byte for each of all)."""
        for (_, key), sessions in self._by_key.items():
            if slots[slot_of(key)]:
                for session in sessions:
                    session.flags |= flags.DIRTY_CAS

    def expired(self, session: Session, now_ms: int) -> bool:
        """True if a watched key has run out since it was watched and nobody has noticed yet."""
        return any(at_ms is not None and at_ms <= now_ms for at_ms in (session.watched or {}).values())

    @property
    def keys(self) -> int:
        return len(self._by_key)


def discard(session: Session, watches: WatchTable) -> None:
    """Leave MULTI: forget the queue, the watched keys and the marks."""
    session.multi = None
    session.multi_bytes = 0
    session.flags &= ~(flags.MULTI | flags.DIRTY_CAS | flags.DIRTY_EXEC)
    watches.unwatch(session)


def figures() -> Table[WatchTable]:
    return (
        shown(
            "clients",
            "total_watched_keys",
            lambda own: own.key_count,
            "Keys that clients watch.",
            after="clients_in_timeout_table",
        ),
    )
