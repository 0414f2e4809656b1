"""XREAD and XREADGROUP: entries after given ids from several streams, waiting for them if asked to.

A reader of a group asks for entries that nobody in the group has got (`>`), which become pending for it, or for its
history: what is pending for it already. Replicas get the result of both: XCLAIM for each entry that became pending, and
XGROUP SETID for how far the group has read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.commands.data.stream_ids import (
    HIGHEST,
    LOWEST,
    Id,
    change_stream,
    effect_of_claim,
    effect_of_consumer,
    effect_of_position,
    id_after,
    id_text,
    no_key_or_group,
    parse_id,
    read_stream,
    touch_consumer,
)
from node.commands.table.cursor import Cursor, require_timeout_ms
from node.commands.table.spec import command
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.replies import NULL_ARRAY, SYNTAX, Blocked, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

UNBALANCED = "ERR Unbalanced '{}' list of streams: for each stream key an ID or '{}' must be specified."
MISSING_GROUP = CommandError("ERR Missing GROUP option for XREADGROUP")
MEANINGLESS_END = CommandError(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by "
    "specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
)
NEW_WITHOUT_GROUP = CommandError(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
NEW = HIGHEST
"""Stands for the id `>`."""


@command(
    "XREAD",
    arity=-4,
    flags="readonly blocking",
    keys="STREAMS@1..-1%2 RO access",
    group="stream",
    since="5.0.0",
    summary="Return entries after given ids from several streams, waiting if asked to.",
    complexity="O(N) for each stream, N: entries returned; XADD pays O(M) to serve M waiting clients",
    args="[COUNT count:int] [BLOCK milliseconds:int] STREAMS (key... id...)=streams",
)
def xread(s: Session, argv: list[bytes]) -> Reply:
    options = ReadOptions.parse(argv)
    ids = [_id_to_read_after(read_stream(s, key), text) for key, text in options.streams]

    def read(session: Session) -> Reply | None:
        served: list[tuple[bytes, Sequence[Reply]]] = []
        for key, after in zip(options.keys, ids, strict=True):
            stream = read_stream(session, key)
            if stream is not None and len(stream) and stream.top_id > after:
                served.append((key, _entries_after(stream, after, options.count)))
        return _shaped(session, served) if served else None

    return read(s) or _nothing_yet(options, Blocked(options.keys, options.timeout_ms or 0, read, kind="stream"))


@command(
    "XREADGROUP",
    arity=-7,
    flags="write blocking",
    keys="STREAMS@4..-1%2 RO access",
    group="stream",
    since="5.0.0",
    summary="Return entries for a consumer of a group, waiting if asked to.",
    complexity="O(M) for each stream, M: entries returned; XADD pays O(N) to serve N waiting clients",
    args=(
        "GROUP (group consumer)=group_consumer [COUNT count:int] [BLOCK milliseconds:int] [NOACK] STREAMS "
        "(key... id...)=streams"
    ),
)
def xreadgroup(s: Session, argv: list[bytes]) -> Reply:
    options = ReadOptions.parse(argv, in_group=True)

    def read(session: Session) -> Reply | None:
        return _read_in_group(session, options)

    waits = Blocked(options.keys, options.timeout_ms or 0, read, kind="group", group=options.group)
    return read(s) or _nothing_yet(options, waits)


@dataclass(slots=True)
class ReadOptions:
    """The arguments of XREAD and XREADGROUP; `streams` holds keys with the texts of ids."""

    streams: list[tuple[bytes, bytes]]
    count: int = 0
    timeout_ms: int | None = None
    group: bytes = b""
    consumer: bytes = b""
    noack: bool = False

    @property
    def keys(self) -> list[bytes]:
        return [key for key, _ in self.streams]

    @staticmethod
    def parse(argv: list[bytes], in_group: bool = False) -> ReadOptions:
        found = ReadOptions([])
        grouped = False
        args = Cursor(argv)
        for word in args.words():
            if word == b"BLOCK" and args.left:
                found.timeout_ms = require_timeout_ms(args.take())
            elif word == b"COUNT" and args.left:
                found.count = max(args.take_int(), 0)
            elif word == b"STREAMS" and args.left:
                rest = args.take_rest()
                if len(rest) % 2:
                    raise CommandError(UNBALANCED.format(*(("xreadgroup", ">") if in_group else ("xread", "$"))))
                half = len(rest) // 2
                found.streams = list(zip(rest[:half], rest[half:], strict=True))
            elif word == b"GROUP" and args.left >= 2:
                _require_xreadgroup(in_group, "GROUP")
                found.group, found.consumer = args.take_many(2)
                grouped = True
            elif word == b"NOACK":
                _require_xreadgroup(in_group, "NOACK")
                found.noack = True
            else:
                raise SYNTAX
        if not found.streams:
            raise SYNTAX
        if in_group and not grouped:
            raise MISSING_GROUP
        return found


def _require_xreadgroup(in_group: bool, option: str) -> None:
    if not in_group:
        raise CommandError(f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.")


def _id_to_read_after(stream: Stream | None, text: bytes) -> Id:
    if text == b"$":
        return LOWEST if stream is None else stream.last_id
    if text == b">":
        raise NEW_WITHOUT_GROUP
    return parse_id(text)


def _entries_after(stream: Stream, after: Id, count: int) -> Sequence[Reply]:
    start = id_after(after)
    return [] if start is None else stream.range(start, None, count)


def _nothing_yet(options: ReadOptions, waits: Blocked) -> Reply:
    return NULL_ARRAY if options.timeout_ms is None else waits


def _shaped(s: Session, served: list[tuple[bytes, Sequence[Reply]]]) -> Reply:
    """A map from keys to entries; in RESP2 its pairs are arrays of their own."""
    return dict(served) if s.proto == 3 else [[key, entries] for key, entries in served]


# Groups.


def _read_in_group(s: Session, options: ReadOptions) -> Reply | None:
    """What XREADGROUP replies, None if there is nothing. A consumer that asks is made, and seen, all the same."""
    found = []
    for key, text in options.streams:
        stream = change_stream(s, key)
        group = stream.group(options.group) if stream is not None else None
        if stream is None or group is None:
            raise no_key_or_group(key, options.group, b" in XREADGROUP with GROUP option")
        if text == b"$":
            raise MEANINGLESS_END
        found.append((key, stream, group, NEW if text == b">" else parse_id(text)))
    served: list[tuple[bytes, Sequence[Reply]]] = []
    for key, stream, group, after in found:
        has_new = after == NEW and len(stream) > 0 and stream.top_id > group.last_id
        consumer = _reader(s, key, group, options, will_claim=has_new and not options.noack)
        if after != NEW:
            served.append((key, _history(s, stream, group, consumer, after, options.count)))
        elif has_new:
            served.append((key, _deliver(s, key, stream, group, consumer, options)))
    return _shaped(s, served) if served else None


def _reader(s: Session, key: bytes, group: Group, options: ReadOptions, will_claim: bool) -> Consumer:
    """The consumer that reads, made if it is new. Replicas learn of it from what it claims, otherwise from here."""
    consumer, is_new = touch_consumer(s, key, group, options.consumer)
    if is_new and not will_claim:
        effect_of_consumer(s, key, group, consumer)
    return consumer


def _deliver(
    s: Session, key: bytes, stream: Stream, group: Group, consumer: Consumer, options: ReadOptions
) -> Sequence[Reply]:
    """Entries that are new to the group."""
    now_ms = s.db.space.now_ms
    entries = stream.deliver(group, consumer, options.count, not options.noack, now_ms)
    if not options.noack:
        consumer.active_ms = now_ms
    s.db.space.dirty += 1
    if s.engine.propagating:
        if not options.noack:
            for id, _ in entries:
                effect_of_claim(s, key, group, id, (consumer, now_ms, 1))
        effect_of_position(s, key, group)
    return entries


def _history(s: Session, stream: Stream, group: Group, consumer: Consumer, after: Id, count: int) -> list[Reply]:
    """What is pending for the consumer. An entry that was deleted since is an id without fields."""
    now_ms = s.db.space.now_ms
    start = id_after(after)
    entries: list[Reply] = []
    for id in consumer.ids_from(start, count or len(consumer)) if start is not None else []:
        entry = stream.entry(id)
        pending = group.pending(id)
        if entry is not None and pending is not None:
            group.assign(id, consumer, now_ms, pending[3] + 1)
        entries.append(entry or [id_text(id), NULL_ARRAY])
    return entries
