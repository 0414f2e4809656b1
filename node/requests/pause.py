"""Pauses: commands wait until the pause is over; in mode `write` only those that could change data.

CLIENT PAUSE asks for one, and so does a shutdown that waits for replicas. Each has its own end; together they are as
long as the longest and as strict as the strictest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from node import flags
from node.engine.session.session import words_bytes
from node.monitoring.figure import Table, shown

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.session.session import Session

NO_END = 1 << 62
"""Until whoever has started the pause ends it, in milliseconds of Unix time."""


class Reason(Enum):
    """Who has asked for a pause, and may end it. The values are INFO's words."""

    CLIENT = "client_pause"
    SHUTDOWN = "shutdown_in_progress"
    FAILOVER = "failover_in_progress"


@dataclass(frozen=True, slots=True)
class _Wish:
    until_ms: int
    all_commands: bool


class Pause:
    """The pauses that are in force, and who waits for their end."""

    def __init__(self, basics: Basics) -> None:
        self._basics = basics
        self._wishes: dict[Reason, _Wish] = {}
        self.all_commands = False
        self.waiting: dict[Session, list[bytes]] = {}

    @property
    def active(self) -> bool:
        return bool(self._wishes)

    def described(self) -> tuple[str, str, int]:
        """What INFO says: for what clients are paused, which commands, and for how many milliseconds yet."""
        wishes = [(wish, why) for why, wish in self._wishes.items() if wish.all_commands == self.all_commands]
        if not wishes:
            return "none", "none", 0
        longest, reason = max(wishes, key=lambda each: each[0].until_ms)
        left_ms = max(0, longest.until_ms - self._basics.now_ms)
        return reason.value, "all" if self.all_commands else "write", left_ms

    def is_for(self, reason: Reason) -> bool:
        return reason in self._wishes

    def start(self, until_ms: int, all_commands: bool, reason: Reason = Reason.CLIENT) -> None:
        """Begin or extend a pause. A longer one is not cut short, and a stricter one not loosened."""
        old = self._wishes.get(reason)
        if old is not None:
            until_ms, all_commands = max(old.until_ms, until_ms), old.all_commands or all_commands
        self._wishes[reason] = _Wish(until_ms, all_commands)
        self._apply()

    def end(self, reason: Reason = Reason.CLIENT) -> None:
        """CLIENT UNPAUSE, or time is up: what nothing holds any more runs, in order of arrival."""
        if self._wishes.pop(reason, None) is None:
            return
        self._apply()
        self.release()

    def release(self) -> None:
        """Run what waits, in order of arrival. What is still held comes back."""
        waiting, self.waiting = self.waiting, {}
        for session, argv in waiting.items():
            if session.flags & flags.CLOSED:
                continue
            session.flags &= ~flags.PAUSED
            session.waiting_bytes = 0
            session.run(argv)
            session.mark()
            session.go_on()

    def _apply(self) -> None:
        self.all_commands = any(each.all_commands for each in self._wishes.values())
        self._basics.set_state(flags.STATE_PAUSED, self.all_commands)
        self._basics.set_state(flags.STATE_PAUSED_WRITES, bool(self._wishes) and not self.all_commands)
        self._basics.space.paused = bool(self._wishes)

    def park(self, session: Session, argv: list[bytes]) -> None:
        """Have a command wait until `release`."""
        session.flags |= flags.PAUSED
        session.waiting_bytes = words_bytes(argv)
        self.waiting[session] = argv

    def forget(self, session: Session) -> None:
        """The client is gone."""
        if self.waiting.pop(session, None) is not None:
            session.waiting_bytes = 0

    def tick(self, now_ms: int) -> None:
        for reason, wish in list(self._wishes.items()):
            if now_ms >= wish.until_ms:
                self.end(reason)


def figures() -> Table[Pause]:
    return (
        shown(
            "clients",
            "paused_reason",
            lambda own: own.described()[0],
            "Why clients are paused, if they are.",
            after="total_blocking_keys_on_nokey",
        ),
        shown("clients", "paused_actions", lambda own: own.described()[1], "Which commands wait: none, write or all."),
        shown("clients", "paused_timeout_milliseconds", lambda own: own.described()[2], "For how long yet."),
    )
