"""The compact forms of Redis before 7: ziplists (2.2 to 6.2) and zipmaps (up to 2.4), read and never written.

A ziplist is `<bytes: u32> <offset of the last entry: u32> <entries: u16> entry ... 0xFF`, all little-endian; an entry
is the length of the one before it (one byte, or 0xFE and four), an encoding, and the data. A zipmap is
`<fields> (<length> field <length> <unused> value unused bytes) ... 0xFF`.

Both arrive in payloads that anybody can write, so each byte is checked: a form that Redis itself could not have made is
refused as a whole.
"""

from __future__ import annotations

from node.engine.durable.rdb import Malformed

ZIPLIST_HEADER = 10
END = 0xFF
WIDE_LENGTH = 0xFE
MANY = 0xFFFF
"""The entry count of a ziplist with so many or more entries: they must be counted."""

INTEGER_BYTES = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def ziplist_elements(data: bytes) -> list[bytes]:
    """The elements of a ziplist; Malformed unless it is whole and consistent."""
    if len(data) < ZIPLIST_HEADER + 1 or data[-1] != END or _little(data, 0, 4) != len(data):
        raise Malformed("a ziplist of another length than it says")
    last_offset, count = _little(data, 4, 4), _little(data, 8, 2)
    elements: list[bytes] = []
    at, previous_size, end = ZIPLIST_HEADER, 0, len(data) - 1
    last = at
    while at < end:
        start = at
        claimed, at = _previous_length(data, at)
        if claimed != previous_size:
            raise Malformed("an entry of a ziplist is wrong about the one before it")
        element, at = _ziplist_entry(data, at)
        if at > end:
            raise Malformed("an entry leaves its ziplist")
        elements.append(element)
        previous_size, last = at - start, start
    if last != last_offset or (count != MANY and count != len(elements)):
        raise Malformed("a ziplist is wrong about its entries")
    return elements


def zipmap_pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    """The fields and values of a zipmap; Malformed unless it is whole and consistent."""
    if len(data) < 2 or data[-1] != END:
        raise Malformed("a zipmap without its end")
    pairs: list[tuple[bytes, bytes]] = []
    at, end = 1, len(data) - 1
    while at < end:
        size, at = _zipmap_length(data, at)
        field, at = data[at : at + size], at + size
        size, at = _zipmap_length(data, at)
        unused = _byte(data, at)
        value, at = data[at + 1 : at + 1 + size], at + 1 + size + unused
        if at > end:
            raise Malformed("an entry leaves its zipmap")
        pairs.append((field, value))
    if not pairs or (data[0] < WIDE_LENGTH and data[0] != len(pairs)):
        raise Malformed("a zipmap is wrong about its entries")
    return pairs


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Malformed("the data ends too early")
    return data[at]


def _little(data: bytes, at: int, size: int, signed: bool = False) -> int:
    if at + size > len(data):
        raise Malformed("the data ends too early")
    return int.from_bytes(data[at : at + size], "little", signed=signed)


def _previous_length(data: bytes, at: int) -> tuple[int, int]:
    first = _byte(data, at)
    if first < WIDE_LENGTH:
        return first, at + 1
    if first != WIDE_LENGTH:
        raise Malformed("a ziplist ends before its end")
    return _little(data, at + 1, 4), at + 5


def _ziplist_entry(data: bytes, at: int) -> tuple[bytes, int]:
    """The element whose encoding stands at `at`, and where the next entry starts."""
    first = _byte(data, at)
    if first < 0xC0:
        return _ziplist_string(data, at)
    if 0xF1 <= first <= 0xFD:
        return b"%d" % (first - 0xF1), at + 1
    size = INTEGER_BYTES.get(first)
    if size is None:
        raise Malformed(f"unknown encoding {first:#x} in a ziplist")
    return b"%d" % _little(data, at + 1, size, signed=True), at + 1 + size


def _ziplist_string(data: bytes, at: int) -> tuple[bytes, int]:
    first = data[at]
    if first < 0x40:
        size, at = first, at + 1
    elif first < 0x80:
        size, at = (first & 0x3F) << 8 | _byte(data, at + 1), at + 2
    elif first == 0x80:
        size, at = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    else:
        raise Malformed(f"unknown encoding {first:#x} in a ziplist")
    return data[at : at + size], at + size


def _zipmap_length(data: bytes, at: int) -> tuple[int, int]:
    first = _byte(data, at)
    if first < WIDE_LENGTH:
        return first, at + 1
    if first != WIDE_LENGTH:
        raise Malformed("a zipmap ends before its end")
    length = _little(data, at + 1, 4)
    if length < WIDE_LENGTH:
        raise Malformed("a length of a zipmap takes more bytes than it needs")
    return length, at + 5
