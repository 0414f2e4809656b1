"""The stream against a dictionary of entries, its groups against one of who has what, and Redis' layout of nodes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from node.engine.memory.alloc import mem_used
from node.engine.structures.listpack import unpack
from node.engine.types.limits import set_limit
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer

Id = tuple[int, int]
ALL = 10**9
ROUNDS = 1500


@pytest.fixture(
    params=[(4096, 100), (100, 0), (4096, 1), (4096, 7), (0, 0)], ids=lambda p: f"{p[0]} bytes {p[1]} entries"
)
def node_size(request: pytest.FixtureRequest) -> Iterator[None]:
    set_limit("stream-node-max-bytes", request.param[0])
    set_limit("stream-node-max-entries", request.param[1])
    yield
    set_limit("stream-node-max-bytes", 4096)
    set_limit("stream-node-max-entries", 100)


def text(id: Id) -> bytes:
    return b"%d-%d" % id


def some_fields(rng: random.Random) -> list[bytes]:
    if rng.random() < 0.7:
        return [b"a", b"%d" % rng.randrange(1000)]
    return [b"field%d" % rng.randrange(5) for _ in range(2 * rng.randrange(1, 4))]


class Model:
    """What a stream should hold."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.stream = Stream()
        self.entries: dict[Id, list[bytes]] = {}
        self.last: Id = (0, 0)
        self.added = 0
        self.max_deleted: Id = (0, 0)

    def add(self) -> None:
        ms, seq = self.last
        step = self.rng.choice([0, 0, 1, 2, 300, 10**6, 10**11])
        self.last = (ms + step, self.rng.choice([0, 5, 2**40]) if step else seq + self.rng.choice([1, 1, 300, 2**33]))
        fields = some_fields(self.rng)
        assert self.stream.add(self.last, fields) == text(self.last)
        self.entries[self.last] = fields
        self.added += 1

    def delete(self) -> None:
        id = self.some_id()
        assert self.stream.delete(id) == (id in self.entries)
        if self.entries.pop(id, None) is not None:
            self.max_deleted = max(self.max_deleted, id)
        assert not self.stream.delete(id)

    def trim_to_length(self) -> None:
        length = len(self.entries) - self.rng.randrange(20)
        going = sorted(self.entries)[: max(len(self.entries) - max(length, 0), 0)]
        assert self.stream.trim_to_length(max(length, 0)) == len(going)
        self.forget(going)

    def trim_before(self) -> None:
        ids = sorted(self.entries)
        id = self.rng.choice(ids[:20]) if ids else (1, 1)
        going = [each for each in ids if each < id]
        assert self.stream.trim_before(id) == len(going)
        self.forget(going)

    def forget(self, ids: list[Id]) -> None:
        for id in ids:
            del self.entries[id]

    def some_id(self) -> Id:
        if self.entries and self.rng.random() < 0.8:
            return self.rng.choice(list(self.entries))
        return (self.rng.randrange(self.last[0] + 2), self.rng.randrange(10))

    def compare(self) -> None:
        stream, ids = self.stream, sorted(self.entries)
        low, high = self.some_id(), self.some_id()
        wanted = [[text(id), self.entries[id]] for id in ids if low <= id <= high]
        assert stream.range(low, high) == wanted
        assert stream.range(low, high, rev=True) == wanted[::-1]
        assert stream.range(low, high, count=3) == wanted[:3]
        assert stream.range(low, high, count=3, rev=True) == wanted[::-1][:3]
        assert (low in stream) == (low in self.entries)
        assert stream.entry(low) == ([text(low), self.entries[low]] if low in self.entries else None)
        self.compare_facts(stream)

    def compare_facts(self, stream: Stream) -> None:
        ids = sorted(self.entries)
        assert len(stream) == len(ids)
        assert stream.first_id == (ids[0] if ids else (0, 0))
        assert stream.top_id == (ids[-1] if ids else (0, 0))
        assert (stream.last_id, stream.entries_added) == (self.last, self.added)
        assert stream.max_deleted_id == self.max_deleted


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_is_its_entries(seed: int, node_size: None, no_leak: None) -> None:
    model = Model(random.Random(seed))
    actions = [model.add] * 12 + [model.delete] * 3 + [model.trim_to_length, model.trim_before] + [model.compare] * 4
    for _ in range(ROUNDS):
        model.rng.choice(actions)()
    model.compare()
    whole = model.stream.range()
    copied = model.stream.copy()
    model.stream.trim_to_length(0)
    assert copied.range() == whole
    model.entries = {id: fields for id, fields in model.entries.items() if id in copied}
    model.compare_facts(copied)
    assert Stream.from_nodes(copied.node_list()).range() == whole
    while copied.free_some(3):
        pass


