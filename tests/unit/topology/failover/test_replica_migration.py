"""Which replica moves to which orphaned primary."""

import pytest

from cluster.failover.replica_moves import DELAY_MS, is_orphan, migrant
from gossip import flags
from tests.unit.topology.shards import SomeData, core_of, shards
from tests.unit.topology.worlds import NOW


def orphaned():
    """Shard 3 has lost both replicas; shards 1 and 2 have two each."""
    state, nodes = shards(me=21, replicas=2)
    for number in (31, 32):
        nodes[number].flags |= flags.FAIL
    return state, nodes


def test_an_orphan_had_replicas_of_which_none_works():
    _, nodes = orphaned()
    assert is_orphan(nodes[3])
    assert not is_orphan(nodes[2])
    nodes[31].flags &= ~flags.FAIL
    assert not is_orphan(nodes[3])


@pytest.mark.parametrize("why", ["failed", "no slots", "never had one"])
def test_who_is_no_orphan(why):
    state, nodes = orphaned()
    match why:
        case "failed":
            nodes[3].flags |= flags.FAIL
        case "no slots":
            state.slotmap.unassign_all_of(nodes[3])
        case _:
            nodes[31].unfollow()
            nodes[32].unfollow()
    assert not is_orphan(nodes[3])


def test_the_smallest_id_of_the_shards_with_most_replicas_moves():
    state, nodes = orphaned()
    assert migrant(state, 1) is nodes[11]
    nodes[11].flags |= flags.FAIL
    assert migrant(state, 1) is nodes[21]


@pytest.mark.parametrize(("barrier", "moves"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_barrier(barrier, moves):
    state, _ = orphaned()
    assert (migrant(state, barrier) is not None) is moves


def test_a_single_replica_stays():
    state, nodes = shards(me=21, replicas=1)
    nodes[31].flags |= flags.FAIL
    assert migrant(state, 0) is None


@pytest.mark.parametrize(
    ("offset", "in_step", "moves"),
    [(150, True, True), (150, False, False), (0, False, True)],
)
def test_who_may_have_the_last_copy_of_the_data_stays(offset, in_step, moves):
    """Its primary may have come back empty, and waits for just this replica to take its place."""
    core, nodes = core_of(me=11)
    core.replication = SomeData()
    core.replication.offset = offset
    core.replication.synced_with = nodes[1].id if in_step else ""
    nodes[3].flags |= flags.MIGRATE_TO
    for number in (31, 32):
        nodes[number].flags |= flags.FAIL
    for now_ms in (NOW, NOW + DELAY_MS + 1):
        core.migration.attend(now_ms)
    assert (core.myself.primary is nodes[3]) is moves
