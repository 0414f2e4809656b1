"""Who is in the cluster: the table of peers, handshakes, and those who may not come back yet.

A node enters the table in one of three ways: an operator says MEET (we then know an address but no id, and keep the
node under a made-up id until it answers: a handshake); a MEET packet arrives from it; or a member mentions it in
gossip. Only members are believed about others, otherwise a stranger could merge two clusters.

FORGET removes a node and bans its id for a minute, or gossip from members that still know it would bring it back before
an operator has told them all.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

from gossip import flags
from gossip.peer import Link, Peer

BAN_MS = 60_000


def make_node_id(rng: random.Random) -> str:
    """A new node id: 160 random bits."""
    return f"{rng.getrandbits(160):040x}"


class Members:
    """Every known node by id, in the order in which we got to know them."""

    def __init__(self, myself: Peer) -> None:
        self.myself = myself
        self._peers: dict[str, Peer] = {myself.id: myself}
        # The same peers in an array, so that picking one at random does not walk the table.
        self._array: list[Peer] = [myself]
        self._place: dict[Peer, int] = {myself: 0}
        self._banned: dict[str, int] = {}
        self.newest_ms = 0  # when the last peer was added
        self.joined = 0  # how many have got to be known by their ids, ever: the last one's `Peer.joined`
        self.suspects: set[Peer] = set()  # exactly those flagged PFAIL; maintained by `suspect` and `clear_suspicion`

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Peer]:
        """Over a copy: peers may go while one walks."""
        return iter(list(self._peers.values()))

    def __contains__(self, peer: object) -> bool:
        return peer in self._place

    def get(self, node_id: str | None) -> Peer | None:
        return self._peers.get(node_id) if node_id else None

    def others(self) -> list[Peer]:
        return [peer for peer in self._peers.values() if peer is not self.myself]

    def config_epochs(self) -> list[int]:
        """Those of all, for comparisons: in an order that stays while nobody comes or goes."""
        return [peer.config_epoch for peer in self._array]

    def pick(self, rng: random.Random) -> Peer:
        return self._array[int(rng.random() * len(self._array))]

    def add(self, peer: Peer) -> Peer:
        assert peer.id not in self._peers, f"node {peer.id} is already known"
        self._peers[peer.id] = peer
        self._place[peer] = len(self._array)
        self._array.append(peer)
        self.newest_ms = max(self.newest_ms, peer.created_ms)
        self._is_known(peer)
        if peer.suspected:
            self.suspects.add(peer)
        return peer

    def rename(self, peer: Peer, node_id: str) -> None:
        """Give a peer its real id, at the end of a handshake or by CLUSTER RESET HARD."""
        assert node_id not in self._peers, f"node {node_id} is already known"
        del self._peers[peer.id]
        peer.id = node_id
        self._peers[node_id] = peer
        self._is_known(peer)

    def _is_known(self, peer: Peer) -> None:
        self.joined += 1
        peer.joined = self.joined

    def joined_after(self, serial: int) -> list[Peer]:
        """Those whom we know since we knew so many, in that order."""
        return sorted((peer for peer in self._array if peer.joined > serial), key=lambda peer: peer.joined)

    def remove(self, peer: Peer) -> None:
        """Forget a peer and everything that points to it. Its links are the caller's to close."""
        assert peer is not self.myself
        for replica in list(peer.replicas):
            replica.primary = None
        peer.replicas.clear()
        peer.unfollow()
        del self._peers[peer.id]
        last = self._array.pop()
        place = self._place.pop(peer)
        if last is not peer:
            self._array[place] = last
            self._place[last] = place
        self.suspects.discard(peer)
        for other in self._array:
            other.reports.pop(peer.id, None)

    def suspect(self, peer: Peer) -> None:
        peer.flags |= flags.PFAIL
        self.suspects.add(peer)

    def clear_suspicion(self, peer: Peer) -> None:
        peer.flags &= ~flags.PFAIL
        self.suspects.discard(peer)

    # Bans.

    def ban(self, node_id: str, until_ms: int) -> None:
        self._banned[node_id] = until_ms

    def banned(self, node_id: str, now_ms: int) -> bool:
        until_ms = self._banned.get(node_id)
        if until_ms is None:
            return False
        if now_ms <= until_ms:
            return True
        del self._banned[node_id]
        return False

    # Handshakes.

    def handshake_with(self, ip: str, port: int, bus_port: int) -> Peer | None:
        """The handshake that is under way with this address, if any."""
        for peer in self._array:
            if peer.in_handshake and (peer.ip, peer.port, peer.bus_port) == (ip, port, bus_port):
                return peer
        return None

    def start_handshake(
        self, ip: str, port: int, bus_port: int, rng: random.Random, now_ms: int, *, meet: bool, plain_port: int = 0
    ) -> Peer:
        """A new peer of which only the address is known. `meet`: we open with a MEET, since it does not know us."""
        bits = flags.HANDSHAKE | (flags.MEET if meet else 0)
        peer = Peer(make_node_id(rng), bits, now_ms, ip=ip, port=port, bus_port=bus_port, plain_port=plain_port)
        return self.add(peer)


def normal_ip(text: str) -> str | None:
    """An IP address in its shortest spelling, or None if it is not one."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def attach_inbound(peer: Peer, link: Link) -> Link | None:
    """Note that `link` was opened by `peer`. Returns the link that it replaces, for the caller to close.

    A peer that lost its connection opens a new one, often before we notice that the old one is dead; so the newer wins.
    """
    old = peer.inbound
    if old is link:
        return None
    if link.peer is not None and link.peer.inbound is link:
        link.peer.inbound = None
    peer.inbound = link
    link.peer = peer
    if old is not None:
        old.peer = None
    return old
