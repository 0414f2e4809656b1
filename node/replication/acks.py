"""What replicas have acknowledged, and who waits for that: WAIT, min-acks, min-replicas-to-write.

A replica says every second how much of the stream it has. Who cannot wait for that has all of them asked at once
(`Engine.wants_acks`, with the next batch). `min-acks N` is a WAIT for clients that do not send one: replies to a client
that has written are kept back until N replicas have acknowledged its last write. If they do not within
min-acks-timeout, the client is disconnected, because neither answer would be true: the write is done here, and may
be lost with this node. While fewer than N replicas are in reach, writes are refused beforehand (NOREPLICAS).

A primary whose lease (cluster/failover/lease.py) has run out may have a successor, to whom an acknowledgement that
comes only now means nothing: the replies stay back until the lease is renewed, which tells that there is none.

What follows from acknowledgements is decided by the functions at the beginning, which the simulator uses, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from node import flags
from node.replies import Blocked, Reply

if TYPE_CHECKING:
    from node.basics import Basics
    from node.config import Config
    from node.engine.session.session import Session
    from node.replication.durable import DurableWrites, Waits
    from node.replication.replica import Replica


class Acknowledging(Protocol):
    """A replica, as far as it acknowledges."""

    @property
    def is_online(self) -> bool:
        """It has all data, and follows the stream."""

    @property
    def offset(self) -> int:
        """So much of the stream it has, as it told."""


class Writer(Protocol):
    """Who has written."""

    @property
    def written(self) -> int:
        """The offset of the stream behind the last write."""


Held = TypeVar("Held", bound=Writer)


def count(replicas: Iterable[Acknowledging], offset: int) -> int:
    """How many replicas have acknowledged so much."""
    return sum(each.is_online and each.offset >= offset for each in replicas)


def descending(replicas: Iterable[Acknowledging]) -> list[int]:
    """How much one of them has, how much two of them have, and so on."""
    return sorted((each.offset for each in replicas if each.is_online), reverse=True)


def has_been_read(offset: int, wanted: int, offsets: Sequence[int]) -> bool:
    """Whether that many replicas have so much, by what `descending` says of them."""
    return wanted <= 0 or (wanted <= len(offsets) and offsets[wanted - 1] >= offset)


def release(
    held: Iterable[Held], wanted: int, replicas: Iterable[Acknowledging], lease_runs: bool
) -> tuple[list[Held], list[Held]]:
    """Whose replies may go, since so many replicas stand behind them, and whose stay: all, if we may be replaced."""
    if not lease_runs:
        return [], list(held)
    offsets = descending(replicas)
    free: list[Held] = []
    stay: list[Held] = []
    for each in held:
        (free if has_been_read(each.written, wanted, offsets) else stay).append(each)
    return free, stay


class Acknowledgements:
    """How far the replicas of one node are, as they told."""

    def __init__(
        self,
        basics: Basics,
        attached: Mapping[Session, Replica],
        waits: Waits,
        durable: DurableWrites,
        disconnect: Callable[[Session], None],
    ) -> None:
        self._basics = basics
        self._engine = basics.engine
        self._attached = attached
        self._waits = waits
        self._durable = durable
        self._disconnect = disconnect
        self.waiting: dict[Session, int] = {}
        """Who waits in WAIT, for how many replicas."""
        self.good = 0
        """How many replicas are in reach, by min-replicas-max-lag."""
        config = basics.config
        config.subscribe(["min-replicas-to-write", "min-replicas-max-lag", "min-acks"], self._configure)
        self._configure(config)

    def _configure(self, config: Config) -> None:
        self._engine.min_acks = config["min-acks"]
        self.look_who_is_good()
        self._release()

    def count(self, offset: int) -> int:
        """How many replicas have acknowledged so much."""
        return count(self._attached.values(), offset)

    # -- replicas in reach

    def look_who_is_good(self) -> None:
        """Close the gate for writes while too few replicas are in reach."""
        config, now_ms = self._basics.config, self._basics.now_ms
        longest_s = config["min-replicas-max-lag"]
        replicas = self._attached.values()
        self.good = sum(each.is_online and each.lag_s(now_ms) <= longest_s for each in replicas)
        wanted = max(config["min-replicas-to-write"] if longest_s else 0, config["min-acks"])
        self._basics.set_state(flags.STATE_FEW_REPLICAS, self.good < wanted)

    # -- who waits

    def wait(self, session: Session, replicas: int, timeout_ms: int) -> Reply:
        """WAIT: how many replicas have the client's writes, at once if enough have."""
        offset = session.written
        count = self.count(offset)
        if count >= replicas or session.flags & flags.NEVER_WAITS:
            return count
        self.waiting[session] = replicas
        self._engine.wants_acks = True
        return Blocked([], timeout_ms, lambda _: None, lambda: self.count(offset), kind="wait", forget=self.waiting.pop)

    def heard(self, replica: Replica) -> None:
        """A replica has told how far it is."""
        self.look_who_is_good()
        offsets = descending(self._attached.values())
        for session, wanted in list(self.waiting.items()):
            if has_been_read(session.written, wanted, offsets):
                self._waits.answer(session, self.count(session.written))
        self._durable.look()
        self._release()

    def gone(self, replica: Replica) -> None:
        self.look_who_is_good()

    def _release(self) -> None:
        """Let the replies go that enough replicas stand behind."""
        engine = self._engine
        if not engine.held:
            return
        held = [session for session in engine.held if not session.flags & flags.CLOSED]
        free, engine.held = release(held, engine.min_acks, self._attached.values(), engine.lease_runs())
        for session in free:
            session.held_since_ms = 0
            session.mark()

    def give_up(self) -> None:
        """The node becomes a replica: who waits for acknowledgements is told nothing, as neither answer is true."""
        held, self._engine.held = self._engine.held, []
        for session in held:
            self._disconnect(session)

    def tick(self, now_ms: int) -> None:
        self.look_who_is_good()
        timeout_ms = self._basics.config["min-acks-timeout"]
        for session in list(self._engine.held):
            if timeout_ms and now_ms - session.held_since_ms > timeout_ms and not session.flags & flags.CLOSED:
                self._basics.log.warning(
                    f"Closing client id={session.id}: its write was not acknowledged by "
                    f"{self._engine.min_acks} replicas within min-acks-timeout"
                )
                self._disconnect(session)
        if self._engine.held:
            self._engine.wants_acks = True
            self._release()
