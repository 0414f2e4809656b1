"""Hash slots: which one a key belongs to, and sets of slots.

A slot is the CRC16 (XMODEM) of the key, modulo 16384. If the key contains a hash tag, `{...}` with something between
the first `{` and the next `}`, only the tag is hashed, so that keys can be kept together.

A set of slots is a Python integer in which bit n stands for slot n. That is what the bus sends (a little-endian
bitmap), it makes union, difference and counting single operations on 2 KB, and it hashes and compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import crcmod.predefined  # type: ignore[import-untyped]

from cluster.agreement.errors import ClusterError

SLOTS = 16384
SLOTS_BYTES = SLOTS // 8
ALL_SLOTS = (1 << SLOTS) - 1

SlotSet = int

crc16: Callable[[bytes], int] = crcmod.predefined.mkPredefinedCrcFun("xmodem")
assert crc16(b"123456789") == 0x31C3

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def key_slot(key: bytes) -> int:
    """The slot of `key`."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc16(key) & (SLOTS - 1)


def parse_integer(raw: bytes) -> int | None:
    """A 64-bit integer as Redis reads arguments: no plus, no spaces, no leading zeros. None if it is not one."""
    if not _INTEGER.fullmatch(raw):
        return None
    value = int(raw)
    return value if -(1 << 63) <= value < 1 << 63 else None


def parse_slot(raw: bytes) -> int:
    """A slot number as an argument of a command."""
    slot = parse_integer(raw)
    if slot is not None and 0 <= slot < SLOTS:
        return slot
    raise ClusterError("ERR Invalid or out of range slot")


def slot_set(slots: Iterable[int]) -> SlotSet:
    """The set of these slots."""
    bits = bytearray(SLOTS_BYTES)
    for slot in slots:
        bits[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(bits, "little")


def range_set(start: int, end: int) -> SlotSet:
    """All slots from `start` to `end`, both included."""
    return ((1 << (end - start + 1)) - 1) << start


def from_bitmap(bitmap: bytes) -> SlotSet:
    """The set that a packet carries."""
    return int.from_bytes(bitmap, "little")


def to_bitmap(slots: SlotSet) -> bytes:
    """The set as a packet carries it."""
    return slots.to_bytes(SLOTS_BYTES, "little")


def ranges(slots: SlotSet) -> Iterator[tuple[int, int]]:
    """The runs of consecutive slots, as (first, last)."""
    at = 0
    while slots:
        gap = (slots & -slots).bit_length() - 1  # zeros before the next run
        at += gap
        slots >>= gap
        run = (~slots & (slots + 1)).bit_length() - 1  # ones in it
        yield at, at + run - 1
        at += run
        slots >>= run


def from_ranges(runs: Iterable[tuple[int, int]]) -> SlotSet:
    """The set of all slots in these ranges, ends included."""
    slots = 0
    for start, end in runs:
        slots |= range_set(start, end)
    return slots


def members(slots: SlotSet) -> Iterator[int]:
    """Every slot of the set, in order."""
    for start, end in ranges(slots):
        yield from range(start, end + 1)


def ranges_text(slots: SlotSet) -> str:
    """`0-5460 5462`: as in CLUSTER NODES."""
    return " ".join(f"{start}" if start == end else f"{start}-{end}" for start, end in ranges(slots))


def parse_range(text: str) -> SlotSet:
    """One element of `ranges_text`; ValueError if it is not one."""
    first, dash, last = text.partition("-")
    start = int(first)
    end = int(last) if dash else start
    if not 0 <= start <= end < SLOTS:
        raise ValueError(f"'{text}' is not a range of slots")
    return range_set(start, end)
