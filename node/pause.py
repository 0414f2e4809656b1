"""CLIENT PAUSE: commands wait until the pause is over; in mode `write` only those that could change data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session import Command, Session

# Commands that write or publish without the write flag, which a pause of writes has to hold too.
HELD_AS_WRITES = "may_replicate"


class Pause:
    """The pause that is in force, and who waits for its end."""

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.until_ms = 0
        self.all_commands = False
        self.waiting: dict[Session, list[bytes]] = {}

    @property
    def active(self) -> bool:
        return bool(self.node.engine.gates & flags.GATE_PAUSE)

    def start(self, until_ms: int, all_commands: bool) -> None:
        """Begin or extend a pause. A longer one is not cut short, and a stricter one not loosened."""
        self.until_ms = max(self.until_ms, until_ms)
        self.all_commands = all_commands or (self.active and self.all_commands)
        self.node.set_gate(flags.GATE_PAUSE, True)
        self.node.space.paused = True

    def end(self) -> None:
        """CLIENT UNPAUSE, or time is up: run what waited, in order of arrival."""
        self.until_ms = 0
        self.all_commands = False
        self.node.set_gate(flags.GATE_PAUSE, False)
        self.node.space.paused = False
        waiting, self.waiting = self.waiting, {}
        for session, argv in waiting.items():
            if session.flags & flags.CLOSED:
                continue
            session.flags &= ~flags.PAUSED
            session.run(argv)
            session.mark()
            session.go_on()

    def holds(self, session: Session, command: Command, argv: list[bytes]) -> bool:
        """True if the command has to wait; it is kept and will be run."""
        if session.flags & (flags.PRIMARY | flags.REPLICA):
            return False
        if not self.all_commands and not self._may_write(session, command):
            return False
        if command.name == b"client|unpause":
            return False
        session.flags |= flags.PAUSED
        self.waiting[session] = argv
        return True

    @staticmethod
    def _may_write(session: Session, command: Command) -> bool:
        if command.name == b"exec":
            return any({"write", HELD_AS_WRITES} & queued.spec.flags for queued, _ in session.multi or ())
        return bool({"write", HELD_AS_WRITES} & command.spec.flags)

    def forget(self, session: Session) -> None:
        """The client is gone."""
        self.waiting.pop(session, None)

    def tick(self, now_ms: int) -> None:
        if self.active and now_ms >= self.until_ms:
            self.end()
