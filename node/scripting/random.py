"""math.random as in Redis: drand48, which gives the same sequence for the same seed everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from node.scripting.errors import LibraryError

if TYPE_CHECKING:
    from node.scripting.interpreter import Host

MULTIPLIER, INCREMENT, STATE_BITS = 0x5DEECE66D, 0xB, 48
FIRST_STATE, LOW_OF_SEED = 0x1234ABCD330E, 0x330E
LARGEST = (1 << 31) - 1
LUA_TYPES = {bytes: b"string", bool: b"boolean", type(None): b"nil"}


class Random:
    """One sequence, which all scripts of a node share."""

    def __init__(self) -> None:
        self._state = FIRST_STATE

    def seed(self, number: int) -> None:
        self._state = (number & 0xFFFFFFFF) << 16 | LOW_OF_SEED

    def draw(self) -> float:
        """A number from 0 on, less than 1."""
        self._state = (self._state * MULTIPLIER + INCREMENT) & ((1 << STATE_BITS) - 1)
        return (self._state >> 17) % LARGEST / LARGEST


def math_random(host: Host, random: Random, *bounds: Any) -> float | int:
    if not host.running:
        raise LibraryError(b"math.random can only be called inside a script invocation")
    drawn = random.draw()
    if not bounds:
        return drawn
    if len(bounds) > 2:
        raise LibraryError(b"wrong number of arguments")
    limits = [_whole(bounds, at, b"random") for at in range(len(bounds))]
    low, high = (1, limits[0]) if len(limits) == 1 else limits
    if low > high:
        raise LibraryError(b"bad argument #%d to 'random' (interval is empty)" % len(limits))
    return math.floor(drawn * (high - low + 1)) + low


def math_randomseed(host: Host, random: Random, *seeds: Any) -> tuple[()]:
    if not host.running:
        raise LibraryError(b"math.randomseed can only be called inside a script invocation")
    random.seed(_whole(seeds, 0, b"randomseed"))
    return ()


def _whole(values: tuple[Any, ...], at: int, name: bytes) -> int:
    """An argument as a whole number, as Lua reads it."""
    value = values[at] if at < len(values) else None
    try:
        if isinstance(value, (int, float, bytes)) and not isinstance(value, bool):
            return (int(float(value)) + LARGEST + 1) % (1 << 32) - LARGEST - 1  # as a C int
    except (ValueError, OverflowError):
        pass
    kind = b"no value" if at >= len(values) else LUA_TYPES.get(type(value), b"table")
    raise LibraryError(b"bad argument #%d to '%s' (number expected, got %s)" % (at + 1, name, kind))
