"""Who votes, in small clusters and others."""

import pytest

from cluster.agreement.electorate import is_pair, quorum, voters
from cluster.agreement.nodesconf import dump, load
from gossip import flags
from tests.unit.topology.shards import shards
from tests.unit.topology.worlds import NOW


def cluster(owners, replicas=1):
    """The nodes of the first `owners` shards; the rest is forgotten."""
    state, nodes = shards(replicas=replicas)
    for number, node in nodes.items():
        if int(str(number)[0]) > owners:
            state.slotmap.remove_peer(node)
            state.members.remove(node)
    return state, {number: node for number, node in nodes.items() if node in state.members}


@pytest.mark.parametrize(("owners", "electorate"), [(1, {1, 11}), (2, {1, 11, 2, 21}), (3, {1, 2, 3})])
def test_every_member_votes_where_primaries_alone_were_no_majority(owners, electorate):
    state, nodes = cluster(owners)
    assert voters(state) == {nodes[number] for number in electorate}


def test_a_redis_node_brings_the_classic_rule():
    state, nodes = cluster(2)
    nodes[11].ours, nodes[11].data_received_ms = False, NOW
    assert voters(state) == {nodes[1], nodes[2]}


def test_the_rule_outlives_a_restart():
    state, _ = cluster(2)
    assert len(voters(state)) == 4
    again = load(dump(state), NOW)
    assert len(voters(again)) == 4  # though nobody has been heard
    state.only_ours = False
    assert "onlyShardis" not in dump(state)


def test_nodes_in_handshake_do_not_vote():
    state, nodes = cluster(1)
    nodes[11].flags |= flags.HANDSHAKE
    assert voters(state) == {nodes[1]}


def test_without_slots_there_is_nothing_to_decide():
    state, nodes = cluster(1)
    state.slotmap.unassign_all_of(nodes[1])
    assert not voters(state)


def test_a_pair_is_the_whole_cluster():
    state, _ = cluster(1)
    assert is_pair(state)
    assert not is_pair(cluster(1, replicas=2)[0])
    assert not is_pair(cluster(2, replicas=0)[0])


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)])
def test_a_majority(size, needed):
    assert quorum(frozenset(range(size))) == needed
