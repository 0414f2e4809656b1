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

from typing import TYPE_CHECKING, BinaryIO, Protocol

from node import flags
from node.replication.replica import TRANSFER, WAITS, Replica

if TYPE_CHECKING:
    from node.persistence.snapshots import Handle
    from node.ports.host import Files
    from node.replication.replicas import Replicas

CHUNK_BYTES = 64 * 1024
WAITING_BYTES = 256 * 1024
"""A snapshot pauses while a replica's output is longer than this."""


class Transfer(Protocol):
    """A snapshot on its way to some replicas: a consumer of node.snapshots."""

    replicas: list[Replica]
    handle: Handle | None

    def write(self, piece: bytes) -> None: ...
    def ready(self) -> bool: ...
    def done(self) -> None: ...
    def failed(self, reason: str) -> None: ...
    def drained(self, replica: Replica) -> None: ...


class FullSync:
    """Who waits for a snapshot, and the one that is being made."""

    def __init__(self, owner: Replicas, files: Files) -> None:
        self.owner = owner
        self.node = owner.node
        self.waiting: list[Replica] = []
        self.transfers: list[Transfer] = []
        self._files = files
        self._newline_ms = 0

    @property
    def active(self) -> bool:
        """A snapshot is being made for replicas."""
        return any(each.handle is not None for each in self.transfers)

    def ask(self, replica: Replica) -> None:
        """Take a replica in."""
        node, config = self.node, self.node.config
        self.owner.full_syncs += 1
        replica.state = WAITS
        replica.asked_ms = node.space.now_ms
        self.waiting.append(replica)
        if self.active:
            node.log.notice("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
        elif self._diskless(replica) and config["repl-diskless-sync-delay"]:
            node.log.notice("Delay next BGSAVE for diskless SYNC")
            self._begin_if_due(node.space.now_ms)
        else:
            self.begin()

    def _diskless(self, replica: Replica) -> bool:
        return bool(self.node.config["repl-diskless-sync"]) and replica.understands_eof

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
        config = self.node.config
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
        clustering = self.node.clustering
        expected = clustering.core.living_replicas() if clustering is not None else 0
        here = sum(not each.snapshot_only for each in self.owner.attached.values())
        return 0 < expected <= here

    def begin(self) -> None:
        """Make a snapshot for those who can share it: the first one, and all like it."""
        node = self.node
        diskless = all(self._diskless(each) for each in self.waiting)
        first = self.waiting[0]
        chosen = [each for each in self.waiting if each.takes_the_same_as(first)]
        self.waiting = [each for each in self.waiting if each not in chosen]
        node.log.notice(f"Starting BGSAVE for SYNC with target: {'replicas sockets' if diskless else 'disk'}")
        try:
            file = None if diskless else self._files.nameless()
        except OSError as error:
            node.log.warning(f"Can't open the file of a snapshot for replicas: {error}")
            for replica in chosen:
                node.clients.disconnect(replica.session)
            return
        node.stream.end_unit()
        node.engine.journal.select_again()
        offset = node.stream.offset
        for replica in chosen:
            self._welcome(replica, offset)
        transfer: Transfer = ByMark(self, chosen) if file is None else ByFile(self, chosen, file)
        self.transfers.append(transfer)
        database = -1 if not node.engine.journal.follows else max(node.engine.journal.database, 0)
        aux = {"repl-stream-db": max(database, 0), "repl-id": node.history.id, "repl-offset": offset}
        slots = None if first.with_data else bytes(16384)
        transfer.handle = node.snapshots.start(transfer, slots=slots, aux=aux, form=first.form)

    def _welcome(self, replica: Replica, offset: int) -> None:
        session = replica.session
        if replica.acknowledges:
            session.raw(b"+FULLRESYNC %s %d\r\n" % (self.node.history.id.encode(), offset))
        replica.offset = 0
        replica.in_transfer = True
        replica.moved_bytes, replica.moved_ms = session.bytes_out, self.node.space.now_ms
        session.reader = self.node.engine.journal.reader(offset)

    # -- what transfers tell

    def drained(self, replica: Replica) -> None:
        for transfer in list(self.transfers):
            if replica in transfer.replicas:
                transfer.drained(replica)

    def received(self, replica: Replica, on_ack: bool) -> None:
        """The snapshot is through; the stream follows, at once or when the replica says so."""
        node, session = self.node, replica.session
        replica.in_transfer = False
        if replica.snapshot_only:
            session.flags |= flags.CLOSE
            session.mark()
            return
        assert session.reader is not None
        replica.starts_on_ack = on_ack
        session.reader.live = not on_ack
        self.owner.go_online(replica, node.space.now_ms)
        session.mark()
        if on_ack:
            node.log.notice(
                f"Streamed repl transfer with replica {replica.name} succeeded (socket). "
                "Waiting for REPLCONF ACK from replica to enable streaming"
            )
        else:
            node.log.notice(f"Synchronization with replica {replica.name} succeeded")

    def over(self, transfer: Transfer) -> None:
        """The snapshot has come to its end; those who came too late for it are next."""
        transfer.handle = None
        self.forget_if_done(transfer)
        self._begin_if_due(self.node.space.now_ms)

    def forget_if_done(self, transfer: Transfer) -> None:
        if transfer.handle is None and not transfer.replicas and transfer in self.transfers:
            self.transfers.remove(transfer)

    def failed(self, transfer: Transfer, reason: str) -> None:
        """No snapshot: the replicas have to ask again."""
        self.node.log.warning(f"SYNC failed. BGSAVE child returned an error: {reason}")
        transfer.handle = None
        for replica in list(transfer.replicas):
            self.node.clients.disconnect(replica.session)
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
                self.node.log.notice("Diskless rdb transfer, last replica dropped, killing fork child.")
                transfer.handle.cancel()
                transfer.handle = None
            self.forget_if_done(transfer)


class ByMark:
    """Straight into the sockets of all its replicas."""

    def __init__(self, sync: FullSync, replicas: list[Replica]) -> None:
        self.sync = sync
        self.replicas = replicas
        self.handle: Handle | None = None
        self._mark = b"%040x" % sync.node.rng.getrandbits(160)
        for replica in replicas:
            replica.session.raw(b"$EOF:%s\r\n" % self._mark)

    def write(self, piece: bytes) -> None:
        for replica in self.replicas:
            replica.session.raw(piece)

    def ready(self) -> bool:
        return all(replica.session.output_bytes < WAITING_BYTES for replica in self.replicas)

    def drained(self, replica: Replica) -> None:
        self.sync.node.snapshots.wake()

    def done(self) -> None:
        count = len(self.replicas)
        self.sync.node.log.notice(f"Diskless rdb transfer, done reading from pipe, {count} replicas still up.")
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
            self.sync.node.log.warning(f"Read error sending DB to replica: {error}")
            self.sync.node.clients.disconnect(replica.session)
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
