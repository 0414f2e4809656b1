"""Whose voice counts where a majority decides: only that of voters who count the same voters as we do.

With three shards and more the primaries vote, and each election replaces one of them. A node that was cut off may have
missed several: its map then names voters that are none any more, and two of these, as ignorant as itself, would look
like a majority to it although the true voters have decided otherwise. Config epochs do not help, as nobody there knows
the newer ones. So every packet of ours states a digest of the voters in its sender's map, and

- a candidate counts a vote, and a primary a grant of its lease, only under the digest that is its own too;
- a voter, having voted, does not know whether it made a primary until it hears the candidate again. Its vote is *open*
  until then, also over a restart, and also if it votes for another candidate for the same place: the first may have won
  although the second says that it has lost. Meanwhile it votes about no other place, and its digest leaves out the
  primary whose place it gave away, so that nobody counts that primary any more (nor does itself);
- a primary has no voice in whether its place is its own (`reassertion`);
- a primary that was just elected votes about nobody who may live for a node timeout: its predecessor in the electorate
  may have granted leases that it knows nothing of.

Why this is enough: take the elections that succeeded, in the order of their epochs, and the first of them that some
candidate does not know. Of its voters each either knows the outcome, and has another digest than the candidate, or its
vote is open, and it votes for the candidate only if that wants the same place, which makes the unknown election void.
Those who did not vote in it are too few. What they count besides, the winners of later elections, knew the outcome when
they won. So whoever wins has the map that results from all elections before, or replaces the last of them.

Maps that differ are made equal: whoever gets a PING under another digest answers it with an UPDATE about the owner with
the highest epoch, at the next PING about the next. In clusters where every member votes (`electorate`) elections do not
change who does; there the digest is 0, as with Redis' nodes, which state none: no digest is compared with anything.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cluster.agreement.electorate import owners_of_slots
from cluster.agreement.slots import SlotSet
from cluster.agreement.state import ClusterState, OpenVote
from gossip.messages import OURS, STANDING, Header
from gossip.peer import Peer


def token(peer: Peer) -> int:
    """64 bits that stand for a node."""
    return _token(peer.id)


@lru_cache(maxsize=1024)
def _token(node_id: str) -> int:
    """Asked for at every packet; ids come and go so rarely that they are remembered."""
    name = node_id.encode("latin-1")
    return crc32(name) | crc32(name[::-1]) << 32


def digest(peers: Iterable[Peer]) -> int:
    """64 bits that stand for a set of nodes; what one node more or less changes is its token."""
    found = 0
    for peer in peers:
        found ^= token(peer)
    return found


def elected_voters(state: ClusterState, voters: frozenset[Peer]) -> bool:
    """Whether elections change who votes."""
    return voters == owners_of_slots(state)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a digest says beside ours: whether it is of the same voters, and whose place its sender has given away."""

    same: bool
    given_away: Peer | None = None


SAME, OTHER = Agreement(True), Agreement(False)


def compare(voters: frozenset[Peer], mine: int, theirs: int) -> Agreement:
    """`mine` is the digest of `voters`; either is 0 where it is not known, and then nothing is wrong."""
    difference = mine ^ theirs
    if not (mine and theirs and difference):
        return SAME
    for peer in voters:
        if token(peer) == difference:
            return Agreement(True, peer)
    return OTHER


# Open votes.


def vote_stays_open(state: ClusterState, vote: OpenVote) -> bool:
    """Whether we still have not heard what has become of our vote."""
    candidate = state.members.get(vote.candidate_id)
    if candidate is None or (candidate.is_primary and candidate.config_epoch >= vote.epoch):
        return False
    return not any(
        owner.config_epoch >= vote.epoch and state.slotmap.owned_by(owner) & vote.slots
        for owner in state.slotmap.owners_with_slots()
    )


def open_votes(state: ClusterState) -> list[OpenVote]:
    """Our votes of which each may have made a primary that we have not heard of yet, the newest last."""
    if state.open_votes:
        state.open_votes = [vote for vote in state.open_votes if vote_stays_open(state, vote)]
    return state.open_votes


def open_vote_about(state: ClusterState, primary: Peer) -> bool:
    """Whether one of them was about this primary's place."""
    return any(vote.primary_id == primary.id for vote in open_votes(state))


def add_open_vote(state: ClusterState, vote: OpenVote) -> None:
    """We have voted. What the candidate was given before is void: under that epoch it does not count votes any more."""
    others = (each for each in open_votes(state) if each.candidate_id != vote.candidate_id)
    state.open_votes = [*others, vote]


def hear_candidate(state: ClusterState, sender: Peer, header: Header) -> None:
    """If this candidate of ours stands no longer, and its epoch is older than the vote: it has not won with that."""
    if not state.open_votes or header.mflags[1] & (OURS | STANDING) != OURS:
        return
    state.open_votes = [
        vote
        for vote in state.open_votes
        if vote.candidate_id != sender.id or not header.config_epoch < vote.epoch <= header.current_epoch
    ]


def same_place(state: ClusterState, vote: OpenVote, primary: Peer, claimed: SlotSet) -> bool:
    """Whether a candidate for the place of `primary`, which claims these slots, wants what our vote was about."""
    return primary.id == vote.primary_id or bool(vote.slots & (claimed | state.slotmap.owned_by(primary)))
