"""Streams. In RDB form: nodes as they are in memory, counters, and groups with what they have pending.

Three kinds differ in what they know of a stream: Redis 5's ends with the last id; 7.0's, which is written, adds the
first one, the highest deleted one, the count of entries ever added and how many each group has read; 7.2's adds when
a consumer last got something.

What can be computed from the nodes is, and must agree with what is said; a pending entry must have exactly one owner.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from node.engine.durable.rdb import Malformed, Reader
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.persistence.types import kinds
from node.persistence.types.datatype import Argv, DataType, mix

Id = tuple[int, int]

_RAW_ID = struct.Struct(">QQ")
_TIME_MS = struct.Struct("<q")


def read_stream(r: Reader, kind: int) -> Stream:
    """The value of one of the three kinds."""
    nodes = [(r.string(), r.string()) for _ in range(r.length())]
    try:
        stream = Stream.from_nodes(nodes)
    except ValueError as error:
        raise Malformed(f"Stream listpack integrity check failed: {error}") from error
    if r.length() != len(stream):
        raise Malformed("Stream length inconsistent with its entries")
    last_id = _read_id(r)
    if last_id < stream.top_id:
        raise Malformed("a stream's last id is lower than that of an entry")
    if kind == kinds.STREAM_5:
        stream.set_facts(last_id)
    else:
        _read_id(r)  # the first id, which is known already
        stream.set_facts(last_id, max_deleted_id=_read_id(r), entries_added=_read_count(r))
    for _ in range(r.length()):
        _read_group(r, stream, kind)
    return stream


def _read_id(r: Reader) -> Id:
    return r.length(), r.length()


def _read_raw_id(r: Reader) -> Id:
    ms, seq = _RAW_ID.unpack(r.raw(_RAW_ID.size))
    return ms, seq


def _read_time_ms(r: Reader) -> int:
    (at_ms,) = _TIME_MS.unpack(r.raw(_TIME_MS.size))
    if at_ms < 0:
        raise Malformed("a time before 1970")
    return int(at_ms)


def _read_active_ms(r: Reader) -> int:
    """-1: it has never got anything."""
    (at_ms,) = _TIME_MS.unpack(r.raw(_TIME_MS.size))
    if at_ms < -1:
        raise Malformed("a time before 1970")
    return int(at_ms)


def _read_count(r: Reader) -> int:
    """A count that clients are told."""
    value = r.length()
    if value >= 2**63:
        raise Malformed("a count that no stream reaches")
    return value


def _read_group(r: Reader, stream: Stream, kind: int) -> None:
    name, last_id = r.string(), _read_id(r)
    if kind == kinds.STREAM_5:
        entries_read = stream.distance(last_id)
    else:
        entries_read = r.length()
        if entries_read >= 2**63:  # -1, or another number that a careless client has set
            entries_read = -1
    group = stream.create_group(name, last_id, entries_read)
    if group is None:
        raise Malformed("Duplicated consumer group name")
    for _ in range(r.length()):
        if not group.add_unowned(_read_raw_id(r), _read_time_ms(r), _read_count(r)):
            raise Malformed("Duplicated global PEL entry loading stream consumer group")
    for _ in range(r.length()):
        _read_consumer(r, group, kind)
    if not group.all_owned():
        raise Malformed("Stream CG PEL entry without consumer")


def _read_consumer(r: Reader, group: Group, kind: int) -> None:
    name, seen_ms = r.string(), _read_time_ms(r)
    consumer: Consumer | None = group.create_consumer(name, seen_ms)
    if consumer is None:
        raise Malformed("Duplicate stream consumer detected")
    consumer.active_ms = _read_active_ms(r) if kind == kinds.STREAM_72 else seen_ms
    for _ in range(r.length()):
        if not group.give(_read_raw_id(r), consumer):
            raise Malformed(
                "Consumer entry not found in group global PEL, or "
                "Stream consumer PEL entry already has a consumer assigned"
            )


# As commands.


def _id(id: tuple[int, int]) -> bytes:
    return b"%d-%d" % id


def _commands(key: bytes, stream: Stream) -> Iterator[Argv]:
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


def _digest(digest: bytes, stream: Stream) -> bytes:
    for id, fields in stream.range():
        for text in (id.replace(b"-", b"."), *fields):
            digest = mix(digest, text)
    return digest


READERS = {kind: partial(read_stream, kind=kind) for kind in (kinds.STREAM_5, kinds.STREAM_7, kinds.STREAM_72)}
STREAM = DataType("stream", Stream, READERS, _commands, _digest)
