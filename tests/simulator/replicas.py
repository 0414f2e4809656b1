"""A process and its replicas: what it answers them, what it sends them, and what waits until they have it.

Whether a replica can go on from where it is (partial.py), and whose replies may go (acks.py), is decided by the node's
own code. The rest repeats the rules of node/commands/server/replication.py, node/replication/replicas.py and
fullsync.py, which are bound to the node's sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from node.replication import acks
from node.replication.partial import refusal
from tests.simulator.clock import MS
from tests.simulator.network import End
from tests.simulator.resp import GETACK, PING, Malformed, Requests

if TYPE_CHECKING:
    from tests.simulator.store import Store

NEWLINE_MS = 1000
LONGEST_LAG_MS = 10_000
"""min-replicas-max-lag: who has been silent for longer does not count as a replica in reach."""
PIECES = 4
"""In how many a snapshot is sent."""


@dataclass(eq=False, slots=True)
class Replica:
    """The other end of a connection: somebody who introduces itself, and then perhaps a replica."""

    end: End
    requests: Requests = field(default_factory=Requests)
    attached: bool = False
    is_online: bool = False  # it has all data
    live: bool = False  # and is sent what is written
    starts_on_ack: bool = False
    offset: int = 0
    acked_ms: int = 0
    asked_ms: int = 0


@dataclass(eq=False, slots=True)
class Waiting:
    """A client that waits for acknowledgements: of the stream up to what it has written."""

    written: int
    reply: Callable[[bool], None]


@dataclass(eq=False, slots=True)
class Transfer:
    """A snapshot on its way to some replicas. With a mark nobody knows its length beforehand."""

    replicas: list[Replica]
    offset: int
    data: bytes
    mark: bytes
    pause_us: int
    sent: int = 0


class Replicas:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._process = store.process
        self._network = store.process.world.network
        self._parameters = store.process.world.parameters
        self.by_end: dict[End, Replica] = {}
        self._pinged_ms = self._newline_ms = 0
        self._waits_for_snapshot: list[Replica] = []
        self._transfer: Transfer | None = None
        self._held: list[Waiting] = []

    @property
    def attached(self) -> list[Replica]:
        return [each for each in self.by_end.values() if each.attached]

    @property
    def busy(self) -> bool:
        """Something waits that the regular work looks after."""
        return bool(self._held or self._waits_for_snapshot or self._transfer)

    def _now_ms(self) -> int:
        return self._process.clock.now_ms()

    # -- coming and going

    def accepted(self, end: End) -> None:
        self.by_end[end] = Replica(end)

    def gone(self, end: End) -> None:
        """The connection has ended."""
        replica = self.by_end.pop(end, None)
        if replica is None:
            return
        self._store.journal.readers.pop(replica, None)
        if replica in self._waits_for_snapshot:
            self._waits_for_snapshot.remove(replica)
        if self._transfer is not None and replica in self._transfer.replicas:
            self._transfer.replicas.remove(replica)

    def disconnect(self, replica: Replica) -> None:
        self._network.close(replica.end)
        self.gone(replica.end)

    def send_away(self) -> None:
        """Have all of them come again: the history that they are part of has another name, or has ended."""
        for replica in self.attached:
            self.disconnect(replica)

    # -- what they say

    def received(self, end: End, data: bytes) -> None:
        replica = self.by_end.get(end)
        if replica is None:
            return
        replica.requests.add(data)
        try:
            while end in self.by_end and (taken := replica.requests.take()) is not None:
                if taken[0]:
                    self._serve(replica, taken[0])
        except Malformed as error:
            self._process.world.stream_failed(self._process, f"a replica says {error}")

    def _serve(self, replica: Replica, words: list[bytes]) -> None:
        match words:
            case [b"REPLCONF", b"ACK", offset]:
                self._acknowledge(replica, int(offset))
            case [b"REPLCONF", *_]:
                self._reply(replica, b"+OK\r\n")
            case [b"PING"] if self._store.follower.loading.active:
                self._reply(replica, b"-LOADING Redis is loading the dataset in memory\r\n")
            case [b"PING"]:
                self._reply(replica, b"+PONG\r\n")
            case [b"CLUSTER", b"MYID"]:
                self._reply(replica, b"$40\r\n%s\r\n" % self._process.id.encode())
            case [b"PSYNC", history_id, offset]:
                self._synchronise(replica, history_id.decode(), int(offset))
            case _:
                self._process.world.stream_failed(self._process, f"a replica says {words}")

    def _reply(self, replica: Replica, reply: bytes) -> None:
        self._network.send_bytes(replica.end, reply)

    def _synchronise(self, replica: Replica, history_id: str, offset: int) -> None:
        store = self._store
        if store.lineage.follows and not store.follower.connected:
            self._reply(replica, b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n")
            return
        if store.follower.loading.active:
            self._reply(replica, b"-LOADING Redis is loading the dataset in memory\r\n")
            return
        if self._process.core.empty.active:
            self._reply(replica, b"-LOADING This primary has lost its data\r\n")
            return
        if store.lineage.follows:
            self._process.world.count("a replica of a replica")
        name = replica.end.remote.holder.host.ip if replica.end.remote is not None else ""
        reason = refusal(store.history, cast(Any, store.journal), name, history_id, offset)
        if reason is None:
            if history_id != store.history.id:
                self._process.world.count("went on by the second id")
            self._go_on(replica, offset)
            return
        self._process.world.story(self._process.host, reason)
        self._attach(replica)
        self._waits_for_snapshot.append(replica)
        self._begin_if_due()

    def _attach(self, replica: Replica) -> None:
        replica.attached = True
        replica.acked_ms = replica.asked_ms = self._now_ms()
        self._store.keep_backlog()
        self._store.wake()

    def _go_on(self, replica: Replica, offset: int) -> None:
        store = self._store
        self._attach(replica)
        replica.offset = offset - 1
        self._reply(replica, b"+CONTINUE %s\r\n" % store.history.id.encode() + store.journal.since(offset - 1))
        replica.is_online = replica.live = True

    # -- the stream

    def push(self, data: bytes) -> None:
        """This has been added to the stream."""
        for replica in self.by_end.values():
            if replica.live:
                self._network.send_bytes(replica.end, data)

    def _make_live(self, replica: Replica) -> None:
        """From here on it is sent the stream; now, what it has missed."""
        journal = self._store.journal
        replica.live = True
        missed = journal.since(journal.readers.pop(replica))
        if missed:
            self._reply(replica, missed)

    # -- snapshots

    def _begin_if_due(self) -> None:
        """Those who come at about the same time share one; nobody is waited for if all that live are here."""
        if not self._waits_for_snapshot or self._transfer is not None:
            return
        by_mark = self._parameters.diskless_sync
        longest_ms = self._now_ms() - min(each.asked_ms for each in self._waits_for_snapshot)
        expected = self._process.core.living_replicas()
        all_are_here = 0 < expected <= len(self.attached)
        if not by_mark or longest_ms >= self._parameters.sync_delay_ms or all_are_here:
            self._begin(by_mark)

    def _begin(self, by_mark: bool) -> None:
        store, world = self._store, self._process.world
        chosen, self._waits_for_snapshot = self._waits_for_snapshot, []
        offset = store.journal.offset
        mark = b"%040x" % self._process.host.rng.getrandbits(160) if by_mark else b""
        for replica in chosen:
            replica.offset = 0
            store.journal.readers[replica] = offset
            self._reply(replica, b"+FULLRESYNC %s %d\r\n" % (store.history.id.encode(), offset))
            if by_mark:
                self._reply(replica, b"$EOF:%s\r\n" % mark)
        image = store.image()._replace(history=store.history.id, offset=offset)
        transfer = Transfer(chosen, offset, image.encoded(), mark, world.full_sync_us() // PIECES)
        self._transfer = transfer
        self._later(transfer, self._send_piece if by_mark else self._send_length)

    def _later(self, transfer: Transfer, action: Callable[[Transfer], None]) -> None:
        world = self._process.world
        world.timeline.after(transfer.pause_us, self._process.when_running, lambda: action(transfer))

    def _send_length(self, transfer: Transfer) -> None:
        """The file is whole."""
        self._to_all(transfer, b"$%d\r\n" % len(transfer.data))
        self._send_piece(transfer)

    def _send_piece(self, transfer: Transfer) -> None:
        data, sent = transfer.data, transfer.sent
        transfer.sent = sent + max(1, len(data) // PIECES)
        self._to_all(transfer, data[sent : transfer.sent])
        if transfer.sent < len(data) and transfer.replicas:
            self._later(transfer, self._send_piece)
            return
        self._to_all(transfer, transfer.mark)
        self._transfer = None
        for replica in transfer.replicas:
            replica.is_online = True
            replica.acked_ms = self._now_ms()
            if transfer.mark:
                replica.starts_on_ack = True
            else:
                self._make_live(replica)
        self._begin_if_due()

    def _to_all(self, transfer: Transfer, data: bytes) -> None:
        if data:
            for replica in transfer.replicas:
                self._reply(replica, data)

    # -- acknowledgements

    def _acknowledge(self, replica: Replica, offset: int) -> None:
        if not replica.attached:
            return
        replica.offset = max(replica.offset, offset)
        replica.acked_ms = self._now_ms()
        if replica.starts_on_ack:
            replica.starts_on_ack = False
            self._make_live(replica)
        self._release()

    def too_few(self) -> bool:
        """Whether fewer are in reach than must acknowledge a write."""
        latest_ms = self._now_ms() - LONGEST_LAG_MS
        good = sum(each.is_online and each.acked_ms >= latest_ms for each in self.by_end.values())
        return good < self._parameters.min_acks

    def hold(self, offset: int, reply: Callable[[bool], None]) -> None:
        """Reply when enough replicas have so much of the stream."""
        self._held.append(Waiting(offset, reply))
        self._release()

    def _release(self) -> None:
        """While nobody can have taken our place, the replies go that enough replicas stand behind."""
        if not self._held:
            return
        free, self._held = acks.release(
            self._held, self._parameters.min_acks, self.by_end.values(), self._store.lease_runs()
        )
        for waiting in free:
            waiting.reply(True)

    def give_up(self) -> None:
        """We become a replica: who waits is told nothing that is true."""
        held, self._held = self._held, []
        for waiting in held:
            waiting.reply(False)

    # -- time

    def tick(self) -> None:
        now_ms, store = self._now_ms(), self._store
        limit_ms = self._parameters.repl_timeout_ms
        if self.attached and now_ms - self._pinged_ms >= self._parameters.repl_ping_ms:
            self._pinged_ms = now_ms
            store.add_unasked(PING)
        for replica in self.attached:
            silent_ms = now_ms - replica.acked_ms if replica.is_online else self._network.silent_us(replica.end) // MS
            if silent_ms > limit_ms:
                self._process.world.story(self._process.host, "Disconnecting timedout replica")
                self.disconnect(replica)
        if now_ms - self._newline_ms >= NEWLINE_MS:
            self._newline_ms = now_ms
            for replica in self._waits_for_snapshot:
                self._reply(replica, b"\n")
        self._begin_if_due()
        if self._held:
            store.add_unasked(GETACK)
            self._release()
