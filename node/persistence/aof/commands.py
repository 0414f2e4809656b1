"""A value as the commands that make it: how a base file is written that is not to hold a snapshot.

Elements come sixty-four to a command, as Redis writes them: enough to be cheap, few enough to run in no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from node.engine.structures.numbers import format_double
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.engine.types.zset import ZSet

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

ITEMS_A_COMMAND = 64

Argv = list[bytes]


def commands_for(key: bytes, value: Value, expire_at_ms: int | None) -> Iterator[Argv]:
    """What to run, in this order, where the key does not exist yet."""
    match value:
        case bytes():
            yield [b"SET", key, value]
        case List():
            yield from _chunks([b"RPUSH", key], ([element] for element in value.range(0, -1)))
        case Set():
            yield from _chunks([b"SADD", key], ([member] for member in value.members()))
        case ZSet():
            yield from _chunks([b"ZADD", key], ([format_double(score), member] for member, score in value.range(0, -1)))
        case Hash():
            yield from _chunks([b"HSET", key], (list(pair) for pair in value.items()))
            for field, at_ms in value.deaths():
                yield [b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field]
            for field, at_ms in value.deaths():
                yield [b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field]
        case Stream():
            yield from _stream(key, value)
    if expire_at_ms is not None:
        yield [b"PEXPIREAT", key, b"%d" % expire_at_ms]


def _chunks(head: Argv, items: Iterable[Argv]) -> Iterator[Argv]:
    rest = iter(items)
    while chunk := list(islice(rest, ITEMS_A_COMMAND)):
        yield head + [word for item in chunk for word in item]


def _id(id: tuple[int, int]) -> bytes:
    return b"%d-%d" % id


def _stream(key: bytes, stream: Stream) -> Iterator[Argv]:
    if len(stream):
        for id, fields in stream.range():
            yield [b"XADD", key, id, *fields]
    else:
        # A stream without entries: one that is trimmed at once makes the key. Its last id is set below.
        yield [b"XADD", key, b"MAXLEN", b"0", _id(max(stream.last_id, (0, 1))), b"x", b"y"]
    facts = [b"ENTRIESADDED", b"%d" % stream.entries_added, b"MAXDELETEDID", _id(stream.max_deleted_id)]
    yield [b"XSETID", key, _id(stream.last_id), *facts]
    for group in stream.all_groups():
        yield from _group(key, group)


def _group(key: bytes, group: Group) -> Iterator[Argv]:
    read = [b"ENTRIESREAD", b"%d" % group.entries_read]
    yield [b"XGROUP", b"CREATE", key, group.name, _id(group.last_id), *read]
    for consumer in group.all_consumers():
        yield [b"XGROUP", b"CREATECONSUMER", key, group.name, consumer.name]
        yield from _pending(key, group, consumer)


def _pending(key: bytes, group: Group, consumer: Consumer) -> Iterator[Argv]:
    for id, _, delivered_ms, deliveries in group.pending_from((0, 0), len(group), consumer=consumer):
        times = [b"TIME", b"%d" % delivered_ms, b"RETRYCOUNT", b"%d" % deliveries]
        yield [b"XCLAIM", key, group.name, consumer.name, b"0", _id(id), *times, b"JUSTID", b"FORCE"]
