"""Marks of slots on their way, when the nodes at their ends change places."""

import random

import pytest

from cluster.agreement.slots import range_set, to_bitmap
from cluster.agreement.state import ClusterSettings
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from gossip.messages import Header, Update
from tests.unit.topology.shards import SHARES, node_id, shards
from tests.unit.topology.test_core import Keys
from tests.unit.topology.worlds import NOW

OURS, FIRST, SECOND, THIRD = 100, *(share.bit_length() - 1 for share in SHARES)
"""A slot of each shard; we are the first, and `OURS` is another slot of ours."""


class Member:
    """Primary 1 of three shards with a replica each, whose marks are looked at. Its peers say their shard, or not."""

    def __init__(self, keys=None, shard_ids=True):
        state, _ = shards(1, replicas=1)
        self.core = ClusterCore(ClusterSettings(), random.Random(1), NOW, "", keys)
        self.core.state.members.rename(self.core.myself, node_id(1))
        for peer in state.members.others():
            self.core.state.members.add(peer)
        self.nodes = {int(peer.id, 16): peer for peer in self.core.members}
        self.nodes[11].primary = None
        self.nodes[11].follow(self.core.myself)
        for shard, slots in enumerate(SHARES, 1):
            self.core.slotmap.assign(slots, self.nodes[shard])
            for number in (shard, 10 * shard + 1):
                self.nodes[number].shard_id = node_id(1000 + shard) if shard_ids else ""
        self.marks = self.core.slotmap

    def hears(self, number, slots, epoch, follows=None):
        """A PONG of this node."""
        primary_id = node_id(follows) if follows else None
        said = Header(node_id(number), epoch, epoch, slots=to_bitmap(slots), primary_id=primary_id)
        self.core.heard_header(self.nodes[number], said, NOW)
        self.core.heard_config(self.nodes[number], said, NOW)

    def told(self, number, slots, epoch):
        """An UPDATE about this node, from another."""
        header = Header(node_id(3), config_epoch=3, current_epoch=epoch)
        update = Update(header, node_id(number), epoch, to_bitmap(slots))
        self.core.heard_header(self.nodes[3], header, NOW)
        self.core.heard(self.nodes[3], update, None, NOW)

    def fails_over(self, shard, epoch=10):
        self.hears(10 * shard + 1, SHARES[shard - 1], epoch)

    def importing(self, slot):
        return _number(self.marks.importing.get(slot))

    def migrating(self, slot):
        return _number(self.marks.migrating.get(slot))

    def owner(self, slot):
        return _number(self.marks.owners[slot])


def _number(peer):
    return int(peer.id, 16) if peer is not None else None


def opened(keys=None, shard_ids=True):
    """A member that imports a slot of the second shard and gives one of its own to it."""
    member = Member(keys, shard_ids)
    member.marks.import_from(SECOND, member.nodes[2])
    member.marks.migrate(OURS, member.nodes[2])
    return member


@pytest.mark.parametrize("shard_ids", [True, False])
@pytest.mark.parametrize("by_hearsay", [True, False])
def test_both_ends_follow_a_failover(shard_ids, by_hearsay):
    member = opened(shard_ids=shard_ids)
    if by_hearsay:
        member.told(21, SHARES[1], 10)
    else:
        member.fails_over(2)
    assert member.owner(SECOND) == 21
    assert (member.importing(SECOND), member.migrating(OURS)) == (21, 21)


def test_the_old_primary_may_tell_first_that_it_is_a_replica():
    """It loses its slots then, before the new one has claimed them: none may be left over."""
    member = opened()
    member.hears(2, 0, 10, follows=21)
    assert (member.importing(SECOND), member.migrating(OURS)) == (21, 21)
    member.fails_over(2)
    assert member.owner(SECOND) == 21
    assert member.marks.fully_assigned


