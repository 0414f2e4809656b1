"""Consumer groups of streams: making and changing them, acknowledging, and asking what is pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.data.stream_ids import (
    Id,
    change_stream,
    id_text,
    no_group,
    no_key_or_group,
    note,
    parse_bound,
    parse_end,
    parse_id,
    parse_start,
    read_stream,
)
from node.commands.table.cursor import INT64_MAX, INT64_MIN, Cursor
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Group
from node.replies import NULL_ARRAY, OK, SYNTAX, CommandError, Reply, wrong_syntax

if TYPE_CHECKING:
    from node.engine.session.session import Session

KEY_REQUIRED = CommandError(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option "
    "to create an empty stream automatically."
)
GROUP_EXISTS = CommandError("BUSYGROUP Consumer Group name already exists")
BAD_ENTRIES_READ = CommandError("ERR value for ENTRIESREAD must be positive or -1")

MOST_WORDS_OF_CREATE = 8
MOST_WORDS_OF_SETID = 7


@command(
    "XACK",
    arity=-4,
    flags="write fast",
    keys="1 RW update",
    group="stream",
    since="5.0.0",
    summary="Mark entries as processed by a consumer group.",
    complexity="O(1) for each entry",
    args="key group id...",
)
def xack(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    stream = change_stream(s, key)
    group = stream.group(argv[2]) if stream is not None else None
    if group is None:
        return 0
    ids = [parse_id(text) for text in argv[3:]]
    acknowledged = sum(group.acknowledge(id) for id in ids)
    s.db.space.dirty += acknowledged
    return acknowledged


container(
    "XGROUP",
    arity=-2,
    acl="-stream",
    group="stream",
    since="5.0.0",
    summary="Commands about consumer groups.",
    complexity="that of the subcommand",
)


@command(
    "XGROUP CREATE",
    arity=-5,
    flags="write denyoom",
    keys="2 RW insert",
    group="stream",
    since="5.0.0",
    summary="Create a consumer group.",
    complexity="O(1)",
    args="key groupname (id|new_id='$')=id [MKSTREAM] [ENTRIESREAD entries_read:int]",
    history={"7.0.0": "`entries_read`."},
)
def xgroup_create(s: Session, argv: list[bytes]) -> Reply:
    key, name = argv[2], argv[3]
    make_stream, entries_read = _group_options(argv, may_make_stream=True)
    stream = s.write(key, Stream)
    if stream is None and not make_stream:
        raise KEY_REQUIRED
    if len(argv) > MOST_WORDS_OF_CREATE:
        raise wrong_syntax(argv[1], "xgroup")
    last_id = _last_id(stream, argv[4], strict=True)
    is_new = stream is None
    if stream is None:
        stream = Stream()
        s.db.set(key, stream)
    if stream.create_group(name, last_id, entries_read) is None:
        raise GROUP_EXISTS
    if is_new:
        s.changed(key, "xgroup-create", "t")
    else:
        note(s, key, "xgroup-create")
    return OK


@command(
    "XGROUP CREATECONSUMER",
    arity=5,
    flags="write denyoom",
    keys="2 RW insert",
    group="stream",
    since="6.2.0",
    summary="Create a consumer in a group.",
    complexity="O(1)",
    args="key groupname consumername",
)
def xgroup_createconsumer(s: Session, argv: list[bytes]) -> Reply:
    group = _group_to_change(s, argv)[1]
    if group.create_consumer(argv[4], s.db.space.now_ms) is None:
        return 0
    note(s, argv[2], "xgroup-createconsumer")
    return 1


@command(
    "XGROUP DELCONSUMER",
    arity=5,
    flags="write",
    keys="2 RW delete",
    group="stream",
    since="5.0.0",
    summary="Delete a consumer from a group.",
    complexity="O(1)",
    args="key groupname consumername",
)
def xgroup_delconsumer(s: Session, argv: list[bytes]) -> Reply:
    group = _group_to_change(s, argv)[1]
    consumer = group.consumer(argv[4])
    if consumer is None:
        return 0
    pending = group.delete_consumer(consumer)
    note(s, argv[2], "xgroup-delconsumer")
    return pending


@command(
    "XGROUP DESTROY",
    arity=4,
    flags="write",
    keys="2 RW delete",
    group="stream",
    since="5.0.0",
    summary="Delete a consumer group.",
    complexity="O(N), N: pending entries of the group",
    args="key groupname",
)
def xgroup_destroy(s: Session, argv: list[bytes]) -> Reply:
    key = argv[2]
    stream = s.write(key, Stream)
    if stream is None:
        raise KEY_REQUIRED
    if not stream.destroy_group(argv[3]):
        return 0
    note(s, key, "xgroup-destroy")
    s.node.blocking.signal(s.db.index, key)  # those who wait in this group are told that it is gone
    return 1


help_for("XGROUP", group="stream", since="5.0.0")


@command(
    "XGROUP SETID",
    arity=-5,
    flags="write",
    keys="2 RW update",
    group="stream",
    since="5.0.0",
    summary="Set the last entry that a group has delivered.",
    complexity="O(1)",
    args="key groupname (id|new_id='$')=id [ENTRIESREAD entries_read:int]",
    history={"7.0.0": "`entries_read`."},
)
def xgroup_setid(s: Session, argv: list[bytes]) -> Reply:
    _, entries_read = _group_options(argv, may_make_stream=False)
    stream, group = _group_to_change(s, argv)
    if len(argv) > MOST_WORDS_OF_SETID:
        raise wrong_syntax(argv[1], "xgroup")
    group.last_id = _last_id(stream, argv[4], strict=False)
    group.entries_read = entries_read
    note(s, argv[2], "xgroup-setid")
    return OK


def _group_options(argv: list[bytes], may_make_stream: bool) -> tuple[bool, int]:
    """MKSTREAM, and ENTRIESREAD (-1: unknown)."""
    make_stream, entries_read = False, -1
    args = Cursor(argv, 5)
    for word in args.words():
        if word == b"MKSTREAM" and may_make_stream:
            make_stream = True
        elif word == b"ENTRIESREAD" and args.left:
            entries_read = args.take_int()
            if entries_read < -1:
                raise BAD_ENTRIES_READ
        else:
            raise wrong_syntax(argv[1], "xgroup")
    return make_stream, entries_read


def _last_id(stream: Stream | None, text: bytes, strict: bool) -> Id:
    """The id after which a group reads; `$` is the stream's last one."""
    if text == b"$":
        return stream.last_id if stream is not None else (0, 0)
    return parse_id(text) if strict else parse_bound(text)


