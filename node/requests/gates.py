"""The gates: whatever may stop a request before its command runs, in one ordered list.

A gate is closed by *states* and concerns some commands. States are bits, those of a client (Session.flags) below those
of the node (Engine.states), so that all that holds for a request is one number. From the list each command gets its
*stops*: the states that can close a gate to it. The engine (engine/session/session.pyx) compares the two numbers, and
what has no bit in common runs at once. Only otherwise does anybody walk through the list: `verdict` for clients, our
primary's stream and the log of writes, `script_refusal` for what a script calls, `begin_refusal` for a script that is
to begin. The first gate that is closed decides. An EXEC is concerned by whatever concerns one of its commands.

Two things are no gates, because there is no request without them: a command of that name, and the number of its
arguments (dispatch.py). To add a gate, add a line here and set its state where that changes (NodeCore.set_state);
tests/unit/requests/test_gates.py then asks for an example.

A function in place of a fixed refusal is asked when the gate is closed, and may let the request pass after all. The
alternative, a test in code for each gate in each of the five places where commands begin, is what was here before:
each place had its own idea of what an EXEC means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING

from node import flags
from node.replies import LOADING, MASTERDOWN, NOAUTH, NOREPLICAS, OOM, READONLY, CommandError

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.requests.request import Request


class Verdict(Enum):
    """What happens to a request that is stopped, other than an error."""

    HOLD = "it is kept, and runs when the gate opens"
    QUEUE = "it becomes a part of the client's transaction"
    DROP = "nothing: the gate has done what there is to do"


class Source(Enum):
    """Where commands come from. The values are places in Command.stops."""

    CLIENT = 0
    STREAM = 1
    LOG = 2
    SCRIPT = 3


Refusal = CommandError | Verdict
Asked = Callable[["Request"], Refusal | None]

CLIENTS = frozenset({Source.CLIENT})
CLIENTS_AND_STREAM = frozenset({Source.CLIENT, Source.STREAM})
ALL_SOURCES = frozenset({Source.CLIENT, Source.STREAM, Source.LOG})

EVERY: frozenset[str] = frozenset()
NONE: frozenset[bytes] = frozenset()
WRITES = frozenset({"write"})
MAY_CHANGE = frozenset({"write", "may_replicate"})

# What a client in MULTI runs at once; everything else is queued.
NOT_QUEUED = frozenset({b"exec", b"discard", b"multi", b"watch", b"quit", b"reset"})
# What a RESP2 client that has subscriptions may send.
WHILE_SUBSCRIBED = frozenset(
    {b"ping", b"subscribe", b"ssubscribe", b"sunsubscribe", b"unsubscribe", b"psubscribe", b"punsubscribe", b"quit"}
    | {b"reset"}
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Closed when all the states in `closed_by` hold, for the commands with one of the flags (none given: for every
    command) and those `named`, unless they have one of the flags in `unless` or are named in `besides`."""

    name: str
    closed_by: int
    refusal: Refusal | Asked | None = None
    """For clients, our primary's stream and the log of writes, as far as they are among the `sources`."""
    in_script: CommandError | Asked | None = None
    """For a command that a script calls; None: the gate is not for these."""
    at_begin: CommandError | Asked | None = None
    """For a script that is to begin, by what it declares."""
    commands: frozenset[str] = EVERY
    named: frozenset[bytes] = NONE
    unless: frozenset[str] = EVERY
    besides: frozenset[bytes] = NONE
    sources: frozenset[Source] = CLIENTS
    routes: bool = False
    """It depends on the keys: the engine looks at their slots itself, and only asks about those not plainly served."""

    def concerns(self, name: bytes, command_flags: frozenset[str]) -> bool:
        """Is this gate for a command of that name, with these flags?"""
        if name in self.besides or self.unless & command_flags:
            return False
        if name in self.named or not (self.commands or self.named):
            return True
        return bool(self.commands & command_flags)

    def concerns_request(self, request: Request) -> bool:
        """Is it for one of the commands of this request? What may be said in a transaction is asked of what is said."""
        parts = request.parts[:1] if self.closed_by & flags.MULTI else request.parts
        return any(self.concerns(part.command.name, part.flags) for part in parts)


def _not_a_reply(request: Request) -> Refusal | None:
    node = request.session.node
    return None if node.replicas.understands(request.session, request.command) else Verdict.DROP


def _protected(request: Request) -> Refusal | None:
    return request.session.node.clients.protected(request.session, request.command)


def _elsewhere(request: Request) -> Refusal | None:
    clustering = request.session.node.clustering
    return clustering.gate(request) if clustering is not None else None


def _elsewhere_for_scripts(request: Request) -> Refusal | None:
    clustering = request.session.node.clustering
    return clustering.gate_of_scripts(request) if clustering is not None else None


def _another_slot(request: Request) -> Refusal | None:
    run = request.session.node.scripts.run
    return run.other_slot(request) if run is not None else None


def _snapshot_fails(request: Request) -> Refusal | None:
    return request.session.node.saving.refusal()


def _snapshot_fails_scripts(request: Request) -> Refusal | None:
    return _snapshot_fails(request) if request.writes else None


