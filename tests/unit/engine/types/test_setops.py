"""Set algebra against Python's, with sets in each of their forms."""

from hypothesis import given
from hypothesis import strategies as st

from node.engine.types.set import Set
from node.engine.types.setops import difference, intersection, intersection_size, union

# Integers, small other sets, and sets that are too large or have members too long for the compact forms.
MEMBERS = st.one_of(
    st.integers(0, 30).map(lambda i: b"%d" % i),
    st.sampled_from([b"a", b"b", b"01", b"", b"x" * 65]),
)
MANY = st.just(frozenset(b"%d" % i for i in range(600)))
SETS = st.one_of(st.frozensets(MEMBERS, max_size=40), MANY)


def of(members: frozenset[bytes]) -> Set:
    s = Set()
    for member in members:
        s.add(member)
    return s


@given(st.lists(SETS, min_size=1, max_size=4))
def test_algebra_is_pythons(groups: list[frozenset[bytes]]) -> None:
    sets = [of(group) for group in groups]
    assert set(union(sets).members()) == frozenset().union(*groups)
    assert set(intersection(sets).members()) == groups[0].intersection(*groups)
    assert set(difference(sets[0], sets[1:]).members()) == groups[0].difference(*groups[1:])
    assert [set(s.members()) for s in sets] == groups


@given(st.lists(SETS, min_size=1, max_size=3), st.integers(0, 10))
def test_a_count_stops_at_its_limit(groups: list[frozenset[bytes]], limit: int) -> None:
    common = len(groups[0].intersection(*groups))
    assert intersection_size([of(group) for group in groups], limit) == (min(common, limit) if limit else common)


def test_the_same_set_twice() -> None:
    s = of(frozenset({b"1", b"2"}))
    assert intersection([s, s]).members() == [b"1", b"2"]
    assert difference(s, [s]).members() == []
    assert union([]).members() == []


def test_a_union_of_large_sets() -> None:
    """Members of large tables are fetched some turns before they are looked for; the last ones are not forgotten."""
    for size in (1, 7, 8, 9, 40_000, 70_001):
        starts = (0, size // 2, 10**6)
        groups = [frozenset(b"%d:%d" % (i, size) for i in range(start, start + size)) for start in starts]
        large = frozenset(b"x%d" % i for i in range(600))
        assert set(union([of(group | large) for group in groups]).members()) == frozenset().union(large, *groups)
