"""The MIGRATEs of one node: who waits for which, what they hold, and what becomes of keys that have arrived elsewhere.

The client of a MIGRATE waits like one of BLPOP, and the node goes on. Its keys stand still meanwhile
(node/requests/held_keys.py). Once the other server has answered for all of them, those that it has taken are deleted
here, and replicas and the log of writes are told so by one DEL, before the client hears OK.

To delete is to write. So it waits where a client's write would: while writes are paused, while a script is suspended,
and where the lease of a primary has run out, which may have been replaced. A node that becomes a replica gives all of
it up: the data is another's then, and the keys stay where that has them.

A client that goes away changes nothing: what was sent cannot be taken back, and the answers are worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.monitoring.figure import Table, shown
from node.persistence.rdb.payload import dump_payload
from node.ports.targets import Targets as Port
from node.replication.write_stream import request
from node.replies import OK, Blocked, CommandError, Reply
from node.transfer.targets import Targets, User
from node.transfer.transfer import Order, Transfer

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.session.session import Command, Session
    from node.ports.host import WakeUps
    from node.requests.blocking import BlockedClients
    from node.requests.held_keys import HeldKeys, Hold
    from node.requests.pause import Pause

CHANGED = CommandError("TRYAGAIN Keys changed while they were on their way, and stay here")


class Job:
    """One MIGRATE, and its client. `deserted`: that one does not wait any more."""

    def __init__(self, session: Session, command: Command, argv: list[bytes], order: Order, hold: Hold) -> None:
        self.session = session
        self.command = command
        self.argv = argv
        self.order = order
        self.hold = hold
        self.deserted = False
        self.transfer: Transfer

    def desert(self, session: Session) -> None:
        self.deserted = True


class Transfers:
    """All of them."""

    def __init__(
        self,
        basics: Basics,
        port: Port,
        wake_ups: WakeUps,
        held: HeldKeys,
        blocking: BlockedClients,
        pause: Pause,
        *,
        may_write: Callable[[], bool],
        slot_is_open: Callable[[bytes], bool],
        ended: Callable[[], None],
    ) -> None:
        """`may_write`: nothing keeps this node from deleting keys just now. `slot_is_open`: the slot of a key is on its
        way to or from another node. `ended` is called after each one, when what it wrote has to go out."""
        self._basics = basics
        self._engine = basics.engine
        self._wake_at = wake_ups.end_waits
        self._held = held
        self._blocking = blocking
        self._pause = pause
        self._may_write = may_write
        self._slot_is_open = slot_is_open
        self._ended = ended
        self.targets = Targets(port, self._happened)
        self._jobs: dict[Transfer, Job] = {}
        self._settled: list[Job] = []
        """Their answers are there, and they wait until this node may write."""
        self._release_due = False

    def start(self, session: Session, argv: list[bytes], order: Order) -> Reply:
        """Send keys that are here. The reply, or that the client has to wait for it."""
        assert session.command is not None
        asked_about = self._engine.cluster and all(map(self._slot_is_open, order.keys))
        hold = self._held.hold(session.db.index, order.keys, asked_about)
        job = Job(session, session.command, argv, order, hold)
        transfer = job.transfer = Transfer(order, self.targets, lambda key, at: self._restore(job, key, at), self._done)
        try:
            transfer.start(self._basics.now_ms)
        except BaseException:
            self._held.let_go(hold)
            raise
        if transfer.over:  # all have run out in this millisecond
            self._held.let_go(hold)
            return transfer.failure or OK
        self._jobs[transfer] = job
        self._wake_at(transfer.deadline_ms)
        return Blocked([], 0, lambda _: None, kind="migrate", forget=job.desert)

    def _restore(self, job: Job, key: bytes, now_ms: int) -> bytes | None:
        """The request that makes a key there; None: it is gone, or has run out."""
        db, order = job.session.db, job.order
        value = db.peek(key)
        if value is None:
            return None
        job.hold.changed.discard(key)
        at_ms = db.expire_at(key)
        if at_ms is not None and at_ms < now_ms:
            return None
        ttl_ms = 0 if at_ms is None else max(1, at_ms - now_ms)
        payload = dump_payload(value, self._basics.config["rdbcompression"])
        name = b"RESTORE-ASKING" if self._engine.cluster else b"RESTORE"
        return request([name, key, b"%d" % ttl_ms, payload, *([b"REPLACE"] if order.replace else [])])

    def _happened(self, user: User, event: Callable[[], None], now_ms: int) -> None:
        """Something has happened to the connection of one of them."""
        self._basics.space.now_ms = now_ms
        try:
            event()
        except Exception as error:
            job = next((each for each in self._jobs.values() if each.transfer is user), None)
            if job is None or user.over:
                raise
            user.fail(self._engine.node.internal_error(job.session, job.argv, error))
        at_ms = self.next_ms()
        if at_ms is not None:
            self._wake_at(at_ms)
        self.settle()

    # -- how it ends

    def _done(self, transfer: Transfer) -> None:
        job = self._jobs.get(transfer)
        if job is not None:
            self._settled.append(job)

    def settle(self) -> None:
        """Finish what has been answered, as far as this node may write now, and let the requests go on that waited."""
        if self._settled and self._may_write():
            settled, self._settled = self._settled, []
            for job in settled:
                del self._jobs[job.transfer]
                self._finish(job)
            self._release_due = True
            self._ended()
        if self._release_due:
            self._release_due = False
            self._pause.release()

    def _finish(self, job: Job) -> None:
        session, engine = job.session, self._engine
        self._held.let_go(job.hold)
        reply: Reply = job.transfer.failure or OK
        try:
            stayed = session.work(lambda: self._delete(job))
            if stayed and job.transfer.failure is None:
                reply = CHANGED
        except Exception as error:
            reply = engine.node.internal_error(session, job.argv, error)
        if session.effects is not None:
            engine.node.propagate(session, job.command, job.argv)
        if not job.deserted:
            self._blocking.answer(session, reply)

    def _delete(self, job: Job) -> bool:
        """Delete what has arrived. True: some of it has changed meanwhile, and stays."""
        if job.order.copy:
            return False
        session, gone, stayed = job.session, [], False
        for key in job.transfer.accepted:
            if key in job.hold.changed and key in session.db:
                stayed = True
            elif session.db.delete(key, lazy=True):
                session.changed(key, "del", "g")
                gone.append(key)
        if gone:
            session.effect(b"DEL", *gone)
        return stayed

    def give_up(self) -> None:
        """The node becomes a replica. Who waits for a reply is told by whoever has decided so."""
        jobs, self._jobs, self._settled = self._jobs, {}, []
        for transfer, job in jobs.items():
            transfer.give_up()
            self._held.let_go(job.hold)
        self._release_due |= bool(jobs)

    # -- time

    def next_ms(self) -> int | None:
        """When the next one runs out of time."""
        return min((each.deadline_ms for each in self._jobs if not each.over), default=None)

    def tick(self, now_ms: int) -> None:
        for transfer in list(self._jobs):
            transfer.tick(now_ms)
        self.targets.tick(now_ms)
        self.settle()


def figures() -> Table[Transfers]:
    return (
        shown(
            "stats",
            "migrate_cached_sockets",
            lambda own: own.targets.count,
            "Connections to other servers that MIGRATE has made and keeps for a while.",
            after="total_forks",
        ),
    )
