"""Sets against Python's, through their three forms; Redis' intset byte for byte; hostile intsets."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.memory import alloc
from node.engine.structures.listpack import pack
from node.engine.types.set import Set
from tests.support.probe import set_form

Limit = Callable[[str, int], None]


def set_of(*members: bytes) -> Set:
    s = Set()
    for m in members:
        s.add(m)
    return s


def ints(n: int, start: int = 0) -> list[bytes]:
    return [b"%d" % i for i in range(start, start + n)]


# members -> the bytes of their intset, as Redis' DUMP shows them: width, count, integers; all little-endian
INTSETS: list[tuple[list[int], str]] = [
    ([1], "02000000 01000000 0100"),
    ([2, -1, 1], "02000000 03000000 ffff 0100 0200"),
    ([-32768, 32767], "02000000 02000000 0080 ff7f"),
    ([1, 32768], "04000000 02000000 01000000 00800000"),
    ([-32769, 5], "04000000 02000000 ff7fffff 05000000"),
    ([-2147483648, 2147483647], "04000000 02000000 00000080 ffffff7f"),
    ([1, 2147483648], "08000000 02000000 0100000000000000 0000008000000000"),
    ([-(2**63), 2**63 - 1], "08000000 02000000 0000000000000080 ffffffffffffff7f"),
]


@pytest.mark.parametrize(("members", "coded"), INTSETS, ids=lambda v: str(v)[:30])
def test_an_intset_has_redis_bytes_in_both_directions(members: list[int], coded: str) -> None:
    data = bytes.fromhex(coded)
    texts = [b"%d" % m for m in members]
    assert set_of(*texts).intset() == data
    s = Set.from_intset(data)
    assert s.members() == [b"%d" % m for m in sorted(members)]
    assert all(m in s for m in texts)
    assert s.intset() == data


def test_the_width_of_an_intset_stays_when_the_wide_member_goes() -> None:
    s = set_of(b"1", b"70000")
    s.remove(b"70000")
    assert s.intset() == bytes.fromhex("04000000 01000000 01000000")


# What a client is told of each form.
NAMES = {"intset": "intset", "listpack": "listpack", "index": "hashtable"}

# the name of a case, the members in the order in which they come, what then holds them
ENCODINGS: list[tuple[str, list[bytes], str]] = [
    ("integers", ints(512), "intset"),
    ("one integer too many", ints(513), "index"),
    ("text", [b"a"], "listpack"),
    ("not canonical", [b"1", b"01"], "listpack"),
    ("a few with text among them", [*ints(127), b"x"], "listpack"),
    ("128 and text", [*ints(128), b"x"], "index"),
    ("128 texts", [b"m%d" % i for i in range(128)], "listpack"),
    ("129 texts", [b"m%d" % i for i in range(129)], "index"),
    ("64 bytes", [b"x" * 64], "listpack"),
    ("65 bytes", [b"x" * 65], "index"),
    ("65 bytes come later", [b"a", b"x" * 65, b"b"], "index"),
    ("65 bytes come to integers", [b"1", b"2", b"x" * 65], "index"),
]


@pytest.mark.parametrize(("members", "form"), [e[1:] for e in ENCODINGS], ids=[e[0] for e in ENCODINGS])
def test_encodings_change_at_redis_thresholds(members: list[bytes], form: str) -> None:
    s = set_of(*members)
    encoding = NAMES[form]
    assert (s.encoding, set_form(s)) == (encoding, form)
    assert sorted(s.members()) == sorted(set(members))
    assert (s.intset() is None) == (encoding != "intset")
    for m in members[1:]:
        s.remove(m)
    assert (s.encoding, set_form(s)) == (encoding, form)
    assert s.members() == members[:1]


def test_thresholds_are_settings(limit: Limit) -> None:
    limit("set-max-intset-entries", 3)
    assert set_of(*ints(3)).encoding == "intset"
    assert set_of(*ints(4)).encoding == "hashtable"
    limit("set-max-intset-entries", 0)
    assert set_of(b"1").encoding == "listpack"
    limit("set-max-listpack-value", 3)
    s = set_of(b"1000000", b"-1")
    assert set_form(s) == "index"
    assert sorted(s.members()) == [b"-1", b"1000000"]


POOLS: dict[str, list[bytes]] = {
    "few integers": ints(60, -30),
    "many integers": [b"%d" % (i * 7919 - 3_000_000) for i in range(900)],
    "wide integers": [b"%d" % (((-1) ** i) * 2**i) for i in range(63)],
    "few texts": [b"t%d" % i for i in range(60)],
    "mixed": [*ints(100), *(b"t%d" % i for i in range(60))],
    "long texts": [*ints(50), *(b"x" * i for i in range(60, 70))],
    "many texts": [b"member:%d" % i for i in range(3000)],
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_it_behaves_like_a_set(pool: list[bytes], seed: int, no_leak: None) -> None:
    rng = random.Random(seed)
    s, model = Set(), set[bytes]()
    growing = 0.6
    for step in range(6 * len(pool)):
        if step % len(pool) == 0:
            growing = 1.2 - growing
        m = rng.choice(pool)
        if rng.random() < growing:
            assert s.add(m) == (m not in model)
            model.add(m)
        elif rng.random() < 0.7:
            assert s.remove(m) == (m in model)
            model.discard(m)
        elif model:
            popped = s.pop()
            model.remove(popped)
            assert popped not in s
        assert len(s) == len(model)
        other = rng.choice(pool)
        assert (other in s) == (other in model)
        if step % 50 == 0:
            check_against(s, model, rng)
    check_against(s, model, rng)
    copy = s.copy()
    assert (copy.encoding, sorted(copy.members())) == (s.encoding, sorted(model))
    assert sorted(s.pops(len(model) // 2) + s.pops(10**6)) == sorted(model)
    assert len(s) == 0
    assert sorted(copy.members()) == sorted(model)
    del s, copy


def check_against(s: Set, model: set[bytes], rng: random.Random) -> None:
    assert sorted(s.members()) == sorted(model)
    seen, cursor = list[bytes](), 0
    while True:
        cursor, some = s.scan(cursor, 10)
        seen += some
        if cursor == 0:
            break
    assert sorted(seen) == sorted(model)
    if model:
        assert s.random() in model
    count = rng.randrange(len(model) + 3)
    sample = s.sample(count)
    assert len(sample) == len(set(sample)) == min(count, len(model))
    assert set(sample) <= model


def test_an_empty_set_has_nothing_to_give() -> None:
    s = Set()
    assert (len(s), s.members(), s.sample(3), s.pops(3), b"1" in s, s.remove(b"1")) == (0, [], [], [], False, False)
    for ask in (s.random, s.pop):
        with pytest.raises(IndexError):
            ask()


@pytest.mark.parametrize(
    "members",
    [ints(20), [b"t%d" % i for i in range(20)], [b"x" * (66 + i) for i in range(20)]],
    ids=["intset", "listpack", "index"],
)
@pytest.mark.parametrize("draw", ["random", "pop", "sample"])
def test_every_member_is_as_likely(members: list[bytes], draw: str) -> None:
    s, counts, rounds = set_of(*members), Counter[bytes](), 4000
    for _ in range(rounds):
        if draw == "random":
            counts[s.random()] += 1
        elif draw == "pop":
            m = s.pop()
            counts[m] += 1
            s.add(m)
        else:
            counts.update(s.sample(5))
    expected = sum(counts.values()) / len(members)
    chi2 = sum((counts[m] - expected) ** 2 / expected for m in members)
    assert chi2 < 60  # 19 degrees of freedom: beyond any chance (p < 1e-5) is about 52


def test_a_scan_meets_every_member_that_stays() -> None:
    rng = random.Random(5)
    stays = {b"stays:%d" % i for i in range(2000)}
    s = set_of(*stays)
    seen, cursor, round_ = set[bytes](), 0, 0
    while True:
        cursor, some = s.scan(cursor, 20)
        seen.update(some)
        if cursor == 0:
            break
        round_ += 1
        for _ in range(300):  # grow for a while, then shrink, so that the index resizes both ways
            m = b"comes:%d" % rng.randrange(20_000)
            if round_ % 60 < 30:
                s.add(m)
            else:
                s.remove(m)
    assert stays <= seen


def test_slices_free_everything(no_leak: None) -> None:
    s = set_of(*(b"m%d" % i for i in range(1000)))
    before = alloc.mem_used()
    slices = 0
    while s.free_some(100):
        slices += 1
        assert alloc.mem_used() < before
    assert 9 <= slices <= 10
    del s
    half = set_of(*(b"m%d" % i for i in range(1000)))
    half.free_some(500)
    del half
    assert set_of(b"1", b"2").free_some(1) is False


@pytest.mark.parametrize(
    "members",
    [ints(100), [b"t%d" % i for i in range(100)], [b"t%d" % i for i in range(5000)]],
    ids=["intset", "listpack", "index"],
)
def test_memory_is_what_the_allocator_counts(members: list[bytes]) -> None:
    before = alloc.mem_used()
    s = set_of(*members)
    assert s.memory() == alloc.mem_used() - before
    for m in members[::2]:
        s.remove(m)
    assert s.memory() == alloc.mem_used() - before


HOSTILE = {
    "nothing": "",
    "a cut header": "02000000 0100",
    "no members": "02000000 00000000",
    "a width that does not exist": "03000000 01000000 010000",
    "a zero width": "00000000 05000000",
    "a count that is too large": "02000000 02000000 0100",
    "a count that is too small": "02000000 01000000 0100 0200",
    "a count whose size wraps": "08000000 00000020",
    "twins": "02000000 02000000 0100 0100",
    "not sorted": "02000000 02000000 0100 ffff",
}


@pytest.mark.parametrize("coded", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_intset_is_refused(coded: str, no_leak: None) -> None:
    with pytest.raises(ValueError, match="not an intset"):
        Set.from_intset(bytes.fromhex(coded))


@given(st.sampled_from([2, 4, 8]), st.integers(0, 5), st.binary(max_size=48))
def test_noise_is_refused_or_a_set(width: int, count: int, noise: bytes) -> None:
    data = width.to_bytes(4, "little") + count.to_bytes(4, "little") + noise
    try:
        s = Set.from_intset(data)
    except ValueError:
        return
    assert s.intset() == data
    assert len(set(s.members())) == len(s) == count
    assert all(m in s for m in s.members())


def test_what_a_large_pop_leaves_is_compact_again(no_leak: None) -> None:
    members = [b"m%d" % n for n in range(600)]
    for popped, form in ((400, "index"), (499, "index"), (500, "listpack"), (599, "listpack")):
        s = set_of(*members)
        out = s.pops(popped)
        assert (set_form(s), sorted([*out, *s.members()])) == (form, sorted(members))
        del s


def test_an_intset_beyond_the_threshold_is_indexed_as_it_comes(limit: Limit) -> None:
    data = set_of(*ints(300)).intset()
    assert data is not None
    limit("set-max-intset-entries", 200)
    s = Set.from_intset(data)
    assert (s.encoding, sorted(s.members())) == ("hashtable", sorted(ints(300)))


def test_listpacks_from_outside(no_leak: None) -> None:
    s = Set.from_listpack(pack([b"a", b"5", b""]))
    assert (s.encoding, sorted(s.members())) == ("listpack", [b"", b"5", b"a"])
    assert Set.from_listpack(pack([b"5", b"6"])).encoding == "listpack"  # Redis keeps what it reads, too
    assert len(Set.from_listpack(pack([b"t%d" % i for i in range(500)]))) == 500
    for bad in (b"", pack([]), pack([b"a", b"b", b"a"]), pack([b"5", b"a", b"5"]), pack([b"a"])[:-1]):
        with pytest.raises(ValueError):
            Set.from_listpack(bad)
    del s