def _log_fails(request: Request) -> Refusal | None:
    return request.session.node.aof.refusal()


def _log_fails_scripts(request: Request) -> Refusal | None:
    return _log_fails(request) if request.writes else None


def _busy(request: Request) -> Refusal | None:
    error: CommandError = request.session.node.scripts.busy_error
    return error


def _subscribed(request: Request) -> Refusal | None:
    if request.session.proto != 2:
        return None
    return CommandError(
        f"ERR Can't execute '{request.command.name.decode().lower()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
        "PING / QUIT / RESET are allowed in this context"
    )


def _paused(request: Request) -> Refusal | None:
    return None if request.session.flags & flags.REPLICA else Verdict.HOLD


def _on_its_way(request: Request) -> Refusal | None:
    return Verdict.HOLD if request.session.node.held_keys.concern(request) else None


GATES: tuple[Gate, ...] = (
    Gate("script", flags.STATE_SCRIPT, Verdict.HOLD),
    Gate("replica", flags.REPLICA, _not_a_reply, sources=CLIENTS_AND_STREAM),
    Gate("authentication", flags.NOAUTH, NOAUTH, unless=frozenset({"no_auth"}), sources=CLIENTS_AND_STREAM),
    Gate(
        "not in scripts",
        flags.SCRIPT,
        in_script=CommandError("ERR This Redis command is not allowed from script"),
        commands=frozenset({"noscript"}),
    ),
    Gate(
        "not in transactions",
        flags.MULTI,
        CommandError("ERR Command not allowed inside a transaction"),
        commands=frozenset({"no_multi"}),
        sources=CLIENTS_AND_STREAM,
    ),
    Gate(
        "protected",
        flags.STATE_PROTECTED,
        _protected,
        commands=frozenset({"protected"}),
        sources=CLIENTS_AND_STREAM,
    ),
    Gate(
        "not in a cluster",
        flags.STATE_CLUSTER,
        at_begin=CommandError("ERR Can not run script on cluster, 'no-cluster' flag is set."),
        commands=frozenset({"no-cluster"}),
    ),
    Gate("slots", flags.STATE_CLUSTER, _elsewhere, in_script=_elsewhere_for_scripts, routes=True),
    Gate("slot of the script", flags.STATE_CLUSTER | flags.STATE_ONE_SLOT, in_script=_another_slot, routes=True),
    Gate(
        "memory",
        flags.STATE_MEMORY,
        OOM,
        in_script=OOM,
        at_begin=CommandError(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
        ),
        commands=frozenset({"denyoom"}),
        sources=CLIENTS_AND_STREAM,
    ),
    Gate(
        "memory of a transaction",
        flags.STATE_MEMORY | flags.MULTI,
        OOM,
        besides=frozenset({b"exec", b"discard", b"quit", b"reset"}),
        sources=CLIENTS_AND_STREAM,
    ),
    Gate(
        "snapshots fail",
        flags.STATE_SAVING,
        _snapshot_fails,
        in_script=_snapshot_fails_scripts,
        at_begin=_snapshot_fails,
        commands=WRITES,
        named=frozenset({b"ping"}),
    ),
    Gate(
        "the log of writes fails",
        flags.STATE_AOF,
        _log_fails,
        in_script=_log_fails_scripts,
        at_begin=_log_fails,
        commands=WRITES,
        named=frozenset({b"ping"}),
    ),
    Gate(
        "too few replicas",
        flags.STATE_FEW_REPLICAS,
        NOREPLICAS,
        in_script=NOREPLICAS,
        at_begin=NOREPLICAS,
        commands=WRITES,
    ),
    Gate(
        "read-only replica",
        flags.STATE_READONLY,
        READONLY,
        in_script=READONLY,
        at_begin=CommandError("READONLY Can not run script with write flag on readonly replica"),
        commands=WRITES,
    ),
    Gate(
        "read-only script",
        flags.STATE_READING_SCRIPT,
        in_script=CommandError("ERR Write commands are not allowed from read-only scripts."),
        commands=frozenset({"write", "may_replicate"}),
    ),
    Gate(
        "read-only call",
        flags.STATE_READING_CALL,
        at_begin=CommandError("ERR Can not execute a script with write flag using *_ro command."),
        commands=WRITES,
    ),
    Gate("loading", flags.STATE_LOADING, LOADING, unless=frozenset({"loading"})),
    Gate("loading aside", flags.STATE_LOADING_ASIDE, LOADING, commands=frozenset({"no_async_loading"})),
    Gate("busy", flags.STATE_BUSY, _busy, unless=frozenset({"allow_busy"})),
    Gate("subscribed", flags.SUBSCRIBED, _subscribed, besides=WHILE_SUBSCRIBED),
    Gate(
        "stale",
        flags.STATE_STALE,
        MASTERDOWN,
        in_script=CommandError("ERR Can not execute the command on a stale replica"),
        at_begin=CommandError(
            "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is "
            "not set on the script."
        ),
        unless=frozenset({"stale", "undeclared"}),
    ),
    Gate("stale for old scripts", flags.STATE_STALE, at_begin=MASTERDOWN, commands=frozenset({"undeclared"})),
    Gate("transaction", flags.MULTI, Verdict.QUEUE, besides=NOT_QUEUED, sources=ALL_SOURCES),
    Gate("pause", flags.STATE_PAUSED, _paused, besides=frozenset({b"client|unpause"})),
    Gate("pause of writes", flags.STATE_PAUSED_WRITES, _paused, commands=MAY_CHANGE),
    Gate("keys on their way", flags.STATE_KEYS_HELD, _on_its_way, commands=MAY_CHANGE),
    Gate("keys of open slots on their way", flags.STATE_OPEN_KEYS_HELD, _on_its_way, commands=MAY_CHANGE, routes=True),
)

