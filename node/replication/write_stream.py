"""The stream of writes: what replicas repeat to have the same data.

A *unit* is what one command of a client does, whether that is one write, the writes of a transaction, or a write and
the deletion of keys that it found expired. The parts of a unit are collected while it runs and leave together, between
MULTI and EXEC if there are several, so that nobody who repeats them shows a half-done unit. What changed nothing is not
in the stream; what is random or depends on the time is there as its effect (Session.effect).

Each write is meant for a database, chosen by a SELECT before the first write and whenever the database changes. The
offset counts the bytes of the stream: it says how far a replica has read.

The bytes themselves are in the engine's Journal. A native command whose unit is just itself is written there without
coming through here; this module makes units of everything else. Nothing is collected until somebody reads:
`Engine.propagating` is the one flag that a command looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags
from node.monitoring.figure import Table, shown

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db
    from node.engine.session.session import Command, Engine, Session
    from node.engine.session.slotfeed import SlotFeed

Sink = Callable[[bytes], None]

MULTI = [b"MULTI"]
EXEC = [b"EXEC"]
PING = b"*1\r\n$4\r\nPING\r\n"
GETACK = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"


class WriteStream:
    """The stream of one node: its own, or (`set_relaying`) its primary's."""

    def __init__(
        self, engine: Engine, write_lost: Callable[[], None], slot_of: Callable[[list[bytes]], int]
    ) -> None:
        """`write_lost` is called where there is no memory to record a write that has been done. `slot_of` tells the
        slot of a command's keys (node/replication/slots.py)."""
        self.engine = engine
        self.journal = engine.journal
        self._unit: list[tuple[int, list[bytes]]] = []
        self._writer: Session | None = None
        self._write_lost = write_lost
        self._slot_of = slot_of

    @property
    def offset(self) -> int:
        """Bytes of the stream so far."""
        return self.journal.offset

    # -- readers

    def attach(self, sink: Sink) -> None:
        """Give what this node writes to one more sink, for which it begins with a SELECT.

        The bytes come in batches, at the latest before the replies of the batch leave the node.
        """
        self.end_unit()
        self.journal.attach(sink)
        self._look_who_reads()

    def detach(self, sink: Sink) -> None:
        self.end_unit()
        self.journal.detach(sink)
        self._look_who_reads()

    def follow_slots(self, slots: bytes, limit_bytes: int) -> SlotFeed:
        """Tell of each write to these slots from here on: for whoever moves them elsewhere.

        `slots` has 16384 bytes, one a slot, 0 for those to leave out. A snapshot of the slots that is begun before
        anything else happens has all that the feed does not tell of. The feed ends when more than `limit_bytes` wait.
        """
        self.end_unit()
        feed = self.journal.feed(slots, limit_bytes)
        self._look_who_reads()
        return feed

    def leave_slots(self, feed: SlotFeed) -> None:
        self.end_unit()
        self.journal.end_feed(feed)
        self._look_who_reads()

    def keep(self) -> None:
        """Keep the last bytes of the stream, for replicas."""
        self.end_unit()
        self.journal.open()
        self._look_who_reads()

    def forget(self) -> None:
        """No replica reads, and none is expected back."""
        self.end_unit()
        self.journal.close()
        self._look_who_reads()

    # -- the stream of our own primary

    def set_relaying(self, relaying: bool) -> None:
        """On a replica the stream is the primary's, byte for byte; what its commands do here is for the sinks alone."""
        self.end_unit()
        self.journal.follows = relaying
        self.journal.select_again()
        self._look_who_reads()

    def relay(self, data: bytes) -> None:
        """Bytes of our primary that have been carried out. They may end anywhere in a command."""
        self.journal.append_verbatim(data)
        self._mark()

    def restart(self, offset: int) -> None:
        """All data is somebody else's: the stream goes on from here. No replica reads."""
        self.end_unit()
        self.journal.restart(offset)
        if self.journal.follows and not self.journal.keeps:
            self.keep()

    def _look_who_reads(self) -> None:
        engine, journal = self.engine, self.journal
        engine.holds_replies = bool(journal.sinks) or journal.keeps
        engine.propagating = bool(journal.sinks or journal.feeds) or (journal.keeps and not journal.follows)
        if not engine.propagating:
            self._unit.clear()
            journal.unit_open = False

    # -- writes

    def record(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A command has changed data: it is, or its effects are, part of the unit that runs."""
        try:
            self._record(session, command, argv)
        except MemoryError:
            self._write_lost()

    def _record(self, session: Session, command: Command, argv: list[bytes]) -> None:
        effects, session.effects = session.effects, None
        self._writer = session
        if command.runs_others:
            return  # its commands have been recorded one by one
        self._unit += [(session.db.index, each) for each in effects or [argv]]
        self._opened()

    def deleted(self, db: Db, key: bytes, lazy: bool) -> None:
        """A key has expired or was evicted. Replicas wait for this: they never decide by themselves."""
        self._removed(db, [b"UNLINK" if lazy else b"DEL", key])

    def _removed(self, db: Db, argv: list[bytes]) -> None:
        self._unit.append((db.index, argv))
        if self._is_walk(self.engine.current):
            self.end_unit()
        else:
            self._opened()

    def _opened(self) -> None:
        self.journal.unit_open = True
        self.engine.ready = True

    def fields_deleted(self, db: Db, key: bytes, fields: list[bytes]) -> None:
        """Fields of a hash have expired."""
        self._removed(db, [b"HDEL", key, *fields])

    @staticmethod
    def _is_walk(session: Session | None) -> bool:
        """True while keys are found dead by chance (expiry cycle, SCAN): they have nothing to do with each other."""
        if session is None:
            return True
        command = session.command
        return command is not None and "touches_arbitrary_keys" in command.spec.flags and not session.flags & flags.EXEC

    def end_unit(self, atomic: bool = True) -> None:
        """Send the unit. `atomic` is False for parts that need not be seen together (evictions)."""
        unit = self._unit
        if not unit:
            return
        self._unit = []
        self.journal.unit_open = False
        try:
            self._send(unit, atomic and len(unit) > 1)
        except MemoryError:
            self._write_lost()

    def _send(self, unit: list[tuple[int, list[bytes]]], atomic: bool) -> None:
        out = bytearray(request(MULTI) if atomic else b"")
        journal = self.journal
        database = journal.database
        if journal.feeds:
            journal.begin_unit()
        for db_index, argv in unit:
            if db_index != database:
                out += request([b"SELECT", b"%d" % db_index])
                database = db_index
            data = request(argv)
            if journal.feeds:
                journal.tell(self._slot_of(argv), db_index, data)
                if not atomic:
                    journal.begin_unit()
            out += data
        if atomic:
            out += request(EXEC)
        journal.append(database, bytes(out))
        self._mark()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.written = journal.offset
            if self.engine.min_acks:
                self.engine.hold(writer)

    def drop_unit(self) -> None:
        """The process ends before the command does that runs: nobody is sent a part of what that has written."""
        self._unit.clear()
        self.journal.unit_open = False

    def ping(self) -> None:
        """Show the replicas that the link lives."""
        if self._may_add():
            self.journal.append_shared(PING)
            self._mark()

    def ask_for_acknowledgement(self) -> None:
        """Have every replica say at once how far it is."""
        if self._may_add():
            self.journal.append_shared(GETACK)
            self._mark()

    def _may_add(self) -> bool:
        """Whether something that no client has asked for may be added.

        Not on a replica, whose stream holds nothing but its primary's bytes, and not during a pause. Nor on a primary
        whose lease has run out (cluster/failover/lease.py): it may have been replaced, and its history may end here.
        What it added would keep it from going on where its successor has begun.
        """
        return not self.journal.follows and not self.engine.space.paused and self.engine.lease_runs()

    def _mark(self) -> None:
        """Outside of commands nobody else asks the host to send what was written."""
        engine = self.engine
        if engine.current is None and not engine.stream_marked and engine.wake is not None:
            engine.stream_marked = True
            engine.wake()


def request(argv: list[bytes]) -> bytes:
    """A command as a client would send it."""
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in argv)


def figures() -> Table[WriteStream]:
    return (
        shown(
            "memory",
            "mem_not_counted_for_evict",
            lambda own: own.journal.uncounted_bytes,
            "Bytes of the stream that maxmemory does not count.",
            after="mem_fragmentation_bytes",
        ),
        shown(
            "memory",
            "mem_replication_backlog",
            lambda own: min(own.journal.block_bytes, own.journal.capacity),
            "What the backlog takes.",
        ),
        shown(
            "memory",
            "mem_total_replication_buffers",
            lambda own: own.journal.block_bytes,
            "What the backlog and the replicas' unread writes take.",
        ),
        shown(
            "replication",
            "master_repl_offset",
            lambda own: own.offset,
            "How far this node's stream of writes is.",
            after="master_replid2",
            metric="replication_offset_bytes",
        ),
        shown(
            "replication",
            "repl_backlog_active",
            lambda own: int(own.journal.keeps),
            "1: there is a backlog.",
            after="second_repl_offset",
        ),
        shown("replication", "repl_backlog_size", lambda own: own.journal.capacity, "The directive repl-backlog-size."),
        shown(
            "replication",
            "repl_backlog_first_byte_offset",
            lambda own: own.journal.first_offset if own.journal.keeps else 0,
            "From where on it has the stream.",
        ),
        shown("replication", "repl_backlog_histlen", lambda own: own.journal.history_bytes, "Bytes that it has."),
    )
