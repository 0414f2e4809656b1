"""An empty primary that waits: for whom, and when it has heard enough."""

import random

import pytest

from cluster.agreement import nodesconf
from cluster.agreement.state import ClusterSettings
from cluster.core import ClusterCore
from gossip import flags
from gossip.peer import Link
from tests.unit.topology.shards import TIMEOUT_MS, shards
from tests.unit.topology.worlds import NOW

LISTENED = NOW + 2500
PATIENCE_OVER = NOW + 2 * TIMEOUT_MS + 1


def waiting(min_acks=1):
    """Node 1 has restarted without its data; 11 and 12 replicate it, and all have told that they have none."""
    state, _ = shards(me=1)
    settings = ClusterSettings(node_timeout_ms=TIMEOUT_MS, min_acks=min_acks)
    core = ClusterCore(settings, random.Random(1), NOW, nodesconf.dump(state))
    core.data_loaded(NOW)
    assert core.empty.active
    nodes = {int(peer.id, 16): peer for peer in core.members}
    for peer in core.members.others():
        peer.repl_offset_ms = NOW
    return core, nodes


def waits(core, now_ms):
    core.empty.attend(now_ms)
    return core.empty.active


def test_it_serves_when_all_have_told_that_they_have_nothing():
    core, _ = waiting()
    assert waits(core, NOW + 1000)
    assert not waits(core, LISTENED)


def test_it_waits_for_who_has_not_told():
    core, nodes = waiting()
    nodes[12].repl_offset_ms = 0
    assert core.empty.awaited() == [nodes[12].id]
    assert waits(core, LISTENED)
    assert waits(core, PATIENCE_OVER)


@pytest.mark.parametrize("min_acks", [0, 1])
def test_it_waits_for_a_holder_that_has_not_heard_of_its_election(min_acks):
    """It still says that it replicates the primary of before, which has no slots any more."""
    core, nodes = waiting(min_acks)
    nodes[12].unfollow()
    nodes[12].repl_offset = 50
    assert waits(core, LISTENED)
    assert waits(core, PATIENCE_OVER) is bool(min_acks)


def test_a_primary_that_was_emptied_is_not_waited_for_without_end():
    core, nodes = waiting()
    core.slotmap.assign(core.slotmap.owned_by(nodes[3]), nodes[2])
    for number in (31, 32):
        nodes[number].follow(nodes[2])
    nodes[3].repl_offset = 50
    assert nodes[3].flags & flags.PRIMARY
    assert waits(core, LISTENED)
    assert not waits(core, PATIENCE_OVER)


def test_it_waits_no_more_once_it_was_replaced_however_shortly():
    """It has synchronised with its successor, and was made primary again by an operator before the next look."""
    core, nodes = waiting()
    nodes[11].repl_offset = 50
    assert waits(core, LISTENED)
    core.myself.become_replica()
    assert not waits(core, LISTENED + 1)
    core.myself.become_primary()
    assert not waits(core, LISTENED + 2)


def handed_over(core, now_ms):
    """Whether it asks a replica to take its place; all replicas are connected."""
    asked = []
    for peer in core.myself.replicas:
        peer.ours, peer.link = True, Link(1, NOW, inbound=False, peer=peer, established=True)
    core.manual.hand_over = lambda: asked.append(True)
    core.empty.attend(now_ms)
    return bool(asked)


@pytest.mark.parametrize(("min_acks", "hands_over"), [(0, True), (1, False)])
def test_what_was_promised_may_be_with_who_has_not_told(min_acks, hands_over):
    """11 has some data. 12, which is cut off, may have writes that only it has acknowledged."""
    core, nodes = waiting(min_acks)
    nodes[11].repl_offset, nodes[12].repl_offset_ms = 50, 0
    assert handed_over(core, LISTENED) is hands_over


def test_where_more_have_acknowledged_than_are_silent_nothing_is_lost():
    """One at most is silent of two that had to acknowledge."""
    core, nodes = waiting(min_acks=2)
    nodes[11].repl_offset, nodes[12].repl_offset_ms = 50, 0
    assert handed_over(core, LISTENED)


@pytest.mark.parametrize(("min_acks", "hands_over"), [(0, True), (1, False)])
def test_the_second_best_will_do_only_where_nothing_was_promised(min_acks, hands_over):
    """12 has told that it has more, and has failed since."""
    core, nodes = waiting(min_acks)
    nodes[11].repl_offset, nodes[12].repl_offset = 50, 60
    nodes[12].flags |= flags.FAIL
    assert not handed_over(core, NOW + 100)
    assert handed_over(core, PATIENCE_OVER - 100) is hands_over
