"""One host and the process on it: the third host of a ClusterCore, after asyncio and the unit tests.

What `gossip/aio/bus.py` does with sockets and a thread for syncs is done here with the simulated network and disk, in
the same order: effects are carried out one by one, and what comes after a durable `Persist` waits until that is on
disk. A frozen process does nothing while its host goes on receiving for it; when it runs again everything that came in
meanwhile is handled at once, with its timers before, between or after.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cluster.agreement.effects import DropKeys, FollowPrimary, PauseWrites, ResumeWrites, StopFollowing
from cluster.agreement.slots import SlotSet
from cluster.agreement.state import ClusterSettings
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from gossip.effects import (
    Close,
    Connect,
    Effect,
    Event,
    LinkAccepted,
    LinkClosed,
    LinkOpened,
    Note,
    Persist,
    Received,
    Resolve,
    Resolved,
    Send,
)
from tests.simulator.clock import MS, NodeClock
from tests.simulator.disk import Disk
from tests.simulator.network import BUS, Arrival, End
from tests.simulator.replication import EMPTY, Image, Store, Write

if TYPE_CHECKING:
    from tests.simulator.world import World

SEEDS_NAME = "nodes"
"""A name that is resolved to the addresses of all hosts."""
LOOK_UP_US = MS

Reply = Callable[[str, str], None]
"""How a client hears: what became of its write (ok, moved, down, error), and where to ask instead."""


class SimHost:
    """A machine: an address, a disk, a wall clock, and the process that runs there."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        self.world = world
        self.number = number
        self.name = f"n{number}"
        self.rng = rng
        self.moves = 0
        self.ip = f"10.0.0.{number}"
        self.up = True
        self.stutters_until_us = 0
        self.skew_ms = rng.randrange(-3_600_000, 3_600_000) if rng.random() < 0.5 else 0
        self.drift_ppm = rng.randrange(-200, 200)
        self.disk = Disk(rng, world.parameters.sync_us)
        self.saved: Image = EMPTY  # the data that a process finds when it starts
        self.process: Process | None = None

    def listener(self, channel: str) -> Process | None:
        return self.process

    def new_address(self) -> str:
        """One that nobody has had before."""
        self.moves += 1
        return f"10.{self.moves}.0.{self.number}"

    def boot(self) -> Process:
        """Start the process."""
        assert self.process is None
        self.up = True
        self.process = Process(self)
        self.process.flush()
        return self.process

    def data(self) -> dict[int, int]:
        """All writes that are here, in the process or for the next one."""
        return self.process.store.data if self.process is not None else self.saved.data

    def running(self) -> Process | None:
        """The process, if it lives and is not frozen."""
        process = self.process
        return process if process is not None and not process.frozen else None


