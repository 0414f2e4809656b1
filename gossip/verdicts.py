"""Who hears of a verdict first, and from whom.

In Redis every node that finds that a majority misses a peer tells all others so (FAIL). Here a voter's suspicions are
told to all voters at once, so nearly all of them come to the verdict at the same time: in a cluster of 90 nodes that
would be more than a thousand packets for one dead primary, and those who are to replace it would wait behind them.

So in large clusters a verdict goes at once to those who act on it: the voters, and the replicas of whoever has failed.
A moment later the others hear it from one node: the one with the smallest id of all who came to the same verdict.

Who could not be reached then has missed it. So a voter that reaches a replica again tells it of the verdict on its
primary, if somebody has asked for that place: the one that is back may have more of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.messages import Fail
from gossip.peer import Peer
from gossip.pinging import LARGE

if TYPE_CHECKING:
    from gossip.core import GossipCore

LATER_MS = 200


def deciders(core: GossipCore) -> list[Peer]:
    """Those who act when a primary has failed: who votes, and who may stand. In small clusters simply everybody."""
    others = core.members.others()
    if len(core.members) < LARGE:
        return others
    return [peer for peer in others if core.agreement.votes(peer) or _may_stand(peer, core.members.myself)]


def _may_stand(peer: Peer, me: Peer) -> bool:
    """Whether this is a replica of whoever has failed, or our sibling: it may have come to the same verdict."""
    return peer.primary is not None and (peer.primary.failed or peer.primary is me.primary)


class Verdicts:
    """What one node has yet to tell of its own verdicts."""

    def __init__(self, core: GossipCore) -> None:
        self._core = core
        self._later: dict[Peer, tuple[int, frozenset[Peer]]] = {}  # failed peer -> when to go on, who has been told

    def next_due_ms(self) -> int | None:
        return min((at_ms for at_ms, _ in self._later.values()), default=None)

    def spread(self, failed: Peer, now_ms: int) -> None:
        """We have come to the verdict that this peer has failed."""
        core = self._core
        first = deciders(core)
        core.send_to(first, Fail(core.header(), failed.id))
        if len(first) < len(core.members) - 1:
            self._later[failed] = (now_ms + LATER_MS, frozenset(first))

    def remind(self, peer: Peer) -> None:
        """`peer` is reachable again: it may not know that its primary has failed, and that its place is asked for."""
        core, primary = self._core, peer.primary
        if primary is not None and primary.failed and primary.wanted_ms >= primary.fail_ms:
            core.send_to((peer,), Fail(core.header(), primary.id))

    def heard(self, sender: Peer, failed: Peer) -> None:
        """`sender` has come to the same verdict. Redis' nodes tell everybody anyway."""
        if not sender.ours or sender.id < self._core.members.myself.id:
            self._later.pop(failed, None)

    def tick(self, now_ms: int) -> None:
        """Tell the others what nobody else tells them."""
        for failed, (at_ms, told) in list(self._later.items()):
            if now_ms < at_ms:
                continue
            del self._later[failed]
            if failed.failed and failed in self._core.members:
                rest = [peer for peer in self._core.members.others() if peer not in told]
                self._core.send_to(rest, Fail(self._core.header(), failed.id))
