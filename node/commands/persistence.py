"""Saving to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.spec import command
from node.replies import OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session import Session

CANNOT_SAVE = CommandError("ERR the snapshot could not be written, the server's log says why")


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
    s.node.saving.save()  # how it went is told by INFO and LASTSAVE, as for every background save
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
    if not s.node.saving.save():
        raise CANNOT_SAVE
    return OK
