"""A shard that has lost its replicas gets one from the shard that has the most.

This is the section "Replica migration" of the cluster specification, as Redis does it. A primary with slots that had
replicas, of which none works any more, is an orphan. After five seconds one replica changes over to it: the one with
the smallest id among those of the shards with most working replicas, so that all agree who it is. It stays where it is
if its own primary would be left with fewer than `cluster-migration-barrier` replicas, and if it has data and is not in
step with its primary: that may have lost its data, and this may be the last copy.
"""

from __future__ import annotations

from cluster.agreement.state import ClusterState
from cluster.failover.member import Member
from gossip import flags
from gossip.peer import Peer

DELAY_MS = 5000
LOOK_MS = 1000


def working_replicas(primary: Peer) -> int:
    return sum(not replica.failed for replica in primary.replicas)


def is_orphan(peer: Peer) -> bool:
    """Whether this primary should have a replica and has none that works."""
    should = peer.is_primary and peer.slot_count > 0 and bool(peer.flags & flags.MIGRATE_TO)
    return should and not peer.failed and not working_replicas(peer)


def migrant(state: ClusterState, barrier: int) -> Peer | None:
    """The replica that is to move if there is an orphan; None: no shard can spare one."""
    primaries = [peer for peer in state.members if peer.is_primary]
    most = max((working_replicas(primary) for primary in primaries), default=0)
    if most < 2 or most <= barrier:
        return None
    able = [replica for primary in primaries if working_replicas(primary) == most for replica in primary.replicas]
    return min((replica for replica in able if not replica.failed), key=lambda replica: replica.id)


class ReplicaMigration:
    """Whether it is this node that moves."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._look_ms = 0
        self._orphaned_ms: dict[Peer, int] = {}  # since when

    def attend(self, now_ms: int) -> None:
        core = self._core
        if core.myself.is_primary or now_ms < self._look_ms:
            return
        self._look_ms = now_ms + LOOK_MS
        target = self._orphan(now_ms)
        allowed = core.settings.allow_replica_migration and not core.settings.no_failover
        if target is None or not core.health.whole or not allowed or self._may_be_the_last_copy():
            return
        if migrant(core.state, core.settings.migration_barrier) is core.myself:
            core.bus.note("notice", f"Migrating to orphaned master {target.id}")
            core.set_primary(target)

    def _may_be_the_last_copy(self) -> bool:
        return self._core.offset > 0 and not self._core.shares_history

    def _orphan(self, now_ms: int) -> Peer | None:
        """The first primary that has been an orphan for long enough."""
        orphans = [peer for peer in self._core.slotmap.owners_with_slots() if is_orphan(peer)]
        self._orphaned_ms = {peer: self._orphaned_ms.get(peer, now_ms) for peer in orphans}
        return next((peer for peer, since_ms in self._orphaned_ms.items() if now_ms - since_ms > DELAY_MS), None)
