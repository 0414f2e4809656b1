"""EVAL and its kin, and SCRIPT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import require_int
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.replies import OK, SYNTAX, CommandError, Reply
from node.scripting.running import Call

if TYPE_CHECKING:
    from node.engine.session.session import Session

MAY_WRITE = "noscript stale skip_monitor may_replicate no_mandatory_keys script"
READS = "noscript stale skip_monitor readonly no_mandatory_keys script"
COMPLEXITY = "that of the script"
KEYS = "#2 RW access update (nobody knows what the script will do)"
KEYS_READ = "#2 RO access"
BY_BODY = "script numkeys:int [key...] [arg...]"
BY_DIGEST = "sha1 numkeys:int [key...] [arg...]"

NO_DEBUGGER = CommandError(
    "ERR There is no debugger of scripts here (SCRIPT DEBUG NO lets them run): use redis-cli with a redis-server"
)


def read_call(s: Session, argv: list[bytes], read_only: bool) -> Call:
    """What follows the script: a number, so many keys, and arguments."""
    count = require_int(argv[2])
    if count > len(argv) - 3:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("ERR Number of keys can't be negative")
    return Call(s, argv, argv[3 : 3 + count], argv[3 + count :], read_only)


def _debug_nothing(s: Session) -> None:
    if s.flags & flags.DEBUGS:
        raise NO_DEBUGGER


def show_to_monitors(s: Session, argv: list[bytes]) -> None:
    """Before the commands of the script, which are shown one by one."""
    if s.node.clients.monitors:
        s.node.clients.feed_monitors(s, argv)


@command(
    "EVAL",
    arity=-3,
    flags=MAY_WRITE,
    keys=KEYS,
    group="scripting",
    since="2.6.0",
    summary="Run a script in Lua.",
    complexity=COMPLEXITY,
    args=BY_BODY,
)
def eval_(s: Session, argv: list[bytes], read_only: bool = False) -> Reply:
    show_to_monitors(s, argv)
    _debug_nothing(s)
    return s.node.scripts.evaluate(read_call(s, argv, read_only))


@command(
    "EVAL_RO",
    arity=-3,
    flags=READS,
    keys=KEYS_READ,
    group="scripting",
    since="7.0.0",
    summary="Run a script in Lua that may not write.",
    complexity=COMPLEXITY,
    args=BY_BODY,
)
def eval_ro(s: Session, argv: list[bytes]) -> Reply:
    return eval_(s, argv, read_only=True)


@command(
    "EVALSHA",
    arity=-3,
    flags=MAY_WRITE,
    keys=KEYS,
    group="scripting",
    since="2.6.0",
    summary="Run a script that the server knows, named by the SHA-1 digest of its text.",
    complexity=COMPLEXITY,
    args=BY_DIGEST,
)
def evalsha(s: Session, argv: list[bytes], read_only: bool = False) -> Reply:
    show_to_monitors(s, argv)
    _debug_nothing(s)
    return s.node.scripts.evaluate_known(read_call(s, argv, read_only))


@command(
    "EVALSHA_RO",
    arity=-3,
    flags=READS,
    keys=KEYS_READ,
    group="scripting",
    since="7.0.0",
    summary="Run a script that the server knows and that may not write.",
    complexity=COMPLEXITY,
    args=BY_DIGEST,
)
def evalsha_ro(s: Session, argv: list[bytes]) -> Reply:
    return evalsha(s, argv, read_only=True)


container(
    "SCRIPT",
    arity=-2,
    acl="-scripting",
    group="scripting",
    since="2.6.0",
    summary="Commands about scripts.",
    complexity="that of the subcommand",
)


@command(
    "SCRIPT DEBUG",
    arity=-3,
    flags="noscript",
    group="scripting",
    since="3.2.0",
    summary="There is no debugger: after `YES` or `SYNC`, an error, scripts of the connection do not run until `NO`.",
    complexity="O(1)",
    args="(YES|SYNC|NO)=mode [engine]",
)
def script_debug(s: Session, argv: list[bytes]) -> Reply:
    mode = argv[2].upper()
    if len(argv) > 4:
        raise SYNTAX
    if mode not in (b"YES", b"SYNC", b"NO"):
        raise CommandError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
    if mode != b"NO":
        # redis-cli does not look at this reply, and would run the script as any other.
        s.flags |= flags.DEBUGS
        raise NO_DEBUGGER
    s.flags &= ~flags.DEBUGS
    return OK


@command(
    "SCRIPT EXISTS",
    arity=-3,
    flags="noscript",
    group="scripting",
    since="2.6.0",
    summary="Tell which scripts the server knows.",
    complexity="O(N), N: scripts asked for",
    args="sha1...",
    tips="request_policy:all_shards response_policy:agg_logical_and",
)
def script_exists(s: Session, argv: list[bytes]) -> Reply:
    return [int(digest.lower() in s.node.scripts.by_digest) for digest in argv[2:]]


@command(
    "SCRIPT FLUSH",
    arity=-2,
    flags="noscript",
    group="scripting",
    since="2.6.0",
    summary="Forget all scripts.",
    complexity="O(N), N: scripts that the server knows",
    args="[(ASYNC|SYNC)=async @6.2.0]",
    tips="request_policy:all_nodes response_policy:all_succeeded",
    history={"6.2.0": "The modes ASYNC and SYNC."},
)
def script_flush(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC")):
        raise CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    s.node.scripts.flush()
    return OK


help_for("SCRIPT", group="scripting", since="5.0.0")


@command(
    "SCRIPT KILL",
    arity=2,
    flags="noscript allow_busy",
    group="scripting",
    since="2.6.0",
    summary="End the script that runs, if it has not written yet.",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:one_succeeded",
)
def script_kill(s: Session, argv: list[bytes]) -> Reply:
    s.node.scripts.kill(is_eval=True)
    return OK


@command(
    "SCRIPT LOAD",
    arity=3,
    flags="noscript stale",
    group="scripting",
    since="2.6.0",
    summary="Make a script known without running it.",
    complexity="O(N), N: bytes of the script",
    args="script",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def script_load(s: Session, argv: list[bytes]) -> Reply:
    return s.node.scripts.load(argv[2])
