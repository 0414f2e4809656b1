"""Full synchronisation: a snapshot of all data for the replicas that need it, and the stream from that moment on.

Replicas that ask at about the same time share one snapshot: the first one waits repl-diskless-sync-delay seconds for
others, who may only join before it begins. In a cluster, where it is known who may come, nobody is waited for when all
are here: until it is over, a shard whose only replica waits cannot lose its primary. Two forms:

- straight into the sockets, for replicas that find the end by a mark (`capa eof`). The slowest sets the pace: the
  snapshot pauses while anyone's output waits; who does not move for repl-timeout is given up.
- through a file, for those that must be told the length first (or repl-diskless-sync no). Each reads at its own pace.

A replica's Reader stands where the snapshot was begun, so what is written meanwhile is in the journal; how much that
may be is bounded by client-output-buffer-limit, as for any other output of a replica.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, Protocol

from node import flags
from node.monitoring.figure import Table, counted
from node.persistence.types.kinds import Form
from node.replication.replica import ONLINE, TRANSFER, WAITS, Replica

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.session.session import Session
    from node.replication.acks import Acknowledgements
    from node.replication.history import History
    from node.replication.write_stream import WriteStream

CHUNK_BYTES = 64 * 1024
WAITING_BYTES = 256 * 1024
"""A snapshot pauses while a replica's output is longer than this."""


class Handle(Protocol):
    """A snapshot that is being taken."""

    def cancel(self) -> None:
        """Give it up; the transfer hears nothing more."""


class Snapshots(Protocol):
    """Who takes them (node/persistence/snapshots.py)."""

    @property
    def wake(self) -> Callable[[], None]:
        """A transfer has become ready for more."""

    def start(
        self, consumer: Transfer, *, slots: bytes | None, aux: Mapping[str, object], form: Form
    ) -> Handle: ...


class Files(Protocol):
    def nameless(self) -> BinaryIO:
        """A file to write and then to read. OSError: there is none to be had."""


class Transfer(Protocol):
    """A snapshot on its way to some replicas: the consumer of it."""

    replicas: list[Replica]
    handle: Handle | None

    def write(self, piece: bytes) -> None: ...
    def ready(self) -> bool: ...
    def done(self) -> None: ...
    def failed(self, reason: str) -> None: ...
    def drained(self, replica: Replica) -> None: ...


