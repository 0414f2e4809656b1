"""A primary that comes back without its data gives way to a replica that still has it.

Where nothing is on disk (no snapshot, no log, a lost volume), a primary that restarts before anybody has missed it is
empty, and in Redis all its replicas throw their data away to be like it: everything is lost although there were copies.

Here such a primary neither serves its slots nor synchronises anybody. It waits until its replicas have told how much
they have and hands over to the best of them. If all say for two seconds that they have nothing (one that still loads
says so, too), or none that has data can take its place and a while has passed, it serves, empty as it is. Redis'
replicas cannot be asked to take over (they obey their operator only), so with those the wait is time for a CLUSTER
FAILOVER TAKEOVER.

Who its replicas are it may not know: what it remembers can be from the moment when it was elected, before anybody had
followed it. So it listens to every member of which it does not know that it belongs to another shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.core import ClusterCore
    from gossip.peer import Peer

PATIENCE_MIN_MS = 10_000
PATIENCE_TIMEOUTS = 2
LISTEN_MS = 2000
LOOK_MS = 20
RETRY_MS = 1000


class EmptyPrimary:
    """Whether this node is one, and what it does about it."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core
        self._since_ms = 0
        self._until_ms = 0  # when it gives up waiting; 0: it is none
        self._look_ms = 0

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

    def attend(self, now_ms: int) -> None:
        """Hand over if it can be done by now, or end the wait."""
        if not self.active or now_ms < self._look_ms:
            return
        me = self._core.myself
        self._look_ms = now_ms + LOOK_MS
        all_told = all(peer.repl_offset_ms for peer in self._followers())
        listened = now_ms - self._since_ms >= LISTEN_MS
        if me.is_replica or not me.slot_count:
            self._end()
        elif now_ms >= self._until_ms and not self._most_of_the_able():
            self._core.bus.note("warning", "No replica has taken the place of this empty primary. It serves.")
            self._end()
        elif any(replica.repl_offset for replica in me.replicas):
            if (all_told or listened) and self._best_is_able(now_ms) and not self._core.manual.paused:
                self._core.manual.hand_over()
                self._look_ms = now_ms + RETRY_MS
        elif all_told and listened:
            self._core.bus.note("notice", "The replicas have no data either.")
            self._end()

    def _best_is_able(self, now_ms: int) -> bool:
        """Whether who has the most can be asked now; after half of the wait, whoever has anything at all will do."""
        most = max(replica.repl_offset for replica in self._core.myself.replicas)
        ables = self._most_of_the_able()
        return ables == most or (ables > 0 and now_ms - self._since_ms >= self._until_ms - now_ms)

    def _most_of_the_able(self) -> int:
        """The offset of the best replica that could take over now; 0: none that has anything."""
        best = self._core.manual.best_successor()
        return best.repl_offset if best is not None else 0

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
