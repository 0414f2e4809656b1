"""Second opinions: before a silent peer is suspected, others are asked when they last heard from it.

If only our link to the peer is broken, and not the peer, somebody else still hears it. Redis finds that out by the
missing majority; until then the node is suspected, and in a small cluster one broken link more is a verdict. So after
three quarters of the node timeout we ask two nodes of this project (others would not understand), in a PING. They tell
for how long they have not heard from the peer, which counts like a packet from it at that moment: the silence of a dead
peer is equally long for everybody, and nothing is delayed. It counts for one further node timeout at most, since a node
that a majority cannot reach must be replaced even if one member still hears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip import flags
from gossip.messages import Extensions, Heard
from gossip.peer import Peer

if TYPE_CHECKING:
    from gossip.core import GossipCore

ASKED_MAX = 2
ANSWERS_MAX = 64


def ask_others(core: GossipCore, silent: Peer, now_ms: int) -> None:
    """Ask a few members when they last heard from this peer."""
    silent.asked_ms = now_ms
    members = core.members.others()
    able = [peer for peer in members if peer.ours and peer.connected and peer is not silent and not peer.ping_sent_ms]
    for peer in core.rng.sample(able, min(ASKED_MAX, len(able))):
        core.ping(peer, now_ms, Extensions(asked=(silent.id,)))


def answer(core: GossipCore, asked: tuple[str, ...], now_ms: int) -> Extensions:
    """When we last heard from these; nothing about those that we have never heard or that have failed."""
    heard: list[Heard] = []
    for node_id in asked[:ANSWERS_MAX]:
        peer = core.members.get(node_id)
        if peer is not None and peer.data_received_ms and not peer.flags & (flags.MYSELF | flags.FAIL):
            heard.append(Heard(node_id, max(now_ms - peer.data_received_ms, 0)))
    return Extensions(heard=tuple(heard))


def believe(core: GossipCore, heard: tuple[Heard, ...]) -> None:
    """Somebody answers. The age was true when it was told; we count it from when we asked, lest it grow younger."""
    for node_id, age_ms in heard:
        peer = core.members.get(node_id)
        if peer is not None and peer.asked_ms:
            peer.vouched_ms = max(peer.vouched_ms, peer.asked_ms - age_ms)


def wants_opinion(peer: Peer, silent_ms: int, now_ms: int, node_timeout_ms: int) -> bool:
    """Whether to ask about this peer now: it is nearly time for suspicion, and the last question is a while ago."""
    return silent_ms > ask_after_ms(node_timeout_ms) and now_ms - peer.asked_ms > node_timeout_ms // 4


def ask_after_ms(node_timeout_ms: int) -> int:
    """The silence after which others are asked."""
    return node_timeout_ms * 3 // 4


