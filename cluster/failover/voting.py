"""The voter's side of an election: may this replica take its failed primary's place?

This is the section "Replica election and promotion" of the cluster specification. A voter gives one vote an epoch;
since a candidate needs a majority of the voters and asks under an epoch of its own, no two nodes win under the same
epoch, and the vote is on disk before it leaves, so that a crash cannot make it two.

Votes must not make two primaries either, one after the other but both at work. Redis' voters therefore keep silent for
twice the node timeout after a vote about one primary, which makes a lost election cost many seconds. Here a voter
stays with its candidate for one node timeout, after which the candidate, had it won, could not be serving unheard of;
but the same candidate may ask again under a newer epoch at once (it is one node, it cannot win against itself), and as
soon as it says that it does not stand any more the vote is free for another. It may also ask again under the same
epoch, as long as it stands, and gets the same vote again: the answer may have been lost.

A vote binds in another way, too: until it is known what became of it, there is none about any other shard, and none for
a candidate that knows other voters than we do (`common_map`).

Nor does a voter take the worse of two replicas while it hears the better one: that may not have heard of the failure,
so it is told, or may not stand yet because it has just restarted. It has a node timeout from the first request for the
place on that could have been granted, after which any will do: while the primary's lease still forbids every vote, the
better one cannot win either.

A request may come a moment before the verdict, or before the other candidate has given up. Such a request is kept for a
while, and answered when what was in its way is gone: the candidate need not ask again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cluster.agreement.health import heirs
from cluster.agreement.slots import from_bitmap
from cluster.agreement.state import ClusterState, OpenVote
from cluster.failover.common_map import add_open_vote, hear_candidate, open_votes, same_place
from cluster.failover.election import Data, data_of
from cluster.failover.member import Member
from gossip.failure import is_gone
from gossip.messages import FORCE_ACK, OURS, REASSERT, STANDING, AuthAck, Fail, Header
from gossip.peer import Peer

KEEP_MS = 500
PASSING = frozenset(
    {
        "primary is up",
        "has failed",
        "primary may serve",
        "voted for another",
        "another map",
        "vote open",
        "a better one lives",
        "stands itself",
    }
)
"""Reasons to deny that may be gone in a moment."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The vote is given. `again`: it was before, to the same candidate in the same epoch."""

    epoch: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Deny:
    """It is not. `reason` is a name for counters and tests, `text` for the log, `better` who should ask instead."""

    reason: str
    text: str
    better: Peer | None = None


Answer = Grant | Deny


def consider_vote(state: ClusterState, candidate: Peer, request: Header, now_ms: int, node_timeout_ms: int) -> Answer:
    """Judge a request for a vote that we have. Its epoch has been observed: the current epoch is at least that."""
    epoch, primary = request.current_epoch, place_of(candidate, request)
    if epoch < state.current_epoch:
        return Deny("old epoch", f"reqEpoch ({epoch}) < curEpoch({state.current_epoch})")
    if state.last_vote_epoch == state.current_epoch:
        if primary is not None and (primary.voted_for, primary.voted_epoch) == (candidate.id, epoch):
            return Grant(epoch, again=True)
        return Deny("vote given", f"already voted for epoch {epoch}")
    if candidate.is_primary and primary is None:
        return Deny("is a primary", "it is a master node")
    if primary is None:
        return Deny("primary unknown", "I don't know its master")
    if primary is candidate and primary.failed:
        return Deny("has failed", "its replicas may take its place")
    if primary is not candidate and not primary.failed and not request.mflags[0] & FORCE_ACK:
        return Deny("primary is up", "its master is up")
    lease_ms = _lease_left_ms(state, primary, request, now_ms, node_timeout_ms)
    if lease_ms > 0:
        return Deny("primary may serve", f"its master may serve for another {lease_ms} milliseconds")
    if is_bound(primary, candidate, now_ms, node_timeout_ms):
        wait_ms = primary.voted_ms + node_timeout_ms - now_ms
        return Deny("voted for another", f"can't vote about this master before {wait_ms} milliseconds")
    better = _better_sibling(primary, candidate, request, now_ms, node_timeout_ms)
    if better is not None:
        return Deny("a better one lives", f"its sibling {better.id} has more of the data", better)
    newer = state.slotmap.newer_owner(candidate, request.config_epoch, from_bitmap(request.slots))
    if newer is not None:
        return Deny("old claim", f"slot epoch ({newer.config_epoch}) > reqEpoch ({request.config_epoch})")
    return Grant(epoch)


