"""Reading a command's arguments from left to right.

Handlers take what they expect; `options` and `end` refuse what is left, so that a surplus argument is a syntax error
by construction and not by a check that somebody must remember:

    args = Cursor(argv, 2)
    element = args.take()
    opts = args.options(RANK=Cursor.take_int, COUNT=Cursor.take_int)     # consumes the rest or raises
    rank = opts.get("RANK", 1)

Numbers are read as strictly as Redis reads them: no blanks, no plus sign before integers, no leading zeros, no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from node.engine.structures.numbers import float_kind
from node.engine.structures.numbers import parse_double as parse_float
from node.engine.structures.numbers import parse_int64 as parse_int
from node.replies import NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE, SYNTAX, CommandError

BAD_TIMEOUT = CommandError("ERR timeout is not a float or out of range")
BAD_TIMEOUT_MS = CommandError("ERR timeout is not an integer or out of range")
NEGATIVE_TIMEOUT = CommandError("ERR timeout is negative")
TIMEOUT_TOO_FAR = CommandError("ERR timeout is out of range")

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
FARTHEST_MS = INT64_MAX - 2**42
UNITS_MS = {b"EX": 1000, b"PX": 1, b"EXAT": 1000, b"PXAT": 1}
"""The words that say when something expires: milliseconds in their unit."""
"""The longest timeout: together with the time of any day in this century it fits into 64 bits."""


def require_int(text: bytes, error: CommandError = NOT_INTEGER) -> int:
    """The integer, or the error raised."""
    value = parse_int(text)
    if value is None:
        raise error
    return value


def require_float(text: bytes, error: CommandError = NOT_FLOAT) -> float:
    """The number, or the error raised."""
    value = parse_float(text)
    if value is None:
        raise error
    return value


def require_timeout(text: bytes) -> int:
    """How long a blocking command waits: seconds, also fractions of them, in milliseconds rounded up. 0 is for ever."""
    if float_kind(text) is None:
        raise BAD_TIMEOUT
    seconds = parse_float(text)
    if seconds is None or seconds * 1000 > FARTHEST_MS:
        raise TIMEOUT_TOO_FAR
    if seconds * 1000 <= -1:
        raise NEGATIVE_TIMEOUT
    return max(0, math.ceil(seconds * 1000))


def require_timeout_ms(text: bytes) -> int:
    """The same of commands that take it in whole milliseconds."""
    timeout_ms = require_int(text, BAD_TIMEOUT_MS)
    if timeout_ms > FARTHEST_MS:
        raise TIMEOUT_TOO_FAR
    if timeout_ms < 0:
        raise NEGATIVE_TIMEOUT
    return timeout_ms


class Options(dict[str, Any]):
    """What `Cursor.options` found, by upper-case name; a flag is True. A name that was not given is falsy."""

    def __missing__(self, name: str) -> None:
        return None

    def exclusive(self, *names: str, error: CommandError = SYNTAX) -> str | None:
        """The one of these that was given, None if none was; more than one is an error."""
        given = [name for name in names if name in self]
        if len(given) > 1:
            raise error
        return given[0] if given else None


FLAG = None
"""The reader of an option that takes no value."""

Reader = Callable[["Cursor"], Any] | None


class Cursor:
    """A position in the arguments. Taking beyond the last one is a syntax error."""

    __slots__ = ("argv", "at")

    def __init__(self, argv: Sequence[bytes], at: int = 1) -> None:
        self.argv = argv
        self.at = at

    @property
    def left(self) -> int:
        """How many arguments have not been taken."""
        return len(self.argv) - self.at

    def peek(self) -> bytes | None:
        """The next argument without taking it, None at the end."""
        return self.argv[self.at] if self.left > 0 else None

    def take(self) -> bytes:
        """The next argument."""
        if self.left <= 0:
            raise SYNTAX
        self.at += 1
        return self.argv[self.at - 1]

    def take_many(self, count: int) -> list[bytes]:
        """The next `count` arguments."""
        if count > self.left:
            raise SYNTAX
        self.at += count
        return list(self.argv[self.at - count : self.at])

    def take_rest(self) -> list[bytes]:
        """Everything that is left."""
        return self.take_many(self.left)

    def take_int(self, low: int = INT64_MIN, high: int = INT64_MAX, error: CommandError | None = None) -> int:
        """An integer from `low` to `high`. `error` replaces the usual text for a bad number and for a bad range."""
        value = require_int(self.take(), error or NOT_INTEGER)
        if low <= value <= high:
            return value
        if error is None:
            error = NOT_POSITIVE if low == 0 and high == INT64_MAX else out_of_range(low, high)
        raise error

    def take_float(self, error: CommandError = NOT_FLOAT) -> float:
        """A number; infinities are allowed, NaN is not."""
        return require_float(self.take(), error)

    def take_word(self) -> bytes:
        """The next argument in upper case, for comparing with a keyword."""
        return self.take().upper()

    def accept(self, word: bytes) -> bool:
        """Take the next argument if it is this upper-case keyword."""
        following = self.peek()
        if following is None or following.upper() != word:
            return False
        self.at += 1
        return True

    def words(self) -> Iterator[bytes]:
        """The remaining keywords in upper case, for a `match` that reads each one's values from the cursor.

        The caller's last case should be `case _: raise SYNTAX`.
        """
        while self.left > 0:
            yield self.take_word()

    def options(self, **readers: Reader) -> Options:
        """Read keyword options up to the end. FLAG marks one without a value; otherwise a function of the cursor.

        A repeated option counts with its last value. An unknown word is a syntax error.
        """
        found = Options()
        for word in self.words():
            name = word.decode("latin-1")
            if name not in readers:
                raise SYNTAX
            reader = readers[name]
            found[name] = True if reader is None else reader(self)
        return found

    def end(self) -> None:
        """Refuse what is left."""
        if self.left > 0:
            raise SYNTAX


def out_of_range(low: int, high: int) -> CommandError:
    return CommandError(f"ERR value is out of range, value must between {low} and {high}")
