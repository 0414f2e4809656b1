"""The replicas of this node: who they are, how far they are, when they are given up.

A replica asks with PSYNC (or the old SYNC). If the backlog still holds all that it missed, it goes on from there
(partial.py); otherwise it is sent a snapshot first (fullsync.py). Either way it has a Reader, its place in the stream
of writes, from which the host sends (`stream_to`). Every second it acknowledges how much it has read; what follows from
that for clients is in acks.py.

With the first replica a backlog is begun, and the data gets a history name that nobody has seen before: whatever was
written until then was counted by nobody. Without replicas for repl-backlog-ttl seconds it is forgotten again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from node import flags
from node.monitoring.figure import Samples, Table, counted, measured, shown
from node.replication.replica import ONLINE, Replica

if TYPE_CHECKING:
    from node.basics import Basics
    from node.config import Config
    from node.engine.session.session import Command, Session
    from node.replication.acks import Acknowledgements
    from node.replication.fullsync import FullSync
    from node.replication.history import History
    from node.replication.write_stream import WriteStream

MOST_REPLICAS = 5
"""What a primary is made for. More work, and slow everybody down: a warning in the log."""


class Clients(Protocol):
    def disconnect(self, session: Session) -> None: ...
    def over_output_limit(self, session: Session, waiting_bytes: int) -> bool: ...
    def memory_of(self, *, replicas: bool) -> int: ...


class Connections(Protocol):
    def stream_to(self, session: Session) -> None:
        """The client is a replica: from now on it is sent what its reader has."""


class Replicas:
    """All of them: `attached` has them in the order in which they came, for other parts to look at."""

    def __init__(
        self,
        basics: Basics,
        stream: WriteStream,
        history: History,
        attached: dict[Session, Replica],
        sync: FullSync,
        acks: Acknowledgements,
        clients: Clients,
        connections: Connections,
    ) -> None:
        self.basics = basics
        self.stream = stream
        self.history = history
        self.attached = attached
        self.sync = sync
        self.acks = acks
        self.clients = clients
        self.acks_heard = 0
        self.partial_syncs = self.partial_syncs_refused = 0
        self._connections = connections
        self._handshakes: dict[Session, Replica] = {}
        self._pinged_ms = basics.now_ms
        self._alone_since_ms = basics.now_ms
        basics.config.subscribe(["repl-backlog-size"], self._resize)
        self._resize(basics.config)

    def _resize(self, config: Config) -> None:
        self.stream.journal.capacity = config["repl-backlog-size"]
        self.stream.journal.tidy()

    # -- coming and going

    def of(self, session: Session) -> Replica:
        """What is known of a client that is, or is going to be, a replica."""
        found = self.attached.get(session) or self._handshakes.get(session)
        if found is None:
            found = self._handshakes[session] = Replica(session)
        return found

    def attach(self, session: Session) -> Replica:
        """The client is a replica from now on; its reader is set by whoever knows where it begins."""
        replica = self.of(session)
        self._handshakes.pop(session, None)
        session.flags |= flags.REPLICA
        replica.acked_ms = replica.moved_ms = self.basics.now_ms
        self.attached[session] = replica
        self._connections.stream_to(session)
        self.keep_backlog()
        if len(self.attached) > MOST_REPLICAS and not replica.snapshot_only:
            self.basics.log.warning(
                f"{len(self.attached)} replicas are attached: more than {MOST_REPLICAS} slow a primary down. "
                "Let some of them replicate from another replica."
            )
        return replica

    def keep_backlog(self) -> None:
        """Begin the backlog, if there is none."""
        stream, history = self.stream, self.history
        if stream.journal.keeps:
            return
        if not stream.journal.follows:
            history.renew()
            self.basics.log.notice(
                f"Replication backlog created, my new replication IDs are '{history.id}' and '{history.second_id}'"
            )
        stream.keep()

    def gone(self, session: Session) -> None:
        """The connection is closed."""
        self._handshakes.pop(session, None)
        replica = self.attached.pop(session, None)
        if replica is None:
            return
        if session.reader is not None:
            session.reader.release()
            session.reader = None
        self._alone_since_ms = self.basics.now_ms
        self.sync.gone(replica)
        self.acks.gone(replica)
        self.basics.log.notice(f"Connection with replica {replica.name} lost.")

    def disconnect_all(self) -> None:
        """Have all of them come again: the history that they are part of has another name, or has ended."""
        for session in list(self.attached):
            self.clients.disconnect(session)

    def understands(self, session: Session, command: Command) -> bool:
        """A replica reads the stream: whatever would be replied to it would be taken for a part of that."""
        if command.name == b"replconf":
            return True
        name, log = command.name.decode(), self.basics.log
        if command.spec.flags & {"readonly", "write", "may_replicate"}:
            log.warning(
                "== CRITICAL == This master is sending an error to its replica: "
                f"'Replica can't interact with the keyspace' after processing the command '{name}'"
            )
        log.warning(f"Replica generated a reply to command '{name}', disconnecting it: id={session.id}")
        session.flags |= flags.CLOSE
        return False

    def drained(self, session: Session) -> None:
        """All that waited for this replica is sent, and it may not have the stream yet."""
        replica = self.attached.get(session)
        if replica is not None:
            self.sync.drained(replica)

    def acknowledge(self, session: Session, offset: int) -> None:
        """REPLCONF ACK."""
        self.acks_heard += 1
        replica = self.attached.get(session)
        if replica is None:
            return
        replica.offset = max(replica.offset, offset)
        replica.acked_ms = self.basics.now_ms
        if replica.starts_on_ack and session.reader is not None:
            replica.starts_on_ack = False
            session.reader.live = True
            session.mark()
            self.basics.log.notice(f"Synchronization with replica {replica.name} succeeded")
        self.acks.heard(replica)

    # -- time

    def tick(self, now_ms: int) -> None:
        """Ping when it is time, give up replicas that have been silent for too long, and go on with the transfers."""
        self.stream.journal.tidy()
        if not self.attached:
            self._forget_backlog(now_ms)
        elif now_ms - self._pinged_ms >= self.basics.config["repl-ping-replica-period"] * 1000:
            self._pinged_ms = now_ms
            self.stream.ping()
        for replica in list(self.attached.values()):
            self._give_up_if_silent(replica, now_ms)
        self.sync.tick(now_ms)
        self.acks.tick(now_ms)

    def _give_up_if_silent(self, replica: Replica, now_ms: int) -> None:
        log, session, disconnect = self.basics.log, replica.session, self.clients.disconnect
        limit_ms = self.basics.config["repl-timeout"] * 1000
        reader = session.reader
        if reader is not None and self.clients.over_output_limit(session, session.output_bytes):
            disconnect(session)
        elif replica.state == ONLINE:
            if replica.acknowledges and now_ms - replica.acked_ms > limit_ms:
                log.warning(f"Disconnecting timedout replica (streaming sync): {replica.name}")
                disconnect(session)
        elif replica.in_transfer:
            if replica.moved_bytes != session.bytes_out:
                replica.moved_bytes, replica.moved_ms = session.bytes_out, now_ms
            elif session.output_bytes and now_ms - replica.moved_ms > limit_ms:
                log.warning(f"Disconnecting timedout replica (full sync): {replica.name}")
                disconnect(session)

    def _forget_backlog(self, now_ms: int) -> None:
        ttl_s = self.basics.config["repl-backlog-ttl"]
        journal = self.stream.journal
        if not ttl_s or not journal.keeps or journal.follows or now_ms - self._alone_since_ms <= ttl_s * 1000:
            return
        self.history.renew()
        self.stream.forget()
        self.basics.log.notice(f"Replication backlog freed after {ttl_s} seconds without connected replicas.")


def _good(own: Replicas) -> int | None:
    config = own.basics.config
    return own.acks.good if config["min-replicas-to-write"] and config["min-replicas-max-lag"] else None


def _lines(own: Replicas) -> dict[str, str]:
    """`ip=10.0.0.1,port=6379,state=online,offset=120,lag=0` for each."""
    now_ms = own.basics.now_ms
    return {
        f"slave{number}": f"ip={each.host},port={each.port},state={each.state},offset={each.offset},"
        f"lag={each.lag_s(now_ms)}"
        for number, each in enumerate(own.attached.values())
    }


def _of_each(own: Replicas, value: Callable[[Replica], float]) -> Samples:
    return [({"replica": f"{each.host}:{each.port}"}, value(each)) for each in own.attached.values()]


def _memory_bytes(own: Replicas) -> int:
    """What replicas take, with the part of the stream that is kept for them alone."""
    journal = own.stream.journal
    beyond_backlog = max(0, journal.block_bytes - journal.capacity) if own.attached else 0
    return own.clients.memory_of(replicas=True) + beyond_backlog


def figures() -> Table[Replicas]:
    return (
        shown(
            "memory", "mem_clients_slaves", _memory_bytes, "What replicas take.", after="mem_total_replication_buffers"
        ),
        counted(
            "stats",
            "sync_partial_ok",
            "partial_syncs",
            "Replicas that could go on where they were.",
            after="sync_full",
        ),
        counted("stats", "sync_partial_err", "partial_syncs_refused", "Replicas that could not, though they asked."),
        shown(
            "replication",
            "connected_slaves",
            lambda own: len(own.attached),
            "Replicas that are attached.",
            after="replica_announced",
            metric="connected_replicas",
            metric_after="primary_link_up",
        ),
        shown(
            "replication",
            "min_slaves_good_slaves",
            _good,
            "Replicas in reach, where min-replicas-to-write counts them.",
        ),
        shown("replication", "slave<N>", _lines, "A replica: address, state, offset, lag in seconds."),
        measured(
            "replica_lag_bytes",
            lambda own: _of_each(own, lambda each: max(0, own.stream.offset - each.offset)),
            "Bytes of the stream that a replica has not acknowledged yet.",
        ),
        measured(
            "replica_lag_seconds",
            lambda own: _of_each(own, lambda each: each.lag_s(own.basics.now_ms)),
            "Time since a replica's last acknowledgement.",
        ),
        measured(
            "replica_online",
            lambda own: _of_each(own, lambda each: float(each.state == "online")),
            "1 where the replica has all data and follows the stream.",
        ),
    )
