"""A long script in slices, so that the node goes on meanwhile.

The command that runs a script (or loads a library, or an EXEC with such a command in its queue) is the work of a
greenlet, the worker, which has a stack of its own. It begins at once, and most scripts end within the first slice. One
that does not is suspended in the middle of its Lua, at an instruction or before a command; its client waits as those of
BLPOP do, and the loop has its turn.
Nobody may see or change the data between the slices, since a script is atomic: other clients' commands wait, later
they are told BUSY, time stands still for the script, what it has written stays in one unit of the stream, and
expiry, snapshots that would begin now, and the regular work wait for its end. The bus does not.

What Lua does in one go (string.rep, table.sort of numbers) is not interrupted; Redis does not do that either.

Redis lets everybody wait instead until `busy-reply-threshold`, the bus too. A thread for scripts was rejected: handing
every command over to the loop and back costs more than most scripts do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags
from node.replies import Blocked, CommandError, Reply

if TYPE_CHECKING:
    from greenlet import greenlet

    from node.basics import Basics
    from node.engine.session.session import Command, Session
    from node.ports.host import WakeUps

SLICE_US = 5000


class Slices:
    """The work of one client that may be suspended, if the host comes back to it: else it ends before its command."""

    def __init__(self, basics: Basics, wake_ups: WakeUps, forget_wait: Callable[[Session], None]) -> None:
        """`forget_wait`: a client does not wait any more (BlockedClients.forget)."""
        self._engine, self._space, self._clock = basics.engine, basics.space, basics.clock
        self._forget_wait = forget_wait
        self._may_suspend, self._schedule = wake_ups.suspends, wake_ups.go_on_with_script
        self.suspended = False
        self.on_suspended: Callable[[], None] = lambda: None
        self.on_ended: Callable[[], None] = lambda: None
        self._worker: greenlet | None = None
        self._idle = True
        """The worker waits for its next work."""
        self._reply: Reply = None
        self._running = False
        self._caller: Session | None = None
        self._command: Command | None = None
        self._argv: list[bytes] = []
        self._flags = 0
        self._began_us = self._ends_us = 0
        self._now_ms = self._dirty = 0

    @property
    def elapsed_ms(self) -> int:
        return (self._clock.now_us() - self._began_us) // 1000

    def run(self, caller: Session, argv: list[bytes], work: Callable[[], Reply]) -> Reply:
        """The reply of the work, or a wait for its end."""
        if self._running or not self._may_suspend or caller.flags & flags.OBEYED:
            return work()
        if self._worker is None:
            from greenlet import greenlet

            self._worker = greenlet(self._serve)
        self._caller, self._command, self._argv = caller, caller.command, argv
        self._began_us, self._dirty = self._clock.now_us(), self._space.dirty
        reply = self._step(work)
        if not self.suspended:
            return reply
        self.on_suspended()
        self._schedule()
        return Blocked([], 0, lambda session: None, kind="script")

    def go_on(self) -> None:
        """One more slice."""
        if not self.suspended or self._worker is None:
            return
        space, caller = self._space, self._caller
        assert caller is not None
        now_ms, space.now_ms = space.now_ms, self._now_ms
        caller.flags |= self._flags
        try:
            reply = caller.work(self._step)
        finally:
            space.now_ms = now_ms
        if self.suspended:
            self._schedule()
        else:
            self._finish(caller, reply)

    def drop(self) -> None:
        """Free what is suspended. Its command never ends: nothing may come of what it has done."""
        if self._worker is not None and self.suspended:
            self._worker.throw()
        self._worker = None

    def yield_if_due(self) -> None:
        """Called by the work where it may be suspended."""
        if self._running and self._clock.now_us() >= self._ends_us:
            self._to_loop()

    def _serve(self, work: Callable[[], Reply]) -> None:
        """The worker: one work after the other, since to make a greenlet takes longer than most scripts."""
        while True:
            try:
                self._reply = work()
            except CommandError as error:
                self._reply = error
            except Exception as error:
                assert self._caller is not None
                self._reply = self._engine.node.internal_error(self._caller, self._argv, error)
            self._idle = True
            del work  # the worker waits with empty hands: a request may be large
            work = self._to_loop()

    def _to_loop(self) -> Callable[[], Reply]:
        """Called by the worker: let the loop have its turn. Returns with the next work, if the last has ended."""
        assert self._worker is not None
        assert self._worker.parent is not None
        work: Callable[[], Reply] = self._worker.parent.switch()
        return work

    def _step(self, work: Callable[[], Reply] | None = None) -> Reply:
        """A slice of the work that is suspended, or the first of this one."""
        assert self._worker is not None
        assert self._caller is not None
        self._ends_us = self._clock.now_us() + SLICE_US
        self._running, self._idle, self.suspended = True, False, False
        try:
            self._worker.switch(work)
        except BaseException:
            self._worker = None  # an exception that is none of a command has ended it
            raise
        finally:
            self._running = False
        self.suspended = not self._idle
        if self.suspended:
            self._now_ms = self._space.now_ms
            self._flags = self._caller.flags & flags.EXEC
            self._caller.flags &= ~flags.EXEC
        reply, self._reply = self._reply, None
        return reply

    def _finish(self, caller: Session, reply: Reply) -> None:
        """The end of a command that was suspended."""
        engine, command, argv = self._engine, self._command, self._argv
        assert command is not None
        duration_ns = (self._clock.now_us() - self._began_us) * 1000
        self._caller = self._command = None
        self._argv = []
        self._forget_wait(caller)
        errors = engine.errors
        if not caller.flags & flags.CLOSED:
            caller.unblock(reply)
        command.record(duration_ns)
        command.failed += engine.errors != errors
        if 0 <= engine.slow_ns <= duration_ns:
            engine.node.slow_command(caller, command, argv, duration_ns)
        if 0 < engine.latency_ns <= duration_ns:
            engine.node.late_command(command, duration_ns)
        if engine.propagating and self._space.dirty != self._dirty:
            engine.node.propagate(caller, command, argv)
        self.on_ended()
        if not caller.flags & flags.CLOSED:
            caller.mark()
            caller.go_on()