class Process:
    """One run of a node, from its start to its end."""

    def __init__(self, host: SimHost) -> None:
        self.host: SimHost = host
        self.world = host.world
        self.alive = True
        self.frozen = 0  # by how many faults
        self.ends: dict[End, None] = {}
        self._by_link: dict[int, End] = {}
        self._link_of: dict[End, int] = {}
        self._held: list[Callable[[], None]] = []  # writes that wait for the end of a pause
        self._inbox: deque[Callable[[], None]] = deque()
        self._queue: deque[Effect] = deque()
        self._being_synced: str | None = None
        self._flushing = False
        self._timer_us = 0  # of the next timer; 0: none is set
        self._served_version: object = None
        self.serves: SlotSet = 0
        """Slots for which clients' writes are accepted without further questions, as the engine's table would say."""
        self.clock = NodeClock(self.world.timeline, host.skew_ms, host.drift_ppm)
        parameters = self.world.parameters
        self.settings = ClusterSettings(
            node_timeout_ms=parameters.node_timeout_ms, seeds=(SEEDS_NAME,), min_acks=parameters.min_acks
        )
        rng = random.Random(host.rng.getrandbits(64))
        self.store = Store(self, host.saved, parameters.min_acks, parameters.backlog_size)
        self.core = ClusterCore(
            self.settings,
            rng,
            self.clock.now_ms(),
            host.disk.nodes_conf,
            self.store,
            self.store,
        )
        self.core.data_loaded(self.clock.now_ms())
        self.orders = ClusterOrders(self.core)
        primary = self.core.myself.primary
        if primary is not None:
            self.store.follow(primary.id, primary.ip)

    @property
    def id(self) -> str:
        return self.core.myself.id

    def new_history(self) -> str:
        return f"{self.host.rng.getrandbits(160):040x}"

    # What a client sees.

    def accepts(self, slot: int) -> bool:
        """Whether a write to this slot would be accepted at this moment."""
        return bool(self.accepted_slots() >> slot & 1)

    def accepted_slots(self) -> SlotSet:
        """All slots for which that holds."""
        if not self.serves or self.store.writes_paused or not self.core.may_serve(self.clock.now_ms()):
            return 0
        return self.serves

    def request(self, write: Write, reply: Reply) -> None:
        """A client's write has reached the host."""
        self._when_running(lambda: self._serve(write, reply))

    def _serve(self, write: Write, reply: Reply) -> None:
        if self.store.writes_paused:
            self._held.append(lambda: self._serve(write, reply))
        elif self.accepts(write.slot):
            self.world.accepted(self, write)
            self.store.write(write, lambda acked: reply("ok" if acked else "error", ""))
        else:
            self._redirect(write, reply)

    def _redirect(self, write: Write, reply: Reply) -> None:
        owner = self.core.slotmap.owners[write.slot]
        if owner is not None and owner is not self.core.myself and self.core.ok:
            reply("moved", owner.ip)
        else:
            reply("down", "")

    def do(self, operation: str, *args: Any) -> Any:
        """An operator's command. ClusterError if it is refused."""
        try:
            return getattr(self.orders, operation)(*args, self.clock.now_ms())
        finally:
            self.flush()

    def hand_over(self) -> bool:
        """Before the process ends: whether somebody takes its place."""
        try:
            return self.core.hand_over(self.clock.now_ms())
        finally:
            self.flush()

    # Events.

    def arrived(self, end: End, what: Arrival, payload: Any) -> None:
        self._when_running(lambda: self._handle(end, what, payload))

    def _when_running(self, action: Callable[[], None]) -> None:
        if not self.alive:
            return
        if self.frozen:
            self._inbox.append(action)
        else:
            action()

    def _handle(self, end: End, what: Arrival, payload: Any) -> None:
        if end.channel != BUS:
            self.store.arrived(end, what, payload)
            return
        event = self._bus_event(end, what, payload)
        if event is not None:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self.core.step(event, self.clock.now_ms())
        self.flush()

    def _bus_event(self, end: End, what: Arrival, payload: Any) -> Event | None:
        if what is Arrival.ACCEPTED:
            link_id = self.core.new_link_id()
            self._by_link[link_id] = end
            self._link_of[end] = link_id
            assert end.remote is not None
            return LinkAccepted(link_id, end.remote.holder.host.ip, self.host.ip)
        link_id = self._link_of.get(end, 0)
        if not link_id:
            return None  # the core has closed it
        if what is Arrival.DATA:
            self.world.trace.count(self.world.timeline.now_us, self.host.number, payload)
            return Received(link_id, payload)
        if what is Arrival.OPENED:
            assert end.remote is not None
            return LinkOpened(link_id, end.remote.holder.host.ip, self.host.ip)
        self._unlink(link_id)
        return LinkClosed(link_id, payload)

    def _unlink(self, link_id: int) -> End | None:
        end = self._by_link.pop(link_id, None)
        if end is not None:
            del self._link_of[end]
        return end

    # Effects.

    def flush(self) -> None:
        """Carry out what the core asks until there is nothing more, or a sync has to be waited for."""
        if self._flushing:
            return
        self._flushing = True
        queue = self._queue
        while self._being_synced is None and self.alive:
            queue.extend(self.core.take_effects())
            if not queue:
                break
            self._perform(queue.popleft())
        self._flushing = False
        if self.alive:
            self._refresh()
            self._arm()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(link_id, data):
                end = self._by_link.get(link_id)
                if end is not None:
                    self.world.sending(self, end, data)
                    self.world.network.send(end, data)
            case Persist(text, durable):
                self._persist(text, durable)
            case Connect(link_id, host, _):
                end = self.world.network.connect(self, host, BUS)
                self._by_link[link_id] = end
                self._link_of[end] = link_id
            case Resolve(name):
                answer = Resolved(name, tuple(host.ip for host in self.world.hosts))
                self.world.timeline.after(LOOK_UP_US, self._when_running, lambda: self._tell(answer))
            case Close(link_id):
                end = self._unlink(link_id)
                if end is not None:
                    self.world.network.close(end)
            case Note(level, text):
                if level != "debug":
                    self.world.story(self.host, text)
            case FollowPrimary(node_id, host, _):
                self.store.follow(node_id, host)
            case StopFollowing(empty):
                self.store.stop_following(empty)
            case PauseWrites():
                self.store.writes_paused = True
            case ResumeWrites():
                self._resume()
            case DropKeys(slots):
                self.store.drop(slots)

    def _resume(self) -> None:
        self._refresh()
        self.store.writes_paused = False
        self.world.serving_changed(self)
        held, self._held = self._held, []
        for action in held:
            self._when_running(action)

    def _persist(self, text: str, durable: bool) -> None:
        if not durable:
            self.host.disk.write(text)
            return
        self._being_synced = text
        self.world.timeline.after(self.host.disk.sync_time_us(), self._synced)

    def _synced(self) -> None:
        if not self.alive:
            return
        assert self._being_synced is not None
        self.host.disk.synced(self._being_synced)
        self._being_synced = None
        self._when_running(self.flush)

    def _refresh(self) -> None:
        """What the engine's table of served slots says now."""
        core = self.core
        version = core.served_version
        if version == self._served_version:
            return
        self._served_version = version
        before = self.serves
        self.serves = 0
        if core.ok and core.myself.is_primary:
            self.serves = core.slotmap.owned_by(core.myself)
            for slot in core.slotmap.migrating:
                self.serves &= ~(1 << slot)
        if self.serves != before:
            self.world.serving_changed(self)

    # Time.

    def _arm(self) -> None:
        """Have the core ticked when it next wants to be. A timer that is too early does no harm and stays."""
        at_us = self.clock.when_us(self.core.next_due_ms())
        if not self._timer_us or at_us < self._timer_us:
            self._timer_us = at_us
            self.world.timeline.at(at_us, self._on_timer, at_us)

    def _on_timer(self, at_us: int) -> None:
        if at_us != self._timer_us or not self.alive or self.frozen:
            return
        self._timer_us = 0
        now_ms = self.clock.now_ms()
        if self.core.next_due_ms() <= now_ms:
            self.core.tick(now_ms)
            self.flush()
        else:
            self._arm()

    def thaw(self) -> None:
        """One fault that froze us is over. After the last: what came in meanwhile is handled, timers are late."""
        self.frozen -= 1
        if self.frozen:
            return
        self.world.serving_changed(self)
        inbox, self._inbox = self._inbox, deque()
        timer_after = self.host.rng.randrange(len(inbox) + 1)
        for index, action in enumerate(inbox):
            if index == timer_after:
                self._run_timer()
            self._when_running(action)
        if timer_after == len(inbox):
            self._run_timer()

    def _run_timer(self) -> None:
        self._timer_us = 0
        self.core.tick(self.clock.now_ms())
        self.flush()

    def end(self, power: bool) -> None:
        """The process is gone; with `power`, its host too."""
        self.alive = False
        self.host.process = None
        self.host.up = not power
        self.serves = 0
        if power:
            self.host.disk.power_lost(self._being_synced)
            self.world.network.power_lost(self)
        else:
            self.host.disk.killed(self._being_synced)
            self.world.network.process_ended(self)
