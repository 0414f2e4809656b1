"""Redis' glob patterns."""

from __future__ import annotations

import pytest

from node.glob import MOST_STARS, compile_glob, matches

CASES = [
    (b"", b"", True),
    (b"", b"a", False),
    (b"*", b"", True),
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
]


@pytest.mark.parametrize(("pattern", "text", "expected"), CASES)
def test_matches(pattern: bytes, text: bytes, expected: bool) -> None:
    assert matches(pattern, text) is expected
    assert compile_glob(pattern)(text) is expected


@pytest.mark.parametrize(("stars", "expected"), [(MOST_STARS, True), (MOST_STARS + 1, False), (50_000, False)])
def test_too_many_stars_match_nothing(stars: int, expected: bool) -> None:
    assert matches(b"*?" * stars, b"a" * stars) is expected


def test_a_star_at_the_end_does_not_count() -> None:
    assert matches(b"*?" * MOST_STARS + b"***", b"a" * MOST_STARS)


def test_many_stars_take_no_exponential_time() -> None:
    assert not matches(b"a*" * 30 + b"b", b"a" * 3000)
