"""The count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER: so many different elements, or (negative) so many draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.cursor import INT64_MAX, out_of_range, require_int
from node.replies import CommandError

if TYPE_CHECKING:
    from node.engine.session.session import Session

MOST_DRAWS = 10_000_000
"""Redis has no limit, and a client can make it fill the memory with one reply."""

LEAST_ELEMENT = len(b"$0\r\n\r\n")
"""Bytes that an element of a reply has at least."""


def take_random_count(text: bytes) -> int:
    """The count as typed."""
    count = require_int(text)
    if count < -INT64_MAX:
        raise out_of_range(-INT64_MAX, INT64_MAX)
    return count


def check_repeats(s: Session, draws: int) -> int:
    """The number of draws to make, unless it is beyond reason.

    Who has an output limit will be disconnected for a reply that passes it: nothing is drawn beyond that.
    """
    limit_bytes = s.node.clients.hard_limit(s)
    if limit_bytes:
        draws = min(draws, limit_bytes // LEAST_ELEMENT + 1)
    if draws > MOST_DRAWS:
        raise CommandError("ERR value is out of range")
    return draws