BY_NAME = {gate.name: gate for gate in GATES}
CLOSING = reduce(or_, (gate.closed_by for gate in GATES))
"""All states that close a gate."""

# Redis asks in another order when a script calls a command, and in yet another when one is to begin. That shows only
# where several gates are closed, but there it does.
IN_SCRIPT = tuple(
    BY_NAME[name]
    for name in (
        "not in scripts",
        "stale",
        "read-only script",
        "read-only replica",
        "snapshots fail",
        "the log of writes fails",
        "too few replicas",
        "memory",
    )
)
ROUTES_IN_SCRIPT = tuple(gate for gate in GATES if gate.routes and gate.in_script is not None)
AT_BEGIN = tuple(
    BY_NAME[name]
    for name in (
        "not in a cluster",
        "stale",
        "stale for old scripts",
        "read-only replica",
        "snapshots fail",
        "the log of writes fails",
        "read-only call",
        "too few replicas",
        "memory",
    )
)
STOP_BEGINNING = reduce(or_, (gate.closed_by for gate in AT_BEGIN))
"""All states in which a script might not be allowed to begin."""

# What a script that has written does not heed any more: it cannot be stopped half-way.
UNTIL_IT_WRITES = (
    flags.STATE_READONLY | flags.STATE_SAVING | flags.STATE_AOF | flags.STATE_FEW_REPLICAS | flags.STATE_MEMORY
)

# The flags that a script may declare instead of those of the command that runs it (scripting/shebang.py).
DECLARED = frozenset({"write", "denyoom", "may_replicate"})
DECLARED_AWAY = frozenset({"stale"})


# -- the list, compiled


def stops(name: bytes, command_flags: frozenset[str]) -> tuple[int, ...]:
    """For each source of commands, all states that can close a gate to this one.

    A command that runs others has those of all that it might run.
    """
    if "script" in command_flags:
        command_flags = (command_flags | DECLARED) - DECLARED_AWAY
    return tuple(_stops(name, command_flags, source) for source in Source)


def _stops(name: bytes, command_flags: frozenset[str], source: Source) -> int:
    states = 0
    for gate in GATES:
        if gate.routes or not _is_for(gate, source):
            continue
        if gate.concerns(name, command_flags):
            states |= gate.closed_by
        elif name == b"exec":  # whatever is in its queue
            states |= gate.closed_by & flags.STATES_OF_NODE
    return states


def _is_for(gate: Gate, source: Source) -> bool:
    if source is Source.SCRIPT:
        return gate.in_script is not None
    return gate.refusal is not None and source in gate.sources


def source_of(session: Session) -> Source:
    """Where the commands of a session come from."""
    if not session.flags & flags.OBEYED:
        return Source.CLIENT
    return Source.LOG if session.flags & flags.REPLAY else Source.STREAM


# -- the list, read


def verdict(request: Request, states: int, source: Source = Source.CLIENT) -> Refusal | None:
    """What the first closed gate says to a request, None if none stops it. `states` has the session's flags, too."""
    for gate in _closed(states & CLOSING, source):
        assert gate.refusal is not None
        said = _say(gate, gate.refusal, request)
        if said is not None:
            return said
    return None


@lru_cache(maxsize=256)
def _closed(states: int, source: Source) -> tuple[Gate, ...]:
    """The gates that these states close. There are few different ones at a time."""
    return tuple(gate for gate in GATES if gate.closed_by & states == gate.closed_by and _is_for(gate, source))


def script_refusal(request: Request, states: int, gates: Iterable[Gate] = IN_SCRIPT) -> CommandError | None:
    """Why a script may not run a command now."""
    for gate in gates:
        if gate.closed_by & states == gate.closed_by and gate.in_script is not None:
            said = _say(gate, gate.in_script, request)
            if isinstance(said, CommandError):
                return said
    return None


def begin_refusal(request: Request, states: int, declared: frozenset[str]) -> CommandError | None:
    """Why a script with these flags may not begin now."""
    for gate in AT_BEGIN:
        if gate.closed_by & states == gate.closed_by and gate.concerns(request.command.name, declared):
            said = gate.at_begin(request) if callable(gate.at_begin) else gate.at_begin
            if isinstance(said, CommandError):
                return said
    return None


def _say(gate: Gate, refusal: Refusal | Asked, request: Request) -> Refusal | None:
    if not gate.concerns_request(request):
        return None
    return refusal(request) if callable(refusal) else refusal