def _group_to_change(s: Session, argv: list[bytes]) -> tuple[Stream, Group]:
    key, name = argv[2], argv[3]
    stream = s.write(key, Stream)
    if stream is None:
        raise KEY_REQUIRED
    group = stream.group(name)
    if group is None:
        raise no_group(name, key)
    return stream, group


@command(
    "XPENDING",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="stream",
    since="5.0.0",
    summary="Return entries that were delivered to a group and not acknowledged.",
    complexity="O(N), N: entries returned; O(M) with IDLE, M: entries looked at",
    args="key group [([IDLE min-idle-time:int @6.2.0] start end count:int [consumer])=filters]",
    tips="nondeterministic_output",
    history={"6.2.0": "`IDLE`, and exclusive bounds."},
)
def xpending(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) != 3 and not 6 <= len(argv) <= 9:
        raise SYNTAX
    wanted = PendingRange(s, argv) if len(argv) > 3 else None
    stream = read_stream(s, argv[1])
    group = stream.group(argv[2]) if stream is not None else None
    if group is None:
        raise no_key_or_group(argv[1], argv[2])
    return _summary(group) if wanted is None else wanted.entries(group)


class PendingRange:
    """`[IDLE min-idle-time] start end count [consumer]`."""

    def __init__(self, s: Session, argv: list[bytes]) -> None:
        args = Cursor(argv, 3)
        self.now_ms = s.db.space.now_ms
        self.delivered_before_ms = INT64_MAX
        if args.accept(b"IDLE"):
            idle_ms = args.take_int()
            if args.left < 3:
                raise SYNTAX
            if idle_ms:
                self.delivered_before_ms = max(min(self.now_ms - idle_ms, INT64_MAX), INT64_MIN)
        start, end = args.take_many(2)
        self.count = max(args.take_int(), 0)
        self.start, self.end = parse_start(start), parse_end(end)
        self.consumer = args.take() if args.left else None

    def entries(self, group: Group) -> list[Reply]:
        consumer = group.consumer(self.consumer) if self.consumer is not None else None
        if consumer is None and self.consumer is not None:
            return []
        found = group.pending_from(self.start, self.count, self.end, consumer, self.delivered_before_ms)
        return [
            [id_text(id), owner.name, max(self.now_ms - delivered_ms, 0), deliveries]
            for id, owner, delivered_ms, deliveries in found
        ]


def _summary(group: Group) -> list[Reply]:
    """How much is pending, between which ids, and for whom."""
    if not len(group):
        return [0, None, None, NULL_ARRAY]
    first, last = group.first_and_last()
    consumers = [[consumer.name, b"%d" % len(consumer)] for consumer in group.all_consumers() if len(consumer)]
    return [len(group), id_text(first), id_text(last), consumers]
