"""When a node may serve."""

import random

from cluster import nodesconf
from cluster.health import Health
from cluster.slots import range_set
from cluster.state import ClusterSettings
from gossip import flags
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
