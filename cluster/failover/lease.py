"""The lease: until when a primary may serve its slots without asking again.

Two primaries must never both accept writes for a slot, so a primary has to stop before anybody may replace it, even if
it hears nothing at all. Every PING that a voter answers is a grant: the answer says that the voter had a packet of ours
at some moment after the PING was *sent*, and no voter of this project votes against a primary within a node timeout of
its last grant to it, unless it knows the process to be dead or the primary itself asks to be replaced. A successor
needs the votes of a majority, so once the grants of a majority are younger than the lease there is none, and when they
are not, there may be one. The lease is shorter than the node timeout by a margin for clocks that run differently.

A voter that holds a primary failed, or has promised its place to a replica, still answers its PINGs, with a mark that
makes the answer no grant (REFUSED). Grants are forgotten in a restart: a voter that restarts neither votes nor, if it
may have voted just before, grants anything for a node timeout.

Grants count of voters whose map of voters is ours (`common_map`): two majorities meet only if they are of one set.

Voters that are Redis nodes know none of this. Their answers count as grants all the same; that makes the primary stop
in time when it is cut off, but a verdict that spreads faster than the lease runs out is not covered, and after a stop
it must wait, as in Redis, until somebody would have told it that it was replaced (`health`).

Rejected: stopping when too few voters are *reachable*, as Redis does. It takes a full node timeout to notice, which is
when the others act, too.
"""

from __future__ import annotations

from collections.abc import Collection

from cluster.agreement.electorate import quorum
from cluster.agreement.slots import from_bitmap
from cluster.agreement.state import FOREVER_MS, ClusterState
from cluster.failover.common_map import open_vote_about
from gossip.messages import Header
from gossip.peer import Peer

MARGIN_DIVISOR = 5


def lease_ms(node_timeout_ms: int) -> int:
    """How long a grant is good for."""
    return node_timeout_ms - node_timeout_ms // MARGIN_DIVISOR


def lease_end_ms(
    me: Peer,
    voters: frozenset[Peer],
    node_timeout_ms: int,
    without_voice: Collection[Peer] = (),
    since_ms: int = 0,
) -> int:
    """When the lease ends that the grants so far make. `voters` may include ourselves: we need no grant of our own.

    `without_voice`: voters whose grants do not count (`common_map`); ourselves, if we have voted for somebody who may
    have won our place with that. `since_ms`: only answers to PINGs that were sent
    from then on count. We had promised our place, and for whom we agree to a voter votes in spite of its grant.

    A voter whose process is dead grants what it would if it answered, provided that it has died while its last answer
    kept it from voting against us: before it votes against anybody it would have to start, and would then abstain for a
    node timeout. Of one that has been silent for longer before it died nobody can know whether it had voted.
    """
    needed = quorum(voters) - (me in voters and me not in without_voice)
    if needed <= 0:
        return FOREVER_MS
    counting = [
        peer for peer in voters if peer is not me and peer not in without_voice and peer.answered_ms >= since_ms
    ]
    granted = sorted((granted_ms(peer, node_timeout_ms) for peer in counting), reverse=True)
    if len(granted) < needed or not granted[needed - 1]:
        return 0
    return granted[needed - 1] + lease_ms(node_timeout_ms)


def granted_ms(voter: Peer, node_timeout_ms: int) -> int:
    """When the newest PING was sent that a voter has answered, or would have if it lived."""
    died_bound = voter.ours and voter.gone_since_ms <= voter.answered_ms + lease_ms(node_timeout_ms)
    return max(voter.answered_ms, voter.gone_ms) if died_bound else voter.answered_ms


def consider_grant(state: ClusterState, sender: Peer, ping: Header, now_ms: int, node_timeout_ms: int) -> bool:
    """Whether our answer to a PING may be a grant. Not if the sender claims what somebody else has won meanwhile."""
    if sender.failed or (now_ms < state.forgetful_until_ms and vote_is_open(state)):
        return False
    if sender.voted_for not in ("", sender.id) and now_ms - sender.voted_ms < node_timeout_ms:
        return False
    if open_vote_about(state, sender):
        return False  # who has our vote may have its place: it can ask for that anew (`reassertion`)
    claimed = from_bitmap(ping.slots)
    return claimed == state.slotmap.owned_by(sender) or not state.slotmap.newer_owner(
        sender, ping.config_epoch, claimed
    )


def vote_is_open(state: ClusterState) -> bool:
    """Whether our last vote may have made a primary that we have not heard of yet."""
    epoch = state.last_vote_epoch
    return epoch > 0 and not any(peer.config_epoch == epoch for peer in state.members)
