"""What others claim to be and to own, and what follows from it: the slot map is settled here, message by message.

Each PING and PONG states the sender's role and, under its config epoch, its slots. The higher epoch wins a slot.
Whoever claims what somebody else has under a higher epoch is told by an UPDATE, also by third parties. A primary whose
last slots have gone to another becomes its replica, and so do its own replicas: that is how a failover and the return
of the old primary look to those who did not vote. The specification: "Hash slots configuration propagation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.agreement import epochs, open_slots
from cluster.agreement.effects import DropKeys
from cluster.agreement.slots import SlotSet, from_bitmap, from_ranges, members, to_bitmap
from gossip.messages import Header, Places, Update
from gossip.peer import Peer

if TYPE_CHECKING:
    from cluster.core import ClusterCore


class Claims:
    """One node's ear for them. `ClusterCore` passes on what the bus hears."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core
        self._note = core.bus.note

    def hear_config(self, sender: Peer, header: Header) -> None:
        """A PING, PONG or MEET of a known node."""
        self.hear_role(sender, header)
        if self._core.agreement(header).same:
            sender.updates_sent = 0
        else:
            self.hear_other_map(sender)
        owner = sender if sender.is_primary else sender.primary
        claimed = from_bitmap(header.slots)
        open_slots.heard_without(self._core.state, sender, claimed)
        if owner is not None and claimed != self._core.slotmap.owned_by(owner):
            if sender.is_primary:
                self._hear_claim(sender, header.config_epoch, claimed)
            self._correct(sender, header.config_epoch, claimed)
        mine = self._core.myself.config_epoch
        if header.config_epoch == mine and epochs.resolve_collision(self._core.state, sender, claimed):
            epoch = self._core.myself.config_epoch
            self._note("verbose", f"configEpoch collision with node {sender.id}. configEpoch set to {epoch}")

    def hear_role(self, sender: Peer, header: Header) -> None:
        if header.primary_id is None:
            if sender.become_primary():
                self._core.changed(state=True)
            return
        if sender.is_primary and header.current_epoch < sender.config_epoch:
            return  # it was sent before its sender won its place, and has been on its way since
        primary = self._core.members.get(header.primary_id)
        if sender.is_primary and sender.slot_count:
            # Its header states the claim of whom it follows now, who has them as a rule. Until it is heard itself, a
            # map without it would name fewer shards than there are, and so other voters (`electorate`).
            if primary is not None and not primary.is_myself:
                self._hear_of(primary, header.config_epoch, from_bitmap(header.slots))
            self._core.unassign(self._core.slotmap.owned_by(sender))
        if sender.become_replica():
            self._core.changed(state=True)
        if primary is not None and sender.primary is not primary and primary is not sender:
            sender.follow(primary)
            open_slots.became_replica(self._core.state, sender, self._core.keyspace)
            self._core.changed()

    def hear_update(self, message: Update) -> None:
        """Someone tells us of a claim that is newer than what we stated.

        The epoch may be known without the claim: any packet states it, and a node that already has the highest keeps it
        when it takes over another slot. (Redis ignores such an UPDATE until it hears from the new owner itself.)
        """
        peer = self._core.members.get(message.node_id)
        if peer is None:
            return
        if peer.is_myself:
            self._note("warning", "Discarding UPDATE message about myself.")
            return
        self._hear_of(peer, message.node_epoch, from_bitmap(message.node_slots))

    def _hear_of(self, peer: Peer, epoch: int, claimed: SlotSet) -> None:
        """Somebody else tells us what a primary claims."""
        if peer.config_epoch > epoch:
            return
        owned = self._core.slotmap.owned_by(peer)
        if peer.config_epoch == epoch:
            claimed |= owned
            if claimed == owned:
                return
        if peer.is_replica and not self._core.slotmap.winnable(epoch, claimed):
            return  # it was its, and is somebody else's now: we know more than who tells us
        if peer.become_primary():
            self._core.changed(state=True)
        peer.config_epoch = epoch
        self._hear_claim(peer, epoch, claimed)

    def hear_other_map(self, sender: Peer) -> None:
        """`sender` knows other voters than we: tell it of one owner, that with the highest epoch first."""
        core = self._core
        owners = sorted(core.voters - {sender}, key=lambda peer: (-peer.config_epoch, peer.id))
        if sender.link is None or not owners:
            return
        owner = owners[sender.updates_sent % len(owners)]
        sender.updates_sent += 1
        slots = to_bitmap(core.slotmap.owned_by(owner) & ~core.slotmap.unclaimed)
        core.bus.send(sender.link, Update(core.bus.header(), owner.id, owner.config_epoch, slots))

    def _hear_claim(self, sender: Peer, epoch: int, claimed: SlotSet) -> None:
        """A primary claims these slots: rebind what it wins, and see what that makes of us."""
        state = self._core.state
        if open_slots.outbids(state, sender, epoch, claimed) and epochs.bump_without_consensus(state):
            self._note("notice", f"configEpoch updated to keep slots that were imported from {sender.id}")
            self._core.bus.broadcast_pong()
        shard, ends = state.my_primary, open_slots.ends_with_slots(state)
        outcome = self._core.slotmap.claim(sender, epoch, claimed, self._core.myself)
        if outcome.taken:
            open_slots.claimed(state, sender, outcome.taken, ends, self._core.keyspace)
            self._core.changed(state=True)
            self._core.drop_channels(outcome.from_my_primary)
        lost = outcome.from_my_primary
        me = self._core.myself
        if lost and shard is not None and not shard.slot_count and self._should_follow(claimed, lost):
            self._note("notice", f"Configuration change detected. Reconfiguring myself as a replica of {sender.id}")
            self._core.set_primary(sender, successor=True)
            return
        grand = me.primary.primary if me.primary else None
        if grand is not None and grand is not me:
            self._note("notice", f"I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {grand.id}")
            self._core.set_primary(grand, successor=True)
            return
        dirty = tuple(slot for slot in members(outcome.from_myself) if self._core.keyspace.slot_len(slot))
        if dirty:
            self._core.bus.effect(DropKeys(dirty))

    def _should_follow(self, claimed: SlotSet, lost: SlotSet) -> bool:
        """Our shard's last slots went to someone: follow it if that is allowed, or if it is our shard's successor."""
        return self._core.settings.allow_replica_migration or claimed == lost

    def _correct(self, sender: Peer, epoch: int, claimed: SlotSet) -> None:
        """If `sender` claims what somebody owns under a higher epoch, tell it."""
        owner = self._core.slotmap.newer_owner(sender, epoch, claimed)
        if owner is None or sender.link is None:
            return
        self._note("verbose", f"Node {sender.id} has old slots configuration, sending an UPDATE about {owner.id}")
        slots = to_bitmap(self._core.slotmap.owned_by(owner) & ~self._core.slotmap.unclaimed)
        self._core.bus.send(sender.link, Update(self._core.bus.header(), owner.id, owner.config_epoch, slots))

    def learn_places(self, places: Places) -> None:
        """Believe a map about all other nodes that we know."""
        epochs.observe(self._core.state, places.current_epoch)
        for place in places.places:
            peer = self._core.members.get(place.node_id)
            if peer is None or peer.is_myself or place.primary_id:
                continue
            peer.config_epoch = max(peer.config_epoch, place.epoch)
            self._core.slotmap.claim(peer, place.epoch, from_ranges(place.slots), self._core.myself)
        for place in places.places:
            peer, primary = self._core.members.get(place.node_id), self._core.members.get(place.primary_id)
            if peer is not None and primary is not None and not peer.is_myself and not peer.slot_count:
                peer.become_replica()
                peer.follow(primary)
