"""`cluster_state`: may this node serve requests at all?

Not while a slot has no working owner (if full coverage is required), and not while we see fewer than a majority of the
primaries: then we may be on the small side of a partition, and the other side may be electing our successor.

Two delays keep a primary from accepting writes with outdated knowledge. After a partition heals it waits for as long
as it takes the others to tell it that it was replaced; after a restart likewise. Both are for nodes that had slots to
be robbed of: a node that starts without any, or a cluster that is just being created, waits for nothing. (Redis makes
those wait too.)
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.state import ClusterSettings, ClusterState
from gossip import flags

REJOIN_MIN_MS = 500
REJOIN_MAX_MS = 5000
WRITABLE_DELAY_MS = 2000
RECHECK_MS = 100


@dataclass(frozen=True, slots=True)
class Census:
    """What is seen now."""

    size: int  # primaries with slots
    reachable: int  # those of them that are not failing
    covered: bool  # every slot has an owner that has not failed

    @property
    def quorum(self) -> int:
        return self.size // 2 + 1

    @property
    def in_minority(self) -> bool:
        return self.reachable < self.quorum


def take_census(state: ClusterState) -> Census:
    owners = state.slotmap.owners_with_slots()
    primaries = [peer for peer in owners if peer.is_primary]
    reachable = sum(1 for peer in primaries if not peer.flags & flags.FAILING)
    covered = state.slotmap.fully_assigned and not any(peer.failed for peer in owners)
    return Census(len(primaries), reachable, covered)


class Health:
    """The state of the cluster from our point of view, and since when it may not become ok."""

    def __init__(self) -> None:
        self.ok = False
        self.size = 0
        self._minority_ms = 0
        self._writable_ms = 0

    @property
    def quorum(self) -> int:
        return self.size // 2 + 1

    def restarted(self, state: ClusterState, now_ms: int) -> None:
        """We come back from a restart; if we had slots, someone may have them now."""
        if state.myself.slot_count and len(state.members) > 1:
            self._writable_ms = now_ms + WRITABLE_DELAY_MS

    def update(self, state: ClusterState, settings: ClusterSettings, now_ms: int) -> bool:
        """Look again; True if `ok` has changed."""
        census = take_census(state)
        self.size = census.size
        if census.size and census.in_minority:
            self._minority_ms = now_ms
        ok = not census.in_minority and (census.covered or not settings.require_full_coverage)
        if ok == self.ok or (ok and state.myself.is_primary and self._must_wait(settings, now_ms)):
            return False
        self.ok = ok
        return True

    def _must_wait(self, settings: ClusterSettings, now_ms: int) -> bool:
        rejoin_ms = min(max(settings.node_timeout_ms, REJOIN_MIN_MS), REJOIN_MAX_MS)
        return now_ms < self._writable_ms or (self._minority_ms > 0 and now_ms - self._minority_ms < rejoin_ms)
