"""Publish and subscribe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING

from node import flags
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.structures.glob import Glob
from node.replies import NO_REPLY, CommandError, Push, Reply, wrong_syntax

if TYPE_CHECKING:
    from node.engine.session.session import Session


@command(
    "PSUBSCRIBE",
    arity=-2,
    flags="pubsub noscript loading stale",
    group="pubsub",
    since="2.0.0",
    summary="Receive the messages of channels that match patterns.",
    complexity="O(N), N: patterns of the client",
    args="(pattern:pattern)=pattern...",
)
def psubscribe(s: Session, argv: list[bytes]) -> Reply:
    return subscribe_all(s, argv[1:], "p", b"psubscribe")


@command(
    "PUBLISH",
    arity=3,
    flags="pubsub loading stale fast may_replicate",
    group="pubsub",
    since="2.0.0",
    summary="Send a message to a channel.",
    complexity="O(N+M), N: subscribers of the channel, M: patterns subscribed by anybody",
    args="channel message",
)
def publish(s: Session, argv: list[bytes]) -> Reply:
    pubsub = s.node.pubsub
    receivers = pubsub.publish(argv[1], argv[2])
    pubsub.broadcast(argv[1], argv[2], False)
    if s.node.clustering is None:
        s.effect(*argv)  # in a cluster replicas hear of it on the bus
    return receivers


container(
    "PUBSUB",
    arity=-2,
    acl="-pubsub",
    group="pubsub",
    since="2.8.0",
    summary="Commands about channels and subscriptions.",
    complexity="that of the subcommand",
)


@command(
    "PUBSUB CHANNELS",
    arity=-2,
    flags="pubsub loading stale",
    group="pubsub",
    since="2.8.0",
    summary="Return the channels that have subscribers.",
    complexity="O(N), N: active channels",
    args="[pattern:pattern]",
)
def pubsub_channels(s: Session, argv: list[bytes]) -> Reply:
    return matching(s.node.pubsub.channels, argv)


help_for("PUBSUB", group="pubsub", since="6.2.0", acl="-pubsub")


@command(
    "PUBSUB NUMPAT",
    arity=2,
    flags="pubsub loading stale",
    group="pubsub",
    since="2.8.0",
    summary="Count the distinct patterns that are subscribed.",
    complexity="O(1)",
)
def pubsub_numpat(s: Session, argv: list[bytes]) -> Reply:
    return len(s.node.pubsub.patterns)


@command(
    "PUBSUB NUMSUB",
    arity=-2,
    flags="pubsub loading stale",
    group="pubsub",
    since="2.8.0",
    summary="Count the subscribers of channels.",
    complexity="O(N), N: channels asked for",
    args="[channel...]",
)
def pubsub_numsub(s: Session, argv: list[bytes]) -> Reply:
    return counts(s.node.pubsub.channels, argv[2:])


@command(
    "PUBSUB SHARDCHANNELS",
    arity=-2,
    flags="pubsub loading stale",
    group="pubsub",
    since="7.0.0",
    summary="Return the shard channels that have subscribers.",
    complexity="O(N), N: active shard channels",
    args="[pattern:pattern]",
)
def pubsub_shardchannels(s: Session, argv: list[bytes]) -> Reply:
    return matching(s.node.pubsub.shard_channels, argv)


@command(
    "PUBSUB SHARDNUMSUB",
    arity=-2,
    flags="pubsub loading stale",
    group="pubsub",
    since="7.0.0",
    summary="Count the subscribers of shard channels.",
    complexity="O(N), N: shard channels asked for",
    args="[shardchannel...]",
)
def pubsub_shardnumsub(s: Session, argv: list[bytes]) -> Reply:
    return counts(s.node.pubsub.shard_channels, argv[2:])


@command(
    "PUNSUBSCRIBE",
    arity=-1,
    flags="pubsub noscript loading stale",
    group="pubsub",
    since="2.0.0",
    summary="Stop receiving the messages of channels that match patterns.",
    complexity="O(N+M), N: patterns of the client, M: patterns subscribed by anybody",
    args="[pattern:pattern...]",
)
def punsubscribe(s: Session, argv: list[bytes]) -> Reply:
    return unsubscribe_all(s, argv[1:], "p", b"punsubscribe")


@command(
    "SPUBLISH",
    arity=3,
    flags="pubsub loading stale fast may_replicate",
    keys="1 not_key",
    group="pubsub",
    since="7.0.0",
    summary="Send a message to a shard channel.",
    complexity="O(N), N: subscribers of the shard channel",
    args="shardchannel message",
)
def spublish(s: Session, argv: list[bytes]) -> Reply:
    pubsub = s.node.pubsub
    receivers = pubsub.publish_sharded(argv[1], argv[2])
    pubsub.broadcast(argv[1], argv[2], True)
    return receivers


@command(
    "SSUBSCRIBE",
    arity=-2,
    flags="pubsub noscript loading stale",
    keys="1..-1 not_key",
    group="pubsub",
    since="7.0.0",
    summary="Receive the messages of shard channels.",
    complexity="O(N), N: shard channels to subscribe to",
    args="shardchannel...",
)
def ssubscribe(s: Session, argv: list[bytes]) -> Reply:
    return subscribe_all(s, argv[1:], "s", b"ssubscribe")


@command(
    "SUBSCRIBE",
    arity=-2,
    flags="pubsub noscript loading stale",
    group="pubsub",
    since="2.0.0",
    summary="Receive the messages of channels.",
    complexity="O(N), N: channels to subscribe to",
    args="channel...",
)
def subscribe(s: Session, argv: list[bytes]) -> Reply:
    return subscribe_all(s, argv[1:], "", b"subscribe")


@command(
    "SUNSUBSCRIBE",
    arity=-1,
    flags="pubsub noscript loading stale",
    keys="1..-1 not_key",
    group="pubsub",
    since="7.0.0",
    summary="Stop receiving the messages of shard channels.",
    complexity="O(N), N: subscribers of the shard channel",
    args="[shardchannel...]",
)
def sunsubscribe(s: Session, argv: list[bytes]) -> Reply:
    return unsubscribe_all(s, argv[1:], "s", b"sunsubscribe")


@command(
    "UNSUBSCRIBE",
    arity=-1,
    flags="pubsub noscript loading stale",
    group="pubsub",
    since="2.0.0",
    summary="Stop receiving the messages of channels.",
    complexity="O(N), N: subscribers of the channel",
    args="[channel...]",
)
def unsubscribe(s: Session, argv: list[bytes]) -> Reply:
    return unsubscribe_all(s, argv[1:], "", b"unsubscribe")


def subscribe_all(s: Session, channels: list[bytes], kind: str, verb: bytes) -> Reply:
    """One confirmation a channel, as pushes."""
    if s.flags & flags.SCRIPT:
        raise CommandError(f"ERR {verb.decode().upper()} isn't allowed in a DENY BLOCKING context")
    for channel in channels:
        s.push_reply(Push([verb, channel, s.node.pubsub.subscribe(s, channel, kind)]))
    return NO_REPLY


def unsubscribe_all(s: Session, channels: list[bytes], kind: str, verb: bytes) -> Reply:
    """One confirmation a channel; without channels, all of this kind, and at least one confirmation."""
    pubsub = s.node.pubsub
    own = s.subscriptions
    if not channels and own is not None:
        channels = list(own.patterns if kind == "p" else own.shard_channels if kind == "s" else own.channels)
    if not channels:
        left = 0 if own is None else len(own.shard_channels) if kind == "s" else own.count
        s.push_reply(Push([verb, None, left]))
    for channel in channels:
        s.push_reply(Push([verb, channel, pubsub.unsubscribe(s, channel, kind)]))
    return NO_REPLY


def matching(channels: Iterable[bytes], argv: list[bytes]) -> list[bytes]:
    """The channels somebody listens to, all or those that match the pattern."""
    if len(argv) == 2:
        return list(channels)
    if len(argv) > 3:
        raise wrong_syntax(argv[1], "PUBSUB")
    matches = Glob(argv[2])
    return [channel for channel in channels if matches(channel)]


def counts(table: Mapping[bytes, Sized], channels: list[bytes]) -> list[Reply]:
    """Name and number of listeners of each channel asked for, one after the other."""
    out: list[Reply] = []
    for channel in channels:
        out += [channel, len(table.get(channel, ()))]
    return out
