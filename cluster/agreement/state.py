"""Everything that a node knows about its cluster, in one place, for the modules that decide from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from cluster.agreement.slotmap import SlotMap
from cluster.agreement.slots import SlotSet
from gossip.membership import Members
from gossip.peer import Peer
from gossip.settings import GossipSettings

FOREVER_MS = 1 << 62
"""A moment that never comes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The cluster that empty nodes are to form by themselves; without shards: none."""

    shards: int = 0
    replicas: int = 0

    @property
    def nodes(self) -> int:
        return self.shards * (1 + self.replicas)


@dataclass(slots=True)
class ClusterSettings(GossipSettings):
    """Directives of the cluster, under their redis.conf names (`cluster-` left out). Read live."""

    require_full_coverage: bool = True
    coverage_grace_ms: int = 2000  # the slots of a failed primary count as covered for so long, if it has an heir
    allow_reads_when_down: bool = False
    allow_pubsubshard_when_down: bool = True
    allow_replica_migration: bool = True
    migration_barrier: int = 1  # replicas that a shard keeps when one of them moves to another
    replica_validity_factor: int = 10  # how many node timeouts old a replica's data may be at its election; 0: any age
    repl_ping_period_ms: int = 10_000
    preferred_endpoint_type: str = "ip"  # ip, hostname or unknown-endpoint
    wish: Wish = Wish()
    tls: bool = False  # `port` is a TLS port
    min_acks: int = 0  # how many replicas have a write before it is acknowledged


class Keyspace(Protocol):
    """What the cluster must know about the data of this node; the node supplies it."""

    def __len__(self) -> int:
        """Number of keys."""

    def slot_len(self, slot: int) -> int:
        """Number of keys in a slot."""

    def slot_keys(self, slot: int, count: int) -> list[bytes]:
        """Up to `count` keys of a slot."""


class NoKeys:
    """A keyspace without keys."""

    def __len__(self) -> int:
        return 0

    def slot_len(self, slot: int) -> int:
        return 0

    def slot_keys(self, slot: int, count: int) -> list[bytes]:
        return []


class Replication(Protocol):
    """What the cluster must know about how this node's data is copied; the node supplies it."""

    @property
    def offset(self) -> int:
        """How much of the history of the data is here: the same for all who have the same; 0: none, or not whole."""

    @property
    def link_up(self) -> bool:
        """Whether what the primary writes comes in."""

    @property
    def synced_with(self) -> str:
        """The id of the primary that `link_up` is about, while it holds; empty: there is none."""

    @property
    def writes_paused(self) -> bool:
        """Whether the writes of clients are held back, so that `offset` does not move."""

    def data_age_ms(self) -> int | None:
        """For how long nothing has come from the primary; None: its data never came, or not whole."""


class NoReplication:
    """What a node that has no data to copy says of its replication."""

    offset = 0
    link_up = False
    synced_with = ""
    writes_paused = False

    def data_age_ms(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class OpenVote:
    """A vote of ours whose outcome we have not heard: for whom, in which epoch, for whose place and slots, and when."""

    candidate_id: str
    epoch: int
    primary_id: str
    slots: SlotSet
    given_ms: int = field(default=0, compare=False)  # 0: before a restart


class History(IntEnum):
    """Whose history our data is part of. What is not our primary's may become so by synchronising with it only."""

    OF_PRIMARY = 0
    UNKNOWN = 1  # that of our shard, perhaps, but not known to be our primary's: we were replaced, or moved
    OTHER_SHARD = 2  # that of another shard, which its primary still serves


@dataclass(slots=True)
class ClusterState:
    """The members, what belongs to whom, and the epochs."""

    members: Members
    slotmap: SlotMap = field(default_factory=SlotMap)
    current_epoch: int = 0
    last_vote_epoch: int = 0
    open_votes: list[OpenVote] = field(default_factory=list)  # the newest last
    handing_over: bool = False  # this primary has promised its place to a replica, for as long as that may take
    only_ours: bool = False  # all members are nodes of this project
    data_epoch: int = 0  # the config epoch of the primary in whose history our data is
    history: History = History.OF_PRIMARY  # whose our data is
    newcomer_until_ms: int = 0  # after our election: until then, what our predecessor has promised may hold
    forgetful_until_ms: int = 0  # after a restart: until then, promises may hold that we made and forgot

    @property
    def myself(self) -> Peer:
        return self.members.myself

    @property
    def my_primary(self) -> Peer | None:
        """Ourselves, or whom we replicate (None if we don't know it)."""
        return self.myself if self.myself.is_primary else self.myself.primary

    def shard_of(self, peer: Peer) -> list[Peer]:
        """The primary of the shard, then its replicas."""
        primary = peer if peer.is_primary else peer.primary
        return [primary, *primary.replicas] if primary is not None else []
