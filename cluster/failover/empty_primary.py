"""A primary that comes back without its data gives way to a replica that still has it.

Where nothing is on disk (no snapshot, no log, a lost volume), a primary that restarts before anybody has missed it is
empty, and in Redis all its replicas throw their data away to be like it: everything is lost although there were copies.

Here such a primary neither serves its slots nor synchronises anybody. It waits until its replicas have told how much
they have and hands over to the best of them. If all say for two seconds that they have nothing (one that still loads
says so, too), it serves, empty as it is.

What it owes to replicas that it does not see, or that have data and cannot take its place, depends on what clients were
promised. With `min-acks` every write that they hold for done is on one of these, perhaps on the one that is cut off: it
waits for as long as it takes, rather than hand over to one that may have less, and says for whom (in the log, and in
CLUSTER INFO as cluster_empty_primary_waits_for).
An operator who knows that nothing is to come ends the wait by CLUSTER FAILOVER TAKEOVER (or FORCE) at the empty primary
itself, or by CLUSTER FORGET of the lost ones. Without `min-acks` nothing was promised that the end of one process might
not break, and a shard that is served counts for more: then it waits for ten seconds, or two node timeouts if that is
longer, and serves. Redis' replicas cannot be asked to take over (they obey their operator only), so with those the wait
is time for a CLUSTER FAILOVER TAKEOVER there.

Who its replicas are it may not know: what it remembers can be from the moment when it was elected, before anybody had
followed it. So it listens to every member of which it does not know that it belongs to another shard.
"""

from __future__ import annotations

from cluster.failover.election import Data, data_of
from cluster.failover.member import Member
from gossip.peer import Peer

PATIENCE_MIN_MS = 10_000
PATIENCE_TIMEOUTS = 2
LISTEN_MS = 2000
LOOK_MS = 20
RETRY_MS = 1000
ADVICE = (
    "because min-acks promises that its data is there. CLUSTER FORGET of who is lost for good, or CLUSTER FAILOVER "
    "TAKEOVER here, makes it serve, empty as it is."
)


class EmptyPrimary:
    """Whether this node is one, and what it does about it."""

    def __init__(self, core: Member) -> None:
        self._core = core
        self._since_ms = 0
        self._until_ms = 0  # when it gives up waiting; 0: it is none
        self._look_ms = 0
        self._told = False

    @property
    def active(self) -> bool:
        return self._until_ms > 0

    def next_due_ms(self) -> int | None:
        return self._look_ms or None

    def data_loaded(self, now_ms: int) -> None:
        """The node has loaded what it had on disk."""
        core, me = self._core, self._core.myself
        if me.is_replica or not me.slot_count or len(core.keyspace) or core.replication.offset or not self._followers():
            return
        core.bus.note("warning", "This primary has replicas but lost its data: it waits for one of them to take over.")
        patience_ms = max(PATIENCE_TIMEOUTS * core.settings.node_timeout_ms, PATIENCE_MIN_MS)
        self._since_ms, self._until_ms, self._look_ms = now_ms, now_ms + patience_ms, now_ms

    def awaited(self) -> list[str]:
        """Ids of those who may have its data: who has not told yet, or has told that it has some."""
        return sorted(peer.id for peer in self._followers() if not peer.repl_offset_ms or peer.repl_offset)

    def serve(self) -> None:
        """The operator says that it shall not wait."""
        self._core.bus.note("warning", "This empty primary serves (user request).")
        self._end()

    def attend(self, now_ms: int) -> None:
        """Hand over if it can be done by now, or end the wait."""
        me = self._core.myself
        if self.active and (me.is_replica or not me.slot_count):
            self._end()  # now, as it may be a primary again before the next look
        if not self.active or now_ms < self._look_ms:
            return
        self._look_ms = now_ms + LOOK_MS
        all_told = all(peer.repl_offset_ms for peer in self._followers())
        listened = now_ms - self._since_ms >= LISTEN_MS
        if now_ms >= self._until_ms and not self._core.settings.min_acks and not self._best_of_the_able().offset:
            self._core.bus.note("warning", "No replica has taken the place of this empty primary. It serves.")
            self._end()
        elif any(replica.repl_offset for replica in me.replicas):
            heard = all_told or (listened and not self._owes_it_to_the_unheard())
            if heard and self._best_is_able(now_ms) and not self._core.manual.paused:
                self._core.manual.hand_over()
                self._look_ms = now_ms + RETRY_MS
        elif all_told and listened and not self._others_have_data(now_ms):
            self._core.bus.note("notice", "The replicas have no data either.")
            self._end()
        if self.active and now_ms >= self._until_ms and not self._told:
            self._told = True
            self._core.bus.note("warning", f"This empty primary still waits for {', '.join(self.awaited())} {ADVICE}")

    def _others_have_data(self, now_ms: int) -> bool:
        """Whether somebody has data who does not say (yet) that it replicates us: it has missed our election, say.

        A primary without slots may be one that was emptied and belongs to nobody: it is not waited for without end.
        """
        holders = [peer for peer in self._followers() if peer.repl_offset]
        return any(peer.is_replica or now_ms < self._until_ms for peer in holders)

    def _owes_it_to_the_unheard(self) -> bool:
        """Whether a write that clients hold for done may be on none of those who have told how much they have."""
        unheard = sum(not peer.repl_offset_ms for peer in self._followers())
        return 0 < self._core.settings.min_acks <= unheard

    def _best_is_able(self, now_ms: int) -> bool:
        """Whether who has the most can be asked now. Where nothing was promised, whoever has anything at all will do
        after half of the wait."""
        able = self._best_of_the_able()
        if not any(data_of(replica).exceeds(able) for replica in self._core.myself.replicas):
            return able.offset > 0
        half_over = now_ms - self._since_ms >= self._until_ms - now_ms
        return able.offset > 0 and half_over and not self._core.settings.min_acks

    def _best_of_the_able(self) -> Data:
        """What the best replica has that could take over now; offset 0: none that has anything."""
        best = self._core.manual.best_successor()
        return data_of(best) if best is not None else Data(0, 0)

    def _followers(self) -> list[Peer]:
        """Our replicas, and those who may be without our knowing it."""
        me = self._core.myself
        return [
            peer
            for peer in self._core.members.others()
            if not (peer.slot_count or peer.in_handshake)
            and (peer.primary is None or peer.primary is me or not peer.primary.slot_count)
        ]

    def _end(self) -> None:
        self._until_ms = self._look_ms = 0
        self._core.changed(state=True)