def test_whole_nodes_are_trimmed_up_to_a_limit() -> None:
    set_limit("stream-node-max-entries", 10)
    try:
        stream = Stream()
        for ms in range(1, 46):
            stream.add((ms, 0), [b"f", b"v"])
    finally:
        set_limit("stream-node-max-entries", 100)
    assert stream.trim_to_length(36, whole_nodes=True) == 0
    assert stream.trim_to_length(35, whole_nodes=True) == 10
    assert stream.trim_to_length(0, whole_nodes=True, limit=19) == 10
    assert stream.trim_before((30, 0), whole_nodes=True) == 0
    assert stream.trim_before((31, 0), whole_nodes=True) == 10
    assert (stream.first_id, stream.trimmed_to, len(stream)) == ((31, 0), (31, 0), 15)


def test_nodes_are_laid_out_as_in_redis() -> None:
    stream = Stream()
    stream.add((5, 1), [b"a", b"1", b"b", b"2"])
    stream.add((5, 3), [b"a", b"x", b"b", b"y"])
    stream.add((9, 0), [b"c", b"z"])
    stream.delete((5, 3))
    ((key, packed),) = stream.node_list()
    assert key == (5).to_bytes(8, "big") + (1).to_bytes(8, "big")
    head = [b"2", b"1", b"2", b"a", b"b", b"0"]
    same = [b"2", b"0", b"0", b"1", b"2", b"5"]
    deleted = [b"3", b"0", b"2", b"x", b"y", b"5"]
    other = [b"0", b"4", b"-1", b"1", b"c", b"z", b"6"]
    assert unpack(packed) == head + same + deleted + other


def test_going_back_behind_deleted_entries() -> None:
    """XSETID may name an id below one of which only a mark remains: what comes then is in order all the same."""
    stream = Stream()
    for ms in (10, 11, 12):
        stream.add((ms, 0), [b"f", b"v"])
    stream.delete((12, 0))
    stream.trim_before((12, 0))
    assert (len(stream), stream.node_count) == (0, 1)
    stream.set_facts((1, 0))
    stream.add((2, 0), [b"f", b"v"])
    stream.add((10, 0), [b"f", b"v"])
    assert [id for id, _ in stream.range()] == [b"2-0", b"10-0"]
    assert Stream.from_nodes(stream.node_list()).range() == stream.range()


@pytest.mark.parametrize(
    ("ids", "nodes"),
    [
        ([], 1),
        ([(1, 1)], 2),
        ([(1, 1), (1, 2)], 4),
        ([(1, 1), (1, 2), (1, 3)], 5),
        ([(1, 0), (3, 0)], 6),
        ([(1, 0), (2, 0), (2, 1)], 8),
        ([(1 << 56, 0), (2 << 56, 0)], 5),
        ([(1, 0), (1 << 56, 0), (2 << 56, 0)], 7),
    ],
)
def test_nodes_of_a_radix_tree(ids: list[Id], nodes: int) -> None:
    set_limit("stream-node-max-entries", 1)
    try:
        stream = Stream()
        for id in ids:
            stream.add(id, [b"f", b"v"])
    finally:
        set_limit("stream-node-max-entries", 100)
    assert (stream.node_count, stream.radix_nodes) == (len(ids), nodes)


