"""When each peer wants attention next, and which peers a PING should mention.

Looking at all peers ten times a second, as the original does, costs most where it matters most: in big clusters. Here a
heap says who is due next, so that a tick touches only peers for which there is something to do.
"""

from __future__ import annotations

import heapq
import random

from gossip import flags
from gossip.membership import Members
from gossip.messages import GossipEntry
from gossip.peer import Peer

MIN_GOSSIP = 3
SETTLED_MS = 30_000
PING_SPACING_MS = 50


def ping_after_ms(node_timeout_ms: int, members: int) -> int:
    """The silence after which a peer is pinged: as in Redis, half of the node timeout, but sooner in a small cluster.

    A peer that stops answering without dying is found one node timeout after the first PING that it leaves unanswered.
    Where there are few peers that can be soon, at the price of twenty PINGs a second and node at most.
    """
    return min(node_timeout_ms // 2, max(node_timeout_ms // 10, PING_SPACING_MS * members))


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


def choose_gossip(members: Members, target: Peer | None, rng: random.Random, now_ms: int) -> list[Peer]:
    """Whom a packet to `target` mentions: a tenth of the nodes, at least three, picked at random, and every suspect.

    A tenth is enough for a majority to hear of a suspicion within the lifetime of a report. That is for Redis' nodes,
    and for getting to know new members; nodes of this project hear of suspicions at once, for them three are enough.
    Nodes that have no address, or no link and no slots, are not worth passing on.
    """
    fresh = len(members) - 2  # everybody but us and the one we write to
    settled = target is not None and target.ours and now_ms - members.newest_ms > SETTLED_MS
    wanted = min(MIN_GOSSIP if settled else max(MIN_GOSSIP, len(members) // 10), fresh)
    chosen: dict[Peer, None] = {}
    # In a small cluster everybody is mentioned; sampling would only miss some.
    draws = members.others() if fresh <= MIN_GOSSIP else (members.pick(rng) for _ in range(wanted * 3))
    for peer in draws:
        if peer is not target and _worth_a_mention(peer):
            chosen[peer] = None
            if len(chosen) >= wanted:
                break
    suspects = [p for p in members.suspects if not p.flags & (flags.HANDSHAKE | flags.NOADDR)]
    suspects.sort(key=lambda peer: peer.id)
    return [*chosen, *suspects]


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
    """Of a few random peers that could be pinged now, the one that answered longest ago."""
    oldest: Peer | None = None
    for _ in range(few):
        peer = members.pick(rng)
        if not peer.connected or peer.ping_sent_ms or peer.flags & (flags.MYSELF | flags.HANDSHAKE):
            continue
        if oldest is None or peer.pong_received_ms < oldest.pong_received_ms:
            oldest = peer
    return oldest
