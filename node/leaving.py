"""What must be done before a node may end: SHUTDOWN, SIGTERM, SIGINT.

In a cluster the others are told, and a primary hands its slots over to its best replica. It first waits for a moment,
since its replicas may be leaving as well, which makes the hand-over idle; and once it is a replica it stays a little
longer, to redirect its clients. Elsewhere, and where nobody can take over, replicas are
waited for, with writes paused: what they have not acknowledged when the process ends may be lost with it. All of that
takes `shutdown-timeout` at most. Then the data is brought to safety. If that fails the node stays, whoever waits in
SHUTDOWN is told so, and the log says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.monitoring.figure import Table, shown
from node.replies import NO_REPLY, Blocked, CommandError, Reply
from node.requests.pause import NO_END, Pause, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.basics import Basics
    from node.clustering import Clustering
    from node.engine.session.session import Session
    from node.persistence.aof.appendonly import AppendOnly
    from node.persistence.loading import Loading
    from node.persistence.saving import Saving
    from node.ports.host import Process, WakeUps
    from node.replication.replica import Replica
    from node.replication.replicas import Replicas
    from node.replication.write_stream import WriteStream
    from node.requests.blocking import BlockedClients
    from node.scripting.scripts import Scripts

GRACE_MS = 25
LINGER_MS = 100
ASK_AGAIN_MS = 1000

CANNOT_LEAVE = CommandError("ERR Errors trying to SHUTDOWN. Check logs.")


@dataclass(frozen=True, slots=True)
class Leave:
    """How it was asked for. Without `save` and `nosave` the data is saved if there are `save` rules."""

    save: bool = False
    nosave: bool = False
    now: bool = False
    """Replicas are not waited for, and there is no hand-over."""
    force: bool = False
    """Errors do not matter, and there is no hand-over."""
    failover: bool = False
    """Hand over, as Valkey 9 calls it. In a cluster that is done anyway."""


class Leaving:
    """The shutdown that is asked for or under way, if there is one."""

    def __init__(
        self,
        basics: Basics,
        wake_ups: WakeUps,
        process: Process,
        scripts: Scripts,
        blocking: BlockedClients,
        pause: Pause,
        replicas: Replicas,
        stream: WriteStream,
        loading: Loading,
        saving: Saving,
        aof: AppendOnly,
        cluster: Callable[[], Clustering | None],
    ) -> None:
        self._basics = basics
        self._log = basics.log
        self._scripts = scripts
        self._blocking = blocking
        self._pause = pause
        self._replicas = replicas
        self._stream = stream
        self._loading = loading
        self._saving = saving
        self._aof = aof
        self._cluster = cluster
        self._stop = process.stop
        self._wake = wake_ups.go_on_leaving
        self._asked: Leave | None = None
        self._under_way: Leave | None = None
        self._until_ms = 0
        self._ask_ms = 0
        """When to ask a replica to take over; 0: this is not a hand-over."""
        self._linger_ms = 0
        """Until when to stay once it has."""
        self._offset = 0
        """Which replicas must have acknowledged; writes have paused there."""
        self._clients: list[Session] = []
        self._left = False
        """The node is stopping: what the loop still does changes nothing any more."""

    # -- what is asked for

    @property
    def asked(self) -> bool:
        """A signal has asked for it, or it is under way."""
        return self._asked is not None or self._under_way is not None

    @property
    def remaining_ms(self) -> int | None:
        """How long replicas will still be waited for; None if they are not."""
        return None if self._under_way is None else max(0, self._until_ms - self._basics.now_ms)

    def schedule(self, leave: Leave) -> None:
        """Have the next tick begin it. This may be called at any moment, by a signal handler."""
        if not self.asked:
            self._asked = leave
            self._wake()

    def command(self, session: Session, leave: Leave) -> Reply:
        """SHUTDOWN: the client waits, and hears only of a failure."""
        if self._under_way is None and self._begin(leave):
            return NO_REPLY
        if self._under_way is None:
            raise CANNOT_LEAVE
        self._clients.append(session)
        self._wake()
        return Blocked([], 0, lambda _: None, CANNOT_LEAVE, kind="shutdown")

    def abort(self) -> bool:
        """SHUTDOWN ABORT. False: there is nothing to abort."""
        if not self.asked:
            return False
        self._cancel()
        self._log.notice("Shutdown manually aborted.")
        return True

    # -- how it goes

    def tick(self, now_ms: int) -> None:
        if self._left:
            return
        if self._asked is not None:
            if not self._scripts.may_leave(self._asked.nosave):
                return
            leave, self._asked = self._asked, None
            self._begin(leave)
        elif self._under_way is not None and self._ask_ms:
            if not self._hands_over(now_ms):
                self._ask_ms = 0
                self._after_hand_over(self._under_way)
        elif self._under_way is not None and (now_ms >= self._until_ms or not self._lagging()):
            self._finish(self._under_way)

    def _begin(self, leave: Leave) -> bool:
        """True: the process ends. Otherwise replicas are waited for, or it has failed and is no longer under way."""
        now_ms, clustering = self._basics.now_ms, self._cluster()
        self._under_way = leave
        self._log.warning("User requested shutdown...")
        timeout_ms = 0 if leave.now else self._basics.config["shutdown-timeout"] * 1000
        self._until_ms = now_ms + timeout_ms
        if clustering is not None:
            clustering.leave(True)
            if timeout_ms and not leave.force and self._successor_exists():
                self._ask_ms = now_ms + GRACE_MS
                return False
        return self._wait_for_replicas(leave)

    def _successor_exists(self) -> bool:
        """Whether a replica could take over now: it has our data, follows us, and is not about to leave."""
        clustering, replicas = self._cluster(), self._replicas.attached.values()
        return clustering is not None and bool(clustering.core.successors()) and any(r.is_online for r in replicas)

    def _hands_over(self, now_ms: int) -> bool:
        """Whether the hand-over is still under way; this is also where it begins."""
        clustering = self._cluster()
        assert clustering is not None
        if clustering.core.myself.is_replica:
            self._linger_ms = self._linger_ms or now_ms + LINGER_MS
            return now_ms < self._linger_ms
        if now_ms >= self._until_ms:
            self._log.warning("No replica has taken over in time.")
            return False
        if not clustering.core.manual.under_way and now_ms >= self._ask_ms:
            if not self._successor_exists():
                return False
            self._ask_ms = now_ms + ASK_AGAIN_MS
            clustering.hand_over()
        return True

    def _after_hand_over(self, leave: Leave) -> bool:
        """True: the process ends, since somebody else has our slots; otherwise see _wait_for_replicas."""
        clustering = self._cluster()
        if clustering is None or not clustering.core.myself.is_replica:
            return self._wait_for_replicas(leave)
        self._log.notice("The slots are handed over.")
        return self._finish(leave)

    def _wait_for_replicas(self, leave: Leave) -> bool:
        """True: the process ends. Otherwise replicas are waited for, or it has failed and is no longer under way."""
        self._offset = self._basics.engine.journal.offset
        if self._basics.now_ms >= self._until_ms or not self._lagging():
            return self._finish(leave)
        self._stream.ask_for_acknowledgement()  # nobody is asked during a pause
        self._pause.start(NO_END, all_commands=False, reason=Reason.SHUTDOWN)
        self._log.notice("Waiting for replicas before shutting down.")
        return False

    def _lagging(self) -> list[Replica]:
        """The replicas that have not acknowledged everything."""
        replicas = self._replicas.attached.values()
        return [each for each in replicas if not each.snapshot_only and each.offset < self._offset]

    def _finish(self, leave: Leave) -> bool:
        self._tell_of_replicas()
        if not self._save(leave):
            self._log.warning("Errors trying to shut down the server. Check the logs for more information.")
            self._cancel()
            return False
        self._left = True
        self._stop()
        return True

    def _cancel(self) -> None:
        self._asked = self._under_way = None
        self._ask_ms = self._linger_ms = 0
        clustering = self._cluster()
        if clustering is not None:
            clustering.leave(False)
        self._pause.end(Reason.SHUTDOWN)
        clients, self._clients = self._clients, []
        for session in clients:
            self._blocking.answer(session, CANNOT_LEAVE)
        self._blocking.serve()

    def _tell_of_replicas(self) -> None:
        log, now_ms = self._log, self._basics.now_ms
        lagging = self._lagging()
        for replica in lagging:
            log.warning(
                f"Lagging replica {replica.name} reported offset {replica.lag_bytes(self._offset)} behind master, "
                f"lag={replica.lag_s(now_ms)}, state={replica.state}."
            )
        count = len(self._replicas.attached)
        if count:
            log.notice(f"{count - len(lagging)} of {count} replicas are in sync when shutting down.")

    def _save(self, leave: Leave) -> bool:
        """Bring the data to safety; False: that failed, so the node has to stay."""
        if self._loading.active:
            return True  # what is in memory is not the data
        saving, log = self._saving, self._log
        if saving.in_progress:
            log.warning("There is a child saving an .rdb. Killing it!")
            saving.cancel()
        # After a hand-over the data is the successor's. All of it may just have come from there, and not be logged yet.
        if not self._aof.may_leave(leave.force or self._linger_ms > 0):
            return False
        if (leave.save or (self._basics.config["save"] and not leave.nosave)) and saving.has_disk:
            log.notice("Saving the final RDB snapshot before exiting.")
            if not saving.save():
                if not leave.force:
                    log.warning("Error trying to save the DB, can't exit.")
                    return False
                log.warning("Error trying to save the DB. Exit anyway.")
        return True


def figures() -> Table[Leaving]:
    return (
        shown(
            "server",
            "shutdown_in_milliseconds",
            lambda own: own.remaining_ms,
            "Time that is left until the node ends, while it leaves.",
            after="listener<N>",
        ),
    )
