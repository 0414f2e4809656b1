"""The data of one process, and its part in the replication of its shard.

The decisions are the node's own, from node/replication/: where the data stands in a history and who may go on from
there (Lineage, History), what the link to the primary does (PrimaryLink, Carrier), what part of a stream counts
(Applier), how a snapshot takes the place of the data (Arrival), what a file says of its place (FileFacts). Simulated
are the data (dataset.py), the bytes of the stream (journal.py), the network and the disk, and the primary's side of the
conversation (replicas.py), which in the node is bound to its sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from node.replication.filefacts import FileFacts
from node.replication.history import History
from node.replication.lineage import Lineage
from node.replication.link import State
from tests.simulator.clock import MS
from tests.simulator.dataset import EMPTY, Dataset, Image, Write
from tests.simulator.follower import Follower
from tests.simulator.journal import Journal
from tests.simulator.network import Arrival, End
from tests.simulator.replicas import Replicas
from tests.simulator.resp import EXEC, GETACK, MULTI, request, set_request

if TYPE_CHECKING:
    from tests.simulator.process import Process

BUSY_TICK_US = 100 * MS
IDLE_TICK_US = 1000 * MS
"""Between two rounds of the regular work, as in node/aio/turns.py."""


class Store:
    """What the node has in the place of a keyspace, and around it."""

    def __init__(self, process: Process, min_acks: int, backlog_bytes: int) -> None:
        self.process = process
        self.min_acks = min_acks
        self.dataset = Dataset({})
        self.journal = Journal(backlog_bytes)
        self.history = History(process.host.rng)
        self.replicas = Replicas(self)
        stream = Stream(self)
        self.lineage = Lineage(self.history, stream, self.replicas.send_away)
        self.follower = Follower(self)
        self._starts_as_replica = False
        self._facts = FileFacts(
            cast(Any, SimpleNamespace(space=SimpleNamespace(dbs=[self]))),
            cast(Any, stream),
            self.lineage,
            self.follower.applier,
            lambda: self._starts_as_replica,
        )
        self.writes_paused = False
        self._tick_us = 0

    # What the cluster's core asks about the data (cluster.state.Keyspace).

    @property
    def data(self) -> dict[int, int]:
        """The writes that are here, and the slot of each."""
        return self.dataset.writes

    def __len__(self) -> int:
        return len(self.dataset.writes)

    def slot_len(self, slot: int) -> int:
        return self.dataset.per_slot[slot]

    def slot_keys(self, slot: int, count: int) -> list[bytes]:
        return [b"%d" % number for number, its_slot in self.data.items() if its_slot == slot][:count]

    # What it asks about the copying (cluster.state.Replication), as in node/clustering.py.

    @property
    def offset(self) -> int:
        return self.lineage.stated_offset(self.follower.applier.applied_offset)

    @property
    def link_up(self) -> bool:
        return self.follower.connected

    @property
    def in_sync(self) -> bool:
        return self.link_up

    @property
    def synced_with(self) -> str:
        primary = self.follower.primary
        return primary[0] if self.link_up and primary is not None else ""

    def data_age_ms(self) -> int | None:
        heard_ms = self.follower.carrier.link.last_io_ms if self.link_up else None
        return self.lineage.data_age_ms(self._now_ms(), heard_ms)

    def _now_ms(self) -> int:
        return self.process.clock.now_ms()

    # The file of the data.

    def image(self) -> Image:
        """All data, and what its file would say of its place."""
        facts = self._facts.now()
        return Image(str(facts.get("repl-id", "")), int(str(facts.get("repl-offset", 0))), dict(self.data))

    def image_after_a_kill(self) -> Image:
        """What a process finds that starts after this one was killed."""
        file = self.follower.host.whole_file
        if file is None:
            return self.image()
        try:
            return Image.decoded(file)  # it had begun to be our data
        except ValueError:
            return EMPTY

    def restore(self, image: Image, as_replica: bool) -> None:
        """The process has started with the data of this file."""
        self._starts_as_replica = as_replica
        self.replace(dict(image.data))
        now_s = self._now_ms() // 1000
        facts = {b"repl-id": image.history.encode(), b"repl-offset": b"%d" % image.offset, b"ctime": b"%d" % now_s}
        self._facts.restored(facts if image.history else {}, [])
        self.placed()

    def replace(self, data: dict[int, int]) -> None:
        self.dataset.replace(data)

    # Writes.

    def write(self, write: Write, reply: Callable[[bool], None]) -> None:
        """Carry a client's write out. `reply(True)` when it may be acknowledged, `reply(False)` if it never is."""
        unit = b"".join(set_request(number, write.slot) for number in write.numbers)
        for number in write.numbers:
            if not self.dataset.add(number, write.slot):
                self.process.world.stream_failed(self.process, f"write {number} comes a second time")
        self.follower.host.whole_file = None
        written = self._append(unit if write.size == 1 else MULTI + unit + EXEC)
        self.replicas.hold(written, reply)
        self.wake()

    def drop(self, slots: Iterable[int]) -> None:
        """Delete the data of these slots."""
        gone = set(slots)
        numbers = [number for number, slot in self.data.items() if slot in gone]
        if numbers and not self.lineage.follows:
            self.dataset.delete(numbers)
            self._append(request(b"DEL", *(b"%d" % number for number in numbers)))

    def _append(self, unit: bytes) -> int:
        """Add to the stream; the offset behind it."""
        journal = self.journal
        if not journal.keeps:
            return journal.offset
        journal.append(unit)
        written = journal.offset
        self.placed()
        if self.min_acks and self._may_add():
            journal.append(GETACK)  # with the next batch
            unit += GETACK
            self.placed()
        self.replicas.push(unit)
        return written

    def add_unasked(self, request: bytes) -> None:
        """Add something that no client has asked for."""
        if self._may_add():
            self.journal.append(request)
            self.placed()
            self.replicas.push(request)

    def _may_add(self) -> bool:
        """As in node/replication/stream.py."""
        return not self.lineage.follows and not self.writes_paused and self.lease_runs()

    def lease_runs(self) -> bool:
        return self._now_ms() < self.process.core.lease_end_ms

    def keep_backlog(self) -> None:
        """Begin the backlog, if there is none: with the first replica."""
        if not self.journal.keeps:
            if not self.lineage.follows:
                self.history.renew()
            self.journal.keep()

    def placed(self) -> None:
        """The data is what belongs to our place in the history: the checkers compare."""
        known = self.lineage.resumable if self.lineage.follows else self.journal.keeps
        if not known:
            return
        history, offset, world = self.history, self.journal.offset, self.process.world
        world.placed(self.process, history.id, offset)
        if history.second_offset == offset + 1:
            world.placed(self.process, history.second_id, offset)

    # Roles, as in node/replication/following.py.

    def follow(self, node_id: str, ip: str) -> None:
        """Become a replica of this node, or follow it to its new address."""
        if self.follower.primary == (node_id, ip):
            return
        if not self.lineage.follows:
            self._count_those_who_wait("demoted")
        self.replicas.give_up()
        self.lineage.follow()
        self.follower.follow((node_id, ip))

    def stop_following(self, empty: bool) -> None:
        """Become a primary, whose history is the old one up to here."""
        if self.lineage.follows:
            self._count_those_who_wait("promoted")
            self.follower.stop()
            self.lineage.promote()
            self.placed()
        if empty:
            self.replace({})

    def _count_those_who_wait(self, what: str) -> None:
        """For the statistics: our role changes while somebody synchronises with us."""
        for end in self.replicas.by_end:
            other = self.process.world.process_at(end)
            if other is not None and other.store.follower.state in (State.HANDSHAKE, State.SYNC):
                self.process.world.count(f"{what} while a replica synchronises")

    # The network.

    def arrived(self, end: End, what: Arrival, payload: Any) -> None:
        if end is self.follower.host.end:
            self.follower.host.arrived(what, payload)
        elif what is Arrival.ACCEPTED:
            self.replicas.accepted(end)
        elif what is Arrival.CLOSED:
            self.replicas.gone(end)
        elif what is Arrival.DATA:
            self.replicas.received(end, payload)

    # Time.

    def wake(self) -> None:
        """Have the regular work done soon."""
        busy = self.replicas.busy or self.follower.state not in (State.NONE, State.CONNECTED)
        at_us = self.process.world.timeline.now_us + (BUSY_TICK_US if busy else IDLE_TICK_US)
        if not self._tick_us or at_us < self._tick_us:
            self._tick_us = at_us
            self.process.world.timeline.at(at_us, self._on_tick, at_us)

    def _on_tick(self, at_us: int) -> None:
        if at_us == self._tick_us and self.process.alive and not self.process.frozen:
            self.tick()

    def tick(self) -> None:
        """The regular work, in the order of node/core.py."""
        self._tick_us = 0
        self.replicas.tick()
        self.follower.tick()
        self.wake()


class Stream:
    """lineage.Stream: the journal, and those who read it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.journal = store.journal

    def end_unit(self, atomic: bool = True) -> None:
        """Here no unit is open between two events."""

    @property
    def offset(self) -> int:
        return self._store.journal.offset

    def relay(self, data: bytes) -> None:
        self._store.journal.append(data)
        self._store.replicas.push(data)
        self._store.placed()

    def restart(self, offset: int) -> None:
        self._store.journal.restart(offset)
        if self._store.lineage.follows and not self._store.journal.keeps:
            self._store.journal.keep()
        self._store.placed()

    def keep(self) -> None:
        self._store.journal.keep()
