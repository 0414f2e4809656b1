"""`cluster_state`: may this node serve requests at all?

Not while a slot has no working owner (if full coverage is required), and not while we see fewer than a majority of the
primaries: then we may be on the small side of a partition, and the other side may be electing our successor.

The slots of a primary that has just failed count as covered for a while if it has a replica that can take its place:
the election takes a fraction of a second, and the other shards, which lost nothing, need not stop for it. (Redis stops
them all. Coverage is no matter of safety: who may serve a slot is settled by leases and epochs.)

Nor may a primary whose lease has run out (`lease`). Where all voters are nodes of this project nothing else is needed.
Redis' voters would let a primary go on that was replaced while it did not look, so in a cluster with such there are two
delays. After a partition heals, a primary waits for as long as it takes the others to tell it that it was replaced;
after a restart likewise. Both are for nodes that had slots to be robbed of: a node that starts without any, or a
cluster that is just being created, waits for nothing. (Redis makes those wait too.)
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.agreement.electorate import is_pair, owners_of_slots, quorum, voters
from cluster.agreement.state import FOREVER_MS, ClusterSettings, ClusterState
from gossip import flags
from gossip.failure import is_gone
from gossip.peer import Peer

REJOIN_MIN_MS = 500
REJOIN_MAX_MS = 5000
WRITABLE_DELAY_MS = 2000
RECHECK_MS = 100


@dataclass(frozen=True, slots=True)
class Census:
    """What is seen now."""

    size: int = 0  # primaries with slots
    voters: frozenset[Peer] = frozenset()
    reachable: int = 0  # voters that are not failing
    uncovered_ms: int | None = -FOREVER_MS
    """Since when a slot has no working owner; None: all have one. Where nobody can take it over: since ever."""
    pair: bool = False  # one primary and one replica are the whole cluster

    @property
    def in_minority(self) -> bool:
        return self.reachable < quorum(self.voters)


def take_census(state: ClusterState) -> Census:
    """Count. Where every member votes, one whose process is dead is not cut off from us: nobody can be on its side."""
    owners, electorate = owners_of_slots(state), voters(state)
    everybody = electorate != owners
    reachable = sum(1 for peer in electorate if not peer.flags & flags.FAILING or (everybody and is_gone(peer)))
    pair = is_pair(state)
    return Census(len(owners), electorate, len(electorate) if pair else reachable, _uncovered_ms(state), pair)


def _uncovered_ms(state: ClusterState) -> int | None:
    if not state.slotmap.fully_assigned:
        return -FOREVER_MS
    failed = [peer for peer in state.slotmap.owners_with_slots() if peer.failed]
    return min((peer.fail_ms if heirs(peer) else -FOREVER_MS for peer in failed), default=None)


def heirs(primary: Peer) -> list[Peer]:
    """The replicas that can take its place without being told to, as far as is known here."""
    return [replica for replica in primary.replicas if not replica.flags & (flags.FAILING | flags.NOFAILOVER)]


class Health:
    """The state of the cluster from our point of view, and since when it may not become ok."""

    def __init__(self) -> None:
        self.ok = False
        self._census = Census()
        self._minority_ms = 0
        self._writable_ms = 0
        self.grace_end_ms = FOREVER_MS
        """When `ok` ends by time alone, because somebody should have taken a failed primary's place by then."""

    @property
    def whole(self) -> bool:
        """Whether all is well, and no primary is about to be replaced."""
        return self.ok and self._census.uncovered_ms is None

    @property
    def size(self) -> int:
        """Primaries with slots."""
        return self._census.size

    @property
    def voters(self) -> frozenset[Peer]:
        """Those of whom a majority decides."""
        return self._census.voters

    @property
    def pair(self) -> bool:
        """Whether one primary and one replica are the whole cluster."""
        return self._census.pair

    def quorum_against(self, peer: Peer) -> int:
        """How many must agree that `peer` has failed, or is to be replaced. In a pair a dead process has no say."""
        return quorum(self.voters) - (self.pair and is_gone(peer))

    def restarted(self, state: ClusterState, now_ms: int) -> None:
        """We come back from a restart; if we had slots, someone may have them now."""
        if state.myself.slot_count and len(state.members) > 1:
            self._writable_ms = now_ms + WRITABLE_DELAY_MS

    def elected(self) -> None:
        """We have just been voted for: our knowledge is the newest that there is."""
        self._minority_ms = self._writable_ms = 0

    def look(self, state: ClusterState, now_ms: int) -> None:
        """Count again."""
        self._census = take_census(state)
        if self.voters and self._census.in_minority:
            self._minority_ms = now_ms

    def update(self, state: ClusterState, settings: ClusterSettings, now_ms: int, leased: bool = True) -> bool:
        """Judge what was counted; True if `ok` has changed. `leased`: we have a lease, or need none."""
        census = self._census
        covered_until_ms = FOREVER_MS
        if settings.require_full_coverage and census.uncovered_ms is not None:
            covered_until_ms = census.uncovered_ms + settings.coverage_grace_ms
        ok = leased and not census.in_minority and now_ms < covered_until_ms
        self.grace_end_ms = covered_until_ms if ok else FOREVER_MS
        if ok == self.ok or (ok and self._must_wait(state.myself, settings, now_ms)):
            return False
        self.ok = ok
        return True

    def _must_wait(self, me: Peer, settings: ClusterSettings, now_ms: int) -> bool:
        if me.is_replica or all(peer.ours or peer is me for peer in self.voters):
            return False  # a lease says more than any wait
        rejoin_ms = min(max(settings.node_timeout_ms, REJOIN_MIN_MS), REJOIN_MAX_MS)
        return now_ms < self._writable_ms or (self._minority_ms > 0 and now_ms - self._minority_ms < rejoin_ms)
