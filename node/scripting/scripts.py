"""The scripts of a node: those that it has been sent, and the one that runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node import flags
from node.engine.session.session import Session
from node.engine.session.wire import count_bytes
from node.monitoring.figure import Table, human, shown
from node.replies import CommandError, Raw, Reply
from node.scripting.api import Api
from node.scripting.errors import ABANDONED, CannotCompile, Failure
from node.scripting.functions import Functions
from node.scripting.random import Random
from node.scripting.running import Call, Run, must_obey, refusal
from node.scripting.shebang import ScriptFlags, command_flags, read_shebang
from node.scripting.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.basics import Basics
    from node.engine.session.session import Command
    from node.ports.host import WakeUps
    from node.requests.blocking import BlockedClients
    from node.requests.pause import Pause
    from node.requests.standstill import Standstill
    from node.scripting.interpreter import Interpreter

    MakesApi = Callable[[Api], Mapping[bytes, Any]]
    """What scripts find in `redis`, made of what they may do."""

NOSCRIPT = CommandError("NOSCRIPT No matching script. Please use EVAL.")
BUSY_EVAL = CommandError(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
BUSY_FUNCTION = CommandError(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
UNKILLABLE_FROM_PRIMARY = CommandError(
    "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed."
)
UNKILLABLE = CommandError(
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script "
    "termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
KILLED = b"ERR Script killed by user with SCRIPT KILL..."
LATE = b"ERR FUNCTION LOAD timeout"
NOTBUSY = CommandError("NOTBUSY No scripts in execution right now.")
DIGEST_LENGTH = 40
SCRIPT_OVERHEAD_BYTES = 150
"""What a script in the cache takes beside its text."""
KINDS_OF_ERRORS = 128
OTHER_ERRORS = b"ERRORSTATS_OVERFLOW"
LONGEST_CODE = 30
"""A longer first word is no code."""


@dataclass(frozen=True, slots=True)
class Script:
    body: bytes
    flags: ScriptFlags
    function: Any
    """A function of Lua."""


class Scripts:
    """EVAL's scripts by digest, and the run of a script, of which there is at most one at a time."""

    def __init__(
        self,
        basics: Basics,
        commands: Mapping[bytes, Command],
        wake_ups: WakeUps,
        standstill: Standstill,
        blocking: BlockedClients,
        pause: Pause,
        drop_unit: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        """`commands` are all that there are.

        `drop_unit`: what was written since the last unit of the stream is never sent. `ended`: a script that was
        suspended is not any more, and whatever had to wait for that goes on.
        """
        self._basics = basics
        self._engine = basics.engine
        self.log = basics.log
        self.commands = commands
        self._standstill = standstill
        self._pause = pause
        self._drop_unit = drop_unit
        self._resume_others = ended
        self.functions = Functions(basics.clock, self._interpreter_of_libraries)
        self.random = Random()
        self.by_digest: dict[bytes, Script] = {}
        self.cache_bytes = 0
        """What they take beside Lua."""
        self.run: Run | None = None
        self.slices = Slices(basics, wake_ups, blocking.forget)
        self.slices.on_suspended, self.slices.on_ended = self._suspended, self._ended
        self.timed_out = False
        """Others no longer wait for the end of the script that is suspended: they are told BUSY."""
        self._verdict: bytes | None = None
        self.allows_noscript = False
        """DEBUG lets scripts run commands that are not meant for them."""
        self._interpreter: Interpreter | None = None
        self._session = Session(basics.engine, basics.space.dbs[0], 0)
        """The one of all scripts: their commands are its."""

    # -- the cache

    def load(self, body: bytes) -> bytes:
        """Keep a script; its digest. CommandError."""
        digest = hashlib.sha1(body).hexdigest().encode()
        if digest not in self.by_digest:
            shebang = read_shebang(body)
            try:
                function = self.interpreter.compile(body[shebang.length :], b"@user_script")
            except CannotCompile as error:
                raise CommandError(b"ERR Error compiling script (new function): " + error.text) from None
            self.by_digest[digest] = Script(body, shebang.flags, function)
            self._count(len(body) + SCRIPT_OVERHEAD_BYTES)
        return digest

    def flush(self) -> None:
        """Forget all scripts, and whatever they have left behind."""
        self.by_digest.clear()
        self._count(-self.cache_bytes)
        self._interpreter = None

    def declared(self, command: Command, argv: list[bytes]) -> frozenset[str]:
        """The flags of a command that runs a script, as far as the script itself declares them."""
        usual = command.spec.flags
        if command.name.startswith(b"fcall"):
            function = self.functions.find(argv[1])
            return command_flags(usual, function.flags) if function is not None else usual
        by_digest = command.name.startswith(b"evalsha")
        script = self.by_digest.get(argv[1].lower()) if by_digest else None
        if script is not None:
            return command_flags(usual, script.flags)
        if by_digest or not argv[1].startswith(b"#!"):
            return usual
        try:
            return command_flags(usual, read_shebang(argv[1]).flags)
        except CommandError:
            return usual

    # -- running

    @property
    def interpreter(self) -> Interpreter:
        """That of EVAL, made when it is first needed."""
        if self._interpreter is None:
            self._interpreter = self._make_interpreter(Api.for_eval)
        return self._interpreter

    def _interpreter_of_libraries(self) -> Interpreter:
        """A new one for the libraries of functions."""
        return self._make_interpreter(Api.common, lambda api: api.for_libraries(self.functions))

    def _make_interpreter(self, running: MakesApi, loading: MakesApi | None = None) -> Interpreter:
        from node.scripting.interpreter import Interpreter

        api, deprecated = Api(self), self._basics.config["lua-enable-deprecated-api"]
        loading_api = loading(api) if loading is not None else None
        return Interpreter(self, api.carry_out, running(api), self.random, loading_api, deprecated=deprecated)

    def evaluate(self, call: Call) -> Reply:
        """EVAL."""
        return self._evaluate(call, self.load(call.argv[1]))

    def evaluate_known(self, call: Call) -> Reply:
        """EVALSHA."""
        digest = call.argv[1].lower()
        if len(digest) != DIGEST_LENGTH or digest not in self.by_digest:
            raise NOSCRIPT
        return self._evaluate(call, digest)

    def call_function(self, call: Call) -> Reply:
        """FCALL."""
        functions = self.functions
        function = functions.find(call.argv[1])
        assert function is not None
        error = refusal(self._engine, call, function.flags)
        if error is not None:
            return error
        interpreter = functions.interpreter
        run = self._new_run(call, function.name, function.flags, is_eval=False)
        keys, args = interpreter.array(call.keys), interpreter.array(call.args)
        return self._carry_out(run, interpreter, function.callback, keys, args)

    def _evaluate(self, call: Call, digest: bytes) -> Reply:
        script, interpreter = self.by_digest[digest], self.interpreter
        error = refusal(self._engine, call, script.flags)
        if error is not None:
            return error
        interpreter.define(b"KEYS", interpreter.array(call.keys))
        interpreter.define(b"ARGV", interpreter.array(call.args))
        run = self._new_run(call, digest, script.flags, is_eval=True)
        return self._carry_out(run, interpreter, script.function)

    def _new_run(self, call: Call, name: bytes, declared: ScriptFlags, is_eval: bool) -> Run:
        session = self._session_for(call.caller)
        return Run(self._engine, self.commands, call, session, name, declared, is_eval, self.allows_noscript)

    def _carry_out(self, run: Run, interpreter: Interpreter, function: Any, *arguments: Any) -> Reply:
        return self.slices.run(
            run.call.caller, run.call.argv, lambda: self._run_to_its_end(run, interpreter, function, *arguments)
        )

    def _run_to_its_end(self, run: Run, interpreter: Interpreter, function: Any, *arguments: Any) -> Reply:
        self.run, self._verdict = run, None
        around_us = self._standstill.begin()
        try:
            result = interpreter.run(function, run.call.caller.proto, *arguments)
        finally:
            self.run = self._verdict = None
            self._standstill.end(around_us)
        if isinstance(result, bytes):
            return Raw(result)
        return self._error(run, result)

    @staticmethod
    def _error(run: Run, failure: Failure) -> Reply:
        """The error of a script. What a command of it has said was counted there, but the script has failed too."""
        text = failure.shown(run.name).replace(b"\r", b" ").replace(b"\n", b" ")
        if not failure.counted:
            return CommandError(text)
        _count_failure(run)
        return Raw(b"-%s\r\n" % text)

    def _session_for(self, caller: Session) -> Session:
        """The session of scripts, set up for this caller."""
        session = self._session
        session.db, session.proto, session.user = caller.db, 2, caller.user
        session.peer, session.name = caller.peer, caller.name  # the slow log tells on whose behalf
        session.flags = flags.SCRIPT | caller.flags & (flags.READONLY | flags.ASKING)
        return session

    # -- long ones

    @property
    def suspended(self) -> bool:
        """A script has begun and not ended, and the loop has its turn."""
        return self.slices.suspended

    @property
    def busy_error(self) -> CommandError:
        return BUSY_EVAL if self.run is None or self.run.is_eval else BUSY_FUNCTION

    def go_on(self) -> None:
        """One more slice of the script that is suspended, if one is."""
        threshold_ms = self._basics.config["busy-reply-threshold"]
        if self.suspended and not self.timed_out and 0 < threshold_ms <= self.slices.elapsed_ms:
            self.timed_out = True
            self._tell_others()
            self._tell_of_slowness()
            self._pause.release()
        self.slices.go_on()

    def kill(self, is_eval: bool) -> None:
        """SCRIPT KILL and FUNCTION KILL. CommandError."""
        run = self.run
        if run is None:
            raise NOTBUSY
        if must_obey(run.call.caller):
            raise UNKILLABLE_FROM_PRIMARY
        if run.wrote:
            raise UNKILLABLE
        if is_eval != run.is_eval:
            raise self.busy_error
        self._verdict = KILLED
        self.log.warning("Lua script killed by user with SCRIPT KILL.")

    def may_leave(self, nosave: bool) -> bool:
        """The node is asked to end. A script that has written is waited for, unless nothing shall be kept."""
        if self.run is None or not self.run.wrote:
            self.abandon()
        return not self.suspended or nosave

    def drop(self) -> None:
        """The process ends: what a script has written so far is never sent."""
        if self.suspended:
            self._verdict = ABANDONED
            self.slices.drop()
            self._drop_unit()

    def abandon(self) -> None:
        """The data is about to be another: a script that is suspended ends now, wherever it is."""
        if self.suspended:
            self.log.warning("The script that is running is given up.")
            self._verdict = ABANDONED
            self.slices.go_on()

    def _suspended(self) -> None:
        self.timed_out = False
        self._tell_others()

    def _ended(self) -> None:
        self.timed_out = False
        self._tell_others()
        self._resume_others()

    def _tell_others(self) -> None:
        """Other clients' commands wait, or are told that we are busy."""
        self._basics.set_state(flags.STATE_SCRIPT, self.suspended and not self.timed_out)
        self._basics.set_state(flags.STATE_BUSY, self.suspended and self.timed_out)

    def _tell_of_slowness(self) -> None:
        run = self.run
        if run is None:
            return
        command, name = "SCRIPT KILL" if run.is_eval else "FUNCTION KILL", run.name.decode("utf-8", "replace")
        self.log.warning(
            f"Slow script detected: still in execution after {self.slices.elapsed_ms} milliseconds. "
            f"You can try killing the script using the {command} command. Script name is: {name}."
        )

    # -- what the interpreter asks

    @property
    def running(self) -> bool:
        return self.run is not None

    @property
    def protocol(self) -> int:
        return self.run.session.proto if self.run is not None else 2

    def interrupt(self) -> bytes | None:
        if self.functions.late:
            return LATE
        if self._verdict is None:
            self.slices.yield_if_due()
        return self._verdict

    def count_error(self, code: bytes, counted: bool) -> None:
        """A script's errors may be of any kind. INFO shows so many kinds, and one more for the rest, as Valkey does."""
        if not counted:
            known = self._engine.error_stats
            if len(code) > LONGEST_CODE:
                code = b"ERR"
            self._engine.count_error(code if code in known or len(known) < KINDS_OF_ERRORS else OTHER_ERRORS)
        elif self.run is not None:
            _count_failure(self.run)

    def unexpected(self, error: Exception) -> bytes:
        """A bug of ours: the script is told, and the log says what it was."""
        return self._engine.node.internal_error(self._session, [b"script"], error).text

    # -- figures

    @property
    def used_bytes(self) -> int:
        """What Lua has allocated for EVAL."""
        return self._interpreter.used_bytes if self._interpreter is not None else 0

    def _count(self, more_bytes: int) -> None:
        self.cache_bytes += more_bytes
        count_bytes(more_bytes)


def _count_failure(run: Run) -> None:
    """The command that runs the script has failed, too."""
    command = run.call.caller.command
    assert command is not None
    command.failed += 1


def figures() -> Table[Scripts]:
    return (
        shown(
            "memory",
            "used_memory_lua",
            lambda own: own.used_bytes,
            "What Lua has allocated for EVAL.",
            after="total_system_memory_human"
        ),
        shown("memory", "used_memory_vm_eval", lambda own: own.used_bytes, "The same."),
        shown("memory", "used_memory_lua_human", lambda own: human(own.used_bytes), "The same with a unit."),
        shown("memory", "used_memory_scripts_eval", lambda own: own.cache_bytes, "What scripts take beside Lua."),
        shown("memory", "number_of_cached_scripts", lambda own: len(own.by_digest), "Scripts that EVALSHA knows."),
    )
