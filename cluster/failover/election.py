"""The candidate's side of an election: a replica whose primary has failed asks for its place.

This is the section "Replica election and promotion" of the cluster specification, with other delays. Redis' replicas
wait half a second and some more, so that the verdict has spread and the best of them asks first. Here each replica that
holds its primary failed tells its siblings so, and with it its offset, which is then final: when all siblings that live
have told, everybody knows the order, and the best asks at once. While somebody has not told yet there is a short wait
for it. The others ask later, each when those before it should long have won.

Whoever has not answered is asked again soon, under the same epoch: a voter that is slow (its disk, its machine) need
not vote twice, and a request or an answer that was lost with its connection is made good. Only where somebody else
stands as well, or nothing has come of it for as long as votes promise anything, is the election lost. It is repeated
under a new epoch after a short random pause; each attempt waits longer. A candidate that has lost, or that hears a
better sibling ask and gives way, says so, which frees the votes that it already had.

Offsets order replicas only if they are offsets of one history. Each states with it the epoch of the primary whose data
it is, which counts first; and a node whose data is not its primary's at all, because it was a primary itself until it
was replaced, or comes from another shard, does not stand before it has synchronised. What a sibling has told counts for
the primary that it named, not for the next one. Who counts as a voter is looked up when votes are counted, and votes
given by somebody who knows other voters do not count (`common_map`).

The epoch of an election is on disk before anybody is asked, and the claim to the slots before it is announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from cluster.agreement import epochs
from cluster.agreement.health import heirs
from cluster.agreement.state import FOREVER_MS, ClusterSettings, History, Replication
from cluster.failover.lease import lease_ms
from cluster.failover.member import Member
from gossip import flags
from gossip.messages import FORCE_ACK, AuthRequest, Header
from gossip.peer import Peer
from gossip.verdicts import deciders

UNIT_MIN_MS = 50
UNIT_MAX_MS = 500
MAX_DOUBLINGS = 6


class Unfit(Enum):
    """Why a replica does not stand for election."""

    PRIMARY = "this node is a primary"
    ALONE = "the primary is not known"
    NOT_FAILED = "the primary has not failed"
    NO_SLOTS = "the primary has no slots"
    FORBIDDEN = "cluster-replica-no-failover is set, or it is about to end"
    NO_DATA = "no data has ever come from the primary"
    STRAYED = "the data has not been synchronised with the primary since this node became its replica"
    OLD_DATA = "the data is older than cluster-replica-validity-factor allows"


def fitness(
    me: Peer, settings: ClusterSettings, replication: Replication, history: History = History.OF_PRIMARY
) -> Unfit | None:
    """Why this node may not stand for election by itself; None: it must."""
    primary = me.primary
    if me.is_primary:
        return Unfit.PRIMARY
    if primary is None:
        return Unfit.ALONE
    if not primary.failed:
        return Unfit.NOT_FAILED
    if not primary.slot_count:
        return Unfit.NO_SLOTS
    if me.flags & flags.NOFAILOVER:
        return Unfit.FORBIDDEN
    if history and settings.replica_validity_factor:
        return Unfit.STRAYED
    return too_old(settings, replication.data_age_ms())


def too_old(settings: ClusterSettings, age_ms: int | None) -> Unfit | None:
    """Judge the age of the data. The time that it took to find the failure does not count."""
    if not settings.replica_validity_factor:
        return None
    if age_ms is None:
        return Unfit.NO_DATA
    limit_ms = settings.repl_ping_period_ms + settings.node_timeout_ms * (settings.replica_validity_factor + 1)
    return Unfit.OLD_DATA if age_ms > limit_ms else None


def rivals(me: Peer) -> list[Peer]:
    """The siblings that may stand for election too."""
    assert me.primary is not None
    return [peer for peer in heirs(me.primary) if not peer.is_myself]


class Data(NamedTuple):
    """How much of a shard's data a replica has: until whose reign, and how far into it. Greater is more.

    Offsets alone say which of two has more only within one history. Who missed the last failover may have counted
    further in the history that ended there than it had come when it was continued.
    """

    epoch: int  # 0: not known; then the offsets must do
    offset: int

    def exceeds(self, other: Data) -> bool:
        if self.epoch and other.epoch and self.offset and other.offset:
            return self > other
        return self.offset > other.offset


def data_of(peer: Peer) -> Data:
    """What a replica has told of its data."""
    return Data(peer.data_epoch, peer.repl_offset)


def outranks(one: Peer, ones: Data, other: Peer, others: Data) -> bool:
    """Whether `one` should be elected rather than `other`: the one with more data, then the one with the smaller id."""
    return ones.exceeds(others) or (one.id < other.id and not others.exceeds(ones))


def rank(me: Peer, mine: Data) -> int:
    """How many siblings should be elected rather than we."""
    return sum(outranks(peer, data_of(peer), me, mine) for peer in rivals(me))


def everybody_told(me: Peer, peers: Iterable[Peer] = ()) -> bool:
    """Whether all siblings have stated their final offset, and those of `peers` who may be siblings unknown to us."""
    assert me.primary is not None
    primary_id = me.primary.id
    return all(peer.failed_primary == primary_id for peer in (*rivals(me), *peers))


def homeless(peers: Iterable[Peer]) -> Iterator[Peer]:
    """Nodes that have data, but belong to no shard as far as we know: perhaps to ours, and have not told us yet."""
    for peer in peers:
        if peer.slot_count or not peer.repl_offset or peer.flags & (flags.FAILING | flags.NOFAILOVER):
            continue
        if peer.primary is None or not peer.primary.slot_count:
            yield peer


def shard_rank(primary: Peer, owners: list[Peer]) -> int:
    """How many other failed primaries come first, lest their replicas split the votes of the same epoch."""
    return sum(other.failed and bool(other.replicas) and other.id < primary.id for other in owners)


def unit_ms(node_timeout_ms: int) -> int:
    """What the delays are counted in: long enough for a message, a sync and an answer."""
    return min(max(node_timeout_ms // 20, UNIT_MIN_MS), UNIT_MAX_MS)


class Election:
    """One node as a candidate. The core calls `attend` after every step and tick."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._since_ms = 0  # since when we wait for our turn; 0: there is nothing to wait for
        self._chance = 0.0  # our part of the random delays of this turn
        self._attempts = 0
        self._retry_ms = 0  # the next attempt is not before this
        self._yielded_ms = 0  # when a better sibling asked or came last
        self._first_yielded_ms = 0  # when the first one did, since our wait began
        self._epoch = 0  # of the election in which we stand; 0: in none
        self._asked_ms = 0
        self._again_ms = 0  # when to ask those again who have not answered
        self._patient_until_ms = 0  # when it is lost, if somebody else stands as well
        self._place = 0  # how many better ones we knew when we asked
        self._until_ms = 0  # when it is lost, at the latest
        self._contested = False  # whether a sibling stands, too: votes of this epoch may be its
        self._votes: set[str] = set()
        self._digest = 0  # of the voters among whom we stand
        self._unfit: Unfit | None = None

    @property
    def standing(self) -> bool:
        return self._epoch > 0

    @property
    def primary_failed(self) -> bool:
        """What we tell our siblings."""
        primary = self._core.myself.primary
        return primary is not None and primary.failed

    def next_due_ms(self) -> int | None:
        if self.standing:
            return self._again_ms
        return self._turn_ms() if self._since_ms else None

    def attend(self, now_ms: int) -> None:
        """Stand for election if it is our turn, or find that we have lost."""
        agreed = now_ms < self._core.manual.stands_until_ms()
        core = self._core
        unfit = None if agreed else fitness(core.myself, core.settings, core.replication, core.state.history)
        if unfit is not None:
            self._rest(unfit)
            return
        if not self._since_ms:
            self._begin(now_ms)
        if self.standing and core.digest != self._digest:
            # The voters have changed, or we have learnt of it only now: who voted as one of the others votes again.
            self._digest, self._votes, self._again_ms = core.digest, set(), now_ms
        if self.standing and not agreed and self._is_outdone(now_ms):
            self._give_way(now_ms)
        if self.standing and now_ms >= self._again_ms:
            self._go_on(now_ms)
        if not self.standing and now_ms >= self._turn_ms():
            self._ask(now_ms)

    def hear_request(self, sender: Peer, header: Header, now_ms: int) -> None:
        """Another replica stands for election, too: whoever is second gives way."""
        me = self._core.myself
        if me.is_primary or self._core.manual.stands_until_ms():
            return
        if sender.primary is me.primary:
            self._hear_sibling(sender, header, now_ms)
        elif header.current_epoch == self._epoch:
            self._hear_collision(now_ms)

    def _hear_sibling(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A better one gets the time for another attempt before we stand."""
        me = self._core.myself
        if not outranks(sender, Data(header.data_epoch, header.offset), me, self._data()):
            self._contested = True
            self._hear_verdict(sender, header, now_ms)
            return
        self._give_way(now_ms)

    def _is_outdone(self, now_ms: int) -> bool:
        """Whether a better sibling has come, or come back, since we asked: it has the time to hear of the failure."""
        return now_ms < self._latest_ms() and rank(self._core.myself, self._data()) > self._place

    def _give_way(self, now_ms: int) -> None:
        self._yielded_ms = now_ms
        self._first_yielded_ms = self._first_yielded_ms or now_ms
        if self.standing:
            self._core.bus.note("verbose", "Giving way to a better replica")
            self._give_up(now_ms)

    def _hear_verdict(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A worse one asks because our primary has failed: if most voters say so too, we have missed the verdict.

        Where we vote ourselves, ours is needed for one. Replicas alone would have each other believe it for ever.
        """
        core, primary = self._core, self._core.myself.primary
        if primary is None or primary.failed or header.mflags[0] & FORCE_ACK or core.votes(core.myself):
            return
        if core.bus.voters_missing(primary, now_ms) >= core.quorum_against(primary):
            core.bus.note("notice", f"Replica {sender.id} asks for votes: {primary.id} has failed.")
            core.bus.mark_failed(primary, now_ms)

    def _hear_collision(self, now_ms: int) -> None:
        """Two shards ask under one epoch, and may get half of the votes each: they ask again, one after the other."""
        core, primary = self._core, self._core.myself.primary
        assert primary is not None
        turn = shard_rank(primary, core.slotmap.owners_with_slots())
        self._give_up(now_ms)
        self._retry_ms = now_ms + turn * unit_ms(core.settings.node_timeout_ms)

    def outdoes(self, candidate: Peer, request: Header) -> bool:
        """Whether we can be elected in the place of the candidate, with more data: where replicas vote.

        Its turn would not have come, had it not missed that we stand, as after a restart.
        """
        me, replication = self._core.myself, self._core.replication
        return (
            candidate.primary is me.primary
            and self._data().exceeds(Data(request.data_epoch, request.offset))
            and not request.mflags[0] & FORCE_ACK
            and fitness(me, self._core.settings, replication, self._core.state.history) is None
        )

    def _data(self) -> Data:
        """Ours."""
        return Data(self._core.state.data_epoch, self._core.offset)

    def hear_vote(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A vote has come. After a lease, perhaps since we were stopped, what it promised may be over."""
        core = self._core
        if now_ms >= self._until_ms or header.current_epoch != self._epoch or not core.votes(sender):
            return
        if core.vote_counts(header, self._digest, core.myself.primary):
            self._count(sender, now_ms)

    def _count(self, voter: Peer, now_ms: int) -> None:
        primary = self._core.myself.primary
        assert primary is not None
        self._votes.add(voter.id)
        if len(self._votes) >= self._core.quorum_against(primary):
            self._win(now_ms)

    def _rest(self, unfit: Unfit) -> None:
        """There is no reason to stand, or a reason not to."""
        if unfit is not self._unfit and unfit in (Unfit.NO_DATA, Unfit.OLD_DATA, Unfit.FORBIDDEN):
            self._core.bus.note("warning", f"Currently unable to failover: {unfit.value}")
        self._unfit = unfit
        self._withdraw()
        self._since_ms = self._attempts = self._retry_ms = 0

    def _begin(self, now_ms: int) -> None:
        """The primary has failed: tell the siblings, with our offset, and wait for our turn."""
        self._since_ms, self._first_yielded_ms, self._unfit = now_ms, 0, None
        self._chance = self._core.bus.rng.random()
        for peer in rivals(self._core.myself):
            self._core.bus.tell(peer)

    def _turn_ms(self) -> int:
        """When to ask."""
        core, me = self._core, self._core.myself
        if core.manual.stands_until_ms():
            return self._retry_ms
        assert me.primary is not None
        unit = unit_ms(core.settings.node_timeout_ms)
        place = rank(me, self._data())
        wait_ms = 2 * unit * place
        wait_ms += unit * shard_rank(me.primary, core.slotmap.owners_with_slots())
        if not everybody_told(me, homeless(core.members.others())):
            # Who never synchronised with this primary knows that there may be more: it gives the others more time.
            behind = core.state.data_epoch < me.primary.config_epoch
            wait_ms += (self._longest_ms() if behind else unit) + int(unit * self._chance)
        at_ms = max(self._since_ms + wait_ms, self._retry_ms)
        if place and self._yielded_ms:
            # A better one has asked, and asks again if it has lost. But not for ever: it may not reach the voters.
            at_ms = max(at_ms, min(self._yielded_ms + self._longest_ms() + 5 * unit, self._latest_ms()))
        return at_ms

    def _latest_ms(self) -> int:
        """Until when we wait for better ones. Who was cut off when our wait began has as much time once it is back."""
        return max(self._since_ms, self._first_yielded_ms) + 2 * self._longest_ms()

    def _ask(self, now_ms: int) -> None:
        core, me = self._core, self._core.myself
        if core.votes(me) and not core.voter.would_stand(now_ms):
            self._retry_ms = now_ms + UNIT_MIN_MS
            return
        # Also where we are no voter yet: if we win, we are one, and must not vote for another in the same epoch.
        self._epoch = core.state.last_vote_epoch = epochs.advance(core.state)
        self._votes, self._digest = set(), core.digest
        self._contested = False
        self._asked_ms = now_ms
        self._until_ms = min(now_ms + self._longest_ms(), core.manual.stands_until_ms() or FOREVER_MS)
        self._patient_until_ms = min(now_ms + self._patience_ms(), self._until_ms)
        self._again_ms = self._next_asking_ms(now_ms)
        self._place = rank(me, self._data())
        core.bus.note("notice", f"Starting a failover election for epoch {self._epoch}.")
        core.bus.send_to(deciders(core.bus), self._request())
        if core.votes(me):
            core.voter.vote_for_myself(now_ms)
            self._count(me, now_ms)

    def _request(self) -> AuthRequest:
        core = self._core
        return AuthRequest(core.bus.header(FORCE_ACK if core.manual.stands_until_ms() else 0))

    def _go_on(self, now_ms: int) -> None:
        """Votes are missing: ask those again who owe them, or find that the election is lost."""
        core = self._core
        over = core.state.current_epoch != self._epoch
        hopeless = self._contested or over
        if now_ms >= (self._patient_until_ms if hopeless else self._until_ms):
            core.bus.note("notice", f"Failover election for epoch {self._epoch} expired.")
            self._give_up(now_ms)
            return
        self._again_ms = self._next_asking_ms(now_ms)
        if over:
            return  # the request would be one for a newer epoch, under which we do not count votes
        owing = [voter for voter in core.voters if voter.id not in self._votes]
        core.bus.send_to(sorted(owing, key=lambda peer: peer.id), self._request())

    def _next_asking_ms(self, now_ms: int) -> int:
        """A voter that our request did not reach may be reached soon after."""
        again_ms = now_ms + 2 * unit_ms(self._core.settings.node_timeout_ms)
        ends_ms = self._patient_until_ms if now_ms < self._patient_until_ms else self._until_ms
        return min(again_ms, ends_ms)

    def _patience_ms(self) -> int:
        """How long to wait for votes where another may have them."""
        unit = unit_ms(self._core.settings.node_timeout_ms)
        return min(2 * unit << min(self._attempts, MAX_DOUBLINGS), self._longest_ms())

    def _longest_ms(self) -> int:
        """The longest wait for votes: what a vote promises holds for longer."""
        return lease_ms(self._core.settings.node_timeout_ms)

    def _withdraw(self) -> None:
        """Stand no longer, so that all who have voted for us may vote for another."""
        core = self._core
        if not self.standing:
            return
        self._epoch = 0
        core.voter.stand_down()

    def _give_up(self, now_ms: int) -> None:
        self._withdraw()
        spread_ms = unit_ms(self._core.settings.node_timeout_ms) << min(self._attempts, 2)
        self._retry_ms = now_ms + 1 + int(self._core.bus.rng.random() * spread_ms)
        self._attempts += 1

    def _win(self, now_ms: int) -> None:
        core, epoch = self._core, self._epoch
        core.bus.note("notice", f"Failover election won: I'm the new master. configEpoch set to {epoch} after failover")
        self._epoch = self._since_ms = 0
        core.take_place(epoch, now_ms, dict.fromkeys(self._votes, self._asked_ms))
