"""When each peer wants attention next, and which peers a PING should mention.

Looking at all peers ten times a second, as the original does, costs most where it matters most: in big clusters. Here a
heap says who is due next, so that a tick touches only peers for which there is something to do.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gossip import flags
from gossip.membership import Members
from gossip.messages import GossipEntry
from gossip.peer import Peer

if TYPE_CHECKING:
    from gossip.core import GossipCore

MIN_GOSSIP = 3
NEWCOMERS = 20
"""So many members at most whom we have not mentioned to a peer yet are mentioned in one packet."""
SETTLED_MS = 30_000
PING_SPACING_MS = 50
LARGE = 20
"""Clusters of so many members save messages and wake-ups:"""
GRID_DIVISOR = 10
"""PINGs are put off by up to this part of the node timeout, to be sent together;"""
SIBLING = 2
"""those between two replicas of a shard are so many times rarer,"""
OTHER_SHARD = 10
"""those between a voter and a replica of another shard so many times,"""
NO_CONCERN = 20
"""and those between two replicas of different shards so many times."""
FORMING = 4
"""So many times rarer are those of a node that looks for a cluster: it has better things to do than to watch others."""


def ping_after_ms(node_timeout_ms: int, members: int) -> int:
    """The silence after which a peer is pinged: as in Redis, half of the node timeout, but sooner in a small cluster.

    A peer that stops answering without dying is found one node timeout after the first PING that it leaves unanswered.
    Where there are few peers that can be soon, at the price of twenty PINGs a second and node at most.
    """
    return min(node_timeout_ms // 2, max(node_timeout_ms // 10, PING_SPACING_MS * members))


def ping_due_ms(core: GossipCore, peer: Peer, now_ms: int) -> int:
    """When `peer` is to be pinged if no answer of it is expected.

    Whoever needs its answers (a voter those of other voters) counts these alone. All others have twice the time,
    and any packet will do: of two nodes one pings and one answers, and only every other time it must be we.
    """
    wait_ms = ping_after_ms(core.settings.node_timeout_ms, len(core.members))
    if core.agreement.needs_answers(peer):
        return min(peer.pong_received_ms, peer.pinged_ms) + wait_ms
    if not peer.ours:
        return peer.pong_received_ms + wait_ms
    wait_ms *= 2 * _leisure(core, peer, now_ms)
    heard_ms = max(peer.pong_received_ms, peer.data_received_ms)
    return min(heard_ms, peer.pinged_ms + wait_ms) + wait_ms


def _leisure(core: GossipCore, peer: Peer, now_ms: int) -> int:
    """How many times rarer than usual `peer` is pinged.

    In large clusters most pairs are of different shards, and nobody acts on what two replicas think of each other
    there. A replica is watched by its primary, and by the other voters as soon as one of them suspects it
    (`look_at_once`). Who fails is told by the voters; from then on it is watched as usual, for its return.
    """
    me = core.members.myself
    if core.agreement.seeks_members() and len(core.members) >= LARGE:
        return FORMING
    if not may_save(core, now_ms) or peer.flags & flags.FAILING or peer is me.primary or peer.primary is me:
        return 1
    votes = core.agreement.votes
    if votes(peer) or votes(me):
        return OTHER_SHARD
    return SIBLING if peer.primary is not None and peer.primary is me.primary else NO_CONCERN


def look_at_once(core: GossipCore, peer: Peer, now_ms: int) -> None:
    """A voter suspects `peer`, whom we may not have pinged for long: if our word counts too, see for ourselves."""
    if may_save(core, now_ms) and core.agreement.votes(core.members.myself) and not peer.ping_sent_ms:
        core.ping(peer, now_ms)


def may_save(core: GossipCore, now_ms: int) -> bool:
    """Whether the cluster is large, and all of it has been known for a while: news travels in PINGs."""
    return len(core.members) >= LARGE and now_ms - core.members.newest_ms > SETTLED_MS


def on_grid(core: GossipCore, at_ms: int, now_ms: int) -> int:
    """A little later, at a moment when others are pinged too: to wake up costs more than a ping.

    Each node has moments of its own.
    """
    if not may_save(core, now_ms):
        return at_ms
    grid_ms = max(core.settings.node_timeout_ms // GRID_DIVISOR, 1)
    phase_ms = int(core.members.myself.id[:8], 16) % grid_ms
    return at_ms + (phase_ms - at_ms) % grid_ms


class DueHeap:
    """The next moment at which each peer wants attention.

    Moving a peer pushes a new entry and leaves the old one to be recognised as stale when it surfaces. The serial
    number keeps the order of equal times fixed, so that a run can be repeated exactly.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Peer]] = []
        self._due: dict[Peer, int] = {}  # peer -> serial of its valid entry
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, peer: Peer, at_ms: int) -> None:
        self._serial += 1
        self._due[peer] = self._serial
        heapq.heappush(self._heap, (at_ms, self._serial, peer))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def discard(self, peer: Peer) -> None:
        self._due.pop(peer, None)

    def next_ms(self) -> int | None:
        while self._heap:
            at_ms, serial, peer = self._heap[0]
            if self._due.get(peer) == serial:
                return at_ms
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now_ms: int) -> Peer | None:
        """The next peer whose time has come; it must be `set` again to come back."""
        at_ms = self.next_ms()
        if at_ms is None or at_ms > now_ms:
            return None
        _, _, peer = heapq.heappop(self._heap)
        del self._due[peer]
        return peer


