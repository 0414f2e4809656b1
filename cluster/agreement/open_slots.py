"""What becomes of the marks of slots on their way when the nodes at their ends change places.

A mark says that a slot of ours goes to another primary (MIGRATING), or that a slot of another comes to us (IMPORTING).
It was set by an operator and is ended by one. Between the two, either end may be replaced by its replica, and the slot
may come to somebody else altogether. A mark that went on naming who is gone would send clients to a dead node, or, as
in Redis 7.0, keep us from ever believing who owns the slot now. So marks follow, by Valkey's rules:

- An end whose place another node of its shard has taken is that node from now on.
- A slot that has come to another shard leaves us no more and comes to us no more. Only where we hold keys of it, the
  mark stays, with the new owner as its end: it tells the operator's tools that there is something to repair.
- Nothing moves to or from a node that is now a replica in another shard.

A slot whose import was closed here is ours, whatever epoch its old owner had meanwhile, of which we may not have heard:
a slot that goes to and fro reaches us sooner than the news that it had left. Its claim from before does not take the
slot back from us, where the keys are; with it each would think that the other has it. That ends when the old owner is
heard without the slot, or when the slot is to leave us.
"""

from __future__ import annotations

from cluster.agreement.slots import SlotSet
from cluster.agreement.state import ClusterState, Keyspace
from gossip.peer import Peer


def ends_with_slots(state: ClusterState) -> frozenset[Peer]:
    """Those at the other end of our marks who own slots, to be remembered before a claim is believed."""
    slotmap = state.slotmap
    ends = (*slotmap.migrating.values(), *slotmap.importing.values())
    return frozenset(peer for peer in ends if peer.slot_count)


def claimed(state: ClusterState, sender: Peer, taken: SlotSet, had_slots: frozenset[Peer], keyspace: Keyspace) -> None:
    """`sender` now owns the slots `taken`; `had_slots` are the ends that owned slots before."""
    slotmap = state.slotmap
    if not slotmap.migrating and not slotmap.importing:
        return
    replaced = {peer for peer in had_slots if not peer.slot_count and _may_be_one_shard(peer, sender)}
    for slot, target in list(slotmap.migrating.items()):
        if taken >> slot & 1:
            slotmap.migrate(slot, None)
        elif target in replaced:
            slotmap.migrate(slot, sender)
    for slot, source in list(slotmap.importing.items()):
        if source in replaced or (taken >> slot & 1 and (_are_one_shard(source, sender) or keyspace.slot_len(slot))):
            slotmap.import_from(slot, sender)
        elif taken >> slot & 1 and source is not sender:
            slotmap.import_from(slot, None)


def heard_without(state: ClusterState, sender: Peer, claimed: SlotSet) -> None:
    """`sender` claims exactly these slots: it may win again what it has given us and claims no more."""
    imported = state.slotmap.imported
    for slot in [slot for slot, source in imported.items() if source is sender and not claimed >> slot & 1]:
        del imported[slot]


def outbids(state: ClusterState, sender: Peer, epoch: int, claimed: SlotSet) -> bool:
    """Whether a claim of `sender` would win back what has just come from it to us."""
    slotmap, me = state.slotmap, state.myself
    from_sender = (slot for slot, source in slotmap.imported.items() if source is sender and claimed >> slot & 1)
    return epoch > me.config_epoch and any(slotmap.owners[slot] is me for slot in from_sender)


def became_replica(state: ClusterState, peer: Peer, keyspace: Keyspace) -> None:
    """`peer` replicates another node now: whoever that is stands for it, if it is of the same shard and not us."""
    slotmap, primary = state.slotmap, peer.primary
    heir = primary if primary is not state.myself and primary is not None and _may_be_one_shard(peer, primary) else None
    for slot, target in list(slotmap.migrating.items()):
        if target is peer:
            slotmap.migrate(slot, heir)
    for slot, source in list(slotmap.importing.items()):
        if source is peer:
            to_repair = slotmap.owners[slot] if keyspace.slot_len(slot) else None
            slotmap.import_from(slot, heir or to_repair)


def _are_one_shard(one: Peer, other: Peer) -> bool:
    return bool(one.shard_id) and one.shard_id == other.shard_id


def _may_be_one_shard(one: Peer, other: Peer) -> bool:
    """Nodes of Redis 7.0 do not say of which shard they are."""
    return not one.shard_id or not other.shard_id or one.shard_id == other.shard_id
