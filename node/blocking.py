"""Clients that wait: for a key (BLPOP and its kin), for replicas (WAIT), until a deadline.

A handler that finds nothing returns replies.Blocked and ends. The session is parked here; when one of its keys changes,
`serve` asks its `resume` again, in the order in which the clients came, after the command that changed the key has
ended and before any other command runs. Nothing here knows the time but through `tick`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node import flags
from node.replies import Blocked, CommandError, Reply

if TYPE_CHECKING:
    from node.clustering import Clustering
    from node.engine.session import Command, Engine, Session

UNBLOCKED = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")

KeyId = tuple[int, bytes]


class Waiting:
    """One client's wait."""

    __slots__ = (
        "argv",
        "command",
        "deadline_ms",
        "keys",
        "kind",
        "on_timeout",
        "ready_key",
        "resume",
        "session",
        "started_ms",
    )

    def __init__(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked, now_ms: int) -> None:
        self.session = session
        self.command = command
        self.argv = argv
        self.kind = blocked.kind
        self.keys: list[KeyId] = [(session.db.index, key) for key in dict.fromkeys(blocked.keys)]
        self.ready_key = b""
        """The key that changed, when `resume` is called."""
        self.resume = blocked.resume
        self.on_timeout = blocked.on_timeout
        self.started_ms = now_ms
        self.deadline_ms = now_ms + blocked.timeout_ms if blocked.timeout_ms else 0


class BlockedClients:
    """Who waits for which key, and until when. `wake_at(unix_ms)` asks the host for a tick at that time."""

    def __init__(self, engine: Engine, wake_at: Callable[[int], None] = lambda at_ms: None) -> None:
        self.engine = engine
        self.wake_at = wake_at
        self._by_key: dict[KeyId, dict[Waiting, None]] = {}
        self._deadlines: list[tuple[int, int, Waiting]] = []
        self._sequence = 0
        self._ready: dict[KeyId, None] = {}
        self._resumed: list[Session] = []
        self._serving = False
        self.count = 0

    def block(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked) -> None:
        """Park the session until a key is ready or time is up."""
        waiting = Waiting(session, command, argv, blocked, self.engine.space.now_ms)
        session.flags |= flags.BLOCKED
        session.blocked = waiting
        self.count += 1
        for key in waiting.keys:
            self._by_key.setdefault(key, {})[waiting] = None
        if waiting.keys:
            self.engine.hooks |= flags.HOOK_BLOCKED
        if waiting.deadline_ms:
            self._sequence += 1
            heapq.heappush(self._deadlines, (waiting.deadline_ms, self._sequence, waiting))
            self.wake_at(waiting.deadline_ms)

    def keys_waited_for(self, db_index: int) -> list[bytes]:
        """The keys of a database that somebody waits for."""
        return [key for index, key in self._by_key if index == db_index]

    def waiting_for(self, db_index: int, key: bytes) -> list[Waiting]:
        """Those who wait for this key, first come first."""
        return list(self._by_key.get((db_index, key), ()))

    def all(self) -> list[Waiting]:
        """Everyone who waits for a key."""
        return list(dict.fromkeys(waiting for queue in self._by_key.values() for waiting in queue))

    def signal(self, db_index: int, key: bytes) -> None:
        """The key changed: whoever waits for it is asked after the running command."""
        if (db_index, key) in self._by_key:
            self._ready[db_index, key] = None
            self.engine.ready = True

    def serve(self) -> None:
        """Ask those whose keys changed; then let the resumed clients go on with their input."""
        if self._serving or self.engine.node.scripts.suspended:
            return
        self._serving = True
        try:
            while self._ready or self._resumed:
                while self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    for waiting in list(self._by_key.get(key, ())):
                        if waiting.session.blocked is waiting:
                            waiting.ready_key = key[1]
                            self._ask(waiting)
                resumed, self._resumed = self._resumed, []
                for session in resumed:
                    session.go_on()
        finally:
            self._serving = False
            self.engine.ready = False

    def _ask(self, waiting: Waiting) -> None:
        session, engine = waiting.session, self.engine
        dirty = engine.space.dirty
        outer, engine.current = engine.current, session
        try:
            reply = waiting.resume(session)
        except CommandError as error:
            reply = error
        finally:
            engine.current = outer
        if engine.propagating:
            if engine.space.dirty != dirty or session.effects is not None:
                engine.node.propagate(session, waiting.command, waiting.argv)
            engine.node.stream.end_unit()
        if reply is not None:
            self.finish(waiting, reply)

    def finish(self, waiting: Waiting, reply: Reply) -> None:
        """End a wait with this reply."""
        self.remove(waiting)
        duration_ns = (self.engine.space.now_ms - waiting.started_ms) * 1_000_000
        waiting.command.record(duration_ns)
        waiting.command.failed += isinstance(reply, CommandError)
        if self.engine.slow_ns == 0:
            # The slow log counts work, not waiting; where it takes everything it takes this too.
            self.engine.node.slow_command(waiting.session, waiting.command, waiting.argv, 0)
        waiting.session.unblock(reply)
        self._resumed.append(waiting.session)
        self.engine.ready = True

    def remove(self, waiting: Waiting) -> None:
        """Forget a wait (it ended, or the client is gone)."""
        if waiting.session.blocked is not waiting:
            return
        waiting.session.blocked = None
        waiting.session.flags &= ~flags.BLOCKED
        self.count -= 1
        for key in waiting.keys:
            queue = self._by_key[key]
            queue.pop(waiting, None)
            if not queue:
                del self._by_key[key]
        if not self._by_key:
            self.engine.hooks &= ~flags.HOOK_BLOCKED

    def redirect(self, clustering: Clustering) -> None:
        """Clients that wait for keys which are no longer served here are told where to go."""
        for waiting in self.all():
            error = clustering.gate_waiting(waiting.session, waiting.command, waiting.argv)
            if error is not None:
                self.finish(waiting, error)

    def unblock(self, session: Session, error: bool) -> bool:
        """CLIENT UNBLOCK: as if time were up, or with an error. False if the client does not wait."""
        waiting = session.blocked
        if not isinstance(waiting, Waiting):
            return False
        self.finish(waiting, UNBLOCKED if error else self._timed_out(waiting))
        return True

    def tick(self, now_ms: int) -> None:
        """End the waits whose deadline has passed."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, _, waiting = heapq.heappop(self._deadlines)
            if waiting.session.blocked is waiting:
                self.finish(waiting, self._timed_out(waiting))
        if self._resumed:
            self.serve()

    @property
    def with_deadline(self) -> int:
        """How many clients wait no longer than until a deadline."""
        return sum(waiting.session.blocked is waiting for _, _, waiting in self._deadlines)

    def next_due_ms(self) -> int | None:
        """When the next wait runs out."""
        while self._deadlines and self._deadlines[0][2].session.blocked is not self._deadlines[0][2]:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    @staticmethod
    def _timed_out(waiting: Waiting) -> Any:
        return waiting.on_timeout() if callable(waiting.on_timeout) else waiting.on_timeout
