"""A cluster that forms itself: empty nodes with the same seeds and the same wish share out slots and roles, once.

The wish (`cluster-shards` N, `cluster-replicas` M) needs N x (1 + M) nodes. Nodes meet through their seeds
(gossip/seeds.py). Each node that has nothing (no slots, no keys) says in its pings to nodes of ours which wish it has
and, as a digest, which other such nodes it reaches. The one with the smallest id decides, when enough nodes are there
and *all that it reaches* state its own wish and digest. So two halves of the nodes cannot both decide: each is too
small, and when they meet, nobody decides before all see the same whole. The decision is written down before anybody
hears of it.

The decision is the slot map itself: there is no other record. Whoever has a place in the map and hears from a node that
should have one too but says that it has nothing, sends it its map (`Places`); so it does not matter who dies meanwhile.
A node takes its place only while it has nothing, so no bootstrap can take data away; where two maps meet, config epochs
decide as always. A node with data or with a place in some cluster never states a wish, and nobody forms a cluster
while it knows of a slot that has an owner: it joins that cluster, and becomes a replica where one is missing.

Rejected: letting every node compute its own place once it sees agreement. Agreement seen by one may be gone before
another sees it, and then two plans are carried out halfway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cluster.agreement.slots import from_ranges, ranges
from cluster.placement import place
from cluster.plan import split_slots
from gossip import flags
from gossip.messages import Place, Places, WishStated
from gossip.peer import Peer

if TYPE_CHECKING:
    from cluster.core import ClusterCore

LOOK_MS = 200
TELL_AGAIN_MS = 1000
LEFT_TO_THE_DECIDER_MS = 1000
"""For how long after it took its place a node does not tell the map: whoever states a wish then has it on its way."""
JOIN_AFTER_MS = 5000


class Forming:
    """One node's part in it. The core tells it what it hears, and calls `tick` while the node has nothing."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core
        self._stated: dict[str, WishStated] = {}  # by node id: what nodes that have nothing said last
        self._mine: WishStated | None = None  # what we say, as of the last look
        self._decides = False  # whether we had the smallest id then
        self._tells_from_ms = 0  # from when on we tell others the map
        self._due_ms = 0
        self._told: tuple[Peer, WishStated | None] | None = None  # to whom we stated our wish last, and what it was
        self._told_ms = 0
        self._waits_since_ms = 0  # since when the node has stood beside a working cluster without a place

    @property
    def active(self) -> bool:
        """Whether this node has nothing, and wishes for a place in a cluster."""
        return self._core.settings.wish.shards > 0 and self._core.has_nothing()

    def next_due_ms(self) -> int | None:
        return self._due_ms if self.active else None

    # What is said.

    def statement(self) -> WishStated | None:
        """What our next ping says, as of our last look; None if we have a place, or wish for none."""
        return self._mine if self.active else None

    def map_for(self, peer: Peer) -> Places | None:
        """Our map, for a node that has a place in it and says that it has nothing."""
        if peer.id not in self._stated or (not peer.slot_count and not peer.primary):
            return None
        return self._places()

    # What is heard.

    def hear(self, sender: Peer, stated: WishStated | None, places: Places | None, now_ms: int) -> None:
        """A ping of a member has said this, or nothing of the kind."""
        if stated is None:
            self._stated.pop(sender.id, None)
        elif (active := self.active) or now_ms >= self._tells_from_ms:
            news = self._stated.get(sender.id) != stated
            self._stated[sender.id] = stated
            if news and active and self._decides:
                self._due_ms = min(self._due_ms, now_ms)
            elif news and self.map_for(sender) is not None:
                self._core.bus.ping(sender, now_ms)
        if places is not None and self.active and self._take_place(places):
            self._stated.clear()
            self._tells_from_ms = now_ms + LEFT_TO_THE_DECIDER_MS

    def forget(self, peer: Peer) -> None:
        self._stated.pop(peer.id, None)

    # What is done.

    def tick(self, now_ms: int) -> None:
        """Decide if we may; otherwise tell the one who may what we see."""
        if now_ms < self._due_ms or not self.active:
            return
        self._due_ms = now_ms + LOOK_MS
        if self._core.slotmap.assigned():
            self._join(now_ms)
            return
        wish, company = self._core.settings.wish, self._company()
        mine = self._mine = WishStated(wish.shards, wish.replicas, digest(company))
        first = min(company, key=lambda peer: peer.id)
        self._decides = first.is_myself
        if self._decides:
            self._decide(company)
        elif (self._told != (first, mine) or now_ms - self._told_ms > TELL_AGAIN_MS) and not first.ping_sent_ms:
            self._told, self._told_ms = (first, mine), now_ms
            self._core.bus.ping(first, now_ms)

    def _company(self) -> list[Peer]:
        """We and the nodes of ours that have no place, as far as we reach them now."""
        members = self._core.members
        return [members.myself, *(peer for peer in members.others() if _is_free(peer))]

    def _decide(self, company: list[Peer]) -> None:
        core, mine = self._core, self._mine
        wish = core.settings.wish
        others = (peer for peer in company if not peer.is_myself)
        if len(company) < wish.nodes or any(self._stated.get(peer.id) != mine for peer in others):
            return
        chosen = sorted(company, key=lambda peer: peer.id)[: wish.nodes]
        at = {(peer.ip, peer.port): peer for peer in chosen}
        if len(at) < len(chosen):
            return  # Somebody's address is not known yet.
        core.bus.note("notice", f"All {wish.nodes} nodes are here: forming a cluster of {wish.shards} shards.")
        epoch = core.state.current_epoch
        places: list[Place] = []
        for shard, slots in zip(place(sorted(at), wish.shards), split_slots(wish.shards), strict=True):
            epoch += 1
            primary, *replicas = [at[address] for address in shard]
            places.append(Place(primary.id, "", epoch, (slots,)))
            places.extend(Place(replica.id, primary.id, 0, ()) for replica in replicas)
        self._take_place(Places(epoch, tuple(places)))
        core.bus.broadcast_pong()

    def _places(self) -> Places:
        """The map as we have it."""
        core = self._core
        return Places(
            core.state.current_epoch,
            tuple(
                Place(
                    peer.id,
                    peer.primary.id if peer.primary else "",
                    peer.config_epoch,
                    tuple(ranges(core.slotmap.owned_by(peer))),
                )
                for peer in core.members
                if peer.slot_count or peer.primary
            ),
        )

    def _take_place(self, places: Places) -> bool:
        """Accept a map if we have a place in it, and believe it about all others as if they had told us."""
        core, me = self._core, self._core.myself
        mine = next((each for each in places.places if each.node_id == me.id), None)
        if mine is None or (mine.primary_id and core.members.get(mine.primary_id) is None):
            return False
        core.claims.learn_places(places)
        if mine.primary_id:
            primary = core.members.get(mine.primary_id)
            assert primary is not None
            core.set_primary(primary)
            core.bus.note("notice", f"This node is now a replica of {mine.primary_id}.")
        else:
            slots = from_ranges(mine.slots)
            me.config_epoch = max(me.config_epoch, mine.epoch)
            core.slotmap.assign(slots & ~core.slotmap.assigned(), me)
            core.bus.note("notice", f"This node now serves {me.slot_count} slots.")
        core.changed(state=True)
        return True

    def _join(self, now_ms: int) -> None:
        """Beside a cluster that works: become a replica where one is missing, unless our place is told first."""
        core = self._core
        if not core.health.whole:
            self._waits_since_ms = now_ms
            return
        self._waits_since_ms = self._waits_since_ms or now_ms
        if now_ms - self._waits_since_ms < JOIN_AFTER_MS:
            return
        spares = sorted(peer.id for peer in self._company())
        open_places = vacancies(core.slotmap.owners_with_slots(), core.settings.wish.replicas)
        turn = spares.index(core.myself.id)
        if turn < len(open_places):
            primary = open_places[turn]
            core.bus.note("notice", f"A replica of {primary.id} is missing: becoming one.")
            core.set_primary(primary)


def _is_free(peer: Peer) -> bool:
    """Whether a peer may get a place: one of ours that we reach and that has none."""
    return peer.ours and peer.connected and peer.is_primary and not peer.slot_count and not peer.flags & flags.FAILING


def vacancies(primaries: Iterable[Peer], replicas: int) -> list[Peer]:
    """Primaries that lack replicas, one for each that is missing, those that have fewest first."""
    open_places = [
        (number, primary.id, primary)
        for primary in primaries
        if not primary.failed
        for number in range(sum(not replica.failed for replica in primary.replicas), replicas)
    ]
    return [primary for *_, primary in sorted(open_places, key=lambda each: each[:2])]


def digest(peers: Iterable[Peer]) -> bytes:
    """Eight bytes that tell one set of nodes from another."""
    return hashlib.blake2b(" ".join(sorted(peer.id for peer in peers)).encode(), digest_size=8).digest()