class FullSync:
    """Who waits for a snapshot, and the one that is being made. `expected` tells how many replicas we should have, as
    far as that is known."""

    def __init__(
        self,
        basics: Basics,
        stream: WriteStream,
        history: History,
        attached: Mapping[Session, Replica],
        acks: Acknowledgements,
        snapshots: Snapshots,
        files: Files,
        disconnect: Callable[[Session], None],
        expected: Callable[[], int],
    ) -> None:
        self.basics = basics
        self.snapshots = snapshots
        self.disconnect = disconnect
        self.waiting: list[Replica] = []
        self.transfers: list[Transfer] = []
        self.asked = 0
        """How often one was asked for."""
        self._stream = stream
        self._history = history
        self._attached = attached
        self._acks = acks
        self._files = files
        self._expected = expected
        self._newline_ms = 0

    @property
    def active(self) -> bool:
        """A snapshot is being made for replicas."""
        return any(each.handle is not None for each in self.transfers)

    def ask(self, replica: Replica) -> None:
        """Take a replica in."""
        config, log, now_ms = self.basics.config, self.basics.log, self.basics.now_ms
        self.asked += 1
        replica.state = WAITS
        replica.asked_ms = now_ms
        self.waiting.append(replica)
        if self.active:
            log.notice("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
        elif self._diskless(replica) and config["repl-diskless-sync-delay"]:
            log.notice("Delay next BGSAVE for diskless SYNC")
            self._begin_if_due(now_ms)
        else:
            self.begin()

    def _diskless(self, replica: Replica) -> bool:
        return bool(self.basics.config["repl-diskless-sync"]) and replica.understands_eof

    def tick(self, now_ms: int) -> None:
        self._begin_if_due(now_ms)
        if now_ms - self._newline_ms < 1000:
            return
        self._newline_ms = now_ms
        # A sign of life to those who have not been sent anything yet.
        unsent = self.waiting + [r for each in self.transfers if isinstance(each, ByFile) for r in each.replicas]
        for replica in unsent:
            if replica.state == WAITS and not replica.session.output_bytes:
                replica.session.raw(b"\n")

    def _begin_if_due(self, now_ms: int) -> None:
        config = self.basics.config
        if not self.waiting or self.active:
            return
        enough = config["repl-diskless-sync-max-replicas"]
        longest_ms = now_ms - min(each.asked_ms for each in self.waiting)
        plain = not any(self._diskless(each) for each in self.waiting)
        over = longest_ms >= config["repl-diskless-sync-delay"] * 1000
        if plain or over or 0 < enough <= len(self.waiting) or self._all_are_here():
            self.begin()

    def _all_are_here(self) -> bool:
        """Whether we know of a cluster which replicas of ours live, and all of them are connected."""
        here = sum(not each.snapshot_only for each in self._attached.values())
        return 0 < self._expected() <= here

    def begin(self) -> None:
        """Make a snapshot for those who can share it: the first one, and all like it."""
        stream, log = self._stream, self.basics.log
        diskless = all(self._diskless(each) for each in self.waiting)
        first = self.waiting[0]
        chosen = [each for each in self.waiting if each.takes_the_same_as(first)]
        self.waiting = [each for each in self.waiting if each not in chosen]
        log.notice(f"Starting BGSAVE for SYNC with target: {'replicas sockets' if diskless else 'disk'}")
        try:
            file = None if diskless else self._files.nameless()
        except OSError as error:
            log.warning(f"Can't open the file of a snapshot for replicas: {error}")
            for replica in chosen:
                self.disconnect(replica.session)
            return
        stream.end_unit()
        stream.journal.select_again()
        offset = stream.offset
        for replica in chosen:
            self._welcome(replica, offset)
        transfer: Transfer = ByMark(self, chosen) if file is None else ByFile(self, chosen, file)
        self.transfers.append(transfer)
        database = max(stream.journal.database, 0) if stream.journal.follows else 0
        aux = {"repl-stream-db": database, "repl-id": self._history.id, "repl-offset": offset}
        slots = None if first.with_data else bytes(16384)
        transfer.handle = self.snapshots.start(transfer, slots=slots, aux=aux, form=first.form)

    def _welcome(self, replica: Replica, offset: int) -> None:
        session = replica.session
        if replica.acknowledges:
            session.raw(b"+FULLRESYNC %s %d\r\n" % (self._history.id.encode(), offset))
        replica.offset = 0
        replica.in_transfer = True
        replica.moved_bytes, replica.moved_ms = session.bytes_out, self.basics.now_ms
        session.reader = self._stream.journal.reader(offset)

    # -- what transfers tell

    def drained(self, replica: Replica) -> None:
        for transfer in list(self.transfers):
            if replica in transfer.replicas:
                transfer.drained(replica)

    def received(self, replica: Replica, on_ack: bool) -> None:
        """The snapshot is through; the stream follows, at once or when the replica says so."""
        log, session = self.basics.log, replica.session
        replica.in_transfer = False
        if replica.snapshot_only:
            session.flags |= flags.CLOSE
            session.mark()
            return
        assert session.reader is not None
        replica.starts_on_ack = on_ack
        session.reader.live = not on_ack
        replica.state = ONLINE
        replica.acked_ms = self.basics.now_ms
        self._acks.look_who_is_good()
        session.mark()
        if on_ack:
            log.notice(
                f"Streamed repl transfer with replica {replica.name} succeeded (socket). "
                "Waiting for REPLCONF ACK from replica to enable streaming"
            )
        else:
            log.notice(f"Synchronization with replica {replica.name} succeeded")

    def over(self, transfer: Transfer) -> None:
        """The snapshot has come to its end; those who came too late for it are next."""
        transfer.handle = None
        self.forget_if_done(transfer)
        self._begin_if_due(self.basics.now_ms)

    def forget_if_done(self, transfer: Transfer) -> None:
        if transfer.handle is None and not transfer.replicas and transfer in self.transfers:
            self.transfers.remove(transfer)

    def failed(self, transfer: Transfer, reason: str) -> None:
        """No snapshot: the replicas have to ask again."""
        self.basics.log.warning(f"SYNC failed. BGSAVE child returned an error: {reason}")
        transfer.handle = None
        for replica in list(transfer.replicas):
            self.disconnect(replica.session)
        self.forget_if_done(transfer)

    def gone(self, replica: Replica) -> None:
        """A replica is not there any more; a snapshot that nobody waits for is given up."""
        if replica in self.waiting:
            self.waiting.remove(replica)
        for transfer in list(self.transfers):
            if replica not in transfer.replicas:
                continue
            transfer.replicas.remove(replica)
            if not transfer.replicas and transfer.handle is not None:
                self.basics.log.notice("Diskless rdb transfer, last replica dropped, killing fork child.")
                transfer.handle.cancel()
                transfer.handle = None
            self.forget_if_done(transfer)


class ByMark:
    """Straight into the sockets of all its replicas."""

    def __init__(self, sync: FullSync, replicas: list[Replica]) -> None:
        self.sync = sync
        self.replicas = replicas
        self.handle: Handle | None = None
        self._mark = b"%040x" % sync.basics.rng.getrandbits(160)
        for replica in replicas:
            replica.session.raw(b"$EOF:%s\r\n" % self._mark)

    def write(self, piece: bytes) -> None:
        for replica in self.replicas:
            replica.session.raw(piece)

    def ready(self) -> bool:
        return all(replica.session.output_bytes < WAITING_BYTES for replica in self.replicas)

    def drained(self, replica: Replica) -> None:
        self.sync.snapshots.wake()

    def done(self) -> None:
        count = len(self.replicas)
        self.sync.basics.log.notice(f"Diskless rdb transfer, done reading from pipe, {count} replicas still up.")
        self.write(self._mark)
        replicas, self.replicas = self.replicas, []
        for replica in replicas:
            self.sync.received(replica, on_ack=replica.acknowledges)
        self.sync.over(self)

    def failed(self, reason: str) -> None:
        self.sync.failed(self, reason)


class ByFile:
    """Into a file first, and from there to each replica as it can take it."""

    def __init__(self, sync: FullSync, replicas: list[Replica], file: BinaryIO) -> None:
        self.sync = sync
        self.replicas = replicas
        self.handle: Handle | None = None
        self._file = file
        self._size = 0
        self._sent: dict[Replica, int] = {}

    def write(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            assert self.handle is not None
            self.handle.cancel()
            self.failed(str(error))

    def ready(self) -> bool:
        return True

    def done(self) -> None:
        self._size = self._file.tell()
        self.sync.over(self)
        for replica in list(self.replicas):
            replica.state = TRANSFER
            self._sent[replica] = 0
            replica.session.raw(b"$%d\r\n" % self._size)

    def drained(self, replica: Replica) -> None:
        """Send the next chunk."""
        if replica.state != TRANSFER:
            return
        sent = self._sent[replica]
        try:
            self._file.seek(sent)
            chunk = self._file.read(CHUNK_BYTES)
        except OSError as error:
            self.sync.basics.log.warning(f"Read error sending DB to replica: {error}")
            self.sync.disconnect(replica.session)
            return
        self._sent[replica] = sent + len(chunk)
        replica.session.raw(chunk)
        if self._sent[replica] == self._size:
            self.replicas.remove(replica)
            del self._sent[replica]
            self.sync.received(replica, on_ack=False)
            self.sync.forget_if_done(self)

    def failed(self, reason: str) -> None:
        self.sync.failed(self, reason)


def figures() -> Table[FullSync]:
    return (
        counted("stats", "sync_full", "asked", "Full synchronisations of replicas.", after="rejected_connections"),
    )
