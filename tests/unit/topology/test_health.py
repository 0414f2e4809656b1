"""When a node may serve."""

import random

import pytest

from cluster.agreement import nodesconf
from cluster.agreement.health import Health
from cluster.agreement.slots import range_set
from cluster.agreement.state import ClusterSettings
from gossip import flags
from tests.unit.topology.shards import shards
from tests.unit.topology.worlds import NOW, primary, world

SETTINGS = ClusterSettings(node_timeout_ms=5000)


def examine(health, state, settings, now_ms, leased=True):
    health.look(state, now_ms)
    return health.update(state, settings, now_ms, leased)


def test_a_new_cluster_is_ok_as_soon_as_it_is_covered():
    state = nodesconf.fresh(random.Random(1), NOW)
    health = Health()
    assert not examine(health, state, SETTINGS, NOW)
    state.slotmap.assign(range_set(0, 16382), state.myself)
    assert not examine(health, state, SETTINGS, NOW + 1)
    state.slotmap.assign(range_set(0, 16383), state.myself)
    assert examine(health, state, SETTINGS, NOW + 2)
    assert health.ok


def test_coverage_may_be_waived():
    state, _, _ = world()
    state.slotmap.unassign(range_set(3, 3))
    health = Health()
    assert not examine(health, state, SETTINGS, NOW)
    assert examine(health, state, ClusterSettings(require_full_coverage=False), NOW)


def test_a_failed_owner_uncovers_its_slots_a_suspected_one_does_not():
    state, _, other = world()
    third = state.members.add(primary(3))
    state.slotmap.assign(range_set(6000, 6999), third)
    health = Health()
    examine(health, state, SETTINGS, NOW)
    assert health.ok
    other.flags |= flags.PFAIL
    examine(health, state, SETTINGS, NOW)
    assert health.ok
    other.flags = flags.PRIMARY | flags.FAIL
    examine(health, state, SETTINGS, NOW)
    assert not health.ok


def failing_shard(me=2, **changed):
    """The first of three primaries has failed at NOW; what is left of its shard is as `changed` says."""
    state, nodes = shards(me, replicas=1)
    nodes[1].flags |= flags.FAIL
    nodes[1].fail_ms = NOW
    nodes[11].flags |= changed.get("replica", 0)
    return state, nodes


def test_the_slots_of_a_failed_primary_count_as_covered_until_its_replica_should_have_its_place():
    state, _ = failing_shard()
    health = Health()
    assert examine(health, state, SETTINGS, NOW)
    assert health.ok
    assert not health.whole
    assert health.grace_end_ms == NOW + SETTINGS.coverage_grace_ms
    assert not examine(health, state, SETTINGS, NOW + SETTINGS.coverage_grace_ms - 1)
    assert examine(health, state, SETTINGS, NOW + SETTINGS.coverage_grace_ms)
    assert not health.ok


def test_a_cluster_is_whole_again_when_the_replica_has_its_place():
    state, nodes = failing_shard()
    health = Health()
    examine(health, state, SETTINGS, NOW)
    slots = state.slotmap.owned_by(nodes[1])
    nodes[11].become_primary()
    state.slotmap.assign(slots, nodes[11])
    assert not examine(health, state, SETTINGS, NOW + SETTINGS.coverage_grace_ms)
    assert health.whole
    assert health.grace_end_ms > NOW + 10**9


@pytest.mark.parametrize("state_of_replica", [flags.FAIL, flags.PFAIL, flags.NOFAILOVER])
def test_there_is_no_grace_where_nobody_can_take_over(state_of_replica):
    state, _ = failing_shard(replica=state_of_replica)
    assert not examine(Health(), state, SETTINGS, NOW)


def test_there_is_no_grace_for_a_shard_that_fails_beside_one_that_nobody_can_take_over():
    state, nodes = failing_shard()
    nodes[3].flags |= flags.FAIL
    nodes[3].fail_ms = NOW
    nodes[31].flags |= flags.FAIL
    assert not examine(Health(), state, SETTINGS, NOW)


def test_there_is_no_grace_for_a_slot_of_nobody():
    state, _ = failing_shard()
    state.slotmap.unassign(range_set(7000, 7000))
    assert not examine(Health(), state, SETTINGS, NOW)


def test_there_is_no_grace_on_the_small_side():
    state, nodes = failing_shard()
    nodes[3].flags |= flags.PFAIL
    health = Health()
    assert not examine(health, state, SETTINGS, NOW)
    assert not health.ok


def test_without_a_grace_a_failed_primary_stops_all_as_in_redis():
    state, _ = failing_shard()
    health = Health()
    assert not examine(health, state, ClusterSettings(coverage_grace_ms=0), NOW)
    assert examine(health, state, ClusterSettings(coverage_grace_ms=0, require_full_coverage=False), NOW)
    assert health.grace_end_ms > NOW + 10**9


def test_a_minority_stops_and_waits_after_it_heals():
    state, _, other = world()
    health = Health()
    examine(health, state, SETTINGS, NOW)
    other.flags |= flags.PFAIL
    assert examine(health, state, SETTINGS, NOW + 10)
    assert not health.ok
    other.flags &= ~flags.PFAIL
    examine(health, state, SETTINGS, NOW + 20)
    examine(health, state, SETTINGS, NOW + 5009)
    assert not health.ok
    examine(health, state, SETTINGS, NOW + 5010)
    assert health.ok


def test_the_wait_is_bounded_both_ways():
    for timeout_ms, wait_ms in ((100, 500), (60_000, 5000)):
        state, _, other = world()
        settings = ClusterSettings(node_timeout_ms=timeout_ms)
        health = Health()
        other.flags |= flags.PFAIL
        examine(health, state, settings, NOW)
        other.flags &= ~flags.PFAIL
        examine(health, state, settings, NOW + wait_ms - 1)
        assert not health.ok
        examine(health, state, settings, NOW + wait_ms)
        assert health.ok


def test_a_restarted_primary_waits_before_it_accepts_writes():
    state, _, _ = world()
    health = Health()
    health.restarted(state, NOW)
    examine(health, state, SETTINGS, NOW + 1999)
    assert not health.ok
    examine(health, state, SETTINGS, NOW + 2000)
    assert health.ok


def test_a_restarted_node_that_is_alone_has_nobody_to_wait_for():
    state = nodesconf.fresh(random.Random(1), NOW)
    state.slotmap.assign(range_set(0, 16383), state.myself)
    health = Health()
    health.restarted(state, NOW)
    assert examine(health, state, SETTINGS, NOW)
