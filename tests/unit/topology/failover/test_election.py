"""When a replica stands for election, and before whom."""

import pytest

from cluster.agreement.state import ClusterSettings, History
from cluster.failover.election import Data, Unfit, everybody_told, fitness, homeless, rank, rivals, shard_rank, unit_ms
from gossip import flags
from tests.unit.topology.shards import TIMEOUT_MS, shards


class Copying:
    link_up = False

    def __init__(self, age_ms=6000, offset=100):
        self.age_ms, self.offset = age_ms, offset

    def data_age_ms(self):
        return self.age_ms


def candidate(**offsets):
    """Node 21 and its siblings 22, 23, 24; `n22=50` is an offset."""
    state, nodes = shards(me=21, replicas=4)
    nodes[2].flags |= flags.FAIL
    for name, offset in offsets.items():
        nodes[int(name[1:])].repl_offset = offset
    return state, nodes


def fit(nodes, replication=None, history=History.OF_PRIMARY, **settings):
    settings = ClusterSettings(node_timeout_ms=TIMEOUT_MS, **settings)
    return fitness(nodes[21], settings, replication or Copying(), history)


def test_a_replica_of_a_failed_primary_stands():
    _, nodes = candidate()
    assert fit(nodes) is None


@pytest.mark.parametrize(
    ("age_ms", "factor", "reason"),
    [
        (None, 10, Unfit.NO_DATA),
        (None, 0, None),
        (10_000 + 5000 + 50_000, 10, None),
        (10_000 + 5000 + 50_001, 10, Unfit.OLD_DATA),
        (10_000 + 5000 + 5001, 1, Unfit.OLD_DATA),
        (1 << 40, 0, None),
    ],
)
def test_the_validity_factor(age_ms, factor, reason):
    _, nodes = candidate()
    assert fit(nodes, Copying(age_ms), replica_validity_factor=factor) is reason


def test_who_was_replaced_synchronises_before_it_stands():
    _, nodes = candidate()
    assert fit(nodes, history=History.UNKNOWN) is fit(nodes, history=History.OTHER_SHARD) is Unfit.STRAYED
    assert fit(nodes, history=History.UNKNOWN, replica_validity_factor=0) is None  # any data will do


def test_who_does_not_stand():
    state, nodes = candidate()
    nodes[21].flags |= flags.NOFAILOVER
    assert fit(nodes) is Unfit.FORBIDDEN
    nodes[21].flags &= ~flags.NOFAILOVER
    state.slotmap.unassign_all_of(nodes[2])
    assert fit(nodes) is Unfit.NO_SLOTS
    nodes[2].flags &= ~flags.FAIL
    assert fit(nodes) is Unfit.NOT_FAILED
    nodes[21].unfollow()
    assert fit(nodes) is Unfit.ALONE
    nodes[21].become_primary()
    assert fit(nodes) is Unfit.PRIMARY


@pytest.mark.parametrize(
    ("offsets", "place"),
    [
        ({}, 0),
        ({"n22": 99, "n23": 100, "n24": 100}, 0),  # of equals the smallest id
        ({"n22": 101}, 1),
        ({"n22": 101, "n23": 102, "n24": 103}, 3),
    ],
)
def test_the_rank(offsets, place):
    _, nodes = candidate(**offsets)
    assert rank(nodes[21], Data(0, 100)) == place


def test_of_equals_the_greater_id_is_behind():
    _, nodes = candidate(n21=100, n22=100)
    nodes[21].flags &= ~flags.MYSELF
    assert rank(nodes[22], Data(0, 100)) == 1
    nodes[21].repl_offset = 99
    assert rank(nodes[22], Data(0, 100)) == 0


@pytest.mark.parametrize("flag", [flags.FAIL, flags.PFAIL, flags.NOFAILOVER])
def test_siblings_that_cannot_be_elected_do_not_count(flag):
    _, nodes = candidate(n22=500)
    nodes[22].flags |= flag
    assert rank(nodes[21], Data(0, 100)) == 0
    assert nodes[22] not in rivals(nodes[21])


def test_the_order_is_known_when_all_rivals_have_told():
    _, nodes = candidate()
    assert not everybody_told(nodes[21])
    nodes[22].failed_primary = nodes[23].failed_primary = nodes[2].id
    assert not everybody_told(nodes[21])
    nodes[24].flags |= flags.PFAIL
    assert everybody_told(nodes[21])


def test_what_was_told_of_another_primary_is_not_told_of_this_one():
    _, nodes = candidate()
    for number in (22, 23, 24):
        nodes[number].failed_primary = nodes[1].id
    assert not everybody_told(nodes[21])


def test_a_node_without_a_shard_that_has_data_may_be_a_sibling():
    """It follows a primary that has been replaced, as we know and it does not yet; or it is that primary."""
    state, nodes = candidate()
    state.slotmap.assign(state.slotmap.owned_by(nodes[3]), nodes[1])
    for number in (3, 31, 32):
        nodes[number].repl_offset = 50
    nodes[32].flags |= flags.PFAIL
    unknown = list(homeless(state.members.others()))
    assert [peer.id for peer in unknown] == [nodes[3].id, nodes[31].id]
    for number in (22, 23, 24):
        nodes[number].failed_primary = nodes[2].id
    assert everybody_told(nodes[21])
    assert not everybody_told(nodes[21], unknown)


@pytest.mark.parametrize(
    ("one", "other", "more"),
    [
        ((4, 10), (4, 9), True),
        ((4, 9), (4, 9), False),
        ((5, 1), (4, 900), True),  # the older history went on to 900 somewhere where nobody counts it
        ((4, 900), (5, 1), False),
        ((0, 10), (4, 9), True),  # a Redis node does not say
        ((4, 9), (0, 10), False),
        ((5, 0), (4, 9), False),  # nothing is nothing
    ],
)
def test_data_of_a_later_reign_is_more(one, other, more):
    assert Data(*one).exceeds(Data(*other)) is more


def test_a_sibling_that_missed_the_last_failover_is_behind():
    _, nodes = candidate(n22=900, n23=101)
    for number, epoch in ((22, 4), (23, 5), (24, 5)):
        nodes[number].data_epoch = epoch
    assert rank(nodes[21], Data(5, 100)) == 1
    assert rank(nodes[21], Data(4, 100)) == 2


def test_shards_take_turns():
    state, nodes = candidate()
    owners = state.slotmap.owners_with_slots()
    assert shard_rank(nodes[2], owners) == 0
    nodes[1].flags |= flags.FAIL
    nodes[3].flags |= flags.FAIL
    assert [shard_rank(nodes[number], owners) for number in (1, 2, 3)] == [0, 1, 2]
    for replica in list(nodes[1].replicas):
        replica.unfollow()
    assert shard_rank(nodes[2], owners) == 0


def test_the_unit_of_delays_grows_with_the_node_timeout_within_limits():
    assert [unit_ms(timeout_ms) for timeout_ms in (100, 1000, 5000, 15_000)] == [50, 50, 250, 500]
