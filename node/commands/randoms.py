"""The count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER: so many different elements, or (negative) so many draws."""

from __future__ import annotations

from node.commands.cursor import INT64_MAX, out_of_range, require_int
from node.replies import CommandError

MOST_DRAWS = 10_000_000
"""Redis has no limit, and a client can make it fill the memory with one reply."""


def take_random_count(text: bytes) -> int:
    """The count as typed."""
    count = require_int(text)
    if count < -INT64_MAX:
        raise out_of_range(-INT64_MAX, INT64_MAX)
    return count


def check_repeats(draws: int) -> int:
    """The number of draws, unless it is beyond reason."""
    if draws > MOST_DRAWS:
        raise CommandError("ERR value is out of range")
    return draws
