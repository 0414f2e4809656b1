"""The longest common subsequence: Redis' choices, and the definition."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.types.lcs import longest_common_subsequence

# a, b -> the subsequence, its runs (start in a, start in b, length) from the last to the first, as redis-server says
CASES = [
    (b"", b"", b"", []),
    (b"abc", b"", b"", []),
    (b"abc", b"xyz", b"", []),
    (b"abc", b"abc", b"abc", [(0, 0, 3)]),
    (b"ohmytext", b"mynewtext", b"mytext", [(4, 5, 4), (2, 0, 2)]),
    (b"ab", b"ba", b"b", [(1, 0, 1)]),
    (b"a\0b", b"\0b", b"\0b", [(1, 0, 2)]),
]


@pytest.mark.parametrize(("a", "b", "common", "runs"), CASES)
def test_runs(a: bytes, b: bytes, common: bytes, runs: list[tuple[int, int, int]]) -> None:
    assert longest_common_subsequence(a, b) == (common, runs)


SHORT = st.binary(max_size=7).map(lambda text: bytes(byte % 3 + 97 for byte in text))


def subsequences(text: bytes) -> set[bytes]:
    return {bytes(chosen) for size in range(len(text) + 1) for chosen in combinations(text, size)}


@given(SHORT, SHORT)
def test_it_is_common_and_none_is_longer(a: bytes, b: bytes) -> None:
    common, runs = longest_common_subsequence(a, b)
    shared = subsequences(a) & subsequences(b)
    assert common in shared
    assert len(common) == max(map(len, shared))
    assert b"".join(a[at : at + length] for at, _, length in reversed(runs)) == common
    assert b"".join(b[at : at + length] for _, at, length in reversed(runs)) == common
