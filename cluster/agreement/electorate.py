"""The members of whom a majority decides about failures, elections and leases.

In Redis Cluster these are the primaries that own slots. With one or two of them no majority is left when one dies, so
such clusters never fail over. Here, in a cluster of at most two shards whose members all are nodes of this project,
*every member* votes. As soon as a Redis node is a member, which would not count the others, the classic rule holds.
Members that we have not heard yet do not change the rule: nodes.conf keeps it over a restart.

Every member, and not only slot owners and their replicas: who replicates whom changes in a failover, and nodes hear of
it one after the other; the electorate must be the same for the old primary and the new one. Membership changes by MEET
and FORGET only. Views of it may differ for a moment, too: two majorities have a member in common as long as they differ
by one; adding or removing several nodes at once while a primary fails is not covered.

A *pair*, a cluster of one primary and one replica, cannot have a majority without both. Were the replica's answers
needed, its end would stop the primary, so the primary of a pair needs none, once it has heard from its replica after a
restart, or found for long enough that nobody is at its address. The replica takes the primary's place only if it has
seen that process die; of a host that is silent it cannot know why, and leaves it to an operator (TAKEOVER).
"""

from __future__ import annotations

from cluster.agreement.state import ClusterState
from gossip.peer import Peer

MOST_SHARDS = 2


def owners_of_slots(state: ClusterState) -> frozenset[Peer]:
    """The primaries that own slots."""
    return frozenset(peer for peer in state.slotmap.owners_with_slots() if peer.is_primary)


def voters(state: ClusterState) -> frozenset[Peer]:
    """All who vote."""
    owners = owners_of_slots(state)
    if not 0 < len(owners) <= MOST_SHARDS or not only_ours(state):
        return owners
    return frozenset(peer for peer in state.members if not peer.in_handshake)


def only_ours(state: ClusterState) -> bool:
    """Whether all members are nodes of this project, as far as we can tell; remembered in `state`."""
    others = [peer for peer in state.members.others() if not peer.in_handshake]
    if any(peer.data_received_ms and not peer.ours for peer in others):
        state.only_ours = False
    elif all(peer.ours for peer in others):
        state.only_ours = True
    return state.only_ours


def is_pair(state: ClusterState) -> bool:
    """Whether the whole cluster is one owner of slots and another node."""
    return len(state.members) == 2 and len(voters(state)) == 2 and len(owners_of_slots(state)) == 1


def quorum(electorate: frozenset[Peer]) -> int:
    """How many of them are a majority."""
    return len(electorate) // 2 + 1
