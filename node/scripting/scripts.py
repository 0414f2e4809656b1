"""The scripts of a node: those that it has been sent, and the one that runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.slots import key_slot
from node import flags
from node.engine.session import Session
from node.replies import CommandError, Raw, Reply
from node.scripting.errors import CannotCompile, Failure
from node.scripting.random import Random
from node.scripting.running import Run, refusal
from node.scripting.shebang import ScriptFlags, command_flags, read_shebang

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session import Command
    from node.scripting.interpreter import Interpreter

NOSCRIPT = CommandError("NOSCRIPT No matching script. Please use EVAL.")
NOTBUSY = CommandError("NOTBUSY No scripts in execution right now.")
DIGEST_LENGTH = 40
SCRIPT_OVERHEAD_BYTES = 150
"""What a script in the cache takes beside its text."""


@dataclass(frozen=True, slots=True)
class Script:
    body: bytes
    flags: ScriptFlags
    function: Any
    """A function of Lua."""


class Scripts:
    """EVAL's scripts by digest, and the run of a script, of which there is at most one at a time."""

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.random = Random()
        self.by_digest: dict[bytes, Script] = {}
        self.run: Run | None = None
        self.allows_noscript = False
        """DEBUG lets scripts run commands that are not meant for them."""
        self._interpreter: Interpreter | None = None
        self._session: Session | None = None

    # -- the cache

    def load(self, body: bytes) -> bytes:
        """Keep a script; its digest. CommandError."""
        digest = hashlib.sha1(body).hexdigest().encode()
        if digest not in self.by_digest:
            shebang = read_shebang(body)
            try:
                function = self.interpreter.compile(body[shebang.length :], b"@user_script")
            except CannotCompile as error:
                text = error.text.replace(b"\n", b" ")
                raise CommandError(b"ERR Error compiling script (new function): " + text) from None
            self.by_digest[digest] = Script(body, shebang.flags, function)
        return digest

    def flush(self) -> None:
        """Forget all scripts, and whatever they have left behind."""
        self.by_digest.clear()
        self._interpreter = None

    def declared(self, command: Command, argv: list[bytes]) -> frozenset[str]:
        """The flags of a command that runs a script, as far as the script itself declares them."""
        usual = command.spec.flags
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
            from node.scripting.api import Api
            from node.scripting.interpreter import Interpreter

            self._interpreter = Interpreter(self, Api(self).for_eval(), self.random)
        return self._interpreter

    def evaluate(self, caller: Session, body: bytes, keys: list[bytes], args: list[bytes], read_only: bool) -> Reply:
        """EVAL."""
        return self._evaluate(caller, self.load(body), keys, args, read_only)

    def evaluate_known(
        self, caller: Session, digest: bytes, keys: list[bytes], args: list[bytes], read_only: bool
    ) -> Reply:
        """EVALSHA."""
        digest = digest.lower()
        if len(digest) != DIGEST_LENGTH or digest not in self.by_digest:
            raise NOSCRIPT
        return self._evaluate(caller, digest, keys, args, read_only)

    def _evaluate(self, caller: Session, digest: bytes, keys: list[bytes], args: list[bytes], read_only: bool) -> Reply:
        script, interpreter = self.by_digest[digest], self.interpreter
        error = refusal(self.node, caller, script.flags, read_only)
        if error is not None:
            return error
        interpreter.define(b"KEYS", interpreter.array(keys))
        interpreter.define(b"ARGV", interpreter.array(args))
        slot = key_slot(keys[0]) if keys else None
        run = Run(self.node, caller, self._session_for(caller), digest, script.flags, read_only, True, slot)
        return self._carry_out(run, interpreter, script.function)

    def _carry_out(self, run: Run, interpreter: Interpreter, function: Any, *arguments: Any) -> Reply:
        self.run = run
        try:
            result = interpreter.run(function, run.caller.proto, *arguments)
        finally:
            self.run = None
        if isinstance(result, bytes):
            return Raw(result)
        return _error(result, run.name)

    def _session_for(self, caller: Session) -> Session:
        """The one session of all scripts, set up for this caller."""
        session = self._session
        if session is None:
            session = self._session = Session(self.node.engine, caller.db, 0)
        session.db, session.proto, session.user = caller.db, 2, caller.user
        session.flags = flags.SCRIPT | caller.flags & (flags.READONLY | flags.ASKING)
        return session

    def kill(self, is_eval: bool) -> None:
        """SCRIPT KILL and FUNCTION KILL. CommandError."""
        raise NOTBUSY

    # -- what the interpreter asks

    @property
    def running(self) -> bool:
        return self.run is not None

    @property
    def protocol(self) -> int:
        return self.run.session.proto if self.run is not None else 2

    def interrupt(self) -> bytes | None:
        return None

    def count_error(self, code: bytes) -> None:
        self.node.engine.count_error(code)

    def unexpected(self, error: Exception) -> bytes:
        """A bug of ours: the script is told, and the log says what it was."""
        assert self.run is not None
        return self.node.internal_error(self.run.session, [b"script"], error).text

    # -- figures

    @property
    def used_bytes(self) -> int:
        """What Lua has allocated for EVAL."""
        return self._interpreter.used_bytes if self._interpreter is not None else 0

    @property
    def cache_bytes(self) -> int:
        return sum(len(script.body) + SCRIPT_OVERHEAD_BYTES for script in self.by_digest.values())


def _error(failure: Failure, name: bytes) -> Reply:
    """The error of a script: what a command of it has said has been counted there."""
    text = failure.shown(name).replace(b"\r", b" ").replace(b"\n", b" ")
    return Raw(b"-%s\r\n" % text) if failure.counted else CommandError(text)
