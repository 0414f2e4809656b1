"""SLOWLOG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.cursor import require_int
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.replies import OK, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session


container(
    "SLOWLOG",
    arity=-2,
    group="server",
    since="2.2.12",
    summary="Commands about the log of slow commands.",
    complexity="that of the subcommand",
)


@command(
    "SLOWLOG GET",
    arity=-2,
    flags="admin loading stale",
    group="server",
    since="2.2.12",
    summary="Return entries of the log of slow commands.",
    complexity="O(N), N: entries returned",
    args="[count:int]",
    tips="request_policy:all_nodes nondeterministic_output",
    history={"4.0.0": "The client's address and name in the reply."},
)
def slowlog_get(s: Session, argv: list[bytes]) -> Reply:
    count = 10
    if len(argv) == 3:
        error = CommandError("ERR count should be greater than or equal to -1")
        count = require_int(argv[2], error)
        if count < -1:
            raise error
    entries = list(s.node.slowlog.entries)
    shown = entries if count == -1 else entries[:count]
    return [[each.id, each.unix_s, each.duration_us, each.argv, each.peer, each.name] for each in shown]


help_for("SLOWLOG", group="server", since="6.2.0")


@command(
    "SLOWLOG LEN",
    arity=2,
    flags="admin loading stale",
    group="server",
    since="2.2.12",
    summary="Count the entries of the log of slow commands.",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:agg_sum nondeterministic_output",
)
def slowlog_len(s: Session, argv: list[bytes]) -> Reply:
    return len(s.node.slowlog.entries)


@command(
    "SLOWLOG RESET",
    arity=2,
    flags="admin loading stale",
    group="server",
    since="2.2.12",
    summary="Empty the log of slow commands.",
    complexity="O(N), N: entries",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def slowlog_reset(s: Session, argv: list[bytes]) -> Reply:
    s.node.slowlog.reset()
    return OK
