"""Damaged input from good input. One seed decides everything, so a failure is replayed by its number."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence

EXTREMES = [b"0", b"-1", b"-2", b"1", b"2147483647", b"2147483648", b"4294967295", b"9223372036854775807"]
EXTREMES += [b"-9223372036854775808", b"18446744073709551616", b"99999999999999999999999", b"1048577", b"536870913"]
EXTREMES += [b"", b"+1", b"01", b" 1", b"1e3", b"0x10", b"\x00", b"1\n"]

SPECIAL = b"\r\n*$+-:\"'\\ \x00\xff_#,(=!~>%|1290"


def rounds(bounded: int) -> int:
    """How many rounds to run: few in the suite, many under `make fuzz`."""
    return bounded * 100 if os.environ.get("SHARDIS_FUZZ") else bounded


def mutate(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One to six wounds to one of the seeds."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        rng.choice(WOUNDS)(rng, data, seeds)
    return bytes(data)


def _flip(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _replace(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(SPECIAL)


def _insert(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 2, 3, 8, 100)))


def _cut(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    start = rng.randint(0, len(data))
    del data[start : start + rng.choice((1, 2, 5, 40, 1 << 20))]


def _repeat(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    data[end:end] = data[start:end][:2000] * rng.randint(1, 5)


def _splice(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    data[rng.randint(0, len(data)) :] = other[rng.randint(0, len(other)) :]


def _number(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """Replace a run of digits by a number at the edge of what fits."""
    starts = [i for i, byte in enumerate(data[:4000]) if 48 <= byte < 58 and (i == 0 or not 48 <= data[i - 1] < 58)]
    if starts:
        start = end = rng.choice(starts)
        while end < len(data) and 48 <= data[end] < 58:
            end += 1
        data[start:end] = rng.choice(EXTREMES)


WOUNDS: list[Callable[[random.Random, bytearray, Sequence[bytes]], None]]
WOUNDS = [_flip, _replace, _insert, _cut, _repeat, _splice, _number, _number]
