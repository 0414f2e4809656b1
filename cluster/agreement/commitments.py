"""What a node must not forget once anybody has heard from it, and whether the last step has added to that.

nodes.conf is written whole whenever something in it has changed. Most of it need not be on disk at once: where others
are and what they are called they say again. But a vote, an epoch or a claim on which others build must survive a loss
of power, so it is on disk before any packet of the same step leaves. Which changes are of that kind nobody has to say
where they are made: after each step the commitments are compared with those after the step before.

Only what is *added* has to be durable. Who forgets that a vote is settled, that a promise has run out or that a slot
has lost its owner keeps to a commitment for longer than it must.

nodes.conf holds more that is none: who is a member (gossip brings it back; ninety nodes that meet would wait for ninety
syncs), addresses, names, flags and roles of others (each states its own), our shard's id (our primary states it), the
data epoch (who understates it only gives way to others), and the marks of slots on their way (an operator's, who is
told that they are set before a sync is over, and begins again where one is missing).

The comparison is made at each step, of which there are thousands in a second where ninety nodes meet. So it begins with
an outline that costs a few microseconds, and goes on only if that has changed.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.agreement.slots import SlotSet
from cluster.agreement.state import ClusterState
from gossip.flags import PRIMARY


class Commitments:
    """Those of a node, as of its last step; at first none, or those that its file has."""

    def __init__(self, on_disk: ClusterState | None = None) -> None:
        self._outline: object = None
        self._facts: frozenset[object] = frozenset()
        self._claims: dict[str, SlotSet] = {}
        if on_disk is not None:
            self.added(on_disk)

    def added(self, state: ClusterState) -> bool:
        """Whether there is one more now; those of `state` are what the next step is compared with."""
        outline = _outline(state)
        if outline == self._outline:
            return False
        known, claimed = self._facts, self._claims
        self._outline, self._facts, self._claims = outline, frozenset(_facts(state)), _claims(state)
        return not self._facts <= known or any(slots & ~claimed.get(owner, 0) for owner, slots in self._claims.items())

    def forget(self) -> None:
        """Hold nothing to be on disk."""
        self._outline, self._facts, self._claims = None, frozenset(), {}


def _outline(state: ClusterState) -> object:
    """Differs whenever facts or claims do."""
    members = state.members
    me = members.myself
    return (
        state.current_epoch,
        state.last_vote_epoch,
        tuple(state.open_votes),
        state.handing_over,
        state.only_ours,
        state.history,
        me.id,
        me.flags & PRIMARY,
        me.primary,
        state.slotmap.version,
        members.config_epochs(),
    )


def _facts(state: ClusterState) -> Iterator[object]:
    me = state.myself
    yield "current epoch", state.current_epoch
    yield "last vote", state.last_vote_epoch
    yield from (("open vote", vote) for vote in state.open_votes)
    if state.handing_over:
        yield "handing over"
    yield "only ours", state.only_ours
    if state.history:
        yield "history", state.history
    yield "id", me.id
    yield "role", me.is_primary, me.primary.id if me.primary else ""
    yield from (("config epoch", peer.id, peer.config_epoch) for peer in state.members if peer.config_epoch)


def _claims(state: ClusterState) -> dict[str, SlotSet]:
    """Who owns what, by id."""
    slotmap = state.slotmap
    return {owner.id: slotmap.owned_by(owner) for owner in slotmap.owners_with_slots()}
