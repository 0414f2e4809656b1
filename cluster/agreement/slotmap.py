"""Who owns which slot, as far as we know, and which slots are on their way.

Ownership is settled by config epochs: whoever claims a slot under a higher epoch than its present owner's gets it. No
message says "I gave this slot away"; the new owner's claim does. That an owner stopped claiming a slot is remembered
all the same (`unclaimed`): it stays where it was, so that clients are still redirected somewhere, but anybody may
take it, and we tell nobody that it is the old owner's.

`claim` is the section "UPDATE messages / how nodes update their slots" of the cluster specification, as operations on
sets: 16384 slots cost as many steps as there are owners.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.agreement.slots import ALL_SLOTS, SLOTS, SlotSet, members, ranges
from gossip.peer import Peer


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim changed."""

    taken: SlotSet = 0  # slots that changed hands
    from_myself: SlotSet = 0  # those of them that were ours
    from_my_primary: SlotSet = 0  # those that were our shard's: ours, or our primary's if we are a replica


class SlotMap:
    """Owners, and slots being moved. `version` changes with every change, for caches."""

    def __init__(self) -> None:
        self.owners: list[Peer | None] = [None] * SLOTS
        self.migrating: dict[int, Peer] = {}  # slot of ours -> where it goes
        self.importing: dict[int, Peer] = {}  # slot that comes to us -> from where
        self.imported: dict[int, Peer] = {}  # slot that came to us so -> from where, until heard without it
        self.unclaimed: SlotSet = 0
        self.version = 0
        self._owned: dict[Peer, SlotSet] = {}

    def owned_by(self, peer: Peer) -> SlotSet:
        return self._owned.get(peer, 0)

    def assigned(self) -> SlotSet:
        """Slots that anybody owns."""
        total = 0
        for owned in self._owned.values():
            total |= owned
        return total

    @property
    def fully_assigned(self) -> bool:
        return sum(peer.slot_count for peer in self._owned) == SLOTS

    def owners_with_slots(self) -> list[Peer]:
        return list(self._owned)

    def assign(self, slots: SlotSet, peer: Peer) -> None:
        """Make `peer` the owner of all these slots, whoever had them."""
        self._take_away(slots)
        self._set_owned(peer, self.owned_by(peer) | slots)
        for slot in members(slots):
            self.owners[slot] = peer
        self.unclaimed &= ~slots

    def unassign(self, slots: SlotSet) -> None:
        """Leave these slots without an owner."""
        self._take_away(slots)
        for slot in members(slots):
            self.owners[slot] = None
        self.unclaimed &= ~slots

    def unassign_all_of(self, peer: Peer) -> None:
        self.unassign(self.owned_by(peer))

    def remove_peer(self, peer: Peer) -> None:
        """Forget a node: its slots have no owner, and nothing moves from it or to it any more."""
        self.unassign_all_of(peer)
        self.migrating = {slot: to for slot, to in self.migrating.items() if to is not peer}
        self.importing = {slot: source for slot, source in self.importing.items() if source is not peer}
        self.imported = {slot: source for slot, source in self.imported.items() if source is not peer}
        self.version += 1

    def migrate(self, slot: int, target: Peer | None) -> None:
        """Mark a slot of ours as going to `target`; None ends that."""
        _mark(self.migrating, slot, target)
        self.imported.pop(slot, None)
        self.version += 1

    def import_from(self, slot: int, source: Peer | None) -> None:
        """Mark a slot as coming to us from `source`; None ends that."""
        _mark(self.importing, slot, source)
        self.version += 1

    def close_all(self) -> None:
        """Nothing is on its way any more."""
        self.migrating.clear()
        self.importing.clear()
        self.imported.clear()
        self.version += 1

    def claim(self, sender: Peer, epoch: int, claimed: SlotSet, myself: Peer) -> Claimed:
        """`sender` says, under `epoch`, that exactly these slots are its own. Believe what the epochs support."""
        had = self.owned_by(sender)
        self.unclaimed = (self.unclaimed | (had & ~claimed)) & ~(had & claimed)
        wanted = claimed & ~had
        if not wanted:
            return Claimed()
        free = wanted & (self.unclaimed | ~self.assigned() & ALL_SLOTS)
        my_primary = myself if myself.is_primary else myself.primary
        taken, from_myself, from_my_primary = free, 0, 0
        for owner, owned in self._owned.items():
            lost = owned & (wanted if owner.config_epoch < epoch else free)
            taken |= lost
            if owner is myself:
                from_myself |= lost
            if owner is my_primary:
                from_my_primary |= lost
        if taken:
            self.assign(taken, sender)
        return Claimed(taken, from_myself, from_my_primary)

    def winnable(self, epoch: int, claimed: SlotSet) -> SlotSet:
        """Those of the slots that a claim under this epoch could win or keep."""
        for owner, owned in self._owned.items():
            if owner.config_epoch > epoch:
                claimed &= ~owned | self.unclaimed
        return claimed

    def newer_owner(self, sender: Peer, epoch: int, claimed: SlotSet) -> Peer | None:
        """Somebody who owns a slot that `sender` claims, under a higher epoch: `sender` should be told."""
        for owner, owned in self._owned.items():
            if owner is not sender and owner.config_epoch > epoch and owned & claimed & ~self.unclaimed:
                return owner
        return None

    def runs(self) -> list[tuple[int, int, Peer]]:
        """Consecutive slots with the same owner, as (first, last, owner), in order."""
        found = [(start, end, owner) for owner, owned in self._owned.items() for start, end in ranges(owned)]
        found.sort(key=lambda run: run[0])
        return found

    def fill_served(self, table: bytearray, myself: Peer) -> None:
        """Write 1 for every slot that we own and that stays, 0 for the others."""
        table[:] = bytes(SLOTS)
        for slot in members(self.owned_by(myself)):
            table[slot] = 1
        for slot in self.migrating:
            table[slot] = 0

    def _take_away(self, slots: SlotSet) -> None:
        for owner in list(self._owned):
            if self._owned[owner] & slots:
                self._set_owned(owner, self._owned[owner] & ~slots)

    def _set_owned(self, peer: Peer, slots: SlotSet) -> None:
        self.version += 1
        peer.slot_count = slots.bit_count()
        if slots:
            self._owned[peer] = slots
        else:
            self._owned.pop(peer, None)


def _mark(marks: dict[int, Peer], slot: int, peer: Peer | None) -> None:
    if peer is None:
        marks.pop(slot, None)
    else:
        marks[slot] = peer
