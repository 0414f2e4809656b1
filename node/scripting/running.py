"""One run of a script: whether it may begin, and whether a command that it calls may be carried out.

The gates are those of every command (node/requests/gates.py). What has written cannot be stopped half-way by a state
that came up meanwhile: from then on most of them stand open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.agreement.slots import key_slot
from node import flags
from node.replies import CommandError
from node.requests.dispatch import accepts, find
from node.requests.gates import (
    IN_SCRIPT,
    ROUTES_IN_SCRIPT,
    STOP_BEGINNING,
    UNTIL_IT_WRITES,
    begin_refusal,
    script_refusal,
)
from node.requests.request import Request
from node.scripting.errors import ScriptError
from node.scripting.shebang import ScriptFlags, flags_at_begin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.engine.session.session import Command, Engine, Session
    from node.requests.gates import Gate

UNKNOWN = CommandError("ERR Unknown Redis command called from script")
WRONG_ARITY = CommandError("ERR Wrong number of args calling Redis command from script")
OTHER_SLOT = CommandError("ERR Script attempted to access keys that do not hash to the same slot")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to run a script. `read_only`: by a command that must not write."""

    caller: Session
    argv: list[bytes]
    keys: list[bytes]
    args: list[bytes]
    read_only: bool


def must_obey(caller: Session) -> bool:
    """Our primary, or our own log of writes: what comes from there has passed all gates already."""
    return bool(caller.flags & flags.OBEYED)


def refusal(engine: Engine, call: Call, declared: ScriptFlags) -> CommandError | None:
    """Why a script with these flags may not run now."""
    states: int = engine.states
    if not states & STOP_BEGINNING and not call.read_only:
        return None
    if must_obey(call.caller):
        states &= ~(flags.STATE_READONLY | flags.STATE_SAVING | flags.STATE_AOF)
    if call.read_only:
        states |= flags.STATE_READING_CALL
    assert call.caller.command is not None  # it is the one that runs the script
    request = Request(call.caller, call.caller.command, call.argv)
    return begin_refusal(request, states, flags_at_begin(declared))


@dataclass(slots=True)
class Run:
    """A script that runs. `name` is the digest of its code, or the name of the function."""

    engine: Engine
    commands: Mapping[bytes, Command]
    """All that there are."""
    call: Call
    session: Session
    """Whose commands the script's are."""
    name: bytes
    flags: ScriptFlags
    is_eval: bool
    allows_noscript: bool = False
    """It may run commands that are not meant for scripts."""
    read_only: bool = False
    slot: int | None = None
    """Where it keeps to one: that of the keys; None: of none yet."""
    wrote: bool = False
    states: int = 0
    """What holds for it beside what holds for the node."""
    unheeded: int = 0
    """States that close no gate to it."""

    def __post_init__(self) -> None:
        self.read_only = self.call.read_only or self._declares(b"no-writes")
        if self.read_only:
            self.states |= flags.STATE_READING_SCRIPT
        if self.flags is not None and not self._declares(b"allow-cross-slot-keys"):
            self.states |= flags.STATE_ONE_SLOT
            if self.call.keys:
                self.slot = key_slot(self.call.keys[0])
        if must_obey(self.call.caller):
            self.unheeded |= flags.STATE_READONLY | flags.STATE_MEMORY | flags.STATE_CLUSTER
        if self._declares(b"allow-oom"):
            self.unheeded |= flags.STATE_MEMORY
        if self.allows_noscript:
            self.unheeded |= flags.SCRIPT

    def records(self, on: bool) -> None:
        """Whether what it writes from now on is replicated (redis.set_repl)."""
        self.session.flags = self.session.flags & ~flags.UNRECORDED | (0 if on else flags.UNRECORDED)

    def admit(self, argv: list[bytes]) -> Command:
        """The command that may be carried out; ScriptError if it may not."""
        command = find(self.commands, argv)
        if isinstance(command, CommandError):
            raise self._refused(None, UNKNOWN)
        if not accepts(command, len(argv)):
            raise self._refused(command, WRONG_ARITY)
        states = (self.engine.states | self.session.flags | self.states) & ~self.unheeded
        if states & command.script_stops:
            self._pass(Request(self.session, command, argv), states, IN_SCRIPT)
        if command.writes and not self.wrote:
            self.wrote = True
            self.unheeded |= UNTIL_IT_WRITES
        if states & flags.STATE_CLUSTER and command.has_keys:
            self._pass(Request(self.session, command, argv), states, ROUTES_IN_SCRIPT)
        return command

    def other_slot(self, request: Request) -> CommandError | None:
        """The script keeps to one slot: that of its keys, or of what it has asked for first."""
        keys = request.keys
        if not keys:
            return None
        slot = key_slot(keys[0])
        if self.slot is None:
            self.slot = slot
        return OTHER_SLOT if slot != self.slot else None

    def _pass(self, request: Request, states: int, gates: Iterable[Gate]) -> None:
        error = script_refusal(request, states, gates)
        if error is not None:
            raise self._refused(request.command, error)

    def _declares(self, flag: bytes) -> bool:
        return self.flags is not None and flag in self.flags

    def _refused(self, command: Command | None, error: CommandError) -> ScriptError:
        """Counted as every refusal is."""
        if command is not None:
            command.rejected += 1
        self.engine.count_error(error.code)
        self.engine.errors_told = self.engine.errors
        return ScriptError(error.text, counted=True)
