"""The list against a Python list, with nodes of several sizes, and against hostile nodes."""

import random
from collections.abc import Iterator

import pytest

from node.engine.memory.alloc import mem_used
from node.engine.structures.listpack import pack, unpack
from node.engine.types.limits import set_limit
from node.engine.types.list import List

PLAIN, PACKED = 1, 2


@pytest.fixture(params=[-2, -1, -5, 1, 4, 128, 0])
def fill(request: pytest.FixtureRequest) -> Iterator[int]:
    """list-max-listpack-size, in both of its meanings; 1 and 4 make many nodes of few elements."""
    set_limit("list-max-listpack-size", request.param)
    yield request.param
    set_limit("list-max-listpack-size", -2)


def filled(values: list[bytes]) -> List:
    out = List()
    for value in values:
        out.push(value, False)
    return out


def some_value(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.5:
        return b"%d" % rng.randint(-5, 5)
    if kind < 0.9:
        return b"v" * rng.randint(0, 300)
    if kind < 0.98:
        return b"%d" % rng.randint(-(2**63), 2**63 - 1)
    return b"L" * rng.randint(4000, 20_000)


def insert(model: list[bytes], pivot: bytes, value: bytes, before: bool) -> bool:
    if pivot not in model:
        return False
    model.insert(model.index(pivot) + (not before), value)
    return True


def remove(model: list[bytes], value: bytes, count: int) -> int:
    places = [i for i, v in enumerate(model) if v == value]
    places = places[count:] if count < 0 else places[: count or None]
    for i in reversed(places):
        del model[i]
    return len(places)


def inclusive(model: list[bytes], start: int, stop: int) -> list[bytes]:
    n = len(model)
    begin = max(start + n, 0) if start < 0 else start
    end = stop + n if stop < 0 else stop
    return model[begin : end + 1] if end >= 0 else []


def within_limits(values: List, fill: int) -> None:
    for _, data in values.nodes():
        count = len(unpack(data))
        assert count > 0
        if count > 1:
            assert len(data) <= (8192 if fill >= 0 else 2048 << -fill)
            assert fill < 0 or count <= fill


@pytest.mark.parametrize("seed", range(3))
def test_random_changes(seed: int, fill: int) -> None:
    rng = random.Random(seed)
    values, model = List(), []
    for step in range(4000):
        # Phases that grow, then shrink, then hold: nodes split, empty and merge.
        op = rng.choices(
            ["push", "pop", "insert", "set", "remove", "trim"],
            [(8, 1, 6, 2, 1, 0), (1, 3, 1, 4, 5, 0.3), (4, 2, 2, 2, 1, 0.01)][step * 3 // 4000],
        )[0]
        value = some_value(rng)
        if op == "push":
            left = rng.random() < 0.5
            values.push(value, left)
            model.insert(0 if left else len(model), value)
        elif op == "pop" and model:
            left = rng.random() < 0.5
            assert values.pop(left) == model.pop(0 if left else -1)
        elif op == "insert":
            pivot = rng.choice(model) if model and rng.random() < 0.9 else b"absent"
            before = rng.random() < 0.5
            assert values.insert(pivot, value, before) == insert(model, pivot, value, before)
        elif op == "set" and model:
            i = rng.randrange(-len(model), len(model))
            values.set(i, value)
            model[i] = value
        elif op == "remove":
            value = rng.choice(model) if model and rng.random() < 0.5 else value
            count = rng.choice([0, 1, -1, 2, -2, 10, -10])
            assert values.remove(value, count) == remove(model, value, count)
        elif op == "trim" and model:
            start, stop = rng.randint(0, len(model) // 8), rng.randint(-len(model) // 8, -1)
            values.trim(start, stop)
            model = inclusive(model, start, stop)
        assert len(values) == len(model)
        if step % 100 == 0:
            assert values.range(0, -1) == model
            within_limits(values, fill)
    assert values.range(0, -1) == values.copy().range(0, -1) == model


def test_every_index_and_many_ranges(fill: int) -> None:
    rng = random.Random(4)
    model = [b"%d:%s" % (i, b"x" * rng.randint(0, 50)) for i in range(700)]
    values = filled(model)
    for i in range(-701, 702):
        assert values.index(i) == (model[i] if -700 <= i < 700 else None)
    for _ in range(300):
        start, stop = rng.randint(-800, 800), rng.randint(-800, 800)
        assert values.range(start, stop) == inclusive(model, start, stop)
        trimmed = values.copy()
        trimmed.trim(start, stop)
        assert trimmed.range(0, -1) == inclusive(model, start, stop)


def test_queue_that_runs_through_the_ring(fill: int) -> None:
    for left in (True, False):
        values = List()
        for i in range(3000):
            values.push(b"job %d" % i, left)
            if i >= 100:
                assert values.pop(not left) == b"job %d" % (i - 100)
        assert values.pop_many(not left, 40) == [b"job %d" % i for i in range(2900, 2940)]
        assert values.pop_many(not left, 1000) == [b"job %d" % i for i in range(2940, 3000)]
        assert values.pop_many(left, 1) == []
        assert len(values) == 0
        with pytest.raises(IndexError):
            values.pop(left)


def test_popping_many(fill: int) -> None:
    model = [b"%d" % i for i in range(1000)]
    values = filled(model)
    assert values.pop_many(True, 300) == model[:300]
    assert values.pop_many(False, 300) == model[:699:-1]
    assert values.pop_many(False, 0) == values.pop_many(True, -1) == []
    assert values.range(0, -1) == model[300:700]


@pytest.mark.parametrize(
    ("rank", "count", "maxlen", "wanted"),
    [
        (1, 1, 0, [2]), (1, 0, 0, [2, 4, 5, 9]), (2, 0, 0, [4, 5, 9]), (1, 2, 0, [2, 4]), (5, 0, 0, []),
        (-1, 1, 0, [9]), (-1, 0, 0, [9, 5, 4, 2]), (-2, 2, 0, [5, 4]), (-5, 1, 0, []),
        (1, 0, 5, [2, 4]), (1, 0, 2, []), (-1, 0, 5, [9, 5]), (-1, 0, 1, [9]), (2, 1, 5, [4]),
        (1, 0, 100, [2, 4, 5, 9]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("needle", [b"x", b"17", b"y" * 100])
def test_positions(rank: int, count: int, maxlen: int, wanted: list[int], needle: bytes, fill: int) -> None:
    model = [needle if i in (2, 4, 5, 9) else b"%d" % i for i in range(10)]
    assert filled(model).positions(needle, rank, count, maxlen) == wanted


def test_setting_out_of_range() -> None:
    values = filled([b"a", b"b"])
    for index in (2, -3, 2**62):
        with pytest.raises(IndexError):
            values.set(index, b"c")
    with pytest.raises(IndexError):
        List().set(0, b"c")


def test_a_small_change_keeps_a_full_node_whole() -> None:
    values = filled([b"%030d" % i for i in range(2000)])
    nodes = len(values.nodes())
    for i in range(2000):
        values.set(i, b"%030d" % -i)
    assert len(values.nodes()) == nodes


def test_emptied_nodes_go_and_small_neighbours_merge() -> None:
    values = filled([b"%d:%s" % (i % 10, b"x" * 40) for i in range(10_000)])
    for digit in range(1, 10):
        values.remove(b"%d:%s" % (digit, b"x" * 40), 0 if digit % 2 else -10_000)
    assert len(values) == 1000
    assert len(values.nodes()) <= 2 * (1000 * 44 // 8192 + 1)


def test_a_large_element_has_a_node_of_its_own() -> None:
    values = filled([b"a", b"L" * 100_000, b"b", b"c"])
    assert [len(unpack(data)) for _, data in values.nodes()] == [1, 1, 2]
    values.insert(b"b", b"M" * 100_000, False)
    assert [len(unpack(data)) for _, data in values.nodes()] == [1, 1, 1, 1, 1]


def test_nodes_there_and_back(fill: int) -> None:
    rng = random.Random(5)
    model = [some_value(rng) for _ in range(1000)]
    nodes = filled(model).nodes()
    assert [value for _, data in nodes for value in unpack(data)] == model
    assert {container for container, _ in nodes} == {PACKED}
    assert List.from_nodes(nodes).range(0, -1) == model
    mixed = List.from_nodes([(PLAIN, b"12"), (PACKED, pack([b"a", b"b"])), (PLAIN, b"L" * 10_000)])
    assert mixed.range(0, -1) == [b"12", b"a", b"b", b"L" * 10_000]


@pytest.mark.parametrize(
    "nodes",
    [
        [], [(PACKED, pack([]))], [(PACKED, b"")], [(PACKED, b"abc")], [(3, b"a")], [(0, b"a")],
        [(PACKED, pack([b"a"])), (PACKED, pack([b"b"])[:-1])], [(PLAIN, b"a"), (PACKED, pack([]))],
    ],
)  # fmt: skip
def test_hostile_nodes(nodes: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ValueError):
        List.from_nodes(nodes)


def test_mutilated_nodes() -> None:
    (node,) = filled([b"%d" % (7**i) for i in range(20)] + [b"v" * 70, b"w" * 10]).nodes()
    rng = random.Random(6)
    for _ in range(5000):
        broken = bytearray(node[1])
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            values = List.from_nodes([(PACKED, bytes(broken))])
        except ValueError:
            continue
        assert values.range(0, -1) == values.pop_many(False, 100)[::-1]


def test_all_memory_comes_back(fill: int) -> None:
    rng = random.Random(7)
    model = [some_value(rng) for _ in range(1500)]

    def use() -> None:
        values = filled(model)
        assert mem_used() - before == values.memory()
        values.copy().pop(True)
        values.remove(b"1", 0)
        values.trim(100, -100)
        List.from_nodes(values.nodes())
        with pytest.raises(ValueError):
            List.from_nodes([*values.nodes(), (PACKED, pack([]))])

    before = mem_used()
    use()
    assert mem_used() == before


def test_freeing_in_slices() -> None:
    before = mem_used()
    values = filled([b"%060d" % i for i in range(20_000)])
    nodes = len(values.nodes())
    slices = 1
    while values.free_some(20):
        slices += 1
    assert slices == -(-nodes // 20)
    huge = filled([b"L" * 1_000_000] * 3)
    assert huge.free_some(20)
    del values, huge
    assert mem_used() == before


def test_what_clients_are_told_it_is() -> None:
    """A list is a listpack until one node may not hold what comes, and again when half a node holds what is left."""
    set_limit("list-max-listpack-size", 6)
    try:
        values = filled([b"x"] * 6)
        assert values.encoding == "listpack"
        values.push(b"x", False)
        assert values.encoding == "quicklist"
        for size, encoding in ((6, "quicklist"), (4, "quicklist"), (3, "listpack"), (2, "listpack")):
            while len(values) > size:
                values.pop(True)
            assert (values.encoding, values.copy().encoding) == (encoding, encoding)
        set_limit("list-max-listpack-size", -2)
        values.push(b"y" * 8190, True)
        assert values.encoding == "quicklist"
        values.set(0, b"y" * 4070)  # with what else is there this is half a node
        assert values.encoding == "listpack"
        assert List.from_nodes(values.nodes()).encoding == "listpack"
    finally:
        set_limit("list-max-listpack-size", -2)


def test_elements_in_many_small_nodes_are_counted_together() -> None:
    values = filled([b"some hundred bytes".ljust(100)] * 75)
    assert len(values.nodes()) > 1  # the nodes at the ends are kept small
    assert values.encoding == "listpack"
    values.push(b"x" * 500, True)
    assert values.encoding == "quicklist"
