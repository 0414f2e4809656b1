"""The stream of writes: what replicas repeat to have the same data.

A *unit* is what one command of a client does, whether that is one write, the writes of a transaction, or a write and
the deletion of keys that it found expired. The parts of a unit are collected while it runs and leave together, between
MULTI and EXEC if there are several, so that nobody who repeats them shows a half-done unit. What changed nothing is not
in the stream; what is random or depends on the time is there as its effect (Session.effect).

Each write is meant for a database, chosen by a SELECT before the first write and whenever the database changes. The
offset counts the bytes of the stream: it says how far a replica has read.

Nothing is collected until somebody reads: `Engine.propagating` is the one flag that a command looks at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags

if TYPE_CHECKING:
    from node.engine.session import Command, Engine, Session
    from node.engine.table import Db

Sink = Callable[[bytes], None]

NO_DB = -1
MULTI = [b"MULTI"]
EXEC = [b"EXEC"]
PING = b"*1\r\n$4\r\nPING\r\n"


class WriteStream:
    """The stream of one node. `sinks` get its bytes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.offset = 0
        self._sinks: list[Sink] = []
        self._db = NO_DB
        self._unit: list[tuple[int, list[bytes]]] = []
        self._relaying = False

    # -- readers

    def attach(self, sink: Sink) -> None:
        """Send what follows to one more reader, for whom it begins with a SELECT."""
        self.end_unit()
        self._sinks.append(sink)
        self._db = NO_DB
        self.engine.propagating = not self._relaying

    def detach(self, sink: Sink) -> None:
        self._sinks.remove(sink)
        if not self._sinks:
            self.engine.propagating = False
            self._unit.clear()

    # -- the stream of our own primary

    def set_relaying(self, relaying: bool) -> None:
        """On a replica the stream is the primary's, byte for byte, and not what its commands do here."""
        self._relaying = relaying
        self._unit.clear()
        self._db = NO_DB
        self.engine.propagating = bool(self._sinks) and not relaying

    def relay(self, data: bytes) -> None:
        """Bytes of our primary that have been carried out."""
        self._send(data)

    def restart(self, offset: int) -> None:
        """All data is somebody else's: the stream goes on from here."""
        self.end_unit()
        self.offset = offset

    # -- writes

    def record(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A command has changed data: it is, or its effects are, part of the unit that runs."""
        effects, session.effects = session.effects, None
        if command.name == b"exec":
            return  # its commands have been recorded one by one
        self._unit += [(session.db.index, each) for each in effects or [argv]]
        self.engine.ready = True

    def deleted(self, db: Db, key: bytes, lazy: bool) -> None:
        """A key has expired or was evicted. Replicas wait for this: they never decide by themselves."""
        self._unit.append((db.index, [b"UNLINK" if lazy else b"DEL", key]))
        if self._is_walk(self.engine.current):
            self.end_unit()
        else:
            self.engine.ready = True

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
        together = atomic and len(unit) > 1
        if together:
            unit = [(unit[0][0], MULTI), *unit, (unit[-1][0], EXEC)]
        out = bytearray()
        for db_index, argv in unit:
            if db_index != self._db:
                out += request([b"SELECT", b"%d" % db_index])
                self._db = db_index
            out += request(argv)
        self._send(bytes(out))

    def ping(self) -> None:
        """Show the readers that the link lives."""
        self._send(PING)

    def _send(self, data: bytes) -> None:
        self.offset += len(data)
        for sink in self._sinks:
            sink(data)


def request(argv: list[bytes]) -> bytes:
    """A command as a client would send it."""
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in argv)
