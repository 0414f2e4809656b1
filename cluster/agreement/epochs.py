"""Epochs: the cluster's logical clock, and what makes one claim newer than another.

The *current epoch* is the highest that a node has seen anywhere. A primary's *config epoch* is the one under which it
claims its slots; the higher claim wins. New config epochs come from elections, where a majority vouches that nobody
else has the same. Two operations make one up without asking: closing a slot after its import, and a takeover. So two
primaries can end up with the same epoch; the collision rule below moves one of them on, and the one with the greater
id stays, which ends with all different however many collide. It waits until both claim slots: an epoch says nothing
before. (Redis gives each empty node an epoch of its own when they meet. Each is news that all must write to disk
before they answer: ninety nodes that meet at once would do little else.)
"""

from __future__ import annotations

from cluster.agreement.errors import ClusterError
from cluster.agreement.slots import SlotSet
from cluster.agreement.state import ClusterState
from gossip.peer import Peer

EPOCH_MAX = (1 << 64) - 1


def max_epoch(state: ClusterState) -> int:
    """The highest epoch that we have seen."""
    return max(state.current_epoch, *(peer.config_epoch for peer in state.members))


def observe(state: ClusterState, epoch: int) -> None:
    """Somebody is at `epoch`; so are we then."""
    state.current_epoch = max(state.current_epoch, epoch)


def bump_without_consensus(state: ClusterState) -> bool:
    """Give ourselves the highest config epoch, unless we have it. To be persisted before anybody hears of it."""
    me = state.myself
    if me.config_epoch and me.config_epoch == max_epoch(state):
        return False
    return _take_next(state)


def resolve_collision(state: ClusterState, other: Peer, claimed: SlotSet) -> bool:
    """If `other` has our config epoch and the greater id, and both of us claim slots (it `claimed`), take a new one.

    To be persisted before it is told.
    """
    me = state.myself
    if other.config_epoch != me.config_epoch or not other.is_primary or not me.is_primary or other.id <= me.id:
        return False
    return bool(claimed and me.slot_count) and _take_next(state)


def set_config_epoch(state: ClusterState, epoch: int) -> None:
    """CLUSTER SET-CONFIG-EPOCH: only a node that is on its own and has no epoch yet may be given one."""
    me = state.myself
    if epoch < 0:
        raise ClusterError(f"ERR Invalid config epoch specified: {epoch}")
    if len(state.members) > 1:
        raise ClusterError("ERR The user can assign a config epoch only when the node does not know any other node.")
    if me.config_epoch:
        raise ClusterError("ERR Node config epoch is already non-zero")
    me.config_epoch = epoch
    observe(state, epoch)


def advance(state: ClusterState) -> int:
    """Begin the next epoch. Who has been told the last that a packet can hold stays there: no election ends then."""
    state.current_epoch = min(state.current_epoch + 1, EPOCH_MAX)
    return state.current_epoch


def _take_next(state: ClusterState) -> bool:
    me = state.myself
    before, me.config_epoch = me.config_epoch, advance(state)
    return me.config_epoch != before
