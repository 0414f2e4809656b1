"""Redis' glob patterns (`*`, `?`, `[a-z]`, `[^a]`, `\\x`) over bytes, compiled to functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

MOST_STARS = 1000
"""A pattern with more stars before its end is taken for an attack, and matches nothing."""


def compile_glob(pattern: bytes) -> Callable[[bytes], bool]:
    """A predicate that tells whether a whole byte string matches."""
    if pattern == b"*":
        return lambda text: True
    matcher = _regex(pattern).match
    return lambda text: matcher(text) is not None


def matches(pattern: bytes, text: bytes) -> bool:
    """True if the whole text matches the pattern."""
    return pattern == b"*" or _regex(pattern).match(text) is not None


@lru_cache(maxsize=512)
def _regex(pattern: bytes) -> re.Pattern[bytes]:
    """The fixed pieces between stars. Each but the last matches at its first place and never again elsewhere (an atomic
    group): that finds a match if there is one, and keeps `a*a*a*...*b` from taking exponential time."""
    pieces: list[list[bytes]] = [[]]
    i = 0
    while i < len(pattern):
        char = pattern[i : i + 1]
        if char == b"*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        elif char == b"?":
            pieces[-1].append(b".")
        elif char == b"[":
            i, piece = _class(pattern, i + 1)
            pieces[-1].append(piece)
            continue
        elif char == b"\\" and i + 1 < len(pattern):
            i += 1
            pieces[-1].append(re.escape(pattern[i : i + 1]))
        else:
            pieces[-1].append(re.escape(char))
        i += 1
    if len(pieces) - 1 - (not pieces[-1]) > MOST_STARS:
        return re.compile(rb"(?!)")
    fixed = [b"".join(piece) for piece in pieces]
    if len(fixed) == 1:
        text = fixed[0]
    else:
        text = fixed[0] + b"".join(b"(?>.*?%s)" % piece for piece in fixed[1:-1]) + b".*" + fixed[-1]
    return re.compile(text + rb"\Z", re.DOTALL)


def _class(pattern: bytes, i: int) -> tuple[int, bytes]:
    """A bracket expression from behind its `[`: where it ends, and its regular expression. It may lack its `]`."""
    negated = pattern[i : i + 1] == b"^"
    if negated:
        i += 1
    members: set[int] = set()
    while i < len(pattern) and pattern[i : i + 1] != b"]":
        if pattern[i : i + 1] == b"\\" and i + 1 < len(pattern):
            i += 1
            members.add(pattern[i])
        elif pattern[i + 1 : i + 2] == b"-" and i + 2 < len(pattern):
            low, high = sorted((pattern[i], pattern[i + 2]))
            members.update(range(low, high + 1))
            i += 2
        else:
            members.add(pattern[i])
        i += 1
    if negated:
        members = set(range(256)) - members
    if not members:
        return i + 1, rb"(?!)"
    return i + 1, b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]"
