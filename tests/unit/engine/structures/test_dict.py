"""The hash table against a Python set, and its scan's guarantees while the table grows and shrinks."""

import random

import pytest

from node.engine.memory import alloc
from tests.support import probe


def member(i: int) -> bytes:
    return b"m%d" % i


def filled(n: int) -> probe.DictProbe:
    d = probe.DictProbe()
    for i in range(n):
        d.add(member(i))
    return d


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("universe", [3, 40, 3_000, 100_000])
def test_it_behaves_as_a_set(seed, universe):
    chance = random.Random(seed)
    d, model = probe.DictProbe(), set()
    growing = 0.9
    for step in range(30_000 if universe > 1000 else 4_000):
        if step % 5_000 == 4_999:
            growing = 1 - growing
        m = member(chance.randrange(universe))
        if chance.random() < growing:
            if m not in model:
                d.add(m)
                model.add(m)
            else:
                assert d.replace(m)
        else:
            assert d.remove(m) == (m in model)
            model.discard(m)
        probe_for = member(chance.randrange(universe))
        assert (probe_for in d) == (probe_for in model)
        assert len(d) == len(model)
    assert sorted(d.items()) == sorted(model)


def test_beyond_16_bits_of_tag_all_items_are_found_through_growth_and_shrinking():
    n = 300_000
    d = filled(n)
    assert d.bits > 16
    assert all(member(i) in d for i in range(n))
    assert member(n) not in d
    for i in range(n):
        if i % 50:
            assert d.remove(member(i))
    assert sorted(d.items()) == sorted(member(i) for i in range(0, n, 50))
    assert all((member(i) in d) == (i % 50 == 0) for i in range(0, n, 7))
    assert d.bits < 16


def test_a_large_array_is_resized_in_steps_and_ends():
    d = filled(1792)  # seven eighths of 2048 words
    assert not d.resizing
    d.add(b"one more")
    assert d.resizing
    d.pause(1)
    assert d.step(1_000_000)  # paused: nothing moves
    d.pause(-1)
    assert d.step(16)
    while d.step(100):
        pass
    assert not d.resizing
    assert len(d.items()) == 1793


@pytest.mark.parametrize(("items", "bits"), [(15, 4), (16, 5), (60, 6), (61, 7), (112, 7), (113, 8)])
def test_small_arrays_are_filled_further(items, bits):
    """A million keys in 16,384 slots have some sixty each: with seven eighths most arrays would be half empty."""
    d = filled(items)
    assert d.bits == bits
    assert all(member(i) in d for i in range(items))
    assert member(items) not in d


def test_small_arrays_are_tiny_and_an_empty_dict_has_none():
    d = probe.DictProbe()
    assert d.array_bytes == 0
    d.add(b"a")
    assert d.array_bytes == 32
    d.remove(b"a")
    assert d.array_bytes == 0


def test_an_emptied_dict_gives_its_arrays_back():
    before = alloc.mem_used()
    d = filled(50_000)
    for i in range(50_000):
        d.remove(member(i))
    assert alloc.mem_used() == before


def test_a_dropped_dict_gives_everything_back():
    before = alloc.mem_used()
    d = filled(50_000)
    assert alloc.mem_used() > before
    del d
    assert alloc.mem_used() == before


def test_reserve_makes_room_at_once():
    d = filled(10)
    d.reserve(10_000)
    bits = d.bits
    for i in range(10, 10_000):
        d.add(member(i))
    assert d.bits == bits
    assert len(d.items()) == 10_000


@pytest.mark.parametrize("n", [1, 3, 60, 1000, 5000])
def test_random_reaches_every_item_about_as_often(n):
    d = filled(n)
    draws = 60 * n
    seen: dict[bytes, int] = {}
    for _ in range(draws):
        m = d.random()
        seen[m] = seen.get(m, 0) + 1
    assert len(seen) == n
    assert max(seen.values()) < 60 * 3


def scan_all(d: probe.DictProbe, between=lambda: None) -> list[bytes]:
    cursor, found = 0, []
    while True:
        cursor, some = d.scan(cursor)
        found += some
        if cursor == 0:
            return found
        between()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50, 1000, 1793, 70_000])
def test_a_scan_at_rest_returns_each_item_once(n):
    d = filled(n)
    while d.step(1000):
        pass
    assert sorted(scan_all(d)) == sorted(member(i) for i in range(n))


def test_a_scan_in_the_middle_of_a_resize_returns_each_item_once():
    d = filled(1793)
    d.step(700)
    assert d.resizing
    assert sorted(scan_all(d)) == sorted(member(i) for i in range(1793))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("start", "drift"), [(20, 2000), (3000, -2900), (1500, 9000), (20_000, -19_900)])
def test_a_scan_misses_nothing_that_stays_throughout(seed, start, drift):
    """Items come and go, and the table grows or shrinks several times, while the scan is under way."""
    chance = random.Random(seed)
    d = filled(start)
    stay = set(chance.sample(range(start), min(start, 60)))
    others = [i for i in range(start) if i not in stay]
    chance.shuffle(others)
    fresh = start
    left = abs(drift)
    resized = False

    def change() -> None:
        nonlocal fresh, left, resized
        for _ in range(chance.randrange(0, 40)):
            if left == 0:
                return
            left -= 1
            if drift > 0:
                d.add(member(fresh))
                fresh += 1
            elif others:
                assert d.remove(member(others.pop()))
            resized = resized or d.resizing

    found = set(scan_all(d, change))
    assert {member(i) for i in stay} <= found
    if start >= 1500:
        assert resized


def test_hashes_differ_for_every_length_and_byte():
    seen = {probe.hash_of(bytes(n)) for n in range(200)}
    seen |= {probe.hash_of(bytes(i) + b"\x01" + bytes(39 - i)) for i in range(40)}
    assert len(seen) == 240
    low = {probe.hash_of(member(i)) & 0xFFFF for i in range(20_000)}
    assert len(low) > 16_500  # 17,235 expected of a uniform function


@pytest.mark.parametrize("order", ["items", "scan", "backwards"])
def test_filling_a_table_in_the_order_of_another_looks_at_few_words(order):
    """Each member lies near its home when it is added, whatever the order they come in: some five words away on
    the average of a table that grows from nothing. In the source's own order it were thousands."""
    n = 100_000  # in 2**17 words: the copies below have fewer for as long as they grow
    source = filled(n)
    members = scan_all(source) if order == "scan" else source.items()
    if order == "backwards":
        members.reverse()
    copy = probe.DictProbe()
    words = 0
    for m in members:
        copy.add(m)
        words += copy.distance(m)
    assert words < 8 * n
    assert len(copy) == n


def test_a_part_of_a_table_put_into_a_smaller_one_does_not_pile_up():
    source = filled(100_000)
    part = source.items()[:57_000]  # of the front of 2**17 words, into 2**16
    copy = probe.DictProbe()
    for m in part:
        copy.add(m)
    assert copy.bits == 16
    assert sum(copy.distance(m) for m in part) < 8 * len(part)


def test_a_table_keeps_its_order_when_it_was_empty_in_between():
    """A walk that is under way when the last item goes and others come still passes what it has not passed."""
    d = filled(60)
    cursor, first = d.scan(0)
    for m in d.items():
        d.remove(m)
    for i in range(60):
        d.add(member(i))
    again, same = d.scan(0)
    assert (again, sorted(same)) == (cursor, sorted(first))
