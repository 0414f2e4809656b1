"""The sorted set against a sorted Python list, in both forms, and against hostile listpacks."""

import math
import random
from bisect import insort
from collections.abc import Callable, Iterator

import pytest

from node.engine.memory.alloc import mem_used
from node.engine.structures.listpack import pack, unpack
from node.engine.structures.numbers import format_score
from node.engine.types.limits import set_limit
from node.engine.types.zset import ZSet

INF = math.inf
Pair = tuple[bytes, float]


@pytest.fixture
def always_indexed() -> Iterator[None]:
    set_limit("zset-max-listpack-entries", 0)
    yield
    set_limit("zset-max-listpack-entries", 128)


@pytest.fixture(params=["listpack", "skiplist"])
def limited(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test with sets that stay compact, and with sets that never are."""
    set_limit("zset-max-listpack-entries", 0 if request.param == "skiplist" else 10**6)
    yield request.param
    set_limit("zset-max-listpack-entries", 128)


class Model:
    """What a sorted set is, the slow way."""

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: list[tuple[float, bytes]] = []

    def set(self, member: bytes, score: float) -> bool:
        new = not self.remove(member)
        self.scores[member] = score
        insort(self.order, (score, member))
        return new

    def remove(self, member: bytes) -> bool:
        if member not in self.scores:
            return False
        self.order.remove((self.scores.pop(member), member))
        return True

    def pairs(self) -> list[Pair]:
        return [(member, score) for score, member in self.order]


def filled(pairs: list[Pair]) -> ZSet:
    z = ZSet()
    for member, score in pairs:
        z.set(member, score)
    return z


def same(z: ZSet, model: Model) -> None:
    pairs = model.pairs()
    assert len(z) == len(pairs)
    assert z.range(0, -1) == pairs
    assert z.range(0, -1, True) == pairs[::-1]
    for rank, (member, score) in enumerate(pairs):
        assert z.rank(member) == rank
        assert z.score(member) == score


def some_member(rng: random.Random, pool: int) -> bytes:
    number = rng.randrange(pool)
    return rng.choice([b"%d", b"member:%d"]) % number


SCORES: dict[str, Callable[[random.Random], float]] = {
    "few": lambda rng: float(rng.randint(-3, 3)),
    "many": lambda rng: rng.uniform(-1e6, 1e6),
    "strange": lambda rng: rng.choice([0.0, -0.0, INF, -INF, 5e-324, -1e308, 0.1, 1e17, -(2.0**62), 1e300]),
}


@pytest.mark.parametrize("scores", list(SCORES))
@pytest.mark.parametrize(("pool", "steps"), [(40, 3000), (3000, 9000)])
def test_random_changes(scores: str, pool: int, steps: int, limited: str) -> None:
    rng = random.Random(f"{scores}{pool}")
    z, model = ZSet(), Model()
    for step in range(steps):
        member = some_member(rng, pool)
        # Phases that grow, then shrink, then hold: nodes split, merge and empty.
        if rng.random() < (0.85, 0.3, 0.5)[step * 3 // steps]:
            score = SCORES[scores](rng)
            assert z.set(member, score) == model.set(member, score)
        else:
            assert z.remove(member) == model.remove(member)
        if step % (steps // 8) == 0:
            same(z, model)
    same(z, model)
    assert z.encoding == limited
    same(z.copy(), model)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_large_sets_filled_in_order(order: str) -> None:
    n = 100_000
    pairs = [(b"member:%09d" % i, float(i // 3)) for i in range(n)]
    filling = pairs[::-1] if order == "descending" else pairs
    if order == "shuffled":
        filling = random.Random(3).sample(pairs, n)
    z = filled(filling)
    assert z.range(0, -1) == pairs
    assert [z.rank(b"member:%09d" % i) for i in range(0, n, 77)] == list(range(0, n, 77))
    assert z.memory() < 70 * n


def test_a_change_of_score_that_keeps_the_order(limited: str) -> None:
    z = filled([(b"%04d" % i, 10.0 * i) for i in range(500)])
    model = Model()
    for member, score in z.range(0, -1):
        model.set(member, score)
    for i in range(500):
        for delta in (3.0, -4.0, 10.0, -10.0):  # within the gap, and onto the neighbour's score
            member = b"%04d" % i
            score = model.scores[member] + delta
            assert z.set(member, score) is model.set(member, score) is False
    same(z, model)


def test_ranges_by_rank(limited: str) -> None:
    pairs = [(b"m%03d" % i, float(i)) for i in range(200)]
    z = filled(pairs)
    rng = random.Random(5)
    cases = [(rng.randint(-250, 250), rng.randint(-250, 250)) for _ in range(400)]
    for start, stop in [*cases, (0, -1), (0, 0), (-1, -1), (199, 199), (200, 300), (5, 4), (-300, -201)]:
        begin = max(start + 200, 0) if start < 0 else start
        end = stop + 200 if stop < 0 else stop
        wanted = pairs[begin : end + 1] if end >= 0 else []
        assert z.range(start, stop) == wanted
        wanted = pairs[::-1][begin : end + 1] if end >= 0 else []
        assert z.range(start, stop, True) == wanted


def test_ranges_by_score(limited: str) -> None:
    rng = random.Random(6)
    z, model = ZSet(), Model()
    for i in range(300):
        score = rng.choice([float(rng.randint(0, 20)), INF, -INF, rng.random() * 20])
        z.set(b"m%d" % i, score)
        model.set(b"m%d" % i, score)
    for _ in range(500):
        low, high = (rng.choice([-INF, INF, float(rng.randint(-1, 21)), rng.random() * 20]) for _ in range(2))
        low_open, high_open = rng.random() < 0.5, rng.random() < 0.5
        wanted = [
            (m, s)
            for m, s in model.pairs()
            if (s > low or (s == low and not low_open)) and (s < high or (s == high and not high_open))
        ]
        assert z.count_by_score(low, low_open, high, high_open) == len(wanted)
        assert z.range_by_score(low, low_open, high, high_open) == wanted
        assert z.range_by_score(low, low_open, high, high_open, True) == wanted[::-1]
        offset, count = rng.randint(0, 30), rng.randint(-1, 30)
        for rev in (False, True):
            page = (wanted[::-1] if rev else wanted)[offset:]
            assert z.range_by_score(low, low_open, high, high_open, rev, offset, count) == (
                page if count < 0 else page[:count]
            )
    assert z.range_by_score(-INF, False, INF, False, False, -1, 10) == []
    assert z.range_by_score(-INF, False, INF, False, False, 2**62, 2**62) == []


def in_lex(member: bytes, low: tuple[str, bytes], high: tuple[str, bytes]) -> bool:
    above = low[0] == "-" or (low[0] != "+" and (member > low[1] or (low[0] == "[" and member == low[1])))
    below = high[0] == "+" or (high[0] != "-" and (member < high[1] or (high[0] == "[" and member == high[1])))
    return above and below


def test_ranges_by_lex(limited: str) -> None:
    rng = random.Random(7)
    members = sorted({rng.randbytes(rng.randint(0, 3)) for _ in range(300)} | {b"7", b"10", b"-3"})
    z = filled([(m, 0.0) for m in members])
    bounds = [("-", b""), ("+", b""), *((kind, rng.choice([*members, rng.randbytes(2)])) for kind in "[(" * 40)]
    for _ in range(500):
        low, high = rng.choice(bounds), rng.choice(bounds)
        wanted = [(m, 0.0) for m in members if in_lex(m, low, high)]
        assert z.count_by_lex(low, high) == len(wanted)
        assert z.range_by_lex(low, high) == wanted
        assert z.range_by_lex(low, high, True, 1, 3) == wanted[::-1][1:4]
    with pytest.raises(ValueError):
        z.count_by_lex(("x", b""), ("+", b""))


def test_removing_ranges(limited: str) -> None:
    rng = random.Random(8)
    for round_ in range(60):
        scores = [float(rng.randint(0, 30) if round_ % 3 else 0) for _ in range(rng.randint(1, 400))]
        pairs = sorted(((b"%03d" % i, score) for i, score in enumerate(scores)), key=lambda pair: pair[::-1])
        z = filled(pairs)
        while pairs:
            if round_ % 3 == 0:
                low, high = sorted(rng.sample(range(420), 2))
                gone = [pair for pair in pairs if b"%03d" % low <= pair[0] < b"%03d" % high]
                assert z.remove_range_by_lex(("[", b"%03d" % low), ("(", b"%03d" % high)) == len(gone)
            elif round_ % 3 == 1:
                low, high = sorted(rng.sample(range(32), 2))
                gone = [pair for pair in pairs if low < pair[1] <= high or pair[1] == 0]
                removed = z.remove_range_by_score(low, True, high, False)
                assert removed + z.remove_range_by_score(-0.0, False, 0, False) == len(gone)
            else:
                start, stop = sorted((rng.randrange(len(pairs)), rng.randrange(len(pairs))))
                gone = pairs[start : stop + 1]
                assert z.remove_range_by_rank(start - len(pairs), stop) == len(gone)
            pairs = [pair for pair in pairs if pair not in gone]
            assert z.range(0, -1) == pairs
            assert all(m not in z for m, _ in gone)


def test_popping_from_both_ends(limited: str) -> None:
    pairs = [(b"m%03d" % i, float(i % 50)) for i in range(300)]
    z = filled(pairs)
    left = sorted(pairs, key=lambda pair: pair[::-1])
    rng = random.Random(9)
    while left:
        lowest = rng.random() < 0.5
        assert z.pop(lowest) == left.pop(0 if lowest else -1)
    assert len(z) == 0
    for empty in (lambda: z.pop(True), z.random):
        with pytest.raises(KeyError):
            empty()


def test_random_members(limited: str) -> None:
    pairs = [(b"m%d" % i, float(i)) for i in range(20)]
    z = filled(pairs)
    drawn = [z.random() for _ in range(2000)]
    assert set(drawn) == set(pairs)
    assert all(drawn.count(pair) > 40 for pair in pairs)
    counts = dict.fromkeys(pairs, 0)
    for _ in range(2000):
        sample = z.sample(5)
        assert len(sample) == len(set(sample)) == 5
        for pair in sample:
            counts[pair] += 1
    assert all(350 < count < 650 for count in counts.values())
    assert z.sample(20) == z.sample(100) == pairs
    assert z.sample(0) == []


def test_scanning_while_the_set_changes(always_indexed: None) -> None:
    stay = {b"stay%d" % i for i in range(2000)}
    z = filled([(m, 1.0) for m in stay])
    seen: list[bytes] = []
    cursor, step = 0, 0
    while True:
        cursor, found = z.scan(cursor, 10)
        seen += [m for m, _ in found]
        for i in range(step * 30, step * 30 + 30):
            z.set(b"new%d" % i, 2.0)
        step += 1
        if cursor == 0:
            break
    assert stay <= set(seen)
    assert filled([(b"a", 1.0)]).scan(0, 1)[1] == [(b"a", 1.0)]


def test_thresholds() -> None:
    z = filled([(b"%d" % i, 0.0) for i in range(128)])
    assert z.encoding == "listpack"
    z.set(b"0", 1.0)
    assert z.encoding == "listpack"
    z.set(b"one more", 1.0)
    assert z.encoding == "skiplist"
    assert filled([(b"x" * 64, 0.0)]).encoding == "listpack"
    assert filled([(b"x" * 65, 0.0)]).encoding == "skiplist"
    set_limit("zset-max-listpack-entries", 2)
    try:
        assert filled([(b"a", 0.0), (b"b", 0.0), (b"c", 0.0)]).encoding == "skiplist"
        assert ZSet.from_listpack(pack([b"a", b"1", b"b", b"2", b"c", b"3"])).encoding == "skiplist"
    finally:
        set_limit("zset-max-listpack-entries", 128)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError):
        ZSet().set(b"m", math.nan)


@pytest.mark.parametrize("score", [3.0, -0.0, 0.1, 1e17, 1e19, INF, -INF, -4097.5])
def test_listpack_bytes(score: float) -> None:
    z = filled([(b"m", score), (b"42", score)])
    data = z.listpack()
    assert data is not None
    assert unpack(data) == [b"42", format_score(score), b"m", format_score(score)]
    assert ZSet.from_listpack(data).range(0, -1) == z.range(0, -1)


def test_no_listpack_of_an_indexed_set(always_indexed: None) -> None:
    assert filled([(b"m", 1.0)]).listpack() is None


@pytest.mark.parametrize(
    "items",
    [
        [], [b"a"], [b"a", b"1", b"b"], [b"a", b"x"], [b"a", b"nan"], [b"a", b""], [b"a", b" 1"], [b"a", b"1e999"],
        [b"a", b"1", b"a", b"1"], [b"a", b"1", b"b", b"2", b"a", b"3"], [b"7", b"1", b"8", b"1", b"7", b"2"],
    ],
)  # fmt: skip
def test_hostile_listpacks(items: list[bytes]) -> None:
    with pytest.raises(ValueError):
        ZSet.from_listpack(pack(items))


def test_mutilated_listpacks() -> None:
    data = bytearray(filled([(b"member%d" % i, i * 1.5) for i in range(20)]).listpack() or b"")
    rng = random.Random(10)
    for _ in range(5000):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        if rng.random() < 0.2:
            del broken[rng.randrange(len(broken)) :]
        try:
            z = ZSet.from_listpack(bytes(broken))
        except ValueError:
            continue
        pairs = z.range(0, -1)
        assert pairs == sorted(pairs, key=lambda pair: pair[::-1])


def test_unsorted_listpacks_are_put_in_order() -> None:
    z = ZSet.from_listpack(pack([b"b", b"2", b"a", b"2", b"c", b"-1.5"]))
    assert z.range(0, -1) == [(b"c", -1.5), (b"a", 2.0), (b"b", 2.0)]


def test_all_memory_comes_back(limited: str) -> None:
    def use() -> None:
        z = filled([(b"member%d" % i, i * 0.7) for i in range(900)])
        z.copy().pop(True)
        z.remove_range_by_rank(100, 300)
        z.set(b"member5", 77.7)
        z.remove(b"member9")
        if data := z.listpack():
            ZSet.from_listpack(data)
        with pytest.raises(ValueError):
            ZSet.from_listpack(pack([b"a"]))

    use()
    before = mem_used()
    use()
    assert mem_used() == before


def test_memory_is_what_is_counted(limited: str) -> None:
    before = mem_used()
    z = filled([(b"member%d" % i, i * 0.7) for i in range(900)])
    assert mem_used() - before == z.memory()


def test_freeing_in_slices(always_indexed: None) -> None:
    before = mem_used()
    z = filled([(b"member%d" % i, float(i)) for i in range(10_000)])
    slices = 1
    while z.free_some(1000):
        slices += 1
    assert slices == 10
    assert len(z) == 0
    half_freed = filled([(b"member%d" % i, float(i)) for i in range(3000)])
    assert half_freed.free_some(1000)
    del z, half_freed
    assert mem_used() == before
