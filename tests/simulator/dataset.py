"""The data of a simulated node: numbered writes instead of a keyspace, and the file that they are sent in.

A write is carried out once. That it is there twice would be seen here, where a keyspace that is sent the same SET again
would show nothing, and only an INCR that it is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

MAGIC = b"NUMBERS1"
CHECKSUM_BYTES = 8


class Write(NamedTuple):
    """One write of a client: a number, or with `size` a transaction of several that follow each other."""

    number: int
    slot: int
    size: int = 1

    @property
    def numbers(self) -> range:
        return range(self.number, self.number + self.size)


class Image(NamedTuple):
    """All data of a node, with its place in a history: the name of that, and the offset. No name: nobody knows it."""

    history: str
    offset: int
    data: dict[int, int]

    def encoded(self) -> bytes:
        """As a file, which is checked when it is read."""
        place = b"%s %d" % (self.history.encode(), self.offset)
        body = b"\n".join((MAGIC, place, b" ".join(b"%d:%d" % item for item in self.data.items()), b""))
        return body + b"%08x" % crc32(body)

    @staticmethod
    def decoded(file: bytes) -> Image:
        """ValueError if it is damaged, or not whole."""
        body, checksum = file[:-CHECKSUM_BYTES], file[-CHECKSUM_BYTES:]
        if checksum != b"%08x" % crc32(body):
            raise ValueError("wrong checksum")
        _, place, items, _ = body.split(b"\n")
        history, _, offset = place.partition(b" ")
        pairs = (item.split(b":") for item in items.split())
        return Image(history.decode(), int(offset), {int(number): int(slot) for number, slot in pairs})


EMPTY = Image("", 0, {})


class Dataset:
    """Writes by number, each with its slot."""

    def __init__(self, data: dict[int, int]) -> None:
        self.replace(data)

    def replace(self, data: dict[int, int]) -> None:
        """Other data takes the place of all that there was."""
        self.writes = data
        self.per_slot = Counter(data.values())
        self.sum = 0
        """The same for the same data, in whatever order it came."""
        for number in data:
            self.sum += crc32(b"%d" % number)

    def add(self, number: int, slot: int) -> bool:
        """Carry a write out. False: it was there."""
        if number in self.writes:
            return False
        self.writes[number] = slot
        self.per_slot[slot] += 1
        self.sum += crc32(b"%d" % number)
        return True

    def delete(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.per_slot[self.writes.pop(number)] -= 1
            self.sum -= crc32(b"%d" % number)
