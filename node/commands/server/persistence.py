"""Saving to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.spec import command
from node.replies import OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

CANNOT_SAVE = CommandError("ERR Error saving the data: the server's log says why")
IN_PROGRESS = CommandError("ERR Background save already in progress")
OTHER_CHILD = CommandError(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a "
    "BGSAVE whenever possible."
)


@command(
    "BGREWRITEAOF",
    arity=1,
    flags="admin noscript no_async_loading",
    group="server",
    since="1.0.0",
    summary="Rewrite the append-only file in the background, as short as the data allows.",
    complexity="O(1)",
)
def bgrewriteaof(s: Session, argv: list[bytes]) -> Reply:
    return s.node.aof.bgrewriteaof(in_transaction=bool(s.flags & flags.EXEC))


@command(
    "BGSAVE",
    arity=-1,
    flags="admin noscript no_async_loading",
    group="server",
    since="1.0.0",
    summary="Save the data to disk in the background.",
    complexity="O(1)",
    args="[SCHEDULE @3.2.2]",
    history={"3.2.2": "`SCHEDULE`."},
)
def bgsave(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() != b"SCHEDULE"):
        raise SYNTAX
    saving = s.node.saving
    if saving.in_progress:
        raise IN_PROGRESS
    if saving.rewriting() or s.flags & flags.EXEC:
        if len(argv) == 2 or s.flags & flags.EXEC:
            saving.scheduled = True
            return "Background saving scheduled"
        raise OTHER_CHILD
    saving.start()  # how it ends is told by INFO and the log
    return "Background saving started"


@command(
    "LASTSAVE",
    arity=1,
    flags="loading stale fast",
    acl="admin dangerous",
    group="server",
    since="1.0.0",
    summary="Return the unix time of the last successful save.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def lastsave(s: Session, argv: list[bytes]) -> Reply:
    return s.node.saving.last_save_ms // 1000


@command(
    "SAVE",
    arity=1,
    flags="admin noscript no_async_loading no_multi",
    group="server",
    since="1.0.0",
    summary="Save the data to disk now.",
    complexity="O(N), N: keys in all databases",
)
def save(s: Session, argv: list[bytes]) -> Reply:
    if s.node.saving.in_progress:
        raise IN_PROGRESS
    if not s.node.saving.save():
        raise CANNOT_SAVE
    return OK
