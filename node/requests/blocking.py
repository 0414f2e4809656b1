"""Clients that wait: for a key (BLPOP and its kin), for replicas (WAIT), until a deadline.

A handler that finds nothing returns replies.Blocked and ends. The session is parked here; when one of its keys changes,
`serve` asks its `resume`, which tries the whole command again (so the first of several keys that has something is the
one that is served, whichever changed first). They are asked in the order in which they came, after the command that
changed the key has ended and before any other command runs, and only as far as what is there goes: of a thousand who
wait for one element, one is asked. Nothing here knows the time but through `tick`.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags
from node.engine.session.session import words_bytes
from node.monitoring.figure import Table, measured, shown
from node.replies import Blocked, CommandError, Reply
from node.requests.request import Request

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.session.session import Command, Session
    from node.ports.host import WakeUps

UNBLOCKED = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")

KeyId = tuple[int, bytes]
Queue = tuple[str, bytes]
"""For what kind of value clients wait at a key; readers of a group have one of their own for each group."""

WAITING_BYTES = 600
KEY_BYTES = 700
"""What a wait takes beside the words of its command, and each key that it waits for, about."""

KEPT_TIMERS = 32
"""So many of waits that have ended are not worth tidying up."""


class Waiting:
    """One client's wait."""

    __slots__ = (
        "argv",
        "command",
        "forget",
        "keys",
        "kind",
        "on_timeout",
        "queue",
        "resume",
        "session",
        "started_ms",
        "timer",
    )

    def __init__(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked, now_ms: int) -> None:
        self.session = session
        self.command = command
        self.argv = argv
        self.kind = blocked.kind
        self.queue: Queue = (blocked.kind, blocked.group)
        self.keys: list[KeyId] = [(session.db.index, key) for key in dict.fromkeys(blocked.keys)]
        self.resume = blocked.resume
        self.on_timeout = blocked.on_timeout
        self.forget = blocked.forget
        self.started_ms = now_ms
        self.timer: Timer | None = None


class Timer:
    """When a wait ends, whatever happens. `waiting` is None once it has ended otherwise."""

    __slots__ = ("at_ms", "number", "waiting")

    def __init__(self, at_ms: int, number: int, waiting: Waiting) -> None:
        self.at_ms = at_ms
        self.number = number
        self.waiting: Waiting | None = waiting

    def __lt__(self, other: Timer) -> bool:
        return (self.at_ms, self.number) < (other.at_ms, other.number)


