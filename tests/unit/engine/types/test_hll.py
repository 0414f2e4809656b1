"""HyperLogLog: the bytes and counts of redis-server 7.0.15, and no crash on any bytes that claim to be one."""

import contextlib
import hashlib
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.types.hll import (
    Corrupted,
    hll_add,
    hll_cached_count,
    hll_count,
    hll_is_dense,
    hll_merge,
    hll_new,
    hll_registers,
    hll_runs,
    hll_selftest,
    hll_to_dense,
    hll_valid,
    hll_with_cached_count,
)
from node.engine.types.limits import set_limit

STALE = b"HYLL\x01" + bytes(10) + b"\x80"
EMPTY = STALE + b"\x7f\xff"


def numbered(count: int) -> list[bytes]:
    return [b"element-%d" % i for i in range(count)]


def sketch(*elements: bytes) -> bytes:
    return hll_add(hll_new(), elements)[0]


@pytest.fixture
def sparse_limit() -> Iterator[None]:
    yield
    set_limit("hll-sparse-max-bytes", 3000)


def test_a_new_sketch_is_one_run_of_empty_registers() -> None:
    assert hll_new() == EMPTY
    assert hll_runs(EMPTY) == [(0, 16384, 2)]
    assert hll_count([EMPTY]) == 0
    assert hll_cached_count(EMPTY) is None


# After PFADD of element-0, element-1 ... to redis-server: elements, size of the value, its SHA-1, PFCOUNT.
FROM_REDIS = [
    (1, 21, "8c9c4c1a470f4861ae0bc4857b3204a89241c03d", 1),
    (3, 27, "501688142332749efe3a7567642ecfe25e4c7f0d", 3),
    (10, 48, "303ef03f62a9d5efd3cae199f1a15a7857b3ffdb", 10),
    (100, 287, "2661947c14bc746f9a136e8cb4a26d44b9f77be3", 100),
    (1000, 1870, "4a8fd4caa65f772383c31531a546921dd5d7f8b3", 994),
    (5000, 12304, "0cda545882de91cb3fb64e7b3aea5ab5dd38f901", 4972),
    (20000, 12304, "4cb23135942fab45c946eee97e61227eaee5e6c9", 19902),
]


@pytest.mark.parametrize(("count", "size", "digest", "cardinality"), FROM_REDIS)
def test_bytes_and_counts_are_those_of_redis(count: int, size: int, digest: str, cardinality: int) -> None:
    value, changes = hll_add(hll_new(), numbered(count))
    assert 0 < changes <= count
    assert (len(value), hashlib.sha1(value).hexdigest()) == (size, digest)
    assert hll_count([value]) == cardinality


def test_adding_again_changes_nothing() -> None:
    value = hll_with_cached_count(sketch(*numbered(50)), 50)
    assert hll_add(value, numbered(50)) == (value, 0)


def test_a_change_makes_the_cached_count_stale() -> None:
    value = hll_with_cached_count(sketch(b"a"), 1)
    assert hll_cached_count(value) == 1
    changed, changes = hll_add(value, [b"b"])
    assert changes == 1
    assert hll_cached_count(changed) is None


def test_dense_and_sparse_say_the_same() -> None:
    value = sketch(*numbered(500))
    dense = hll_to_dense(value)
    assert not hll_is_dense(value)
    assert hll_is_dense(dense)
    assert len(dense) == 12304
    assert hll_registers(dense) == hll_registers(value)
    assert hll_count([dense]) == hll_count([value])
    assert hll_add(dense, numbered(700))[0] == hll_to_dense(hll_add(value, numbered(700))[0])


def test_the_sparse_form_gives_way_at_its_limit(sparse_limit: None) -> None:
    set_limit("hll-sparse-max-bytes", 100)
    value = hll_new()
    for element in numbered(200):
        value = hll_add(value, [element])[0]
        assert hll_is_dense(value) or len(value) <= 100
    assert hll_is_dense(value)
    set_limit("hll-sparse-max-bytes", 0)
    assert hll_is_dense(sketch(b"a"))


def test_a_union_counts_common_elements_once() -> None:
    a, b = sketch(b"a", b"b", b"c"), sketch(b"b", b"c", b"d")
    assert hll_count([a, b]) == 4
    assert hll_count([]) == 0
    merged = hll_merge(None, [a, b])
    assert merged == sketch(b"a", b"b", b"c", b"d")
    assert hll_cached_count(merged) is None
    assert hll_registers(hll_merge(a, [b])) == hll_registers(merged)


def test_a_merge_with_a_dense_part_is_dense() -> None:
    a, b = sketch(b"a"), hll_to_dense(sketch(b"b"))
    for merged in (hll_merge(a, [b]), hll_merge(None, [a, b]), hll_merge(b, [a])):
        assert hll_is_dense(merged)
        assert hll_count([merged]) == 2


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (EMPTY, True),
        (b"", False),
        (b"HYLL", False),
        (EMPTY[:15], False),
        (b"hYLL" + EMPTY[4:], False),
        (b"HYLL\x02" + EMPTY[5:], False),
        (b"HYLL\x00" + EMPTY[5:], False),
        (b"HYLL\x00" + bytes(12299), True),
        (b"HYLL\x00" + bytes(12300), False),
    ],
)
def test_the_header_decides_what_is_a_sketch(value: bytes, valid: bool) -> None:
    assert hll_valid(value) is valid


CORRUPT = [
    STALE,  # no runs at all
    EMPTY + b"hello",  # runs beyond the last register
    STALE + b"\x7f\xfe",  # one register short
    STALE + b"\x7f",  # a run cut in the middle
    STALE + b"\x7f\xff" * 140_000 + b"\xff",  # far more registers than 32 bits can count
    STALE + b"\x3f" * 300 + b"\xff",
]


@pytest.mark.parametrize("value", CORRUPT, ids=range(len(CORRUPT)))
def test_corrupt_runs_are_refused(value: bytes) -> None:
    assert hll_valid(value)
    for look in (
        lambda: hll_count([value]),
        lambda: hll_count([value, value]),
        lambda: hll_merge(None, [value]),
        lambda: hll_to_dense(value),
        lambda: hll_registers(value),
    ):
        with pytest.raises(Corrupted):
            look()


@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=20))
def test_any_runs_are_survived(runs: bytes, elements: list[bytes]) -> None:
    value = STALE + runs
    for look in (
        lambda: hll_add(value, elements),
        lambda: hll_count([value, EMPTY]),
        lambda: hll_merge(EMPTY, [value]),
        lambda: hll_runs(value),
    ):
        with contextlib.suppress(Corrupted):
            look()


def test_flipped_bytes_are_survived() -> None:
    rng = random.Random(7)
    sound = sketch(*numbered(1500))
    for _ in range(300):
        value = bytearray(sound)
        for _ in range(rng.randrange(1, 6)):
            value[rng.randrange(16, len(value))] = rng.randrange(256)
        try:
            grown = hll_add(bytes(value), numbered(2000)[1500:])[0]
            hll_count([grown])
        except Corrupted:
            pass


@given(st.lists(st.binary(max_size=12), max_size=60), st.lists(st.binary(max_size=12), max_size=60))
def test_order_and_grouping_do_not_matter(first: list[bytes], second: list[bytes]) -> None:
    both = hll_add(sketch(*first), second)[0]
    assert hll_registers(both) == hll_registers(sketch(*second, *first))
    assert hll_count([both]) == hll_count([sketch(*first), sketch(*second)])


def test_selftest() -> None:
    assert hll_selftest(12345) is None