def _better_sibling(primary: Peer, candidate: Peer, request: Header, now_ms: int, node_timeout_ms: int) -> Peer | None:
    """Who should be elected rather than the candidate, and has the time to ask for it."""
    if primary is candidate or request.mflags[0] & FORCE_ACK or now_ms - _wanted_ms(primary, now_ms) >= node_timeout_ms:
        return None
    told = Data(request.data_epoch, request.offset)
    siblings = (peer for peer in heirs(primary) if peer.ours and peer is not candidate and not peer.is_myself)
    return next((peer for peer in siblings if data_of(peer).exceeds(told)), None)


def _wanted_ms(primary: Peer, now_ms: int) -> int:
    """Since when its place is asked for and could be given: in this failure, not in one before."""
    return primary.wanted_ms if primary.wanted_ms >= primary.fail_ms else now_ms


def _lease_left_ms(state: ClusterState, primary: Peer, request: Header, now_ms: int, node_timeout_ms: int) -> int:
    """For how long yet `primary` may serve by what we have granted it, or may have before a restart.

    Nothing if it asks to be replaced itself, or its process has ended since. Redis' primaries have no lease, and Redis'
    candidates no patience: they ask again after four node timeouts.
    """
    if request.mflags[0] & FORCE_ACK or not (primary.ours or request.mflags[1] & OURS):
        return 0
    unsure_ms = max(state.forgetful_until_ms, state.newcomer_until_ms) - now_ms
    if primary.id == request.sender:
        return unsure_ms  # it is its own lease, but a successor may have one, too
    if is_gone(primary) and primary.refused_ms >= primary.granted_ms:
        return 0
    return max(primary.granted_ms + node_timeout_ms - now_ms, unsure_ms)


def is_bound(primary: Peer, candidate: Peer, now_ms: int, node_timeout_ms: int) -> bool:
    """Whether we have promised the place of `primary` to another candidate, who may have won."""
    promised = bool(primary.voted_for) and primary.voted_for != candidate.id
    return promised and now_ms - primary.voted_ms < node_timeout_ms


def place_of(candidate: Peer, request: Header) -> Peer | None:
    """The primary whose place a candidate asks for: that of its own primary, or its own (`reassertion`)."""
    own = candidate.is_primary and request.mflags[1] & (OURS | REASSERT) == OURS | REASSERT
    return candidate if own else candidate.primary


def record_vote(state: ClusterState, candidate: Peer, epoch: int, now_ms: int) -> None:
    """The vote is given. To be persisted before it is sent."""
    state.last_vote_epoch = epoch
    primary = candidate if candidate.is_primary else candidate.primary
    assert primary is not None
    if primary is not candidate:
        candidate.granted_ms = now_ms  # with our vote it may win, and then serve at once
    primary.voted_ms, primary.voted_for, primary.voted_epoch = now_ms, candidate.id, epoch
    if candidate.ours and not candidate.is_myself:
        add_open_vote(state, OpenVote(candidate.id, epoch, primary.id, state.slotmap.owned_by(primary), now_ms))


def release_vote(sender: Peer, header: Header) -> None:
    """The candidate of our vote says that it has given up: then it has not won, and the vote binds us no longer.

    It had never stated the epoch of its election before it stood, so this header is not from before.
    """
    place = sender.primary if header.primary_id is not None else sender
    if place is None or place.voted_for != sender.id or (place is sender and header.config_epoch >= place.voted_epoch):
        return
    if stands_no_longer(header) and header.current_epoch >= place.voted_epoch:
        place.voted_for = ""


def stands_no_longer(header: Header) -> bool:
    """Whether a node of this project says that it is no candidate."""
    return bool(header.mflags[1] & OURS) and not header.mflags[1] & STANDING


