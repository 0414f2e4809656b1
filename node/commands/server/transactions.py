"""Transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.spec import command
from node.replies import EXECABORT, NO_REPLY, NULL_ARRAY, OK, CommandError, Reply
from node.requests.transactions import discard as leave_multi

if TYPE_CHECKING:
    from node.engine.session.session import Command, Session


@command(
    "DISCARD",
    arity=1,
    flags="noscript loading stale fast allow_busy",
    group="transactions",
    since="2.0.0",
    summary="Forget the queued commands and leave the transaction.",
    complexity="O(N), N: queued commands",
)
def discard(s: Session, argv: list[bytes]) -> Reply:
    if not s.flags & flags.MULTI:
        raise CommandError("ERR DISCARD without MULTI")
    leave_multi(s, s.node.watches)
    return OK


@command(
    "EXEC",
    arity=1,
    flags="noscript loading stale skip_slowlog",
    group="transactions",
    since="1.2.0",
    summary="Run the queued commands.",
    complexity="that of the queued commands",
)
def exec_(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    if not s.flags & flags.MULTI:
        raise CommandError("ERR EXEC without MULTI")
    if node.watches.expired(s, node.space.now_ms):
        s.flags |= flags.DIRTY_CAS
    failed, changed = s.flags & flags.DIRTY_EXEC, s.flags & flags.DIRTY_CAS
    queue, queue_bytes = s.multi, s.multi_bytes
    assert queue is not None  # MULTI has begun it
    leave_multi(s, node.watches)
    if failed:
        raise EXECABORT
    if changed:
        return NULL_ARRAY
    s.multi_bytes = queue_bytes  # until they have run
    if any("script" in command.spec.flags for command, _ in queue):
        return node.scripts.slices.run(s, argv, lambda: run_queue(s, queue))
    return run_queue(s, queue)


def run_queue(s: Session, queue: list[tuple[Command, list[bytes]]]) -> Reply:
    node, exec_command = s.node, s.command
    s.flags |= flags.EXEC
    around_us = node.standstill.begin()
    try:
        s.array_header(len(queue))
        for command, queued in queue:
            s.perform(command, queued)
    finally:
        s.flags &= ~flags.EXEC
        s.command = exec_command  # what the client has sent last
        node.standstill.end(around_us)
        s.multi_bytes = 0
    return NO_REPLY


@command(
    "MULTI",
    arity=1,
    flags="noscript loading stale fast allow_busy",
    group="transactions",
    since="1.2.0",
    summary="Begin a transaction: queue the commands that follow.",
    complexity="O(1)",
)
def multi(s: Session, argv: list[bytes]) -> Reply:
    if s.flags & flags.MULTI:
        raise CommandError("ERR MULTI calls can not be nested")
    s.flags |= flags.MULTI
    s.multi = []
    return OK


@command(
    "UNWATCH",
    arity=1,
    flags="noscript loading stale fast allow_busy",
    group="transactions",
    since="2.2.0",
    summary="Forget all watched keys.",
    complexity="O(1)",
)
def unwatch(s: Session, argv: list[bytes]) -> Reply:
    s.node.watches.unwatch(s)
    s.flags &= ~flags.DIRTY_CAS
    return OK


@command(
    "WATCH",
    arity=-2,
    flags="noscript loading stale fast allow_busy",
    keys="1..-1 RO",
    group="transactions",
    since="2.2.0",
    summary="Make the next transaction fail if one of the keys changes before it.",
    complexity="O(1) for each key",
    args="key...",
)
def watch(s: Session, argv: list[bytes]) -> Reply:
    if s.flags & flags.MULTI:
        raise CommandError("ERR WATCH inside MULTI is not allowed")
    if not s.flags & flags.DIRTY_CAS:
        for key in argv[1:]:
            s.node.watches.watch(s, key)
    return OK
