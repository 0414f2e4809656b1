"""Claims: who gets a slot when several want it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from cluster.agreement.slotmap import Claimed, SlotMap
from cluster.agreement.slots import SLOTS, range_set, slot_set
from tests.unit.topology.worlds import primary, world


def test_the_higher_epoch_wins_and_the_lower_does_not():
    state, me, other = world()
    me.config_epoch, other.config_epoch = 5, 1
    slotmap = state.slotmap
    assert slotmap.claim(other, 4, range_set(0, 16383), me) == Claimed()
    assert slotmap.owners[0] is me
    outcome = slotmap.claim(other, 6, range_set(5, 16383), me)
    assert outcome == Claimed(range_set(5, 5460), range_set(5, 5460), range_set(5, 5460))
    assert slotmap.owners[4] is me
    assert slotmap.owners[5] is other
    assert me.slot_count == 5


def test_equal_epochs_change_nothing():
    state, me, other = world()
    assert not state.slotmap.claim(other, 0, range_set(0, 16383), me).taken


def test_free_slots_go_to_whoever_claims_them():
    state, me, other = world()
    state.slotmap.unassign(range_set(0, 9))
    assert state.slotmap.claim(other, 0, range_set(0, 16383), me).taken == range_set(0, 9)


def test_a_slot_that_its_owner_stopped_claiming_stays_but_may_be_taken():
    state, me, other = world()
    third = state.members.add(primary(3))
    other.config_epoch = 9
    slotmap = state.slotmap
    slotmap.claim(other, 9, range_set(5462, 16383), me)
    assert slotmap.owners[5461] is other
    assert slotmap.unclaimed == range_set(5461, 5461)
    assert slotmap.newer_owner(third, 1, range_set(5461, 5461)) is None
    assert slotmap.newer_owner(third, 1, range_set(5462, 5462)) is other
    assert slotmap.claim(third, 1, range_set(5461, 5461), me).taken
    assert slotmap.owners[5461] is third
    assert not slotmap.unclaimed


def test_claiming_again_ends_the_doubt():
    state, me, other = world()
    state.slotmap.claim(other, 1, 0, me)
    assert state.slotmap.unclaimed == range_set(5461, 16383)
    state.slotmap.claim(other, 1, range_set(5461, 16383), me)
    assert not state.slotmap.unclaimed


def test_a_mark_keeps_nobody_from_owning_the_slot():
    state, me, other = world()
    third = state.members.add(primary(3))
    state.slotmap.import_from(6000, other)
    assert state.slotmap.claim(third, 10, range_set(6000, 6001), me).taken == range_set(6000, 6001)


def test_a_replica_sees_its_primary_lose_slots():
    state, me, other = world()
    state.slotmap.unassign(state.slotmap.owned_by(me))
    me.become_replica()
    me.follow(other)
    third = state.members.add(primary(3))
    outcome = state.slotmap.claim(third, 1, range_set(6000, 6009), me)
    assert outcome == Claimed(range_set(6000, 6009), 0, range_set(6000, 6009))


def test_removing_a_node_leaves_nothing_behind():
    state, me, other = world()
    state.slotmap.migrate(1, other)
    state.slotmap.import_from(6000, other)
    state.slotmap.remove_peer(other)
    assert not state.slotmap.migrating
    assert not state.slotmap.importing
    assert state.slotmap.owners[6000] is None
    assert state.slotmap.runs() == [(0, 5460, me)]


def test_the_engines_table():
    state, me, other = world(start=10, end=20)
    state.slotmap.migrate(12, other)
    table = bytearray(b"\7" * SLOTS)
    state.slotmap.fill_served(table, me)
    assert [slot for slot in range(SLOTS) if table[slot]] == [10, 11, *range(13, 21)]
    assert set(table) == {0, 1}
    assert len(table) == SLOTS


ops = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.frozensets(st.integers(0, 40))), max_size=12)


@given(ops, st.randoms(use_true_random=False))
def test_claims_agree_with_the_specification_slot_by_slot(claims, rng: random.Random):
    """The set operations against the rule as it is written down: one slot at a time."""
    slotmap, peers = SlotMap(), [primary(n) for n in range(1, 5)]
    me = peers[0]
    owner: dict[int, object] = {}
    unclaimed: set[int] = set()
    for slot in rng.sample(range(41), 3):
        slotmap.import_from(slot, peers[1])
    for index, epoch, claimed in claims:
        sender = peers[index]
        sender.config_epoch = max(sender.config_epoch, epoch)
        for slot in range(41):
            if slot not in claimed:
                if owner.get(slot) is sender:
                    unclaimed.add(slot)
            elif owner.get(slot) is sender:
                unclaimed.discard(slot)
            elif slot not in owner or slot in unclaimed or owner[slot].config_epoch < epoch:
                owner[slot] = sender
                unclaimed.discard(slot)
        slotmap.claim(sender, epoch, slot_set(claimed), me)
        assert {slot: peer for slot, peer in enumerate(slotmap.owners) if peer} == owner
        assert slotmap.unclaimed == slot_set(unclaimed)
        for peer in peers:
            assert slotmap.owned_by(peer) == slot_set(slot for slot, has in owner.items() if has is peer)
            assert peer.slot_count == sum(1 for has in owner.values() if has is peer)
