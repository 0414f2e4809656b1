"""What must hold, whatever goes wrong. Each checker watches the world by itself and knows nothing of faults or clients.

A checker is told what happens (`Checker`'s methods) and raises `Violation` at the moment at which something is wrong,
so that the trace ends where a reader should look. What can only be judged when all faults are over is judged in
`Checker.at_end`.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

from cluster.agreement.electorate import quorum
from cluster.agreement.slots import ranges_text
from gossip.messages import EMPTY_SLOTS
from tests.simulator.clock import MS
from tests.simulator.packets import AUTH_ACK, PINGS, SLOTS, peek

if TYPE_CHECKING:
    from gossip.peer import Peer
    from tests.simulator.network import End
    from tests.simulator.process import Process, SimHost
    from tests.simulator.replication import Write
    from tests.simulator.world import World


class Violation(Exception):
    """Something that must never happen has happened."""

    def __init__(self, checker: str, text: str) -> None:
        super().__init__(f"{checker}: {text}")
        self.checker = checker


class Checker:
    """What a checker may watch. None of these change anything."""

    def __init__(self, world: World) -> None:
        self.world = world

    def serving_changed(self, process: Process) -> None:
        """A process accepts writes for other slots than before, or again after a pause."""

    def sending(self, process: Process, end: End, packet: bytes) -> None:
        """A packet leaves a process for the bus."""

    def booted(self, process: Process) -> None:
        """A process has started."""

    def losing(self, host: SimHost, lost: Set[int]) -> None:
        """A fault is about to destroy these writes, which the host's process knows and its disk does not."""

    def accepted(self, process: Process, write: Write) -> None:
        """A process has accepted a client's write."""

    def at_end(self) -> None:
        """All faults are over, and the cluster had its time to recover."""

    def fail(self, text: str) -> None:
        raise Violation(type(self).__name__, text)


class OneWriter(Checker):
    """At no moment do two processes accept writes for the same slot."""

    def serving_changed(self, process: Process) -> None:
        mine = process.accepted_slots()
        if not mine:
            return
        for other in self.world.running():
            if other is not process and (both := mine & other.accepted_slots()):
                self.fail(f"{process.host.name} and {other.host.name} both accept writes for {ranges_text(both)}")

    def accepted(self, process: Process, write: Write) -> None:
        for other in self.world.running():
            if other is not process and other.accepts(write.slot):
                self.fail(f"{process.host.name} took a write for {write.slot}, which {other.host.name} accepts too")


class Epochs(Checker):
    """What a node said about its epochs it remembers, in spite of crashes; no two primaries share a config epoch."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._said: dict[str, int] = {}  # node id -> the highest current epoch that it told anybody
        self._owner: dict[int, str] = {}  # config epoch -> the primary that claimed slots under it

    def sending(self, process: Process, end: End, packet: bytes) -> None:
        kind, current_epoch, config_epoch, is_primary = peek(packet)
        self._said[process.id] = max(current_epoch, self._said.get(process.id, 0))
        if kind in PINGS and is_primary and config_epoch and packet[SLOTS] != EMPTY_SLOTS:
            owner = self._owner.setdefault(config_epoch, process.id)
            if owner != process.id:
                self.fail(f"config epoch {config_epoch} of {self.world.name_of(owner)} is {process.host.name}'s too")

    def booted(self, process: Process) -> None:
        said, knows = self._said.get(process.id, 0), process.core.state.current_epoch
        if knows < said:
            self.fail(f"{process.host.name} told others of epoch {said} and came back with {knows}")


class Votes(Checker):
    """Nobody votes for two candidates in one epoch."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._votes: dict[tuple[str, int], str] = {}

    def sending(self, process: Process, end: End, packet: bytes) -> None:
        kind, epoch, _, _ = peek(packet)
        if kind != AUTH_ACK or end.remote is None:
            return
        candidate = f"n{end.remote.holder.host.number}"
        first = self._votes.setdefault((process.id, epoch), candidate)
        if first != candidate:
            self.fail(f"{process.host.name} voted for {first} and for {candidate} in epoch {epoch}")