class Timers:
    """The deadlines of waits. Those of waits that have ended go with the next one of as many as are still needed."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._ended = 0
        self._number = 0

    def __len__(self) -> int:
        """How many waits have a deadline."""
        return len(self._heap) - self._ended

    @property
    def kept(self) -> int:
        """How many there are in memory."""
        return len(self._heap)

    def start(self, waiting: Waiting, at_ms: int) -> None:
        self._number += 1
        waiting.timer = Timer(at_ms, self._number, waiting)
        heapq.heappush(self._heap, waiting.timer)

    def drop(self, waiting: Waiting) -> None:
        """The wait is over. Its timer holds nothing any more, and is not kept until its time comes."""
        timer, waiting.timer = waiting.timer, None
        if timer is None:
            return
        timer.waiting = None
        self._ended += 1
        if self._ended > KEPT_TIMERS and self._ended > len(self._heap) // 2:
            self._heap = [each for each in self._heap if each.waiting is not None]
            heapq.heapify(self._heap)
            self._ended = 0

    def take_due(self, now_ms: int) -> Waiting | None:
        """A wait whose deadline has passed."""
        at_ms = self.next_ms()
        if at_ms is None or at_ms > now_ms:
            return None
        waiting = heapq.heappop(self._heap).waiting
        assert waiting is not None
        waiting.timer = None
        return waiting

    def next_ms(self) -> int | None:
        """When the next wait runs out."""
        while self._heap and self._heap[0].waiting is None:
            heapq.heappop(self._heap)
            self._ended -= 1
        return self._heap[0].at_ms if self._heap else None


class BlockedClients:
    """Who waits for which key, and until when."""

    def __init__(
        self, basics: Basics, wake_ups: WakeUps, end_unit: Callable[[], None], suspended: Callable[[], bool]
    ) -> None:
        """`end_unit` is told that a write of the stream is whole, `suspended` that a script is: nobody is served."""
        self._engine = basics.engine
        self._clock = basics.clock
        self._end_unit = end_unit
        self._suspended = suspended
        self._wake_at = wake_ups.end_waits
        self._by_key: dict[KeyId, dict[Queue, OrderedDict[Waiting, None]]] = {}
        self.timers = Timers()
        self._ready: dict[KeyId, None] = {}
        self._resumed: list[Session] = []
        self._serving = False
        self.count = 0

    def block(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked) -> None:
        """Park the session until a key is ready or time is up."""
        waiting = Waiting(session, command, argv, blocked, self._engine.space.now_ms)
        session.flags |= flags.BLOCKED
        session.blocked = waiting
        session.waiting_bytes = WAITING_BYTES + words_bytes(argv) + KEY_BYTES * len(waiting.keys)
        self.count += 1
        for key in waiting.keys:
            queues = self._by_key.setdefault(key, {})
            # Not a plain dict: to find the first of one that has lost many takes as long as it once was.
            queues.setdefault(waiting.queue, OrderedDict())[waiting] = None
        if waiting.keys:
            self._engine.hooks |= flags.HOOK_BLOCKED
        if blocked.timeout_ms:
            deadline_ms = waiting.started_ms + blocked.timeout_ms
            self.timers.start(waiting, deadline_ms)
            self._wake_at(deadline_ms)

    def keys_waited_for(self, db_index: int) -> list[bytes]:
        """The keys of a database that somebody waits for."""
        return [key for index, key in self._by_key if index == db_index]

    def keys_count(self, kind: str = "") -> int:
        """How many keys somebody waits for; with `kind`, for something of that kind."""
        if not kind:
            return len(self._by_key)
        return sum(any(each == kind for each, _ in queues) for queues in self._by_key.values())

    def all(self) -> list[Waiting]:
        """Everyone who waits for a key."""
        queues = (queue for by_queue in self._by_key.values() for queue in by_queue.values())
        return list(dict.fromkeys(waiting for queue in queues for waiting in queue))

    def signal(self, db_index: int, key: bytes) -> None:
        """The key changed: whoever waits for it is asked after the running command."""
        if (db_index, key) in self._by_key:
            self._ready[db_index, key] = None
            self._engine.ready = True

    def serve(self) -> None:
        """Ask those whose keys changed; then let the resumed clients go on with their input."""
        if self._serving or self._suspended():
            return
        self._serving = True
        try:
            while self._ready or self._resumed:
                while self._ready:
                    ready, self._ready = self._ready, {}
                    for key in ready:
                        self._serve_key(key)
                resumed, self._resumed = self._resumed, []
                for session in resumed:
                    session.go_on()
        finally:
            self._serving = False
            self._engine.ready = False

    def _serve_key(self, key: KeyId) -> None:
        """Ask who waits for a key, in the order in which they came, until what is there has been taken."""
        db = self._engine.space.dbs[key[0]]
        for (kind, _), queue in list(self._by_key.get(key, {}).items()):
            if kind == "stream":
                if db.type_of(key[1]) == kind:
                    for waiting in list(queue):
                        self._ask(waiting)
                continue
            # Readers of a group are told, too, when the stream or the group is gone.
            while queue and (kind == "group" or db.type_of(key[1]) == kind):
                waiting = next(iter(queue))
                self._ask(waiting)
                if waiting.session.blocked is waiting:
                    break  # there is nothing for it, and so for nobody behind it

    def _ask(self, waiting: Waiting) -> None:
        """Try the command again: it ends with its reply or an error, or goes on waiting at its place."""
        session, engine = waiting.session, self._engine
        if session.blocked is not waiting:
            return
        started_us = self._clock.now_us()
        dirty = engine.space.dirty
        try:
            reply = session.work(lambda: waiting.resume(session))
        except CommandError as error:
            reply = error
        except Exception as error:
            reply = engine.node.internal_error(session, waiting.argv, error)
        if engine.propagating:
            if engine.space.dirty != dirty or session.effects is not None:
                engine.node.propagate(session, waiting.command, waiting.argv)
            self._end_unit()
        if reply is not None:
            self.finish(waiting, reply, self._clock.now_us() - started_us)

    def finish(self, waiting: Waiting, reply: Reply, work_us: int = 0) -> None:
        """End a wait with this reply. Statistics count the work for it, and not the waiting."""
        self.remove(waiting)
        waiting.command.record(work_us * 1000)
        waiting.command.failed += isinstance(reply, CommandError)
        if 0 <= self._engine.slow_ns <= work_us * 1000:
            self._engine.node.slow_command(waiting.session, waiting.command, waiting.argv, work_us * 1000)
        waiting.session.unblock(reply)
        self._resumed.append(waiting.session)
        self._engine.ready = True

    def answer(self, session: Session, reply: Reply) -> bool:
        """End the wait of a session with this reply. False: it does not wait."""
        if session.blocked is None:
            return False
        self.finish(session.blocked, reply)
        return True

    def remove(self, waiting: Waiting) -> None:
        """Forget a wait (it ended, or the client is gone)."""
        session = waiting.session
        if session.blocked is not waiting:
            return
        session.blocked = None
        session.waiting_bytes = 0
        session.flags &= ~flags.BLOCKED
        self.count -= 1
        self.timers.drop(waiting)
        if waiting.forget is not None:
            waiting.forget(session)
        for key in waiting.keys:
            queues = self._by_key[key]
            queue = queues[waiting.queue]
            del queue[waiting]
            if not queue:
                del queues[waiting.queue]
                if not queues:
                    del self._by_key[key]
        if not self._by_key:
            self._engine.hooks &= ~flags.HOOK_BLOCKED

    def forget(self, session: Session) -> None:
        """The client is gone."""
        if session.blocked is not None:
            self.remove(session.blocked)

    def redirect(self, refusal: Callable[[Request], CommandError | None]) -> None:
        """Clients that wait for keys which are no longer served here are told so: `refusal` says where to go."""
        for waiting in self.all():
            error = refusal(Request(waiting.session, waiting.command, waiting.argv))
            if error is not None:
                self.finish(waiting, error)

    def unblock(self, session: Session, error: bool) -> bool:
        """CLIENT UNBLOCK: as if time were up, or with an error. False if the client does not wait."""
        waiting = session.blocked
        return waiting is not None and self.answer(session, UNBLOCKED if error else self._timed_out(waiting))

    def tick(self, now_ms: int) -> None:
        """End the waits whose deadline has passed."""
        while (waiting := self.timers.take_due(now_ms)) is not None:
            self.finish(waiting, self._timed_out(waiting))
        if self._resumed:
            self.serve()

    @staticmethod
    def _timed_out(waiting: Waiting) -> Reply:
        return waiting.on_timeout() if callable(waiting.on_timeout) else waiting.on_timeout


def figures() -> Table[BlockedClients]:
    return (
        shown(
            "clients",
            "clients_in_timeout_table",
            lambda own: len(own.timers),
            "Clients that wait with a limit of time.",
            after="watching_clients",
        ),
        shown(
            "clients",
            "total_blocking_keys",
            lambda own: own.keys_count(),
            "Keys for which clients wait.",
            after="total_watched_keys",
        ),
        shown(
            "clients",
            "total_blocking_keys_on_nokey",
            lambda own: own.keys_count("group"),
            "Those of them whose end would wake the clients, too.",
        ),
        measured("blocked_clients", lambda own: own.count, "Clients that wait for a key.", after="connections"),
    )