class Voter:
    """One node as a voter. The core tells it of requests, and calls `attend` after every step and tick."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._kept: list[tuple[Peer, Header, int]] = []  # candidate, request, and when it came
        self.denied: Counter[str] = Counter()

    def hear_request(self, candidate: Peer, request: Header, now_ms: int) -> None:
        """Somebody asks for our vote."""
        primary, timeout_ms = candidate.primary, self._core.settings.node_timeout_ms
        if primary is not None and primary.failed:
            forbidden = _lease_left_ms(self._core.state, primary, request, now_ms, timeout_ms) > 0
            primary.wanted_ms = now_ms if forbidden else _wanted_ms(primary, now_ms)
        answer = self._consider(candidate, request, now_ms)
        if isinstance(answer, Deny):
            self.denied[answer.reason] += 1
            self._core.bus.note("warning", f"Failover auth denied to {candidate.id}: {answer.text}")
            if answer.better is not None and primary is not None:
                # It may have been with the primary on the other side of a partition, where nobody held that failed.
                self._core.bus.send_to((answer.better,), Fail(self._core.bus.header(), primary.id))
            if answer.reason in PASSING:
                self._kept = [each for each in self._kept if each[0] is not candidate]
                self._kept.append((candidate, request, now_ms))

    def hear_header(self, sender: Peer, header: Header) -> None:
        """A candidate may say that it has given up: it wants neither the vote that it has nor one that it asked for."""
        release_vote(sender, header)
        hear_candidate(self._core.state, sender, header)
        if self._kept and stands_no_longer(header):
            epoch = header.current_epoch
            self._kept = [each for each in self._kept if each[0] is not sender or each[1].current_epoch > epoch]

    def would_stand(self, now_ms: int) -> bool:
        """As a voter and candidate: whether no promise of ours is in the way of our own vote."""
        core = self._core
        primary, timeout_ms = core.myself.primary, core.settings.node_timeout_ms
        if primary is None or is_bound(primary, core.myself, now_ms, timeout_ms):
            return False
        mark = FORCE_ACK if core.manual.stands_until_ms() else 0
        return _lease_left_ms(core.state, primary, core.bus.header(mark), now_ms, timeout_ms) <= 0

    def vote_for_myself(self, now_ms: int) -> None:
        """We stand for election under the current epoch, which is persisted before anybody hears of it."""
        record_vote(self._core.state, self._core.myself, self._core.state.current_epoch, now_ms)

    def stand_down(self) -> None:
        """We stand no longer: our own vote is free, and all who have voted for us hear that theirs are."""
        me = self._core.myself
        for place in (me, me.primary):
            if place is not None and place.voted_for == me.id:
                place.voted_for = ""
        self._core.bus.broadcast_pong()

    def attend(self, now_ms: int) -> None:
        """Look again at requests that came too early."""
        kept, self._kept = self._kept, []
        for candidate, request, came_ms in kept:
            if now_ms - came_ms > KEEP_MS or candidate not in self._core.members:
                continue
            answer = self._consider(candidate, request, now_ms)
            if isinstance(answer, Deny) and answer.reason in PASSING:
                self._kept.append((candidate, request, came_ms))

    def _consider(self, candidate: Peer, request: Header, now_ms: int) -> Answer:
        core = self._core
        if core.election.outdoes(candidate, request):
            return Deny("has less data", "this replica has more of the data")
        denied = self._consider_map(candidate, request)
        if denied is not None:
            return denied
        answer = consider_vote(core.state, candidate, request, now_ms, core.settings.node_timeout_ms)
        if isinstance(answer, Grant):
            if not answer.again:
                record_vote(core.state, candidate, answer.epoch, now_ms)
            core.bus.note("notice", f"Failover auth granted to {candidate.id} for epoch {answer.epoch}")
            core.bus.send(candidate.link, AuthAck(core.bus.header()))
        return answer

    def _consider_map(self, candidate: Peer, request: Header) -> Deny | None:
        """Whether the candidate and we know the same voters, as far as that matters (`common_map`)."""
        core, primary = self._core, place_of(candidate, request)
        if not core.digest or primary is None:
            return None
        if not core.agreement(request).same:
            return Deny("another map", "it does not know the same primaries as this node")
        if core.reassertion.standing:
            return Deny("stands itself", "this primary asks for its own place")
        for vote in open_votes(core.state):
            if vote.candidate_id == candidate.id:
                continue
            if request.mflags[0] & FORCE_ACK or not same_place(core.state, vote, primary, from_bitmap(request.slots)):
                return Deny("vote open", f"what became of the vote for {vote.candidate_id} is not known yet")
        return None
