"""The partial sort: right on any keys, and on equal keys what redis-server did with them."""

from hypothesis import given
from hypothesis import strategies as st

from node.engine.structures.partsort import smallest

few_values = st.lists(st.integers(0, 4).map(float), max_size=150)
any_values = st.lists(st.floats(allow_nan=False), max_size=150)


@given(few_values | any_values, st.integers(0, 160), st.booleans())
def test_the_first_in_order(keys: list[float], count: int, descending: bool) -> None:
    places = smallest(keys, count, descending)
    assert len(set(places)) == len(places)
    assert [keys[i] for i in places] == sorted(keys, reverse=descending)[:count]


def test_short_sequences_keep_the_order_of_equals() -> None:
    assert smallest([2.0, 1.0, 1.0, 2.0, 1.0], 4) == [1, 2, 4, 0]
    assert smallest([2.0, 1.0, 1.0, 2.0, 1.0], 4, descending=True) == [0, 3, 1, 2]


def test_longer_ones_move_equals_as_redis_does() -> None:
    assert smallest([0.0] * 7, 3) == [3, 1, 2]
    keys = [float(i % 3) for i in range(50)]
    zeros, ones = [6, 18, 3, 33, 21, 45, 30, 24, 9, 27, 0, 42, 12, 48, 39, 15, 36], [49, 1, 4]
    assert smallest(keys, 20) == zeros + ones
    twos, ones = [35, 17, 32, 47, 20, 29, 8, 23, 26, 41, 2, 11, 38, 5, 14, 44], [49, 1, 4, 7]
    assert smallest(keys, 20, descending=True) == twos + ones
