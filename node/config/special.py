"""Kinds that one directive alone has: save points, output buffer limits, event classes, addresses and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from node.config.kinds import INT_MAX, MOST_DIGITS, BadValue, Kind, Line, memory_text, parse_memory

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)", re.IGNORECASE)

WRONG_COUNT = "wrong number of arguments"


def _whole(word: str) -> int | None:
    """An integer as C's strtoll reads one that is not followed by anything."""
    try:
        return int(word, 10) if len(word) <= MOST_DIGITS and word.isascii() and "_" not in word else None
    except ValueError:
        return None


class SavePoints(Kind):
    """`save <seconds> <changes> ...`: a tuple of pairs, empty when snapshots are off."""

    multi = True
    accumulates = True

    def parse(self, words: Sequence[str], current: Any) -> tuple[tuple[int, int], ...]:
        if list(words) == [""]:
            return ()
        numbers = [_whole(word) for word in words]
        pairs = tuple(zip(numbers[::2], numbers[1::2], strict=False))
        if len(words) % 2 or any(s is None or c is None or s < 1 or c < 0 for s, c in pairs):
            raise BadValue("Invalid save parameters")
        return pairs  # type: ignore[return-value]

    def show(self, value: Any) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        # Always written: a file without a save line means the built-in save points, not these.
        return [(f"{name} {seconds} {changes}", True) for seconds, changes in value] or [(f'{name} ""', True)]


class BufferLimit(NamedTuple):
    """How much output a client of one class may leave unread: at once, and over a time. Zero is no limit."""

    hard_bytes: int
    soft_bytes: int
    soft_s: int


class BufferLimits(Kind):
    """`client-output-buffer-limit <class> <hard> <soft> <seconds> ...`: a dict from class to BufferLimit."""

    multi = True
    CLASSES = ("normal", "replica", "pubsub")

    def parse(self, words: Sequence[str], current: Any) -> dict[str, BufferLimit]:
        if len(words) % 4:
            raise BadValue("Wrong number of arguments in buffer limit configuration.")
        limits = dict(current)
        for at in range(0, len(words), 4):
            client_class = words[at].lower()
            client_class = "replica" if client_class == "slave" else client_class
            if client_class not in self.CLASSES:
                raise BadValue("Invalid client class specified in buffer limit configuration.")
            hard, soft, seconds = parse_memory(words[at + 1]), parse_memory(words[at + 2]), _whole(words[at + 3])
            if hard is None or soft is None or seconds is None or not 0 <= seconds <= INT_MAX:
                raise BadValue("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            limits[client_class] = BufferLimit(hard, soft, seconds)
        return limits

    def show(self, value: Any) -> str:
        # CONFIG GET keeps the old name of the class, which clients parse.
        return " ".join(
            f"{'slave' if client_class == 'replica' else client_class} {' '.join(map(str, value[client_class]))}"
            for client_class in self.CLASSES
        )

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [
            (
                f"{name} {client_class} {memory_text(limit.hard_bytes)} {memory_text(limit.soft_bytes)} {limit.soft_s}",
                limit != default[client_class],
            )
            for client_class in self.CLASSES
            for limit in [value[client_class]]
        ]


class Events(Kind):
    """`notify-keyspace-events`: the event classes to publish, `A` spelt out (so that `"K" in value` is a test)."""

    ALL = "g$lshzxetd"
    ORDER = ALL + "nKEm"

    def parse(self, words: Sequence[str], current: Any) -> str:
        if len(words) != 1:
            raise BadValue(WRONG_COUNT)
        chosen = set(words[0].replace("A", self.ALL))
        if not chosen <= set(self.ORDER):
            raise BadValue("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return "".join(event for event in self.ORDER if event in chosen)

    def show(self, value: Any) -> str:
        if value.startswith(self.ALL):
            # "n" (new key) is not part of "A" and Redis leaves it out of the abbreviated form.
            return "A" + "".join(event for event in value[len(self.ALL) :] if event != "n")
        return str(value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f'{name} "{self.show(value)}"', value != default)]


class Addresses(Kind):
    """`bind <address> ...`: a tuple; an address with a leading `-` may be unavailable."""

    multi = True
    MOST = 16

    def parse(self, words: Sequence[str], current: Any) -> tuple[str, ...]:
        if len(words) > self.MOST:
            raise BadValue("Too many bind addresses specified.")
        return () if list(words) == [""] else tuple(words)

    def show(self, value: Any) -> str:
        return " ".join(value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        if value == default:
            return []
        return [(f"{name} {self.show(value) or chr(34) * 2}", True)]


class PrimaryAddress(Kind):
    """`replicaof <host> <port>`: a pair, or None for a primary."""

    multi = True

    def parse(self, words: Sequence[str], current: Any) -> tuple[str, int] | None:
        if len(words) != 2:
            raise BadValue(WRONG_COUNT)
        if [word.lower() for word in words] == ["no", "one"]:
            return None
        port = _whole(words[1])
        if port is None or not 0 <= port <= 65535:
            raise BadValue("Invalid master port")
        return words[0], port

    def show(self, value: Any) -> str:
        return f"{value[0]} {value[1]}" if value else ""

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f"{name} {self.show(value)}", True)] if value else []


class Percentiles(Kind):
    """`latency-tracking-info-percentiles <p> ...`: a tuple of floats."""

    multi = True

    def parse(self, words: Sequence[str], current: Any) -> tuple[float, ...]:
        if list(words) == [""]:
            return ()
        if not all(len(word) <= MOST_DIGITS and _DECIMAL.fullmatch(word) for word in words):
            raise BadValue("Invalid latency-tracking-info-percentiles parameters")
        values = tuple(float(word) for word in words)
        if not all(0.0 <= value <= 100.0 for value in values):
            raise BadValue("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        return values

    def show(self, value: Any) -> str:
        return " ".join(f"{percentile:f}".rstrip("0").rstrip(".") for percentile in value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f"{name} {self.show(value) or chr(34) * 2}", True)]


class OomScores(Kind):
    """`oom-score-adj-values <primary> <replica> <child>`: three integers."""

    multi = True

    def parse(self, words: Sequence[str], current: Any) -> tuple[int, ...]:
        if len(words) != 3:
            raise BadValue(WRONG_COUNT)
        values = [_whole(word) for word in words]
        if any(value is None or not -2000 <= value <= 2000 for value in values):
            raise BadValue("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return tuple(value for value in values if value is not None)

    def show(self, value: Any) -> str:
        return " ".join(map(str, value))
