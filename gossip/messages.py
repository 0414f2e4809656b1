"""The messages of the cluster bus, as values.

A message is a header, which every packet carries and which describes its sender, and a body that depends on the kind.
Nothing here knows about bytes: `wire` turns packets into these values and back.

Node ids, addresses and names are text (they are ASCII on the wire and in every display); channels and messages of
PUBLISH are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple


class Kind(IntEnum):
    """Message types, by their number on the wire."""

    PING = 0
    PONG = 1
    MEET = 2
    FAIL = 3
    PUBLISH = 4
    AUTH_REQUEST = 5
    AUTH_ACK = 6
    UPDATE = 7
    MFSTART = 8
    MODULE = 9
    PUBLISHSHARD = 10


# As CLUSTER INFO calls them in its message counters.
KIND_NAMES: dict[int, str] = {
    Kind.PING: "ping",
    Kind.PONG: "pong",
    Kind.MEET: "meet",
    Kind.FAIL: "fail",
    Kind.PUBLISH: "publish",
    Kind.AUTH_REQUEST: "auth-req",
    Kind.AUTH_ACK: "auth-ack",
    Kind.UPDATE: "update",
    Kind.MFSTART: "mfstart",
    Kind.MODULE: "module",
    Kind.PUBLISHSHARD: "publishshard",
}

EMPTY_SLOTS = bytes(2048)

# Message flags, first byte.
PAUSED = 1  # the primary has paused its clients for a manual failover
FORCE_ACK = 2  # vote for me although my primary is up
EXT_DATA = 4  # extensions follow; also: I understand extensions
# Message flags, second byte (unused by Redis): what only nodes of this project understand.
OURS = 1
PRIMARY_FAILED = 2  # I hold my primary failed: the offset that I state is the last that I shall have from it
STANDING = 4  # I stand for election
REFUSED = 8  # in a PONG: this answer does not let you go on serving your slots
IN_SYNC = 16  # I have my primary's data, and what it writes comes in
REASSERT = 32  # in a PONG: ask for my vote for your own place; in a request for a vote: that is what I ask for


@dataclass(frozen=True, slots=True)
class Header:
    """What every packet says about its sender."""

    sender: str
    current_epoch: int = 0
    config_epoch: int = 0
    offset: int = 0
    slots: bytes = EMPTY_SLOTS
    primary_id: str | None = None
    ip: str = ""  # empty: take the address that the connection comes from
    port: int = 0
    plain_port: int = 0
    bus_port: int = 0
    flags: int = 0
    state_fail: bool = False
    mflags: tuple[int, int, int] = (0, 0, 0)
    # Where Redis has nothing, so that only nodes of this project state and read it; 0: not known.
    data_epoch: int = 0  # the config epoch of the primary in whose history the sender's data is
    electorate: int = 0  # a digest of those who have a vote, as the sender sees it


class GossipEntry(NamedTuple):
    """What the sender of a PING thinks of some other node. A tuple, for there are many: it costs a third to make."""

    node_id: str
    ping_sent_s: int
    pong_received_s: int
    ip: str
    port: int
    bus_port: int
    flags: int
    plain_port: int = 0


class WishStated(NamedTuple):
    """Which cluster a node that has nothing wishes to form, and a digest of the other such nodes that it reaches."""

    shards: int
    replicas: int
    digest: bytes


class Heard(NamedTuple):
    """For how long the sender has not heard from some node."""

    node_id: str
    age_ms: int


class Place(NamedTuple):
    """What one node is in the map: a primary with slots under an epoch, or a replica."""

    node_id: str
    primary_id: str
    epoch: int
    slots: tuple[tuple[int, int], ...]


class Places(NamedTuple):
    """The map of a whole cluster, told to a node that has a place in it and does not know."""

    current_epoch: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a PING, PONG or MEET carries besides gossip. None: the sender did not send this extension."""

    hostname: str | None = None
    nodename: str | None = None
    shard_id: str | None = None
    forgotten: tuple[tuple[str, int], ...] = ()  # (node id, seconds that its ban lasts)
    unknown_types: tuple[int, ...] = ()
    # These are sent to nodes of this project only.
    wish: WishStated | None = None
    places: Places | None = None
    asked: tuple[str, ...] = ()  # nodes about which the sender wants to know when we last heard from them
    heard: tuple[Heard, ...] = ()

    @property
    def beyond_hostname(self) -> bool:
        """Whether something is here that Redis 7.0 does not send."""
        return self.nodename is not None or self.shard_id is not None or bool(self.forgotten or self.unknown_types)


NO_EXTENSIONS = Extensions()


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages; alone it stands for those that are only a header."""

    header: Header

    kind: ClassVar[Kind] = Kind.PING  # overridden by every subclass; a class attribute, not a field


@dataclass(frozen=True, slots=True)
class Ping(Message):
    gossip: tuple[GossipEntry, ...] = ()
    extensions: Extensions = field(default=NO_EXTENSIONS)

    kind: ClassVar[Kind] = Kind.PING


@dataclass(frozen=True, slots=True)
class Pong(Ping):
    kind: ClassVar[Kind] = Kind.PONG


@dataclass(frozen=True, slots=True)
class Meet(Ping):
    kind: ClassVar[Kind] = Kind.MEET


@dataclass(frozen=True, slots=True)
class Fail(Message):
    node_id: str

    kind: ClassVar[Kind] = Kind.FAIL


@dataclass(frozen=True, slots=True)
class Publish(Message):
    channel: bytes
    message: bytes

    kind: ClassVar[Kind] = Kind.PUBLISH


@dataclass(frozen=True, slots=True)
class PublishShard(Publish):
    kind: ClassVar[Kind] = Kind.PUBLISHSHARD


@dataclass(frozen=True, slots=True)
class LightPublish:
    """A published message with the short header of Valkey 8: who has sent it is known from the link it comes on."""

    kind: Kind  # PUBLISH or PUBLISHSHARD
    channel: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Update(Message):
    """Which slots a node owns, told to someone who claims some of them under an older epoch."""

    node_id: str
    node_epoch: int
    node_slots: bytes

    kind: ClassVar[Kind] = Kind.UPDATE


@dataclass(frozen=True, slots=True)
class AuthRequest(Message):
    kind: ClassVar[Kind] = Kind.AUTH_REQUEST


@dataclass(frozen=True, slots=True)
class AuthAck(Message):
    kind: ClassVar[Kind] = Kind.AUTH_ACK


@dataclass(frozen=True, slots=True)
class MfStart(Message):
    kind: ClassVar[Kind] = Kind.MFSTART


@dataclass(frozen=True, slots=True)
class Module(Message):
    module_id: int
    module_type: int
    payload: bytes

    kind: ClassVar[Kind] = Kind.MODULE


@dataclass(frozen=True, slots=True)
class Unknown:
    """A packet of a type or protocol version that we do not know. It is counted and otherwise ignored."""

    version: int
    type_number: int
