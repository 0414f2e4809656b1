"""A primary that may have been replaced unheard takes its own place again, under an epoch that beats its successor's.

A replica can win its election and be stopped in the same moment, before anybody has heard so: by a freeze, a slow disk,
a cut. Its claim is on its disk or on its way, and comes out when it wakes, perhaps hours later. If the old primary has
come back meanwhile and was let go on, all that was written since is lost then, since the claim is newer.

So who has voted about a primary, and does not know what became of it (`common_map`), grants that primary nothing. When
its vote binds it no longer and it holds the primary for alive, it says in its answers that it would vote for it (the
flag REASSERT), and the primary asks all voters for its own place. The rules are those for replicas, but that there is
no lease to wait for, as it is its own, and that voters must not hold it failed: then its replicas stand. Who votes for
it votes for nobody else within a node timeout. With a majority it has an epoch that is newer than that of any claim
which may still come out: whoever makes that one hears that it is old. A primary that has not got it in time says that
it stands no longer, as replicas do, and pauses: other elections may need the same voters. While it stands it votes for
nobody else, and asks anew when others have begun a newer epoch; a vote that it has given keeps it from asking, so it
asks as soon as that is settled, before it votes again. Otherwise elections for other places, none of which gets a
majority while these voters hold votes for its own, could take turns for ever.

Its own vote does not count where elections change who votes: had it been replaced, it would be no voter. A primary that
has voted for its successor itself, and has not heard what came of it, does the same: its own voice is no grant then.

Redis' voters know nothing of this; they are not asked, and let it go on.
"""

from __future__ import annotations

from cluster.agreement import epochs
from cluster.agreement.electorate import quorum
from cluster.agreement.state import ClusterState
from cluster.failover.common_map import open_vote_about, open_votes
from cluster.failover.lease import lease_ms
from cluster.failover.member import Member
from cluster.failover.voting import is_bound, record_vote
from gossip.messages import REASSERT, AuthRequest, Header
from gossip.peer import Peer

RETRY_DIVISOR = 4  # of the node timeout: what a primary waits for votes, at least
PAUSE_DIVISOR = 4  # of that: the longest pause
LOOK_MS = 50
ANEW_MS = 50


def would_have_it_reassert(state: ClusterState, primary: Peer, now_ms: int, node_timeout_ms: int) -> bool:
    """As a voter: whether only our open vote keeps us from granting anything to this primary."""
    bound = now_ms - primary.voted_ms < node_timeout_ms
    return not bound and not primary.failed and open_vote_about(state, primary)


class Reassertion:
    """Whether this primary must do so, and how far it is."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._again_ms = 0  # when to ask, or to give up; 0: there is no reason to
        self._waits = False  # we would ask now, but for a vote that we have given
        self._epoch = 0  # under which we ask; 0: we do not
        self._asked_ms = 0
        self._digest = 0
        self._votes: set[str] = set()

    @property
    def standing(self) -> bool:
        return self._epoch > 0

    def next_due_ms(self) -> int | None:
        return self._again_ms or None

    def attend(self, now_ms: int) -> None:
        """Ask, or find that it has come to nothing, if it is time."""
        wait_ms = self._core.settings.node_timeout_ms // RETRY_DIVISOR
        if not self._is_told_to(now_ms):
            self._again_ms, self._waits = 0, False
            self._give_up()
        elif self.standing and now_ms >= self._again_ms:
            self._give_up()
            self._again_ms = now_ms + 1 + self._chance(wait_ms // PAUSE_DIVISOR)
        elif self.standing:
            if self._core.state.current_epoch != self._epoch and now_ms - self._asked_ms >= ANEW_MS:
                self._ask(now_ms)
        elif self._waits or now_ms >= self._again_ms:
            self._waits = self._is_bound(now_ms)
            self._again_ms = now_ms + (LOOK_MS if self._waits else wait_ms + self._chance(wait_ms))
            if not self._waits:
                self._ask(now_ms)

    def _chance(self, most_ms: int) -> int:
        return int(self._core.bus.rng.random() * most_ms)

    def _give_up(self) -> None:
        """Say that we stand no longer: who has voted for us may vote about another place."""
        if self.standing:
            self._epoch = 0
            self._core.voter.stand_down()

    def _is_told_to(self, now_ms: int) -> bool:
        """Whether we cannot serve, and a voter would have us ask: perhaps we do, having voted for a successor."""
        core, me = self._core, self._core.myself
        if me.is_replica or not me.slot_count or now_ms < core.lease_end_ms or not core.votes(me):
            return False
        if core.empty.active or core.manual.under_way or core.manual.bars(now_ms):
            return False
        if open_vote_about(core.state, me) and not core.manual.gave_itself_away(now_ms):
            return True
        recent_ms = now_ms - core.settings.node_timeout_ms
        return any(peer.reassert_ms > recent_ms for peer in core.voters)

    def _is_bound(self, now_ms: int) -> bool:
        """Whether we have promised something else."""
        core, me = self._core, self._core.myself
        elsewhere = any(vote.primary_id != me.id for vote in open_votes(core.state))
        return elsewhere or is_bound(me, me, now_ms, core.settings.node_timeout_ms)

    def _ask(self, now_ms: int) -> None:
        core, me = self._core, self._core.myself
        self._epoch = epochs.advance(core.state)
        record_vote(core.state, me, self._epoch, now_ms)
        self._asked_ms, self._digest = now_ms, core.digest
        self._votes = set() if core.digest else {me.id}
        core.bus.note("notice", f"This primary may have been replaced unheard: asking to go on in epoch {self._epoch}.")
        voters = sorted((peer for peer in core.voters if peer.ours and not peer.is_myself), key=lambda peer: peer.id)
        core.bus.send_to(voters, AuthRequest(core.bus.header(to_ours=REASSERT)))

    def hear_vote(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A voter lets us go on."""
        core = self._core
        late = now_ms - self._asked_ms >= lease_ms(core.settings.node_timeout_ms)
        if late or not self._epoch or header.current_epoch != self._epoch or not core.votes(sender):
            return
        if not core.vote_counts(header, self._digest, core.myself):
            return
        self._votes.add(sender.id)
        if len(self._votes) >= quorum(core.voters):
            epoch, self._epoch = self._epoch, 0
            core.bus.note("notice", f"This primary goes on. configEpoch set to {epoch}")
            core.go_on(epoch, now_ms, dict.fromkeys(self._votes, self._asked_ms))
