"""CLUSTER FAILOVER: a replica takes the place of a primary that is well; and the hand-over, which the primary asks for.

The replica tells its primary (MFSTART), which holds its clients' writes back and states, in packets marked PAUSED, the
offset at which its history has stopped. When the replica has come so far it stands for election, with a mark by which
voters know that the primary agrees. FORCE leaves the primary out, for when it does not answer; TAKEOVER the voters too.

All of it must be over within five seconds of the replica's request. The primary, which hears of it later, holds writes
for a little longer: so once it goes on, the replica has given up for good, however slow the votes were. That it has
promised its place is on disk before the replica hears the offset: a primary that restarts in between waits, too,
however often it does. A primary that votes for its successor (an operator may force one) serves no more until that has
lost, or has had its time. Who goes on after a promise has a lease only by answers to PINGs that it sends from then on:
the voters may have elected the replica although they had granted us something a moment before.

In a hand-over the primary begins: it sends MFSTART to its best replica, if that is a node of this project (Redis'
replicas ignore it), and the replica does what it does for CLUSTER FAILOVER. The answer by another MFSTART costs a round
trip and is what makes the rule about the five seconds hold: they are counted from something that the replica did.
"""

from __future__ import annotations

from cluster.agreement import epochs
from cluster.agreement.effects import PauseWrites, ResumeWrites
from cluster.agreement.errors import ClusterError
from cluster.failover.common_map import open_votes
from cluster.failover.election import data_of
from cluster.failover.member import Member
from gossip import flags
from gossip.messages import PAUSED, Header, MfStart
from gossip.peer import Peer

TIMEOUT_MS = 5000
CLOCK_MARGIN_MS = 100
PROMISE_MS = TIMEOUT_MS + CLOCK_MARGIN_MS
"""For how long a primary keeps to it: the replica counts from something earlier, by a clock of its own."""
CATCH_UP_LOOK_MS = 5
REPEAT_MS = 100
ASK_AGAIN_MS = 500
UNABLE = flags.FAILING | flags.NOFAILOVER