def choose_gossip(members: Members, target: Peer | None, rng: random.Random) -> list[Peer]:
    """Whom a packet to `target` mentions: a tenth of the nodes, at least three, picked at random, and every suspect.

    A tenth is enough for a majority to hear of a suspicion within the lifetime of a report. That is for Redis' nodes;
    those of this project hear of suspicions at once, for them three are enough. They are told of each member once
    besides: where many meet, chance would leave the last of them unknown to somebody for long.
    Nodes that have no address, or no link and no slots, are not worth passing on.
    """
    fresh = len(members) - 2  # everybody but us and the one we write to
    ours = target is not None and target.ours
    wanted = min(MIN_GOSSIP if ours else max(MIN_GOSSIP, len(members) // 10), fresh)
    chosen: dict[Peer, None] = {}
    # In a small cluster everybody is mentioned; sampling would only miss some.
    draws: Iterable[Peer] = members.others() if fresh <= MIN_GOSSIP else _picks(members, rng, wanted * 3)
    for peer in draws:
        if peer is not target and _worth_a_mention(peer):
            chosen[peer] = None
            if len(chosen) >= wanted:
                break
    if target is not None and target.ours:
        chosen.update(dict.fromkeys(_newcomers(members, target)))
    suspects = [p for p in members.suspects if not p.flags & (flags.HANDSHAKE | flags.NOADDR)]
    suspects.sort(key=lambda peer: peer.id)
    return [*chosen, *suspects]


def _newcomers(members: Members, target: Peer) -> Iterator[Peer]:
    """Members of whom `target` has not heard from us yet, and who are to be mentioned to it now."""
    if target.told == members.joined:
        return
    newcomers = members.joined_after(target.told)[:NEWCOMERS]
    target.told = newcomers[-1].joined if len(newcomers) == NEWCOMERS else members.joined
    for peer in newcomers:
        if peer is not target and not peer.flags & (flags.MYSELF | flags.HANDSHAKE | flags.NOADDR | flags.FAILING):
            yield peer


def _picks(members: Members, rng: random.Random, count: int) -> Iterator[Peer]:
    """Each is picked when it is asked for, and not before."""
    for _ in range(count):
        yield members.pick(rng)


def _worth_a_mention(peer: Peer) -> bool:
    if peer.flags & (flags.MYSELF | flags.HANDSHAKE | flags.NOADDR | flags.PFAIL):
        return False
    return peer.link is not None or peer.slot_count > 0


def gossip_entry(peer: Peer) -> GossipEntry:
    """What we say about `peer`."""
    return GossipEntry(
        peer.id,
        peer.ping_sent_ms // 1000,
        peer.pong_received_ms // 1000,
        peer.ip,
        peer.port,
        peer.bus_port,
        peer.flags,
        peer.plain_port,
    )


def oldest_of_a_few(members: Members, rng: random.Random, few: int = 5) -> Peer | None:
    """The one that answered longest ago among a few random peers that could be pinged now."""
    oldest: Peer | None = None
    for _ in range(few):
        peer = members.pick(rng)
        if not peer.connected or peer.ping_sent_ms or peer.flags & (flags.MYSELF | flags.HANDSHAKE):
            continue
        if oldest is None or peer.pong_received_ms < oldest.pong_received_ms:
            oldest = peer
    return oldest