@pytest.mark.parametrize("keys", [None, Keys(**{f"s{SECOND}": 1})])
def test_a_slot_that_comes_to_another_shard_comes_to_us_no_more_unless_its_keys_are_here(keys):
    member = opened(keys)
    member.hears(3, SHARES[2] | range_set(SECOND, SECOND), 10)
    assert member.owner(SECOND) == 3
    assert member.importing(SECOND) == (3 if keys else None)
    assert member.migrating(OURS) == 2  # that end is where it was


def test_a_slot_of_ours_that_another_takes_leaves_us_no_more():
    member = opened()
    member.hears(2, SHARES[1] | range_set(OURS, OURS), 10)
    assert member.owner(OURS) == 2
    assert member.migrating(OURS) is None
    member.marks.assign(range_set(OURS, OURS), member.core.myself)
    assert member.migrating(OURS) is None


def test_other_slots_that_change_hands_leave_marks_alone():
    member = opened()
    member.hears(3, SHARES[2] | range_set(SECOND - 1, SECOND - 1), 10)
    member.fails_over(3, 11)
    assert (member.importing(SECOND), member.migrating(OURS)) == (2, 2)


@pytest.mark.parametrize("follows", [1, 3])
def test_nothing_moves_to_or_from_a_replica_of_another_shard(follows):
    member = opened()
    member.hears(2, 0, 10, follows=follows)
    assert (member.importing(SECOND), member.migrating(OURS)) == (None, None)


def test_a_mark_is_no_reason_to_refuse_the_owner_in_a_view_of_the_map():
    """The mark that an operator left: the owner dies and comes back as a replica."""
    member = Member()
    member.marks.import_from(SECOND, member.nodes[2])
    member.fails_over(2)
    member.hears(2, SHARES[1], 10, follows=21)
    assert member.marks.fully_assigned
    assert member.importing(SECOND) == 21


def test_marks_end_with_a_forgotten_node_and_with_our_own_role():
    member = opened()
    member.core.removing(member.nodes[2])
    assert (member.importing(SECOND), member.migrating(OURS)) == (None, None)
    member = opened()
    member.core.set_primary(member.nodes[3])
    assert (member.importing(SECOND), member.migrating(OURS)) == (None, None)


@pytest.mark.parametrize("by_hearsay", [True, False])
def test_a_slot_that_was_imported_is_not_won_back_by_what_its_old_owner_said_before(by_hearsay):
    """Its epoch is news to us: it had the slot from us a moment ago, and we closed the import without a new epoch."""
    member = imported()
    hear = member.told if by_hearsay else member.hears
    before = member.core.myself.config_epoch
    hear(2, SHARES[1], before + 5)
    assert member.owner(SECOND) == 1
    assert member.core.myself.config_epoch == before + 6, "all others believe us, too"


def test_when_the_old_owner_was_heard_without_the_slot_it_may_win_it_again():
    member = imported()
    epoch = member.core.myself.config_epoch
    member.hears(2, SHARES[1] & ~(1 << SECOND), epoch + 5)
    member.hears(2, SHARES[1], epoch + 5)
    assert member.owner(SECOND) == 2
    assert member.core.myself.config_epoch == epoch


def test_a_slot_that_is_to_go_back_may_be_claimed_by_its_old_owner():
    """Which closes its import first; we hear of it before we are told."""
    member = imported()
    epoch = member.core.myself.config_epoch
    ClusterOrders(member.core).set_slot([str(SECOND).encode(), b"MIGRATING", node_id(2).encode()], NOW)
    member.hears(2, SHARES[1], epoch + 5)
    assert member.owner(SECOND) == 2
    assert member.core.myself.config_epoch == epoch


def imported():
    """A member that has just closed the import of a slot of the second shard."""
    member = Member()
    orders = ClusterOrders(member.core)
    orders.set_slot([str(SECOND).encode(), b"IMPORTING", node_id(2).encode()], NOW)
    orders.set_slot([str(SECOND).encode(), b"NODE", node_id(1).encode()], NOW)
    return member
