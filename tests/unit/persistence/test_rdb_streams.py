"""Streams in RDB form: the bytes of redis-server 7.0.15 both ways, what other versions write, nothing hostile."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from node.engine.durable.crc64 import crc64
from node.engine.durable.rdb import Malformed, Reader, Writer
from node.engine.durable.rdbvalue import write_value
from node.engine.structures.listpack import pack
from node.engine.types.stream import Stream
from node.persistence.rdb.payload import dump_payload, load_payload
from node.persistence.types import kinds
from node.persistence.types.streams import read_stream
from tests.fuzz.mutation import mutate, rounds

# With stream-node-max-entries 2: entries 1-1, 2-0 (deleted), 3-0, 70000-5; a group without consumers, and one where
# ann has 1-1 and 3-0 pending, bob 70000-5, and idle nothing.
FROM_REDIS = bytes.fromhex(
    "13021000000000000000010000000000000001c32f340634000000130001600007816602000102010020010381760204601303dfff0202"
    "40182010088167028177020801ff10000000000000000300000000000000002f2f00000011000201000101018166020001020100010001"
    "81760204010001f26d1101040501010181610201010601ff0380000111700501010200040205656d707479030081ffffffffffffffff00"
    "00016780000111700581ffffffffffffffff0300000000000000010000000000000001e803000000000000050000000000000003000000"
    "0000000000e8030000000000000500000000000111700000000000000005d007000000000000010303616e6e236d3f0aa2010000020000"
    "00000000000100000000000000010000000000000003000000000000000003626f62236d3f0aa201000001000000000001117000000000"
    "000000050469646c65236d3f0aa2010000000a00068649de407b63bc"
)


def facts(stream: Stream) -> dict[str, object]:
    """All that a stream is, for comparing."""
    return {
        "entries": stream.range(),
        "backwards": stream.range(rev=True),
        "nodes": stream.node_list(),
        "ids": (stream.first_id, stream.last_id, stream.max_deleted_id, stream.entries_added, len(stream)),
        "groups": [
            (
                group.name,
                group.last_id,
                group.entries_read,
                stream.lag(group),
                [(id, owner.name, ms, times) for id, owner, ms, times in group.pending_from((0, 0), 10**9)],
                [(consumer.name, consumer.seen_ms, consumer.ids()) for consumer in group.all_consumers()],
            )
            for group in stream.all_groups()
        ],
    }


def loaded(payload: bytes) -> Stream:
    value = load_payload(payload)
    assert isinstance(value, Stream)
    return value


def body_of(stream: Stream) -> bytes:
    w = Writer(compress=False)
    write_value(w, stream)
    return w.take()[1:]  # without the kind


def sample() -> Stream:
    return loaded(FROM_REDIS)


def test_what_redis_wrote_means_what_redis_said() -> None:
    stream = sample()
    assert stream.range() == [
        [b"1-1", [b"f", b"v"]],
        [b"3-0", [b"f", b"v"]],
        [b"70000-5", [b"a", b"1"]],
    ]
    seen_ms = 1795468258595
    assert facts(stream)["ids"] == ((1, 1), (70000, 5), (2, 0), 4, 3)
    assert facts(stream)["groups"] == [
        (b"empty", (3, 0), -1, None, [], []),
        (
            b"g",
            (70000, 5),
            -1,
            0,
            [((1, 1), b"ann", 1000, 5), ((3, 0), b"ann", 1000, 5), ((70000, 5), b"bob", 2000, 1)],
            [(b"ann", seen_ms, [(1, 1), (3, 0)]), (b"bob", seen_ms, [(70000, 5)]), (b"idle", seen_ms, [])],
        ),
    ]
    assert (stream.node_count, stream.radix_nodes) == (2, 6)


def test_it_is_written_as_redis_wrote_it() -> None:
    assert dump_payload(sample()) == FROM_REDIS


def test_an_empty_stream_is_a_value() -> None:
    stream = Stream()
    assert facts(loaded(dump_payload(stream))) == facts(stream)
    stream.set_facts((5, 5), entries_added=3, max_deleted_id=(4, 0))
    stream.create_group(b"g", (1, 0), 1)
    assert facts(loaded(dump_payload(stream))) == facts(stream)


def test_redis_5_knew_less() -> None:
    stream = Stream()
    for ms in (1, 2, 3):
        stream.add((ms, 0), [b"f", b"v"])
    nodes = stream.node_list()
    w = Writer()
    w.length(len(nodes))
    for name, node in nodes:
        w.string(name)
        w.string(node)
    for number in (3, 9, 0):  # length, last id
        w.length(number)
    w.length(2)
    for name, last in ((b"all", (9, 0)), (b"one", (1, 0))):
        w.string(name)
        for number in (*last, 0, 0):  # last id, nothing pending, no consumers
            w.length(number)
    read = read_stream(Reader(w.take()), kinds.STREAM_5)
    assert read.range() == stream.range()
    assert facts(read)["ids"] == ((1, 0), (9, 0), (0, 0), 3, 3)
    assert [(group.name, group.entries_read) for group in read.all_groups()] == [(b"all", 3), (b"one", 1)]


def test_redis_7_2_tells_when_a_consumer_was_active() -> None:
    stream = Stream()
    group = stream.create_group(b"g", (0, 0))
    assert group is not None
    group.create_consumer(b"ann", 1234)
    body = body_of(stream)
    time = struct.pack("<q", 1234)
    assert body.count(time) == 1
    for active_ms in (1000, -1):  # -1: it never got anything
        newer = body.replace(time, time + struct.pack("<q", active_ms))
        read = read_stream(Reader(newer), kinds.STREAM_72)
        assert facts(read) == facts(stream)
        assert [each.active_ms for each in read.all_groups()[0].all_consumers()] == [active_ms]
        w = Writer(form=kinds.Form.REDIS_72)
        write_value(w, read)
        assert w.take() == bytes([kinds.STREAM_72]) + newer
    with pytest.raises(Malformed, match="a time before 1970"):
        read_stream(Reader(body.replace(time, time + struct.pack("<q", -2))), kinds.STREAM_72)


def test_every_cut_is_noticed() -> None:
    body = FROM_REDIS[:-10]
    for end in range(len(body)):
        with pytest.raises(Malformed):
            loaded(sealed(body[:end]))


def sealed(body: bytes) -> bytes:
    body += kinds.VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def node_of(*numbers: int | bytes) -> bytes:
    return pack(each if isinstance(each, bytes) else b"%d" % each for each in numbers)


KEY = struct.pack(">QQ", 5, 0)
GOOD = (1, 0, 1, b"f", 0, 2, 0, 0, b"v", 4)

BAD_NODES: dict[str, list[tuple[bytes, bytes]]] = {
    "no listpack": [(KEY, b"x")],
    "nothing inside": [(KEY, node_of())],
    "no entries": [(KEY, node_of(0, 0, 1, b"f", 0))],
    "a short key": [(KEY[:-1], node_of(*GOOD))],
    "the same key twice": [(KEY, node_of(*GOOD)), (KEY, node_of(*GOOD))],
    "keys that descend": [(KEY, node_of(*GOOD)), (struct.pack(">QQ", 4, 0), node_of(*GOOD))],
    "a count too high": [(KEY, node_of(2, *GOOD[1:]))],
    "a count below zero": [(KEY, node_of(-1, *GOOD[1:]))],
    "a deleted one too many": [(KEY, node_of(1, 1, *GOOD[2:]))],
    "fewer names than said": [(KEY, node_of(1, 0, 9, *GOOD[3:]))],
    "names below zero": [(KEY, node_of(1, 0, -1, *GOOD[3:]))],
    "a head that does not end": [(KEY, node_of(*GOOD[:4], 1, *GOOD[5:]))],
    "a text for a count": [(KEY, node_of(b"x", *GOOD[1:]))],
    "a text for flags": [(KEY, node_of(*GOOD[:5], b"x", *GOOD[6:]))],
    "unknown flags": [(KEY, node_of(*GOOD[:5], 6, *GOOD[6:]))],
    "a wrong length": [(KEY, node_of(*GOOD[:-1], 5))],
    "a length of zero": [(KEY, node_of(*GOOD[:-1], 0))],
    "cut in an entry": [(KEY, node_of(*GOOD[:-1]))],
    "more behind": [(KEY, node_of(*GOOD, 1))],
    "too many fields": [(KEY, node_of(*GOOD[:5], 0, 0, 0, 2**62, b"f", b"v", 6))],
    "fields below zero": [(KEY, node_of(*GOOD[:5], 0, 0, 0, -1, 3))],
    "the same id twice": [(KEY, node_of(2, 0, *GOOD[2:], 2, 0, 0, b"v", 4))],
    "ids that descend": [(KEY, node_of(2, 0, *GOOD[2:], 2, -1, 0, b"v", 4))],
}


@pytest.mark.parametrize("nodes", BAD_NODES.values(), ids=BAD_NODES)
def test_broken_nodes_are_refused(nodes: list[tuple[bytes, bytes]]) -> None:
    assert len(Stream.from_nodes([(KEY, node_of(*GOOD))])) == 1
    with pytest.raises(ValueError):
        Stream.from_nodes(nodes)


def group_body(pending: list[int], consumers: list[tuple[bytes, list[int]]], groups: int = 1) -> bytes:
    """An empty stream with equal groups; ids by their milliseconds."""
    w = Writer()
    for number in (0, 0, 9, 0, 0, 0, 0, 0, 0, groups):
        w.length(number)
    for _ in range(groups):
        w.string(b"g")
        for number in (9, 0, 0, len(pending)):
            w.length(number)
        for ms in pending:
            w.raw(struct.pack(">QQ", ms, 0) + struct.pack("<q", 1))
            w.length(1)
        w.length(len(consumers))
        for name, owned in consumers:
            w.string(name)
            w.raw(struct.pack("<q", 1))
            w.length(len(owned))
            w.raw(b"".join(struct.pack(">QQ", ms, 0) for ms in owned))
    return w.take()


BAD_GROUPS: dict[str, Callable[[], bytes]] = {
    "two of one name": lambda: group_body([], [], groups=2),
    "two consumers of one name": lambda: group_body([], [(b"a", []), (b"a", [])]),
    "pending twice": lambda: group_body([1, 1], [(b"a", [1])]),
    "pending for nobody": lambda: group_body([1, 2], [(b"a", [1])]),
    "pending for two": lambda: group_body([1], [(b"a", [1]), (b"b", [1])]),
    "pending twice for one": lambda: group_body([1], [(b"a", [1, 1])]),
    "not pending": lambda: group_body([1], [(b"a", [1, 2])]),
}


@pytest.mark.parametrize("make", BAD_GROUPS.values(), ids=BAD_GROUPS)
def test_broken_groups_are_refused(make: Callable[[], bytes]) -> None:
    good = read_stream(Reader(group_body([1, 2], [(b"a", [2]), (b"b", [1])])), kinds.STREAM_7)
    assert len(good.all_groups()[0]) == 2
    with pytest.raises(Malformed):
        read_stream(Reader(make()), kinds.STREAM_7)


def test_damaged_payloads_give_a_sound_stream_or_malformed() -> None:
    seeds = [FROM_REDIS[:-10], bytes([kinds.STREAM_7]) + body_of(sample())]
    for seed in range(rounds(2000)):
        check_damaged(mutate(random.Random(seed), seeds))


def check_damaged(body: bytes) -> None:
    try:
        value = load_payload(sealed(body))
    except Malformed:
        return
    if isinstance(value, Stream):
        value.copy()
        assert facts(loaded(dump_payload(value))) == facts(value)
        for entry_id in [row[0] for row in value.range()]:
            ms, _, seq = entry_id.partition(b"-")
            assert value.delete((int(ms), int(seq)))
        assert len(value) == 0
