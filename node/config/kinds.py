"""What a directive's value can be: how each kind is read, shown by CONFIG GET and written into a file.

A kind reads words and gives a Python value (bool, int, str, tuple); what it refuses raises BadValue with the text that
Redis replies, because administration tools and test suites match on these texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from node.config.words import quote

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1
MOST_DIGITS = 127
"""Longer words are no numbers, as in Redis; Python would read some thousand digits, and then raise."""

# A line of a rewritten file, and whether it must be added where the old file did not have the directive.
Line = tuple[str, bool]
Check = Callable[[Any], None]


class BadValue(ValueError):
    """A value that a directive refuses; the text says why, in Redis' words."""


class Kind:
    """The base of all kinds. `multi` kinds take several words; `accumulates` ones add up over the lines of a file."""

    multi: ClassVar[bool] = False
    accumulates: ClassVar[bool] = False

    def parse(self, words: Sequence[str], current: Any) -> Any:
        """The value of these words; `current` is the value so far, for kinds that set only a part of it."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The value as CONFIG GET replies it."""
        return str(value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        """The lines that say this value in a file; none means that a file must not mention the directive."""
        return [(f"{name} {self.show(value)}", value != default)]


class Bool(Kind):
    """yes or no."""

    def parse(self, words: Sequence[str], current: Any) -> bool:
        answer = {"yes": True, "no": False}.get(words[0].lower())
        if answer is None:
            raise BadValue("argument must be 'yes' or 'no'")
        return answer

    def show(self, value: Any) -> str:
        return "yes" if value else "no"


_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)


def parse_int64(word: str) -> int | None:
    """A 64-bit integer in its one canonical spelling, or None."""
    if len(word) > MOST_DIGITS or not _INTEGER.fullmatch(word):
        return None
    number = int(word)
    return number if -INT64_MAX - 1 <= number <= INT64_MAX else None


class Int(Kind):
    """An integer between two bounds. `clamp` narrows it further in silence, where Redis does so."""

    def __init__(self, lo: int = 0, hi: int = INT_MAX, clamp: tuple[int, int] | None = None) -> None:
        self.lo = lo
        self.hi = hi
        self.clamp = clamp

    def parse(self, words: Sequence[str], current: Any) -> int:
        number = parse_int64(words[0])
        if number is None:
            raise BadValue("argument couldn't be parsed into an integer")
        return self.bounded(number)

    def bounded(self, number: int) -> int:
        if not self.lo <= number <= self.hi:
            raise BadValue(f"argument must be between {self.lo} and {self.hi} inclusive")
        if self.clamp:
            return max(self.clamp[0], min(self.clamp[1], number))
        return number


class Octal(Int):
    """Permission bits, read and shown in base 8."""

    def parse(self, words: Sequence[str], current: Any) -> int:
        if not re.fullmatch(r"[0-7]+", words[0]):
            raise BadValue("argument couldn't be parsed as an octal number")
        number = int(words[0], 8)
        if not self.lo <= number <= self.hi:
            raise BadValue(f"argument must be between {self.lo:o} and {self.hi:o} inclusive")
        return number

    def show(self, value: Any) -> str:
        return f"{value:o}"


_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
_MEMORY = re.compile(r"([0-9]*)(|b|kb?|mb?|gb?)", re.ASCII | re.IGNORECASE)


def parse_memory(word: str) -> int | None:
    """Bytes from `100`, `64kb`, `1g` ...: k, m, g are powers of 1000 and kb, mb, gb powers of 1024."""
    found = _MEMORY.fullmatch(word) if len(word) <= MOST_DIGITS else None
    return int(found[1] or 0) * _UNITS[found[2].lower()] if found else None


def memory_text(size: int) -> str:
    """The shortest exact spelling of a number of bytes, as files write it."""
    for unit, factor in (("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


class Memory(Int):
    """A number of bytes. With `percent` also `n%`, kept as the negative number -n."""

    def __init__(
        self, lo: int = 0, hi: int = INT64_MAX, percent: bool = False, clamp: tuple[int, int] | None = None
    ) -> None:
        super().__init__(lo, hi, clamp)
        self.percent = percent

    def parse(self, words: Sequence[str], current: Any) -> int:
        size = parse_memory(words[0])
        if size is not None:
            return self.bounded(size)
        if not self.percent:
            raise BadValue("argument must be a memory value")
        share = parse_int64(words[0][:-1]) if words[0].endswith("%") else None
        if share is None or share < 0:
            raise BadValue("argument must be a memory or percent value")
        if share > -self.lo:
            raise BadValue(f"percentage argument must be less or equal to {-self.lo}")
        return -share

    def show(self, value: Any) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f"{name} {self.show(value) if value < 0 else memory_text(value)}", value != default)]


class Text(Kind):
    """Any text. With `blank_is_unset` an empty text means "not set" and stays out of files."""

    def __init__(self, blank_is_unset: bool = True, check: Check | None = None) -> None:
        self.blank_is_unset = blank_is_unset
        self.check = check

    def parse(self, words: Sequence[str], current: Any) -> str:
        if self.check:
            self.check(words[0])
        return words[0]

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        if not value and self.blank_is_unset:
            return []
        return [(f"{name} {quote(value)}", value != default)]


def check_path(value: str) -> None:
    """No path holds a zero byte; the system's calls would read less than what was said."""
    if "\0" in value:
        raise BadValue("a path cannot hold a zero byte")


class Directory(Text):
    """The working directory: written into every file, since a relative path means nothing after a restart."""

    def __init__(self) -> None:
        super().__init__(check=check_path)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f"{name} {quote(value)}", True)]


class Enum(Kind):
    """One of several words. `same` maps a word that means another to that one, which is the one shown."""

    def __init__(self, *choices: str, same: dict[str, str] | None = None) -> None:
        self.choices = choices
        self.same = same or {}

    def parse(self, words: Sequence[str], current: Any) -> str:
        word = words[0].lower() if len(words) == 1 else ""
        if word not in self.choices:
            raise BadValue(_one_of(self.choices))
        return self.same.get(word, word)


class Signal(Kind):
    """What to do at a signal: `default`, or several of `WORDS`; kept as a tuple in their order."""

    multi = True
    OF_REDIS = ("save", "nosave", "now", "force")
    WORDS = (*OF_REDIS, "failover")

    def parse(self, words: Sequence[str], current: Any) -> tuple[str, ...]:
        chosen = {word.lower() for word in words}
        if not chosen or not chosen <= {"default", *self.WORDS}:
            raise BadValue(_one_of(["default", *self.OF_REDIS]))
        if {"save", "nosave"} <= chosen:
            raise BadValue("shutdown options SAVE and NOSAVE can't be used simultaneously")
        return tuple(word for word in self.WORDS if word in chosen)

    def show(self, value: Any) -> str:
        return " ".join(value) or "default"


def _one_of(words: Iterable[str]) -> str:
    return f"argument(s) must be one of the following: {', '.join(words)}"
