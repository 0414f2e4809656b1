"""One run of a script: whether it may begin, and whether a command that it calls may be carried out.

The gates are those of every command (node/requests/dispatch.py), in the order and with the words that Redis has for
scripts. What has written cannot be stopped half-way by a state that came up meanwhile: from then on most gates stand
open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.slots import key_slot
from node import flags
from node.replies import MASTERDOWN, NOREPLICAS, OOM, READONLY, CommandError
from node.requests.dispatch import accepts, find
from node.scripting.errors import ScriptError
from node.scripting.shebang import ScriptFlags

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session import Command, Session

NO_CLUSTER = CommandError("ERR Can not run script on cluster, 'no-cluster' flag is set.")
STALE = CommandError(
    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on "
    "the script."
)
READONLY_SCRIPT = CommandError("READONLY Can not run script with write flag on readonly replica")
READONLY_COMMAND = CommandError("ERR Can not execute a script with write flag using *_ro command.")
OOM_SCRIPT = CommandError(
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)

# What a script is told when the cluster does not let it have a key.
DOWN_AND_READONLY = b"Script attempted to execute a write command while the cluster is down and readonly"
DOWN = b"Script attempted to execute a command while the cluster is down"
NOT_LOCAL = b"Script attempted to access a non local key in a cluster node"
OTHER_SLOT = b"Script attempted to access keys that do not hash to the same slot"


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
    return bool(caller.flags & (flags.PRIMARY | flags.REPLAY))


def refusal(node: NodeCore, call: Call, declared: ScriptFlags) -> CommandError | None:
    """Why a script with these flags may not run now."""
    stale = node.engine.gates & flags.GATE_STALE
    if declared is None:
        return MASTERDOWN if stale else None
    if b"no-cluster" in declared and node.engine.cluster:
        return NO_CLUSTER
    if stale and b"allow-stale" not in declared:
        return STALE
    if b"no-writes" not in declared:
        if not must_obey(call.caller):
            if _is_readonly_replica(node):
                return READONLY_SCRIPT
            if error := node.saving.refusal() or node.aof.refusal():
                return error
        if call.read_only:
            return READONLY_COMMAND
        if node.engine.gates & flags.GATE_MIN_REPLICAS:
            return NOREPLICAS
        if node.out_of_memory and b"allow-oom" not in declared:
            return OOM_SCRIPT
    return None


def _is_readonly_replica(node: NodeCore) -> bool:
    return bool(node.engine.read_only and node.config["replica-read-only"])


@dataclass(slots=True)
class Run:
    """A script that runs. `name` is the digest of its code, or the name of the function."""

    node: NodeCore
    call: Call
    session: Session
    """Whose commands the script's are."""
    name: bytes
    flags: ScriptFlags
    is_eval: bool
    read_only: bool = False
    slot: int | None = None
    """That of the keys; None: of none yet."""
    wrote: bool = False

    def __post_init__(self) -> None:
        self.read_only = self.call.read_only or (self.flags is not None and b"no-writes" in self.flags)
        if self.call.keys:
            self.slot = key_slot(self.call.keys[0])

    def records(self, on: bool) -> None:
        """Whether what it writes from now on is replicated (redis.set_repl)."""
        self.session.flags = self.session.flags & ~flags.UNRECORDED | (0 if on else flags.UNRECORDED)

    def admit(self, argv: list[bytes]) -> Command:
        """The command that may be carried out; ScriptError if it may not."""
        node = self.node
        command = find(node, argv)
        if isinstance(command, CommandError):
            raise self._refused(None, b"Unknown Redis command called from script")
        if not accepts(command, len(argv)):
            raise self._refused(command, b"Wrong number of args calling Redis command from script")
        spec_flags = command.spec.flags
        if "noscript" in spec_flags and not node.scripts.allows_noscript:
            raise self._refused(command, b"This Redis command is not allowed from script")
        if node.engine.gates & flags.GATE_STALE and "stale" not in spec_flags:
            raise self._refused(command, b"Can not execute the command on a stale replica")
        error = self._refusal(command)
        if error is not None:
            raise self._refused(command, error)
        if "write" in spec_flags:
            self.wrote = True
        if node.clustering is not None and not must_obey(self.call.caller):
            error = self._misplaced(command, argv)
            if error is not None:
                raise self._refused(command, error)
        return command

    def _refusal(self, command: Command) -> bytes | None:
        """Why a command that writes, or needs memory, may not do so."""
        node, spec_flags = self.node, command.spec.flags
        if self.read_only and spec_flags & {"write", "may_replicate"}:
            return b"Write commands are not allowed from read-only scripts."
        if self.wrote:
            return None
        obeys = must_obey(self.call.caller)
        if "write" in spec_flags:
            if _is_readonly_replica(node) and not obeys:
                return READONLY.text
            if error := node.saving.refusal() or node.aof.refusal():
                return error.text
            if node.engine.gates & flags.GATE_MIN_REPLICAS:
                return NOREPLICAS.text
        if "denyoom" in spec_flags and node.out_of_memory and not obeys and not self._allows("allow-oom"):
            return OOM.text
        return None

    def _allows(self, flag: str) -> bool:
        return self.flags is not None and flag.encode() in self.flags

    def _misplaced(self, command: Command, argv: list[bytes]) -> bytes | None:
        """Why this node does not serve the keys to this script."""
        assert self.node.clustering is not None
        error = self.node.clustering.gate(self.session, command, argv)
        if error is not None:
            if error.text.startswith(b"CLUSTERDOWN The cluster is down"):
                return DOWN_AND_READONLY if b"only" in error.text else DOWN
            return NOT_LOCAL
        keys = command.spec.get_keys(argv)
        if not keys or self.flags is None or self._allows("allow-cross-slot-keys"):
            return None
        slot = key_slot(argv[keys[0]])
        if self.slot is None:
            self.slot = slot
        return OTHER_SLOT if slot != self.slot else None

    def _refused(self, command: Command | None, text: bytes) -> ScriptError:
        """Counted as every refusal is. Texts without a code are general errors."""
        error = CommandError(text if text.split(b" ", 1)[0].isupper() else b"ERR " + text)
        if command is not None:
            command.rejected += 1
        self.node.engine.count_error(error.code)
        self.node.engine.errors_told = self.node.engine.errors
        return ScriptError(error.text, counted=True)