class ManualFailover:
    """One node's part in one, on either side."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._end_ms = 0  # when it must be over; 0: there is none
        self._replica: Peer | None = None  # as the primary: who takes our place
        self._goal: int | None = None  # as the replica: the offset to reach
        self._ready = False
        self._look_ms = 0
        self._barred_ms = 0
        self._went_on_ms = 0  # when a promise of ours had last run out

    def restarted(self, now_ms: int) -> None:
        """Had we promised our place before the restart, the replica may still take it: until it may not, we wait."""
        if self._core.state.handing_over:
            self._barred_ms = now_ms + PROMISE_MS

    def bars(self, now_ms: int) -> bool:
        """Whether a promise from before a restart keeps us from serving."""
        return now_ms < self._barred_ms

    def gave_itself_away(self, now_ms: int) -> bool:
        """Whether we have voted, as the primary, for a replica that may still win with that vote, whoever forced it."""
        return now_ms < self._given_away_until_ms()

    def _given_away_until_ms(self) -> int:
        """Until when that replica may win; 0: there is none, or it has lost."""
        given = (vote.given_ms for vote in open_votes(self._core.state) if vote.primary_id == self._core.myself.id)
        return max((given_ms + PROMISE_MS for given_ms in given), default=0)

    def grants_count_from_ms(self) -> int:
        """Answers to PINGs from before do not count for our lease: who gave one may have voted for our successor since.

        A voter for whom we have asked it, by our promise, does so in spite of what it has granted us.
        """
        return max(self._went_on_ms, self._given_away_until_ms())

    def _go_on(self, now_ms: int) -> None:
        """As a primary whose promise has run out: nobody has taken our place, unless the voters tell us otherwise."""
        core = self._core
        self._went_on_ms = now_ms
        for peer in sorted(core.voters - {core.myself}, key=lambda peer: peer.id):
            core.bus.ping(peer, now_ms)

    def _promise(self, given: bool) -> None:
        if self._core.state.handing_over != given:
            self._core.state.handing_over = given
            self._core.changed()

    @property
    def under_way(self) -> bool:
        return self._end_ms > 0

    @property
    def paused(self) -> bool:
        """Whether, as the primary, we hold writes back, so that the offset that we state is final."""
        return self._replica is not None and self._core.replication.writes_paused

    def stands_until_ms(self) -> int:
        """Until when we may stand for election although our primary has not failed; 0: not at all."""
        return self._end_ms if self._ready else 0

    def next_due_ms(self) -> int | None:
        """When to look again, if nothing is heard meanwhile."""
        return self._look_ms or None

    # The replica.

    def start(self, how: str, now_ms: int) -> None:
        """CLUSTER FAILOVER at a replica. `how`: empty, `force` or `takeover`. ClusterError if it makes no sense.

        Within a node timeout of the end of a primary Redis' replicas are still what they were; ours may have taken its
        place by themselves, and whoever then comes to force them hears no error.
        """
        core, me = self._core, self._core.myself
        if me.is_primary and how and now_ms - core.took_place_ms <= core.settings.node_timeout_ms:
            return  # who was to be forced out is
        if me.is_primary and how and core.empty.active:
            core.empty.serve()
            return
        if me.is_primary:
            raise ClusterError("ERR You should send CLUSTER FAILOVER to a replica")
        primary = me.primary
        if primary is None:
            raise ClusterError("ERR I'm a replica but my master is unknown to me")
        if not how and (primary.failed or not primary.connected):
            raise ClusterError("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE")
        self.reset()
        match how:
            case "takeover":
                core.bus.note("notice", "Taking over the master (user request).")
                epochs.bump_without_consensus(core.state)
                core.take_place(me.config_epoch, now_ms)
            case "force":
                core.bus.note("notice", "Forced failover user request accepted.")
                self._end_ms = self._look_ms = now_ms + TIMEOUT_MS
                self._ready = True
            case _:
                core.bus.note("notice", "Manual failover user request accepted.")
                self._end_ms = now_ms + TIMEOUT_MS
                self._ask(primary, now_ms)

    def _ask(self, primary: Peer, now_ms: int) -> None:
        """Ask the primary for its final offset, repeatedly: it ignores whom it does not know as its replica yet."""
        self._look_ms = min(self._end_ms, now_ms + ASK_AGAIN_MS)
        self._core.bus.send(primary.link, MfStart(self._core.bus.header()))

    def hear_header(self, sender: Peer, header: Header) -> None:
        """Our primary may state its final offset."""
        waiting = self._end_ms and self._goal is None and not self._ready
        if waiting and sender is self._core.myself.primary and header.mflags[0] & PAUSED:
            self._goal = header.offset
            text = f"Received replication offset for paused master manual failover: {header.offset}"
            self._core.bus.note("notice", text)

    # Both.

    def hear_start(self, sender: Peer, now_ms: int) -> None:
        """MFSTART: from a replica that wants our place, or from our primary, who wants us to take its."""
        me = self._core.myself
        if sender.primary is me:
            self._pause(sender, now_ms)
        elif sender is me.primary and not sender.failed and not me.flags & flags.NOFAILOVER:
            self.reset()
            self._core.bus.note("notice", f"Primary {sender.id} hands over to this replica.")
            self._end_ms = now_ms + TIMEOUT_MS
            self._ask(sender, now_ms)

    def attend(self, now_ms: int) -> None:
        """Find that we have caught up, that writes are held back by now, or that it takes too long."""
        if self._barred_ms and now_ms >= self._barred_ms:
            self._barred_ms = 0
            self._promise(self._replica is not None)  # until now it is on disk: another restart must wait as well
            self._go_on(now_ms)
        if not self._end_ms:
            return
        primary = self._core.myself.primary
        if now_ms >= self._end_ms:
            self._core.bus.note("warning", "Manual failover timed out.")
            if self._replica is not None:
                self._go_on(now_ms)
            self.reset()
        elif self._replica is None and self._goal is not None and not self._ready:
            self._catch_up(self._goal, now_ms)
        elif now_ms < self._look_ms:
            return
        elif self._replica is not None:
            self._state_offset(self._replica, now_ms)
        elif primary is not None and not self._ready:
            self._ask(primary, now_ms)
        else:
            self._look_ms = self._end_ms

    def _catch_up(self, goal: int, now_ms: int) -> None:
        core = self._core
        # An offset is no measure while our data is of another history than the primary's; one that has none lacks none.
        comparable = not goal or core.shares_history
        if comparable and core.replication.offset >= goal:
            self._ready = True
            self._look_ms = self._end_ms
            text = "All master replication stream processed, manual failover can start."
            self._core.bus.note("notice", text)
        else:
            self._look_ms = now_ms + CATCH_UP_LOOK_MS

    def reset(self) -> None:
        """End it, whichever way it went."""
        if self._replica is not None:
            self._promise(False)
            self._core.bus.effect(ResumeWrites())
        self._end_ms = self._look_ms = 0
        self._replica = self._goal = None
        self._ready = False

    # The primary.

    def _pause(self, replica: Peer, now_ms: int) -> None:
        """Hold writes back. If they are already they stay so, for longer: a replica may stand with the offset we told.

        Were they let go for a moment, as by ending one failover before the next begins, it would lack what was written.
        """
        core = self._core
        self._end_ms, self._replica, self._look_ms = now_ms + PROMISE_MS, replica, now_ms
        core.bus.note("notice", f"Manual failover requested by replica {replica.id}.")
        self._promise(True)
        core.bus.effect(PauseWrites(TIMEOUT_MS * 2))

    def _state_offset(self, replica: Peer, now_ms: int) -> None:
        """Tell the replica our offset as soon as it is final, and again in case that went lost."""
        paused = self.paused
        if paused:
            self._core.bus.ping(replica, now_ms)
        self._look_ms = min(self._end_ms, now_ms + (REPEAT_MS if paused else 1))

    def successors(self) -> list[Peer]:
        """The replicas that could take our place if we ask them to."""
        me = self._core.myself
        if not me.is_primary or not me.slot_count:
            return []
        return [peer for peer in me.replicas if peer.ours and peer.connected and not peer.flags & UNABLE]

    def best_successor(self) -> Peer | None:
        """The one of them that has most of the data."""
        return max(self.successors(), key=lambda peer: (data_of(peer), peer.id), default=None)

    def hand_over(self) -> bool:
        """As a primary: have the best replica take our place. False if there is none that could.

        It is done when this node is a replica; until then, or until five seconds have passed, clients' writes wait.
        """
        best = self.best_successor()
        if best is None:
            return False
        self._core.bus.note("notice", f"Handing over to replica {best.id}.")
        self._core.bus.send(best.link, MfStart(self._core.bus.header()))
        return True
