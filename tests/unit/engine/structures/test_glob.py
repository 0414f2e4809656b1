"""Redis' glob patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.structures.glob import Glob, matches
from tests.support.probe import glob_steps

CASES = [
    (b"", b"", True),
    (b"", b"a", False),
    (b"*", b"", False),
    (b"**", b"ab", True),
    (b"a**", b"a", True),
    (b"a*", b"a", True),
    (b"*a", b"ba", True),
    (b"*a", b"ab", False),
    (b"a*b*c", b"a--b--b-c", True),
    (b"a*b*c", b"a--c--b", False),
    (b"h?llo", b"hello", True),
    (b"h?llo", b"hllo", False),
    (b"?", b"\n", True),
    (b"h[ae]llo", b"hallo", True),
    (b"h[^e]llo", b"hello", False),
    (b"h[^e]llo", b"hallo", True),
    (b"h[a-c]llo", b"hbllo", True),
    (b"h[c-a]llo", b"hbllo", True),
    (b"h[a-c]llo", b"hdllo", False),
    (b"\\*", b"*", True),
    (b"\\*", b"a", False),
    (b"[\\]]", b"]", True),
    (b"[", b"[", False),
    (b"[^", b"x", True),
    (b"[ab", b"b", True),
    (b"\\", b"\\", True),
    (b"a.c", b"abc", False),
    (b"A", b"a", False),
    (b"[a-]", b"b", False),
    (b"[a-]", b"_", True),
    (b"[\xfe-\x01]", b"\xff", True),
    (b"[\xfe-\x01]", b"\x80", False),
    (b"[]", b"]", False),
    (b"[\\", b"\\", True),
]

MOST_STARS = 1000


@pytest.mark.parametrize(("pattern", "text", "expected"), CASES)
def test_matches(pattern: bytes, text: bytes, expected: bool) -> None:
    assert matches(pattern, text) is expected
    assert Glob(pattern)(text) is expected


@pytest.mark.parametrize(("stars", "expected"), [(MOST_STARS, True), (MOST_STARS + 1, False), (50_000, False)])
def test_too_many_stars_match_nothing(stars: int, expected: bool) -> None:
    assert matches(b"*?" * stars, b"a" * stars) is expected


def test_a_star_at_the_end_does_not_count() -> None:
    assert matches(b"*?" * MOST_STARS + b"***", b"a" * MOST_STARS)


def test_many_stars_take_no_exponential_time() -> None:
    matched, steps = glob_steps(b"a*" * 30 + b"b", b"a" * 3000)
    assert not matched
    assert steps < 10_000
    matched, steps = glob_steps(b"*a*b" * 200 + b"c", b"ab" * 500)
    assert not matched
    assert steps < 10_000


@pytest.mark.parametrize(
    "pattern",
    [b"?" * 1_000_000, b"[a]" * 300_000, b"\\a" * 500_000, b"a" * 1_000_000, b"a*" * 500_000, b"*" + b"?" * 1_000_000],
    ids=["questions", "brackets", "escapes", "letters", "stars", "a star and questions"],
)
def test_of_a_long_pattern_only_what_the_text_needs_is_looked_at(pattern: bytes) -> None:
    matched, steps = glob_steps(pattern, b"a" * 16)
    assert not matched
    assert steps < 100


def test_a_long_bracket_is_gone_through_once_and_not_for_each_character() -> None:
    glob = Glob(b"*[" + b"abc" * 300_000 + b"]z")
    assert glob.pattern == b"*[\\a\\b\\c]z"
    assert glob_steps(glob.pattern, b"x" * 1000)[1] < 20_000
    assert glob(b"--bz")
    assert not glob(b"--yz")


BYTES = st.sampled_from(list(b"ab-^]\\[\x00\x7f\x80\xff*?"))


@given(st.booleans(), st.lists(BYTES, max_size=12), st.booleans(), BYTES)
def test_a_rewritten_bracket_means_the_same(negated: bool, members: list[int], closed: bool, char: int) -> None:
    head = b"[^" if negated else b"["
    bracket = bytes(members).replace(b"]", b"\\]") + (b"]" if closed else b"")
    pattern = head + b"zy" * 400 + bracket
    glob = Glob(pattern)
    assert len(glob.pattern) < 600
    assert glob(bytes([char])) == matches(pattern, bytes([char]))  # this one takes the pattern as it is
