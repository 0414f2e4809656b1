"""The gates that a request passes, in order, before its command runs (Redis' processCommand).

    known? -> arity -> authenticated? -> slot served here? -> memory -> server state -> queue in MULTI, or run

Hot commands of plain clients skip this file altogether: the engine has checked at one glance that no gate would stop
them (node/engine/session.pyx). Each gate returns an error to refuse; refusals are counted and mark a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.engine.session import words_bytes
from node.replies import (
    LOADING,
    MASTERDOWN,
    NOAUTH,
    NOREPLICAS,
    OOM,
    READONLY,
    CommandError,
    Redirection,
    unknown_subcommand,
    wrong_arity,
)
from node.requests.transactions import discard

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session import Command, Session

# What a client in MULTI runs at once; everything else is queued.
NOT_QUEUED = frozenset({b"exec", b"discard", b"multi", b"watch", b"quit", b"reset"})
# Words that begin a line of HTTP. A browser can be made to send such requests, with commands in their body.
OF_HTTP = frozenset({b"post", b"host:"})

QUEUED_BYTES = 64
"""What a command in the queue of a transaction takes beside its words."""

# What a RESP2 client that has subscriptions may send.
WHILE_SUBSCRIBED = frozenset(
    {b"ping", b"subscribe", b"ssubscribe", b"sunsubscribe", b"unsubscribe", b"psubscribe", b"punsubscribe", b"quit"}
    | {b"reset"}
)


def execute(node: NodeCore, session: Session, argv: list[bytes]) -> None:
    """Run one request, queue it, park it, or refuse it."""
    if node.engine.gates & flags.GATE_SCRIPT and node.scripts.holds(session, argv):
        return
    command = find(node, argv)
    if isinstance(command, CommandError):
        if argv[0].lower() in OF_HTTP:
            node.clients.spoke_http(session)
            return
        refuse(node, session, None, argv, command)
        return
    if not accepts(command, len(argv)):
        refuse(node, session, command, argv, wrong_arity(command.name.decode()))
        return
    if session.flags & flags.REPLICA and not node.replicas.understands(session, command):
        return
    error = gate(node, session, command, argv)
    if error is not None:
        refuse(node, session, command, argv, error)
        return
    if session.flags & flags.MULTI and command.name not in NOT_QUEUED:
        queue(node, session, command, argv)
        return
    if node.engine.gates & flags.GATE_PAUSE and node.pause.holds(session, command, argv):
        return
    run(node, session, command, argv)
    if command.name not in (b"asking", b"multi"):  # ASKING holds for one command, or for the transaction that follows
        session.flags &= ~flags.ASKING


def run(node: NodeCore, session: Session, command: Command, argv: list[bytes]) -> None:
    """Run a command that has passed, then show it to MONITOR (the commands of a transaction before its EXEC)."""
    engine = node.engine
    dirty = engine.space.dirty
    if engine.read_only and not session.flags & flags.PRIMARY:
        node.following.run_locally(session, command, argv)
    else:
        session.invoke(command, argv)
    if engine.propagating and (engine.space.dirty > dirty or session.effects is not None):
        if session.flags & flags.UNRECORDED:
            session.effects = None
        else:
            node.propagate(session, command, argv)
    if node.monitors and not command.spec.flags & {"skip_monitor", "admin"}:
        node.clients.feed_monitors(session, argv)


def find(node: NodeCore, argv: list[bytes]) -> Command | CommandError:
    """The command or subcommand that a request names."""
    command = node.commands.get(argv[0].lower())
    if command is None:
        return unknown_command(argv)
    if command.subcommands and len(argv) > 1:
        return command.subcommands.get(argv[1].lower()) or unknown_subcommand(argv[1], command.name.decode())
    return command


def accepts(command: Command, argc: int) -> bool:
    """True if a request of `argc` words, the name included, fits the arity."""
    arity = command.arity
    return argc == arity if arity > 0 else argc >= -arity


def flags_of(node: NodeCore, command: Command, argv: list[bytes]) -> frozenset[str]:
    """The flags of a command; a script may declare others than the command that runs it has."""
    usual = command.spec.flags
    return node.scripts.declared(command, argv) if "script" in usual else usual


def unknown_command(argv: list[bytes]) -> CommandError:
    shown = b""
    for arg in argv[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%s' " % arg[: 128 - len(shown)]
    return CommandError(b"ERR unknown command '%s', with args beginning with: %s" % (argv[0][:128], shown))


def gate(node: NodeCore, session: Session, command: Command, argv: list[bytes]) -> CommandError | None:
    """The first reason not to run this command now, if there is one."""
    state = session.flags
    if state & flags.REPLAY:
        return None  # it passed the gates when it was written
    spec_flags = flags_of(node, command, argv)
    if state & flags.NOAUTH and "no_auth" not in spec_flags:
        return NOAUTH
    if "no_multi" in spec_flags and state & flags.MULTI:
        return CommandError("ERR Command not allowed inside a transaction")
    if "protected" in spec_flags:
        error = node.clients.protected(session, command)
        if error is not None:
            return error
    if node.clustering is not None and not state & flags.PRIMARY:
        error = node.clustering.gate(session, command, argv)
        if error is not None:
            return error
    if not node.scripts.suspended:
        node.out_of_memory = bool(node.engine.maxmemory) and not node.eviction.make_room()
    if node.out_of_memory:
        queueing = state & flags.MULTI and command.name not in (b"exec", b"discard", b"quit", b"reset")
        if queueing or "denyoom" in spec_flags or denied_in_queue(node, session, command, "denyoom"):
            return OOM
    if state & flags.PRIMARY:
        return None
    if node.engine.gates & (flags.GATE_SAVING | flags.GATE_AOF):
        error = node.saving.refusal() or node.aof.refusal()
        writes = "write" in spec_flags or denied_in_queue(node, session, command, "write")
        if error and (command.name == b"ping" or writes):
            return error
    if node.engine.gates & flags.GATE_MIN_REPLICAS:
        if "write" in spec_flags or denied_in_queue(node, session, command, "write"):
            return NOREPLICAS
    if node.engine.read_only and node.config["replica-read-only"]:
        if "write" in spec_flags or denied_in_queue(node, session, command, "write"):
            return READONLY
    if node.loading.active and node.loading.refuses(spec_flags):
        return LOADING
    if node.scripts.suspended and "allow_busy" not in spec_flags:
        return node.scripts.busy_error
    if state & flags.SUBSCRIBED and session.proto == 2 and command.name not in WHILE_SUBSCRIBED:
        return CommandError(
            f"ERR Can't execute '{command.name.decode().lower()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
            "PING / QUIT / RESET are allowed in this context"
        )
    if node.engine.gates & flags.GATE_STALE:
        queue = session.multi or () if command.name == b"exec" else ()
        if "stale" not in spec_flags or any("stale" not in flags_of(node, *queued) for queued in queue):
            return MASTERDOWN
    return None


def denied_in_queue(node: NodeCore, session: Session, command: Command, flag: str) -> bool:
    """EXEC of a queue that holds a command with this flag."""
    return command.name == b"exec" and any(flag in flags_of(node, *queued) for queued in session.multi or ())


def refuse(node: NodeCore, session: Session, command: Command | None, argv: list[bytes], error: CommandError) -> None:
    """Reply the error; a transaction that was being queued will not run."""
    if command is not None:
        command.rejected += 1
    if session.flags & flags.MULTI:
        session.flags |= flags.DIRTY_EXEC
    else:
        session.flags &= ~flags.ASKING
    if argv[0].lower() == b"exec":
        discard(session, node.watches)
        if not isinstance(error, Redirection):
            reason = error.text.removeprefix(b"ERR ")
            error = CommandError(b"EXECABORT Transaction discarded because of: " + reason)
    session.error(error)


def queue(node: NodeCore, session: Session, command: Command, argv: list[bytes]) -> None:
    if not session.flags & (flags.DIRTY_CAS | flags.DIRTY_EXEC):
        # What is going to fail anyway is not worth its memory.
        session.multi.append((command, argv))
        session.multi_bytes += QUEUED_BYTES + words_bytes(argv)
    session.reply("QUEUED")
