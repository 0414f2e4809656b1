"""Commands about the whole server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import require_int
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.leaving import Leave
from node.monitoring.info import text as info_text
from node.replies import OK, SYNTAX, CommandError, Reply, Verbatim
from node.version import VERSION

if TYPE_CHECKING:
    from node.engine.session.session import Session


@command(
    "DBSIZE",
    arity=1,
    flags="readonly fast",
    acl="keyspace",
    group="server",
    since="1.0.0",
    summary="Return the number of keys in the database.",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:agg_sum",
)
def dbsize(s: Session, argv: list[bytes]) -> Reply:
    return len(s.db)


@command(
    "FLUSHALL",
    arity=-1,
    flags="write",
    acl="keyspace dangerous",
    group="server",
    since="1.0.0",
    summary="Delete the keys of all databases.",
    complexity="O(N), N: keys in all databases",
    args="[(ASYNC @4.0.0|SYNC @6.2.0)=async]",
    tips="request_policy:all_shards response_policy:all_succeeded",
    history={"4.0.0": "`ASYNC`.", "6.2.0": "`SYNC`."},
)
def flushall(s: Session, argv: list[bytes]) -> Reply:
    lazy = flush_mode(s, argv)
    s.node.changes.flush(s.node.space.dbs, lazy)
    s.node.saving.all_flushed()
    s.effect(*argv)  # replicated even if there was nothing to delete: replicas may have dead keys left
    return OK


@command(
    "FLUSHDB",
    arity=-1,
    flags="write",
    acl="keyspace dangerous",
    group="server",
    since="1.0.0",
    summary="Delete the keys of the database.",
    complexity="O(N), N: keys in the database",
    args="[(ASYNC @4.0.0|SYNC @6.2.0)=async]",
    tips="request_policy:all_shards response_policy:all_succeeded",
    history={"4.0.0": "`ASYNC`.", "6.2.0": "`SYNC`."},
)
def flushdb(s: Session, argv: list[bytes]) -> Reply:
    lazy = flush_mode(s, argv)
    s.node.changes.flush([s.db], lazy)
    s.effect(*argv)
    return OK


@command(
    "INFO",
    arity=-1,
    flags="loading stale",
    acl="dangerous",
    group="server",
    since="1.0.0",
    summary="Return facts and statistics about the server.",
    complexity="O(1)",
    args="[section...]",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
    history={"7.0.0": "Several sections."},
)
def info(s: Session, argv: list[bytes]) -> Reply:
    wanted = [name.decode("utf-8", "replace").lower() for name in argv[1:]]
    return Verbatim(info_text(s.node.figures(), wanted).encode())


@command(
    "LOLWUT",
    arity=-1,
    flags="readonly fast",
    group="server",
    since="5.0.0",
    summary="Draw a picture and show the version.",
    args="[VERSION version:int]",
)
def lolwut(s: Session, argv: list[bytes]) -> Reply:
    return Verbatim(b"Shardis ver. %s\n" % VERSION.encode())


container(
    "MODULE",
    arity=-2,
    group="server",
    since="4.0.0",
    summary="Commands about modules.",
    complexity="that of the subcommand",
)

help_for("MODULE", group="server", since="5.0.0")


@command(
    "MODULE LIST",
    arity=2,
    flags="admin noscript",
    group="server",
    since="4.0.0",
    summary="Return the loaded modules.",
    complexity="O(N), N: modules",
    tips="nondeterministic_output_order",
)
def module_list(s: Session, argv: list[bytes]) -> Reply:
    return []


@command(
    "MONITOR",
    arity=1,
    flags="admin noscript loading stale",
    group="server",
    since="1.0.0",
    summary="Stream every command that the server executes.",
)
def monitor(s: Session, argv: list[bytes]) -> Reply:
    if s.flags & flags.EXEC:
        raise CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    s.node.clients.monitor(s)
    return OK


@command(
    "SHUTDOWN",
    arity=-1,
    flags="admin noscript loading stale no_multi allow_busy",
    group="server",
    since="1.0.0",
    summary="Save the data and stop the server.",
    complexity="O(N) when saving, N: keys; otherwise O(1)",
    args="[(NOSAVE|SAVE)=nosave_save] [NOW @7.0.0] [FORCE @7.0.0] [ABORT @7.0.0]",
    history={"7.0.0": "`NOW`, `FORCE` and `ABORT`."},
)
def shutdown(s: Session, argv: list[bytes]) -> Reply:
    # FAILOVER is Valkey's; COMMAND DOCS tells of it no more than that of Redis 7.0 does.
    chosen = {word.upper() for word in argv[1:]}
    save, nosave, abort = b"SAVE" in chosen, b"NOSAVE" in chosen, b"ABORT" in chosen
    unknown = chosen - {b"SAVE", b"NOSAVE", b"NOW", b"FORCE", b"ABORT", b"FAILOVER"}
    if unknown or (save and nosave) or (abort and len(chosen) > 1):
        raise SYNTAX
    if b"FAILOVER" in chosen and not s.node.engine.cluster:
        raise CommandError("ERR This instance has cluster support disabled")
    if abort:
        if not s.node.leaving.abort():
            raise CommandError("ERR No shutdown in progress.")
        return OK
    if s.node.scripts.suspended and not nosave:
        raise s.node.scripts.busy_error
    now, force, failover = (word in chosen for word in (b"NOW", b"FORCE", b"FAILOVER"))
    leave = Leave(save=save, nosave=nosave, now=now, force=force, failover=failover)
    if not leave.now and s.flags & (flags.EXEC | flags.SCRIPT):
        raise CommandError("ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client")
    return s.node.leaving.command(s, leave)


@command(
    "SWAPDB",
    arity=3,
    flags="write fast",
    acl="keyspace dangerous",
    group="server",
    since="4.0.0",
    summary="Exchange two databases.",
    complexity="O(N), N: clients that watch or wait for keys of either",
    args="index1:int index2:int",
)
def swapdb(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    if node.engine.cluster:
        raise CommandError("ERR SWAPDB is not allowed in cluster mode")
    first = require_int(argv[1], CommandError("ERR invalid first DB index"))
    second = require_int(argv[2], CommandError("ERR invalid second DB index"))
    if not (0 <= first < len(node.space.dbs) and 0 <= second < len(node.space.dbs)):
        raise CommandError("ERR DB index is out of range")
    node.changes.swap(first, second)
    return OK


@command(
    "TIME",
    arity=1,
    flags="loading stale fast",
    group="server",
    since="2.6.0",
    summary="Return the time of the server.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def time(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    now_us = node.standstill.now_us() if s.flags & (flags.EXEC | flags.SCRIPT) else node.clock.now_us()
    return [b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)]


def flush_mode(s: Session, argv: list[bytes]) -> bool:
    """True if the memory is to be given back in the background: as asked, or as lazyfree-lazy-user-flush says."""
    if len(argv) == 1:
        return bool(s.node.config["lazyfree-lazy-user-flush"])
    mode = argv[1].upper()
    if len(argv) > 2 or mode not in (b"SYNC", b"ASYNC"):
        raise SYNTAX
    return mode == b"ASYNC"
