"""XINFO: what a stream, its groups and its consumers look like inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.data.stream_ids import id_text, no_group, read_stream
from node.commands.table.cursor import require_int
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.replies import NO_SUCH_KEY, Reply, wrong_syntax

if TYPE_CHECKING:
    from node.engine.session.session import Session

DEFAULT_COUNT = 10


container(
    "XINFO",
    arity=-2,
    acl="-stream",
    group="stream",
    since="5.0.0",
    summary="Commands that look inside streams.",
    complexity="that of the subcommand",
)


@command(
    "XINFO CONSUMERS",
    arity=4,
    flags="readonly",
    keys="2 RO access",
    group="stream",
    since="5.0.0",
    summary="Return the consumers of a group.",
    complexity="O(1)",
    args="key groupname",
    tips="nondeterministic_output",
    history={"7.2.0": "The field `inactive`."},
)
def xinfo_consumers(s: Session, argv: list[bytes]) -> Reply:
    group = _stream(s, argv[2]).group(argv[3])
    if group is None:
        raise no_group(argv[3], argv[2])
    now_ms = s.db.space.now_ms
    return [
        {
            b"name": consumer.name,
            b"pending": len(consumer),
            b"idle": max(now_ms - consumer.seen_ms, 0),
            b"inactive": -1 if consumer.active_ms < 0 else max(now_ms - consumer.active_ms, 0),
        }
        for consumer in group.all_consumers()
    ]


@command(
    "XINFO GROUPS",
    arity=3,
    flags="readonly",
    keys="2 RO access",
    group="stream",
    since="5.0.0",
    summary="Return the consumer groups of a stream.",
    complexity="O(1)",
    args="key",
    history={"7.0.0": "The fields `entries-read` and `lag`."},
)
def xinfo_groups(s: Session, argv: list[bytes]) -> Reply:
    stream = _stream(s, argv[2])
    return [
        {
            b"name": group.name,
            b"consumers": len(group.all_consumers()),
            b"pending": len(group),
            b"last-delivered-id": id_text(group.last_id),
            b"entries-read": _entries_read(group),
            b"lag": stream.lag(group),
        }
        for group in stream.all_groups()
    ]


help_for("XINFO", group="stream", since="5.0.0")


@command(
    "XINFO STREAM",
    arity=-3,
    flags="readonly",
    keys="2 RO access",
    group="stream",
    since="5.0.0",
    summary="Describe a stream.",
    complexity="O(1)",
    args="key [FULL ([COUNT count:int])=full]",
    history={
        "6.0.0": "`FULL`.",
        "7.0.0": "Deleted and added entries, the first id recorded, and the lag of groups.",
        "7.2.0": "`active-time`, and the meaning of `seen-time`: when a consumer last asked, whatever it got.",
    },
)
def xinfo_stream(s: Session, argv: list[bytes]) -> Reply:
    stream = _stream(s, argv[2])
    if len(argv) == 3:
        return _overview(stream)
    options = [word.upper() for word in argv[3:]]
    if options != [b"FULL"] and (len(options) != 3 or options[:2] != [b"FULL", b"COUNT"]):
        raise wrong_syntax(argv[1], "xinfo")
    count = require_int(argv[5]) if len(argv) == 6 else DEFAULT_COUNT
    return _everything(stream, count if count >= 0 else DEFAULT_COUNT)


def _stream(s: Session, key: bytes) -> Stream:
    stream = read_stream(s, key)
    if stream is None:
        raise NO_SUCH_KEY
    return stream


def _facts(stream: Stream) -> dict[bytes, Reply]:
    return {
        b"length": len(stream),
        b"radix-tree-keys": stream.node_count,
        b"radix-tree-nodes": stream.radix_nodes,
        b"last-generated-id": id_text(stream.last_id),
        b"max-deleted-entry-id": id_text(stream.max_deleted_id),
        b"entries-added": stream.entries_added,
        b"recorded-first-entry-id": id_text(stream.first_id),
    }


def _overview(stream: Stream) -> dict[bytes, Reply]:
    first, last = stream.range(count=1), stream.range(count=1, rev=True)
    return _facts(stream) | {
        b"groups": len(stream.all_groups()),
        b"first-entry": first[0] if first else None,
        b"last-entry": last[0] if last else None,
    }


def _everything(stream: Stream, count: int) -> dict[bytes, Reply]:
    """`count` limits each list of entries; 0 does not."""
    return _facts(stream) | {
        b"entries": stream.range(count=count),
        b"groups": [_group(stream, group, count) for group in stream.all_groups()],
    }


def _group(stream: Stream, group: Group, count: int) -> dict[bytes, Reply]:
    pending = group.pending_from((0, 0), count or len(group))
    return {
        b"name": group.name,
        b"last-delivered-id": id_text(group.last_id),
        b"entries-read": _entries_read(group),
        b"lag": stream.lag(group),
        b"pel-count": len(group),
        b"pending": [
            [id_text(id), owner.name, delivered_ms, deliveries] for id, owner, delivered_ms, deliveries in pending
        ],
        b"consumers": [_consumer(group, consumer, count) for consumer in group.all_consumers()],
    }


def _consumer(group: Group, consumer: Consumer, count: int) -> dict[bytes, Reply]:
    pending = group.pending_from((0, 0), count or len(consumer), consumer=consumer)
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": len(consumer),
        b"pending": [[id_text(id), delivered_ms, deliveries] for id, _, delivered_ms, deliveries in pending],
    }


def _entries_read(group: Group) -> int | None:
    return group.entries_read if group.entries_read >= 0 else None
