"""Channels, patterns and sharded channels of this node's clients.

Messages to the rest of the cluster go over the bus: `broadcast(channel, message, sharded)` is called for what a client
publishes here and does nothing outside cluster mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from node import flags
from node.engine.structures.glob import Glob
from node.monitoring.figure import Table, shown
from node.replies import Push

if TYPE_CHECKING:
    from node.engine.session.session import Session

SUBSCRIPTION_BYTES = 400
"""What a channel or pattern takes beside its name, about: the entries of the table and of the session."""

Broadcast = Callable[[bytes, bytes, bool], None]


class Subscriptions:
    """What one session listens to."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    @property
    def count(self) -> int:
        """Channels and patterns, as (P)SUBSCRIBE replies it."""
        return len(self.channels) + len(self.patterns)

    @property
    def any(self) -> bool:
        return bool(self.channels or self.patterns or self.shard_channels)


class PubSub:
    """Who listens to what."""

    def __init__(self, broadcast: Broadcast = lambda channel, message, sharded: None) -> None:
        self.broadcast = broadcast
        self.channels: dict[bytes, dict[Session, None]] = {}
        self.patterns: dict[bytes, dict[Session, None]] = {}
        self.shard_channels: dict[bytes, dict[Session, None]] = {}
        self._matchers: dict[bytes, Glob] = {}

    # -- subscribing

    def subscribe(self, session: Session, channel: bytes, kind: str = "") -> int:
        """Add one channel (`kind` ""), pattern ("p") or sharded channel ("s"); the count to reply."""
        own = self._own(session)
        table, mine = self._tables(own, kind)
        if channel not in mine:
            mine[channel] = None
            session.subscription_bytes += SUBSCRIPTION_BYTES + len(channel)
            table.setdefault(channel, {})[session] = None
            if kind == "p":
                self._matchers[channel] = Glob(channel)
        self._mark(session, own)
        return len(own.shard_channels) if kind == "s" else own.count

    def unsubscribe(self, session: Session, channel: bytes, kind: str = "") -> int:
        """Drop one; the count to reply."""
        own = self._own(session)
        table, mine = self._tables(own, kind)
        if channel in mine:
            del mine[channel]
            session.subscription_bytes -= SUBSCRIPTION_BYTES + len(channel)
            listeners = table[channel]
            del listeners[session]
            if not listeners:
                del table[channel]
                if kind == "p":
                    del self._matchers[channel]
        self._mark(session, own)
        return len(own.shard_channels) if kind == "s" else own.count

    def forget(self, session: Session) -> None:
        """The session is gone, or RESET: it listens to nothing any more."""
        own = session.subscriptions
        if own is None:
            return
        for kind, mine in (("", own.channels), ("p", own.patterns), ("s", own.shard_channels)):
            for channel in list(mine):
                self.unsubscribe(session, channel, kind)
        session.subscriptions = None
        session.flags &= ~flags.SUBSCRIBED

    def _own(self, session: Session) -> Subscriptions:
        if session.subscriptions is None:
            session.subscriptions = Subscriptions()
        return session.subscriptions

    def _tables(self, own: Subscriptions, kind: str) -> tuple[dict[bytes, dict[Session, None]], dict[bytes, None]]:
        if kind == "p":
            return self.patterns, own.patterns
        if kind == "s":
            return self.shard_channels, own.shard_channels
        return self.channels, own.channels

    @staticmethod
    def _mark(session: Session, own: Subscriptions) -> None:
        """While it listens, a session is in the pub/sub state, which RESP2 clients leave only by unsubscribing."""
        if own.any:
            session.flags |= flags.SUBSCRIBED
        else:
            session.flags &= ~flags.SUBSCRIBED

    # -- publishing

    def publish(self, channel: bytes, message: bytes) -> int:
        """To the channel's and the matching patterns' listeners here; how many there were."""
        receivers = 0
        listeners = self.channels.get(channel)
        if listeners:
            push = Push([b"message", channel, message])
            for session in listeners:
                session.push(push)
            receivers += len(listeners)
        for pattern, matches in self._matchers.items():
            if matches(channel):
                listeners = self.patterns[pattern]
                push = Push([b"pmessage", pattern, channel, message])
                for session in listeners:
                    session.push(push)
                receivers += len(listeners)
        return receivers

    def publish_sharded(self, channel: bytes, message: bytes) -> int:
        """To the sharded channel's listeners here; how many there were."""
        listeners = self.shard_channels.get(channel)
        if not listeners:
            return 0
        push = Push([b"smessage", channel, message])
        for session in listeners:
            session.push(push)
        return len(listeners)

    def drop_sharded(self, channels: Iterable[bytes]) -> None:
        """This node no longer serves the slot of these sharded channels: their listeners are told."""
        for channel in list(channels):
            for session in list(self.shard_channels.get(channel, ())):
                left = self.unsubscribe(session, channel, "s")
                session.push(Push([b"sunsubscribe", channel, left]))


def figures() -> Table[PubSub]:
    return (
        shown(
            "stats",
            "pubsub_channels",
            lambda own: len(own.channels),
            "Channels with subscribers.",
            after="keyspace_misses",
        ),
        shown("stats", "pubsub_patterns", lambda own: len(own.patterns), "Patterns with subscribers."),
        shown(
            "stats", "pubsubshard_channels", lambda own: len(own.shard_channels), "Sharded channels with subscribers."
        ),
    )
