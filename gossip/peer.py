"""One known node, and one connection of the bus.

A `Peer` holds what we know about a node: who it is, where it is, what it claims to be, when we last heard from it and
who else complains about it. Which slots it owns is agreed upon elsewhere (the cluster's slot map); here is only their
number, since a primary without slots has no vote and is not worth gossiping about.

Every pair of nodes has two connections, one opened by each side. We send PINGs on the one that we opened (`link`) and
answer on the one that they opened (`inbound`); so each side can tell "I cannot reach it" from "it cannot reach me".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gossip import flags
from gossip.framer import Framer


@dataclass(slots=True, eq=False)
class Link:
    """One connection of the bus. The host knows it by `id`, and owns the socket and what waits to be sent."""

    id: int
    created_ms: int
    inbound: bool
    peer: Peer | None = None
    established: bool = False
    answered: bool = False  # our PING on it, at least once
    named: str = ""
    """The id that the last whole packet on it gave its sender: perhaps of a node that we did not know then."""
    unsent: list[bytes] = field(default_factory=list)
    """Published messages that wait until it is open."""
    remote_ip: str = ""
    local_ip: str = ""
    framer: Framer = field(default_factory=Framer)
    pings: deque[int] = field(
        default_factory=deque
    )  # when those were sent whose answers have not come; they keep order


@dataclass(slots=True, eq=False)
class Peer:
    """One known node; `myself` is one too. Times are unix milliseconds, 0 for never."""

    id: str
    flags: int
    created_ms: int

    ip: str = ""
    port: int = 0
    plain_port: int = 0
    bus_port: int = 0
    hostname: str = ""
    nodename: str = ""
    shard_id: str = ""

    ping_sent_ms: int = 0  # of the PING that waits for its PONG; 0 when none does
    pong_received_ms: int = 0
    data_received_ms: int = 0
    asked_ms: int = 0  # when we last asked others about it
    vouched_ms: int = 0  # when others heard from it, as far as they have told
    fail_ms: int = 0
    link_failures: int = 0  # attempts to connect that failed in a row
    lost_ms: int = 0  # when it ended a link on which it had answered; 0 once it answers again
    refused_ms: int = 0  # since when it has refused all connections
    gone_ms: int = 0  # a moment at which its process was dead, by all evidence; the last that we know
    gone_since_ms: int = 0  # and the first of those that led up to it without a sign of life
    refused_again: bool = False  # and has done so again some time later

    config_epoch: int = 0
    slot_count: int = 0
    primary: Peer | None = None  # None also for a replica whose primary we do not know
    replicas: list[Peer] = field(default_factory=list)
    repl_offset: int = 0
    repl_offset_ms: int = 0
    electorate: int = 0  # the digest of the voters, as it last stated it
    joined: int = 0  # the how manieth it is whom we got to know
    told: int = 0  # up to which of these it has been told of the others
    updates_sent: int = 0  # how many owners we have told it of, since its digest differs from ours
    data_epoch: int = 0  # of the primary in whose history that offset is; 0: it did not say
    answered_ms: int = 0  # when the newest PING was sent that it has answered, and that makes it a grant of our lease
    reassert_ms: int = 0  # when it last answered that it does not let us go on serving, unless we ask for its vote
    pinged_ms: int = 0  # when we sent it the last PING
    granted_ms: int = 0  # when we last answered a PING of this primary with a grant, or gave it our vote
    wanted_ms: int = 0  # since when our vote to take this failed primary's place is asked for, and might be given
    voted_ms: int = 0  # when we last voted for somebody to take this primary's place, for whom and in which epoch
    voted_for: str = ""
    voted_epoch: int = 0
    in_sync: bool = False  # it said that it has its primary's data and that what the primary writes comes in
    failed_primary: str = ""  # the primary that it said it holds failed, so that its offset is final

    link: Link | None = None
    inbound: Link | None = None
    reports: dict[str, int] = field(default_factory=dict)  # id of the primary that reports it failing -> when

    ours: bool = False  # runs this project, and understands what only this project sends

    @property
    def is_primary(self) -> bool:
        return bool(self.flags & flags.PRIMARY)

    @property
    def is_replica(self) -> bool:
        return bool(self.flags & flags.REPLICA)

    @property
    def is_myself(self) -> bool:
        return bool(self.flags & flags.MYSELF)

    @property
    def in_handshake(self) -> bool:
        return bool(self.flags & flags.HANDSHAKE)

    @property
    def suspected(self) -> bool:
        """We alone think that it is gone."""
        return bool(self.flags & flags.PFAIL)

    @property
    def failed(self) -> bool:
        """A majority agreed that it is gone."""
        return bool(self.flags & flags.FAIL)

    @property
    def has_address(self) -> bool:
        return not self.flags & flags.NOADDR

    @property
    def connected(self) -> bool:
        """Whether a PING can be sent right now."""
        return self.link is not None and self.link.established

    def follow(self, primary: Peer) -> None:
        """Record that this node replicates `primary`."""
        if self.primary is primary:
            return
        self.unfollow()
        self.primary = primary
        primary.replicas.append(self)
        primary.flags |= flags.MIGRATE_TO

    def unfollow(self) -> None:
        """Record that this node replicates nobody (that we know of)."""
        old, self.primary = self.primary, None
        if old is not None:
            old.replicas.remove(self)
            if not old.replicas:
                old.flags &= ~flags.MIGRATE_TO

    def become_primary(self) -> bool:
        """Change the role to primary; False if it was one already."""
        if self.is_primary:
            return False
        used_to_follow = self.primary is not None
        self.unfollow()
        self.flags = (self.flags & ~flags.REPLICA) | flags.PRIMARY
        if used_to_follow and not self.is_myself:
            self.flags |= flags.MIGRATE_TO
        return True

    def become_replica(self) -> bool:
        """Change the role to replica (of nobody yet); False if it was one already."""
        if self.is_replica:
            return False
        self.flags = (self.flags & ~(flags.PRIMARY | flags.MIGRATE_TO)) | flags.REPLICA
        return True
