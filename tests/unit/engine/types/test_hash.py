"""Hashes against dicts, through both forms; what DUMP takes out and RESTORE brings in."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.memory import alloc
from node.engine.structures.listpack import pack
from node.engine.types.hash import Hash

Limit = Callable[[str, int], None]


def hash_of(pairs: dict[bytes, bytes]) -> Hash:
    h = Hash()
    for f, v in pairs.items():
        h.set(f, v)
    return h


def fields(n: int) -> dict[bytes, bytes]:
    return {b"f%d" % i: b"v%d" % i for i in range(n)}


def test_a_small_hash_is_redis_listpack_in_the_order_of_its_fields() -> None:
    h = hash_of({b"name": b"ann", b"age": b"41", b"7": b""})
    assert h.listpack() == pack([b"name", b"ann", b"age", b"41", b"7", b""])
    h.set(b"name", b"a longer name")
    h.delete(b"age")
    h.set(b"age", b"42")
    assert h.items() == [(b"name", b"a longer name"), (b"7", b""), (b"age", b"42")]
    assert h.keys() == [b"name", b"7", b"age"]
    assert h.values() == [b"a longer name", b"", b"42"]
    assert h.listpack() == pack([b"name", b"a longer name", b"7", b"", b"age", b"42"])


ENCODINGS = {
    "empty": ({}, "listpack"),
    "512 fields": (fields(512), "listpack"),
    "513 fields": (fields(513), "hashtable"),
    "a value of 64 bytes": ({b"f": b"x" * 64}, "listpack"),
    "a value of 65 bytes": ({b"f": b"x" * 65}, "hashtable"),
    "a field of 64 bytes": ({b"f" * 64: b""}, "listpack"),
    "a field of 65 bytes": ({b"f" * 65: b""}, "hashtable"),
    "a long value later": ({b"a": b"1", b"b": b"x" * 65, b"c": b"3"}, "hashtable"),
}


@pytest.mark.parametrize(("pairs", "encoding"), ENCODINGS.values(), ids=ENCODINGS.keys())
def test_the_encoding_changes_at_redis_thresholds_and_never_back(pairs: dict[bytes, bytes], encoding: str) -> None:
    h = hash_of(pairs)
    assert h.encoding == encoding
    assert (h.listpack() is None) == (encoding != "listpack")
    assert sorted(h.items()) == sorted(pairs.items())
    for f in list(pairs)[1:]:
        assert h.delete(f)
    if pairs:
        f = next(iter(pairs))
        assert not h.set(f, b"1")
        assert h.items() == [(f, b"1")]
    assert h.encoding == encoding


def test_a_new_value_for_an_old_field_can_be_too_long_for_the_listpack() -> None:
    h = hash_of(fields(3))
    assert not h.set(b"f1", b"x" * 65)
    assert (h.encoding, h.get(b"f1"), h.get(b"f2"), len(h)) == ("hashtable", b"x" * 65, b"v2", 3)


def test_thresholds_are_settings(limit: Limit) -> None:
    limit("hash-max-listpack-entries", 2)
    assert [hash_of(fields(n)).encoding for n in (2, 3)] == ["listpack", "hashtable"]
    limit("hash-max-listpack-value", 3)
    assert hash_of({b"f": b"1000"}).encoding == "hashtable"
    limit("hash-max-listpack-entries", 100_000)
    h = hash_of({b"%d" % i: b"%d" % i for i in range(999)})
    assert (h.encoding, len(h)) == ("listpack", 999)


POOLS: dict[str, tuple[list[bytes], list[bytes]]] = {
    "few": ([b"f%d" % i for i in range(20)], [b"", b"1", b"-500", b"x" * 63, b"99999999999"]),
    "integers": ([b"%d" % i for i in range(-60, 60)], [b"%d" % 10**i for i in range(19)]),
    "over the number": ([b"f%d" % i for i in range(700)], [b"a", b"b" * 30]),
    "over the length": ([b"f" * i for i in range(60, 70)], [b"x" * i for i in range(60, 70)]),
    "many": ([b"field:%d" % i for i in range(3000)], [b"x" * i for i in range(0, 400, 13)]),
}


@pytest.mark.parametrize(("names", "values"), POOLS.values(), ids=POOLS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_it_behaves_like_a_dict(names: list[bytes], values: list[bytes], seed: int, no_leak: None) -> None:
    rng = random.Random(seed)
    h, model = Hash(), dict[bytes, bytes]()
    growing = 0.4
    for step in range(max(2000, 6 * len(names))):
        if step % (2 * len(names)) == 0:
            growing = 1.1 - growing
        f, v = rng.choice(names), rng.choice(values)
        if rng.random() < growing:
            assert h.set(f, v) == (f not in model)
            model[f] = v
        else:
            assert h.delete(f) == (f in model)
            model.pop(f, None)
        f = rng.choice(names)
        assert h.get(f) == model.get(f)
        assert h.strlen(f) == len(model.get(f, b""))
        assert (f in h) == (f in model)
        assert len(h) == len(model)
        if step % 100 == 0:
            check_against(h, model, rng)
    check_against(h, model, rng)
    copy = h.copy()
    assert (copy.encoding, copy.listpack(), sorted(copy.items())) == (h.encoding, h.listpack(), sorted(model.items()))
    copy.set(b"only here", b"")
    assert b"only here" not in h
    del h, copy


def check_against(h: Hash, model: dict[bytes, bytes], rng: random.Random) -> None:
    pairs = sorted(model.items())
    assert sorted(h.items()) == pairs
    assert (h.keys(), h.values()) == ([f for f, _ in h.items()], [v for _, v in h.items()])
    compact = h.listpack()
    if model and compact is not None:
        assert Hash.from_listpack(compact).items() == h.items()
    seen, cursor = list[tuple[bytes, bytes]](), 0
    while True:
        cursor, some = h.scan(cursor, 10)
        seen += some
        if cursor == 0:
            break
    assert sorted(seen) == pairs
    if model:
        f, v = h.random()
        assert model[f] == v
    count = rng.randrange(len(model) + 3)
    sample = h.sample(count)
    assert len(sample) == len(dict(sample)) == min(count, len(model))
    assert set(sample) <= set(pairs)


def test_an_empty_hash_has_nothing_to_give() -> None:
    h = Hash()
    assert (len(h), h.items(), h.sample(3), h.get(b""), h.strlen(b""), h.delete(b"")) == (0, [], [], None, 0, False)
    with pytest.raises(IndexError):
        h.random()


@pytest.mark.parametrize("pairs", [fields(20), {b"x" * (66 + i): b"" for i in range(20)}], ids=["listpack", "index"])
@pytest.mark.parametrize("count", [1, 5])
def test_every_field_is_as_likely(pairs: dict[bytes, bytes], count: int) -> None:
    h, counts = hash_of(pairs), Counter[bytes]()
    for _ in range(4000):
        counts.update(f for f, _ in ([h.random()] if count == 1 else h.sample(count)))
    expected = 4000 * count / len(pairs)
    chi2 = sum((counts[f] - expected) ** 2 / expected for f in pairs)
    assert chi2 < 60  # 19 degrees of freedom: beyond any chance (p < 1e-5) is about 52


def test_slices_free_everything(no_leak: None) -> None:
    h = hash_of(fields(1000))
    slices = 0
    while h.free_some(100):
        slices += 1
    assert 9 <= slices <= 10
    del h
    half = hash_of(fields(1000))
    assert half.free_some(500) is True
    del half
    assert hash_of(fields(3)).free_some(1) is False


@pytest.mark.parametrize("n", [5, 300, 5000])
def test_memory_is_what_the_allocator_counts(n: int) -> None:
    before = alloc.mem_used()
    h = hash_of(fields(n))
    assert h.memory() == alloc.mem_used() - before
    for i in range(n):
        if i % 3 == 0:
            h.set(b"f%d" % i, b"x" * (i % 60))
        elif i % 3 == 1:
            h.delete(b"f%d" % i)
    assert h.memory() == alloc.mem_used() - before


HOSTILE = {
    "nothing": b"",
    "no fields": pack([]),
    "a field without a value": pack([b"f", b"v", b"g"]),
    "twins": pack([b"f", b"1", b"g", b"2", b"f", b"3"]),
    "integer twins": pack([b"5", b"1", b"g", b"2", b"5", b"3"]),
    "twins far apart": pack([*(b"%d" % i for i in range(400)), b"2", b"x"]),
    "twins in different encodings": bytes.fromhex("10000000 0400 0501 0101 813502 0101 ff"),
    "cut": pack([b"f", b"v"])[:-1],
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_listpack_is_refused(data: bytes, no_leak: None) -> None:
    with pytest.raises(ValueError):
        Hash.from_listpack(data)


def test_twins_are_told_from_values() -> None:
    assert Hash.from_listpack(pack([b"f", b"g", b"g", b"f"])).items() == [(b"f", b"g"), (b"g", b"f")]


def test_a_listpack_beyond_the_threshold_is_indexed_as_it_comes(limit: Limit) -> None:
    data = hash_of(fields(100)).listpack()
    assert data is not None
    limit("hash-max-listpack-entries", 99)
    h = Hash.from_listpack(data)
    assert (h.encoding, sorted(h.items())) == ("hashtable", sorted(fields(100).items()))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3))
def test_damage_is_refused_or_makes_a_hash(damage: list[tuple[int, int]]) -> None:
    data = bytearray(pack([b"f", b"12345", b"-7", b"", b"name", b"x" * 20]))
    for place, byte in damage:
        if place < len(data):
            data[place] = byte
    kept = bytes(data)
    try:
        h = Hash.from_listpack(kept)
    except ValueError:
        return
    finally:
        assert bytes(data) == kept
    assert all(h.get(f) == v for f, v in h.items())
    for f, _ in h.items():
        h.set(f, b"new")
        h.delete(f)
    assert len(h) == 0
