"""What a node does between the requests of its clients: the regular work, and slices of what takes long.

The loop runs the regular work at `hz`, less often while nothing happens, and gives the lazy jobs (freeing, expiry,
snapshots, a long script) short slices in between, so that nothing holds it for long. `Turns` is the node's port of
wake-ups (node/ports/): parts ask for a turn, and get it after the one that the loop is in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.aio.clock import unix_ms
from node.persistence.snapshots import Next
from node.replication.link import State

if TYPE_CHECKING:
    from node.aio.sockets import SocketDriver
    from node.core import NodeCore

FREE_BUDGET = 4000  # items a slice of lazy freeing may give back
EXPIRE_HASHES = 20  # hashes from which a slice of the expiry of fields may delete
EXPIRE_BUDGET_US = 1000  # how long a slice of the expiry cycle may take
EXPIRE_PAUSE_S = 0.002  # between slices while many keys are found dead
SNAPSHOT_BUDGET_US = 1000  # how long a slice of the snapshots may take
SNAPSHOT_PAUSE_S = 0.002  # between slices while nobody takes what they write
LEAVING_LOOK_S = 0.005
IDLE_AFTER_TICKS = 20
IDLE_COMMANDS = 1  # in one tick: the PING with which a primary shows that it lives is nothing that happens
IDLE_PAUSE_S = 1.0  # between two rounds of the regular work while nothing happens


class Turns:
    """The timers of one node. Nothing asks for a turn before `begin`."""

    suspends = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._node: NodeCore
        self._driver: SocketDriver
        self._on_tick: Callable[[], None] = lambda: None
        self._ended = False
        self._freeing = False
        self._expiring = False
        self._idling = False
        self._quiet_ticks = 0
        self._processed = 0
        self._snapshot_timer: asyncio.Handle | None = None
        self._waits_timer: asyncio.TimerHandle | None = None
        self._cron_timer: asyncio.TimerHandle | None = None

    def begin(self, node: NodeCore, driver: SocketDriver, on_tick: Callable[[], None]) -> None:
        """The node of these timers; `on_tick` is called with each round of the regular work."""
        self._node, self._driver, self._on_tick = node, driver, on_tick

    def start(self) -> None:
        """Serve clients, and do the regular work from now on."""
        self._loop.add_reader(self._driver.fileno(), self._driver.on_ready)
        self._cron()

    def stop(self) -> None:
        self._ended = True
        if self._cron_timer is not None:
            self._cron_timer.cancel()
        self._loop.remove_reader(self._driver.fileno())

    # -- what the node asks for

    def send(self) -> None:
        self._loop.call_soon(self._driver.flush_pending)

    def end_waits(self, at_ms: int) -> None:
        """Have waits end at their deadline rather than at the next tick."""
        timer = self._waits_timer
        delay_s = max(0, at_ms - unix_ms()) / 1000
        if timer is not None and not timer.cancelled() and timer.when() <= self._loop.time() + delay_s:
            return
        if timer is not None:
            timer.cancel()
        self._waits_timer = self._loop.call_later(delay_s, self._end_waits)

    def go_on_with_script(self) -> None:
        self._loop.call_soon(self._go_on_with_script)

    def take_snapshots(self) -> None:
        if self._snapshot_timer is not None:
            self._snapshot_timer.cancel()
        self._snapshot_timer = self._loop.call_soon(self._snapshot)

    def go_on_leaving(self) -> None:
        """Called by the signal handler, too, which a loop that sleeps does not notice by itself."""
        self._loop.call_soon_threadsafe(self._go_on_leaving)

    # -- the regular work

    def _cron(self) -> None:
        """Its own lateness is known from the interval."""
        self._driver.accept_again()
        if not self._node.cron_paused:
            self._node.tick(unix_ms())
            self._on_tick()
        if not self._freeing:
            self._freeing = True
            self._free()
        if not self._expiring:
            self._expiring = True
            self._expire()
        self._idle(self._is_idle())
        self._next_cron()

    def _next_cron(self) -> None:
        pause_s = 1 / self._node.config["hz"]
        self._cron_timer = self._loop.call_later(max(pause_s, IDLE_PAUSE_S) if self._idling else pause_s, self._cron)

    def _idle(self, on: bool) -> None:
        """Do the regular work less often from now on, or as usual again; then, clients are served without detours."""
        if on != self._idling:
            self._idling = on
            self._loop.add_reader(self._driver.fileno(), self._while_idling if on else self._driver.on_ready)

    def _is_idle(self) -> bool:
        """Whether nothing has happened for a while, and nothing that the regular work looks after goes on.

        Where many nodes share a machine, most of what they take at rest is waking up.
        """
        node = self._node
        processed, self._processed = self._processed, self._requests()
        self._quiet_ticks = self._quiet_ticks + 1 if self._processed - processed <= IDLE_COMMANDS else 0
        return (
            self._quiet_ticks >= IDLE_AFTER_TICKS
            and not (node.pause.active or node.loading.active or node.eviction.due or node.scripts.suspended)
            and node.following.link.state in (State.NONE, State.CONNECTED)
            and not any(db.volatile_keys for db in node.space.dbs)
        )

    def _requests(self) -> int:
        """How many requests were served, but for what replicas say every second to show that they live."""
        return self._node.engine.processed - self._node.replicas.acks_heard

    def _while_idling(self) -> None:
        """If a client has sent a request, the regular work is due as usual from now on."""
        self._driver.on_ready()
        if self._idling and self._requests() != self._processed:
            self._quiet_ticks = 0
            self._idle(False)
            if self._cron_timer is not None:
                self._cron_timer.cancel()
            self._next_cron()

    # -- slices

    def _free(self) -> None:
        """A slice of lazy freeing and of giving memory back; while there is more, every turn of the loop has one."""
        if self._node.space.free_some(FREE_BUDGET):
            self._loop.call_soon(self._free)
        else:
            self._freeing = False

    def _expire(self) -> None:
        """A slice of the expiry cycle; it goes on while many keys are found dead."""
        self._expiring = self._node.expire_some(unix_ms(), EXPIRE_BUDGET_US, EXPIRE_HASHES)
        if self._expiring:
            self._loop.call_later(EXPIRE_PAUSE_S, self._expire)

    def _go_on_with_script(self) -> None:
        self._node.go_on_with_script(unix_ms())

    def _snapshot(self) -> None:
        """A slice of the snapshots that are being taken; clients have a turn before the next one."""
        self._snapshot_timer = None
        wish = self._node.snapshots.step(SNAPSHOT_BUDGET_US)
        if self._snapshot_timer is not None:
            return  # woken meanwhile
        if wish is Next.AT_ONCE:
            self._snapshot_timer = self._loop.call_soon(self._snapshot)
        elif wish is Next.SOON:
            self._snapshot_timer = self._loop.call_later(SNAPSHOT_PAUSE_S, self._snapshot)

    # -- deadlines

    def _end_waits(self) -> None:
        self._waits_timer = None
        due_ms = self._node.end_waits(unix_ms())
        if due_ms is not None:
            self.end_waits(due_ms)

    def _go_on_leaving(self) -> None:
        """Look often how far a shutdown is: a hand-over takes less than the time between two ticks."""
        if self._ended:
            return
        self._node.go_on_leaving(unix_ms())
        if self._node.leaving.asked and not self._ended:
            self._loop.call_later(LEAVING_LOOK_S, self._go_on_leaving)
