"""How the data of a shard is replicated, as far as it decides whether a write can be lost.

This is a model of what the node does, small enough for ninety of them: a log of numbered writes instead of a keyspace,
one unit of offset a write instead of bytes. What matters for safety is kept: asynchronous streaming with offsets and
acknowledgements, two history ids for a partial synchronisation after a failover, a bounded backlog, full
synchronisations that take time and replace a replica's data at once when they are complete, replicas of replicas, and
replies that wait for `min_acks` acknowledgements.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gossip.effects import Closed
from tests.simulator.clock import MS, SECOND
from tests.simulator.network import DATA, Arrival, End

if TYPE_CHECKING:
    from tests.simulator.process import Process

RETRY_US = SECOND
ACK_US = SECOND
FIRST_RETRY_US = 100 * MS
SYNC_LIMIT_US = 10 * SECOND
"""For how long a replica waits for the data that it has asked for: repl-timeout, on a smaller scale."""


class Write(NamedTuple):
    """One write of a client."""

    number: int
    slot: int


class Image(NamedTuple):
    """All data of a store, as a file or a full synchronisation carries it."""

    history: str
    offset: int
    data: dict[int, int]


EMPTY = Image("", 0, {})


# What primaries and replicas say to each other.


class Ask(NamedTuple):
    """A replica wants what comes after this point of this history, of this node."""

    node_id: str
    history: str
    offset: int


class Continue(NamedTuple):
    """It gets that."""

    history: str
    missed: tuple[Write, ...]


class Full(NamedTuple):
    """It gets everything."""

    image: Image


class Entry(NamedTuple):
    write: Write


class Ack(NamedTuple):
    offset: int


@dataclass(slots=True)
class Downstream:
    """One replica of ours."""

    acked: int = 0
    streaming: bool = False


@dataclass(slots=True)
class Waiting:
    """A client that waits for acknowledgements."""

    offset: int
    reply: Callable[[bool], None]


@dataclass(slots=True)
class Backlog:
    """The newest writes, for partial synchronisations."""

    size: int
    writes: deque[Write] = field(default_factory=deque)

    def add(self, write: Write) -> None:
        self.writes.append(write)
        if len(self.writes) > self.size:
            self.writes.popleft()

    def since(self, offset: int, now_at: int) -> tuple[Write, ...] | None:
        """Everything after `offset`, or None if that is no longer here. `now_at`: the offset of the newest write."""
        missing = now_at - offset
        if not 0 <= missing <= len(self.writes):
            return None
        return tuple(self.writes)[len(self.writes) - missing :] if missing else ()


class Store:
    """The data of one process, and its part in the replication of its shard."""

    def __init__(self, process: Process, image: Image, min_acks: int, backlog_size: int) -> None:
        self._process = process
        self._network = process.world.network
        self._timeline = process.world.timeline
        self.min_acks = min_acks
        self.data = dict(image.data)
        self.per_slot = Counter(self.data.values())
        self.offset = image.offset
        # A history is continued only by the process that holds it: after a restart a new one begins here.
        self.history = process.new_history()
        self.second_history, self.second_upto = image.history, image.offset
        self.backlog = Backlog(backlog_size)
        self.following: tuple[str, str] | None = None  # node id and ip
        self.upstream: End | None = None
        self._asked_us = 0
        self.in_sync = False  # as a replica: everything up to `offset` is here and the stream runs
        self.down_since_us = self._timeline.now_us
        self.downstream: dict[End, Downstream] = {}
        self._waiting: deque[Waiting] = deque()
        self.writes_paused = False
        self._last_sync = image
        if process.world.parameters.persistence == "everysec":
            self._timeline.after(SECOND, self._sync)

    # What the cluster's core asks about the data (cluster.agreement.state.Keyspace).

    def __len__(self) -> int:
        return len(self.data)

    def slot_len(self, slot: int) -> int:
        return self.per_slot[slot]

    def slot_keys(self, slot: int, count: int) -> list[bytes]:
        return [b"%d" % number for number, its_slot in self.data.items() if its_slot == slot][:count]

    # What it asks about the copying (cluster.agreement.state.Replication).

    @property
    def link_up(self) -> bool:
        return self.in_sync

    @property
    def synced_with(self) -> str:
        return self.following[0] if self.in_sync and self.following is not None else ""

    def data_age_ms(self) -> int | None:
        """For how long nothing has come from the primary; None without data."""
        if self.in_sync or self.following is None:
            return 0
        return (self._timeline.now_us - self.down_since_us) // MS if self.offset else None

    def image(self) -> Image:
        return Image(self.history, self.offset, dict(self.data))

    # The file of the data.

    def _sync(self) -> None:
        if self._process.alive:
            self._last_sync = self.image()
            self._timeline.after(SECOND, self._sync)

    def image_of_last_sync(self) -> Image:
        """What a loss of power leaves when the file is synced once a second."""
        return self._last_sync

    # Writes.

    def write(self, write: Write, reply: Callable[[bool], None]) -> None:
        """Accept a write as the primary. `reply(True)` when it may be acknowledged, `reply(False)` if it never is."""
        self._apply(write)
        self._waiting.append(Waiting(self.offset, reply))
        self._acknowledge()

    def drop(self, slots: Iterable[int]) -> None:
        """Delete the data of these slots."""
        gone = set(slots)
        self._replace({number: slot for number, slot in self.data.items() if slot not in gone})

    def _apply(self, write: Write) -> None:
        self.data[write.number] = write.slot
        self.per_slot[write.slot] += 1
        self.offset += 1
        self.backlog.add(write)
        for end, replica in self.downstream.items():
            if replica.streaming:
                self._network.send(end, Entry(write))

    def _replace(self, data: dict[int, int]) -> None:
        self.data = data
        self.per_slot = Counter(data.values())

    def _acknowledge(self) -> None:
        """Reply to those whose write enough replicas have, while nobody can have taken our place."""
        process = self._process
        while self._waiting and process.core.may_serve(process.clock.now_ms()):
            waiting = self._waiting[0]
            have = sum(replica.acked >= waiting.offset for replica in self.downstream.values())
            if have < self.min_acks:
                return
            self._waiting.popleft().reply(True)

    def _give_up_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().reply(False)

    # Roles.

    def follow(self, node_id: str, ip: str) -> None:
        """Become a replica of this node, or follow it to its new address."""
        if self.following == (node_id, ip):
            return
        if self.following is None:
            self.down_since_us = self._timeline.now_us
        self._leave_upstream()
        self._give_up_waiting()
        self._drop_downstream()
        self.following = (node_id, ip)
        self._connect(self.following)

    def stop_following(self, empty: bool) -> None:
        """Become a primary, whose history is the old one up to here."""
        self._leave_upstream()
        self.following = None
        self._drop_downstream()
        if empty:
            self._replace({})
        self.second_history, self.second_upto = self.history, self.offset
        self.history = self._process.new_history()

    def _leave_upstream(self) -> None:
        if self.in_sync:
            self.down_since_us = self._timeline.now_us
        self.in_sync = False
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            self._network.close(upstream)

    def _drop_downstream(self) -> None:
        """Replicas have to ask again, under the new circumstances."""
        for end in list(self.downstream):
            self._network.close(end)
        self.downstream.clear()

    def _connect(self, target: tuple[str, str]) -> None:
        if self._process.alive and self.following == target and self.upstream is None:
            if target[1]:
                self.upstream = self._network.connect(self._process, target[1], DATA)
            else:
                self._timeline.after(RETRY_US, self._connect, target)

    # The network.

    def arrived(self, end: End, what: Arrival, payload: Any) -> None:
        if end is self.upstream:
            self._upstream_arrived(end, what, payload)
        elif what is Arrival.ACCEPTED:
            self.downstream[end] = Downstream()
        elif what is Arrival.CLOSED:
            self.downstream.pop(end, None)
        elif end in self.downstream:
            self._replica_says(end, payload)

    def _upstream_arrived(self, end: End, what: Arrival, payload: Any) -> None:
        match what:
            case Arrival.OPENED:
                assert self.following is not None
                self._asked_us = self._timeline.now_us
                self._network.send(end, Ask(self.following[0], self.history, self.offset))
                self._timeline.after(ACK_US, self._acknowledge_again, end)
            case Arrival.CLOSED:
                self._leave_upstream()
                retry_us = FIRST_RETRY_US if payload is not Closed.REFUSED else RETRY_US
                self._timeline.after(retry_us, self._connect, self.following)
            case Arrival.DATA:
                self._primary_says(end, payload)

    def _primary_says(self, end: End, said: Any) -> None:
        match said:
            case Entry(write):
                self._apply(write)
            case Continue(history, missed):
                self._adopt(history)
                for write in missed:
                    self._apply(write)
            case Full(image):
                self._replace(dict(image.data))
                self.offset = image.offset
                self.backlog.writes.clear()
                # What was here before is no beginning of this history: nobody can go on from there.
                self.history, self.second_history, self.second_upto = image.history, "", 0
                self.in_sync = True
                self._drop_downstream()
        self._network.send(end, Ack(self.offset))

    def _acknowledge_again(self, end: End) -> None:
        """Say every second how far we are, which also shows whether anybody is still there."""
        if not self._process.alive or end is not self.upstream:
            return
        if not self.in_sync and self._timeline.now_us - self._asked_us > SYNC_LIMIT_US:
            self._leave_upstream()
            if self.following is not None:
                self._connect(self.following)
            return
        if self.in_sync and not self._process.frozen:
            self._network.send(end, Ack(self.offset))
        self._timeline.after(ACK_US, self._acknowledge_again, end)

    def _adopt(self, history: str) -> None:
        if history != self.history:
            self.second_history, self.second_upto = self.history, self.offset
            self.history = history
        self.in_sync = True

    def _replica_says(self, end: End, said: Any) -> None:
        replica = self.downstream[end]
        if isinstance(said, Ack):
            replica.acked = said.offset
            self._acknowledge()
        elif said.node_id != self._process.id or not self._has_data_to_give():
            self._network.close(end)  # it looks for another, or there is nothing to give yet; it will ask again
            del self.downstream[end]
        else:
            self._synchronise(end, replica, said)

    def _has_data_to_give(self) -> bool:
        return (self.following is None or self.in_sync) and not self._process.core.empty.active

    def _synchronise(self, end: End, replica: Downstream, ask: Ask) -> None:
        known = ask.history == self.history or (ask.history == self.second_history and ask.offset <= self.second_upto)
        missed = self.backlog.since(ask.offset, self.offset) if known else None
        replica.streaming = True
        if missed is not None:
            self._network.send(end, Continue(self.history, missed))
        else:
            self._network.send(end, Full(self.image()), self._process.world.full_sync_us())