class Durability(Checker):
    """No acknowledged write is lost, unless faults destroyed or cut off every copy that there was of it.

    A write may be acknowledged when `min_acks` replicas have it. While one of those who have it can be elected, nobody
    else may be. So whenever a process begins to serve slots, it must have every acknowledged write that some other
    member has which lives, runs and is not cut off, nor was held failed by a majority when they gave it their votes
    (it may have come back since); what only others have is excused from then on.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._excused: set[int] = set()
        self._last_server: dict[int, SimHost] = {}
        self._held_failed: dict[tuple[int, int], dict[str, set[str]]] = {}
        """Candidate and epoch -> who voted for it -> whom that voter held failed then."""

    def sending(self, process: Process, end: End, packet: bytes) -> None:
        kind, epoch, _, _ = peek(packet)
        if kind == AUTH_ACK and end.remote is not None:
            votes = self._held_failed.setdefault((end.remote.holder.host.number, epoch), {})
            votes[process.id] = {peer.id for peer in process.core.members if peer.failed}

    def losing(self, host: SimHost, lost: Set[int]) -> None:
        """What nobody else has is excused, also if its reply is still on the way."""
        elsewhere = [other.data() for other in self.world.hosts if other is not host]
        self._excused.update(number for number in lost if not any(number in data for data in elsewhere))

    def serving_changed(self, process: Process) -> None:
        for slot in self.world.slots:
            if process.accepts(slot) and self._last_server.get(slot) is not process.host:
                self._last_server[slot] = process.host
                self._took_over(process, slot)

    def _took_over(self, process: Process, slot: int) -> None:
        lacking = [n for n in self._open() if self.world.ledger.acked[n] == slot and n not in process.store.data]
        for number in lacking:
            for holder in self.world.hosts:
                if number in holder.data() and self._could_serve(holder, process):
                    self.fail(
                        f"{process.host.name} took over slot {slot} without write {number}, which {holder.name} has"
                    )
            self._excused.add(number)

    def _could_serve(self, holder: SimHost, instead_of: Process) -> bool:
        if holder.process is None or not self.world.is_healthy(holder):
            return False
        peer = instead_of.core.members.get(holder.process.id)
        return peer is not None and not peer.failed and not self._was_held_failed(peer, instead_of)

    def _was_held_failed(self, peer: Peer, winner: Process) -> bool:
        core = winner.core
        votes = self._held_failed.get((winner.host.number, core.myself.config_epoch), {})
        return sum(peer.id in failed for failed in votes.values()) >= quorum(core.voters)

    def _open(self) -> Iterator[int]:
        return (number for number in self.world.ledger.acked if number not in self._excused)

    def at_end(self) -> None:
        lost = [number for number in self._open() if not self._is_kept(number)]
        if lost and self.world.parameters.min_acks:
            self.fail(f"{len(lost)} acknowledged writes are gone: {lost[:10]}")

    def _is_kept(self, number: int) -> bool:
        slot = self.world.ledger.acked[number]
        return any(process.accepts(slot) and number in process.store.data for process in self.world.running())


class Convergence(Checker):
    """In the end everybody agrees on who is there, who owns what, and that the cluster is well."""

    def disagreement(self) -> str | None:
        """What is not as it should be; None if all is well."""
        processes = list(self.world.running())
        if len(processes) < len(self.world.hosts):
            return "not all processes run"
        first_name, first = processes[0].host.name, _view(processes[0])
        for process in processes:
            name = process.host.name
            if not process.core.ok:
                return f"cluster_state of {name} is fail"
            view = _view(process)
            if view != first:
                return f"{first_name} and {name} differ {self._difference(first, view)}"
            if process.core.myself.is_replica and not process.store.in_sync:
                return f"{name} is not in sync with its primary"
        return self._wrong_epochs(processes) or self._unserved()

    @staticmethod
    def _wrong_epochs(processes: list[Process]) -> str | None:
        owners = [process.core.myself for process in processes if process.core.myself.slot_count]
        epochs = sorted(owner.config_epoch for owner in owners)
        return f"primaries have the config epochs {epochs}" if len(set(epochs)) != len(epochs) else None

    def _unserved(self) -> str | None:
        for slot in self.world.slots:
            serving = [process.host.name for process in self.world.running() if process.accepts(slot)]
            if len(serving) != 1:
                return f"slot {slot} is served by {serving}"
        return None

    def _difference(self, one: dict[str, tuple[object, ...]], other: dict[str, tuple[object, ...]]) -> str:
        """About whom two views differ, and what they say, without the slots."""
        for node_id in {**one, **other}:
            a, b = one.get(node_id), other.get(node_id)
            if a != b:
                shown = [view and view[:3] + view[4:] for view in (a, b)]
                return f"about {self.world.name_of(node_id)}: {shown[0]} and {shown[1]}"
        return "about nothing"

    def at_end(self) -> None:
        text = self.disagreement()
        if text is not None:
            self.fail(text)


def _view(process: Process) -> dict[str, tuple[object, ...]]:
    """What a process thinks of every member."""
    slotmap = process.core.slotmap
    found: dict[str, tuple[object, ...]] = {}
    for peer in process.core.members:
        primary = peer.primary.id if peer.primary else None
        epoch = peer.config_epoch if peer.is_primary else 0
        found[peer.id] = (peer.is_primary, primary, epoch, slotmap.owned_by(peer), peer.suspected, peer.failed)
    return found


class Availability(Checker):
    """How long writes were not served, by slot. Judged by scenarios that know what to expect."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.last_accepted_us: dict[int, int] = {}
        self.longest_us: dict[int, int] = {}

    def accepted(self, process: Process, write: Write) -> None:
        now_us = self.world.timeline.now_us
        gap_us = now_us - self.last_accepted_us.get(write.slot, now_us)
        self.longest_us[write.slot] = max(gap_us, self.longest_us.get(write.slot, 0))
        self.last_accepted_us[write.slot] = now_us

    def longest_ms(self) -> int:
        return max(self.longest_us.values(), default=0) // MS


ALL: tuple[type[Checker], ...] = (OneWriter, Epochs, Votes, Durability)