@pytest.mark.parametrize("seed", range(3))
def test_a_group_knows_who_has_what(seed: int, no_leak: None) -> None:
    rng = random.Random(seed)
    stream = Stream()
    group = stream.create_group(b"g", (0, 0), 0)
    assert group is not None
    consumers: list[Consumer] = []
    for i in range(4):
        consumer = group.create_consumer(b"%d" % i, 0)
        assert consumer is not None
        consumers.append(consumer)
    owners: dict[Id, bytes] = {}
    for _ in range(20_000):
        id, consumer = (rng.randrange(3000), rng.randrange(3)), rng.choice(consumers)
        if rng.random() < 0.6:
            group.assign(id, consumer, 5, 2)
            owners[id] = consumer.name
        else:
            assert group.acknowledge(id) == (id in owners)
            owners.pop(id, None)
    assert [(id, owner.name) for id, owner, *_ in group.pending_from((0, 0), ALL)] == sorted(owners.items())
    start, end = (500, 1), (900, 2)
    some = [id for id in sorted(owners) if start <= id <= end and owners[id] == b"2"]
    assert [row[0] for row in group.pending_from(start, 20, end, consumers[2])] == some[:20]
    assert group.first_and_last() == (min(owners), max(owners))
    twin = stream.copy().group(b"g")
    assert twin is not None
    assert [(id, owner.name) for id, owner, *_ in twin.pending_from((0, 0), ALL)] == sorted(owners.items())
    mine = [id for id in sorted(owners) if owners[id] == b"1"]
    assert consumers[1].ids() == mine
    assert group.delete_consumer(consumers[1]) == len(mine)
    assert len(group) == len(owners) - len(mine)
    assert not group.acknowledge(mine[0])


def test_pending_entries_are_told_apart_by_their_age() -> None:
    stream = Stream()
    group = stream.create_group(b"g", (0, 0))
    assert group is not None
    ann = group.create_consumer(b"ann", 0)
    assert ann is not None
    for ms in range(10):
        group.assign((ms, 0), ann, 100 + ms, 1)
    assert [id for (id, _), *_ in group.pending_from((2, 0), ALL, delivered_before_ms=105)] == [2, 3, 4, 5]


def test_delivery_goes_on_where_the_group_stopped() -> None:
    stream = Stream()
    for ms in range(1, 6):
        stream.add((ms, 0), [b"f", b"v"])
    group = stream.create_group(b"g", (1, 0), 1)
    assert group is not None
    ann, bob = (group.create_consumer(name, 0) for name in (b"ann", b"bob"))
    assert ann is not None
    assert bob is not None
    assert [id for id, _ in stream.deliver(group, ann, 2, True, 70)] == [b"2-0", b"3-0"]
    assert [id for id, _ in stream.deliver(group, bob, 1, False, 80)] == [b"4-0"]
    assert (group.last_id, group.entries_read, stream.lag(group)) == ((4, 0), 4, 1)
    assert group.pending_from((0, 0), ALL) == [((2, 0), ann, 70, 1), ((3, 0), ann, 70, 1)]
    group.last_id = (1, 0)
    stream.deliver(group, bob, 1, True, 90)
    assert group.pending((2, 0)) == ((2, 0), bob, 90, 1)


def test_memory_is_counted(no_leak: None) -> None:
    before = mem_used()
    stream = Stream()
    group = stream.create_group(b"g", (0, 0))
    assert group is not None
    ann = group.create_consumer(b"ann", 0)
    assert ann is not None
    for ms in range(1, 2000):
        stream.add((ms, 0), [b"field", b"%d" % ms])
        group.assign((ms, 0), ann, 1, 1)
    assert stream.memory() == mem_used() - before
    for ms in range(1, 2000):
        group.acknowledge((ms, 0))
    stream.trim_to_length(0)
    assert stream.memory() == mem_used() - before < 2000
