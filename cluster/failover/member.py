"""What the parts of failover use: of the node that they are parts of, and of each other.

`ClusterCore` is the one `Member`: it makes the parts, tells them what the bus hears and has them attend after each
step. They know it by this alone, so that none of them depends on what else the core does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cluster.agreement.health import Health
from cluster.agreement.slotmap import SlotMap
from cluster.agreement.state import ClusterSettings, ClusterState, Keyspace, Replication
from cluster.failover.common_map import Agreement
from gossip.core import GossipCore
from gossip.membership import Members
from gossip.messages import Header
from gossip.peer import Peer


class Member(Protocol):
    """One node: what it knows, how a majority is counted, what may be done to its role."""

    lease_end_ms: int
    took_place_ms: int

    # What it knows.

    @property
    def settings(self) -> ClusterSettings: ...
    @property
    def state(self) -> ClusterState: ...
    @property
    def myself(self) -> Peer: ...
    @property
    def members(self) -> Members: ...
    @property
    def slotmap(self) -> SlotMap: ...
    @property
    def health(self) -> Health: ...
    @property
    def keyspace(self) -> Keyspace: ...
    @property
    def replication(self) -> Replication: ...
    @property
    def bus(self) -> GossipCore: ...

    @property
    def offset(self) -> int:
        """How much of our shard's history we have, as we tell it."""

    @property
    def shares_history(self) -> bool:
        """Whether this replica's data is part of its primary's history."""

    # Who decides.

    @property
    def voters(self) -> frozenset[Peer]:
        """Those of whom a majority decides, as of now."""

    @property
    def digest(self) -> int:
        """What stands for them in packets; 0 where elections do not change who votes."""

    def votes(self, peer: Peer) -> bool:
        """Whether this node is one of them."""

    def quorum_against(self, peer: Peer) -> int:
        """How many must agree that `peer` is to be replaced."""

    def agreement(self, header: Header) -> Agreement:
        """Whether the sender of this packet knows the same voters as we do."""

    def vote_counts(self, header: Header, among: int, place: Peer | None) -> bool:
        """Whether a vote is one for us, who asked for `place` when `among` was the digest of the voters."""

    # What may become of it.

    def changed(self, *, state: bool = False) -> None:
        """Something that nodes.conf records has changed. `state`: also something that cluster_state depends on."""

    def set_primary(self, primary: Peer) -> None:
        """Turn this node into a replica of `primary`."""

    def take_place(self, epoch: int, now_ms: int, grants: Mapping[str, int] | None = None) -> None:
        """We are our primary's successor, under this epoch, by the votes of these, who were asked then."""

    def go_on(self, epoch: int, now_ms: int, grants: Mapping[str, int]) -> None:
        """Our own place is ours anew, under this epoch, by the votes of these, who were asked then."""

    # The other parts.

    @property
    def election(self) -> Candidate: ...
    @property
    def voter(self) -> OwnVote: ...
    @property
    def manual(self) -> HandOver: ...
    @property
    def empty(self) -> Emptiness: ...
    @property
    def reassertion(self) -> Standing: ...


class Standing(Protocol):
    """`Reassertion`: whether this primary asks for its own place."""

    @property
    def standing(self) -> bool: ...


class Candidate(Standing, Protocol):
    """`Election`: as it matters to a voter."""

    def outdoes(self, candidate: Peer, request: Header) -> bool:
        """Whether we can be elected in the place of the candidate, with more data."""


class OwnVote(Protocol):
    """`Voter`: as it matters to who stands."""

    def would_stand(self, now_ms: int) -> bool:
        """Whether no promise of ours is in the way of our own vote."""

    def vote_for_myself(self, now_ms: int) -> None:
        """We stand under the current epoch."""

    def stand_down(self) -> None:
        """We stand no longer."""


class HandOver(Protocol):
    """`ManualFailover`: what was promised, and what may be asked for."""

    @property
    def under_way(self) -> bool: ...
    @property
    def paused(self) -> bool:
        """Whether, as the primary, we hold writes back, so that the offset that we state is final."""

    def stands_until_ms(self) -> int:
        """Until when we may stand for election although our primary has not failed; 0: not at all."""

    def bars(self, now_ms: int) -> bool:
        """Whether a promise from before a restart keeps us from serving."""

    def gave_itself_away(self, now_ms: int) -> bool:
        """Whether we have voted, as the primary, for a replica that may still win with that vote."""

    def best_successor(self) -> Peer | None:
        """The replica with most of the data that could take our place if we ask it to."""

    def hand_over(self) -> bool:
        """Ask it to. False if there is none."""


class Emptiness(Protocol):
    """`EmptyPrimary`: whether this node waits for a replica that still has its data."""

    @property
    def active(self) -> bool: ...
    def serve(self) -> None:
        """The operator says that it shall not wait."""
