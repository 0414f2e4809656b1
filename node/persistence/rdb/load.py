"""Reading an RDB file, Redis' or our own.

A file is somebody's word: its checksum is verified before anything is taken from it, every part is checked while it is
read, and what is wrong is named with its offset. `entries` yields what is in a file; `load` puts it into databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from node.engine.crc64 import crc64
from node.engine.rdb import Malformed, Reader
from node.engine.table import Keyspace
from node.persistence.rdb import kinds, opcodes
from node.persistence.rdb.values import Empty, Value, read_value

HEADER = len(opcodes.MAGIC) + 4
CHECKSUM = 8
CHECKSUM_SINCE = 5
"""Versions before this one end with EOF."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One key of a file."""

    db_index: int
    key: bytes
    value: Value
    expire_at_ms: int | None
    idle_s: int | None
    freq: int | None


def load(space: Keyspace, data: bytes, check: bool = True, keep_expired: bool = False, merge: bool = False) -> int:
    """Put what a file holds into the databases, and return how many keys that were; Malformed if the file is broken.

    `check` is rdbchecksum. A primary drops what has expired meanwhile; a replica leaves that to its primary. With
    `merge` a key of the file replaces one that is there; else that would be a key that the file has twice.
    """
    count = 0
    for stored in entries(data, check):
        at_ms = stored.expire_at_ms
        if at_ms is not None and at_ms < space.now_ms and not keep_expired:
            continue
        if stored.db_index >= len(space.dbs):
            raise Malformed(f"the file has a database {stored.db_index}, here are only {len(space.dbs)}")
        db = space.dbs[stored.db_index]
        if not merge and stored.key in db:
            raise Malformed(f"the key {stored.key[:100]!r} is there twice")
        db.set(stored.key, stored.value)
        if at_ms is not None:
            db.set_expire(stored.key, at_ms)
        if stored.idle_s is not None and not space.lfu:
            db.set_idle(stored.key, stored.idle_s)
        if stored.freq is not None and space.lfu:
            db.set_freq(stored.key, stored.freq)
        count += 1
    return count


def entries(data: bytes, check: bool = True) -> Iterator[Stored]:
    """The keys of a file in its order; Malformed, with the offset, where it is broken."""
    r = Reader(data)
    try:
        version = _header(r)
        if check and version >= CHECKSUM_SINCE:
            _verify(data)
        yield from _body(r)
        if version >= CHECKSUM_SINCE:
            r.raw(CHECKSUM)
        if r.left:
            raise Malformed("something follows the end")
    except Malformed as error:
        raise Malformed(f"{error} (at byte {r.at})") from error


def _header(r: Reader) -> int:
    header = r.raw(min(HEADER, r.left))
    digits = header[len(opcodes.MAGIC) :]
    if not header.startswith(opcodes.MAGIC) or len(digits) != 4 or not digits.isdigit():
        raise Malformed("not an RDB file")
    version = int(digits)
    if not 1 <= version <= kinds.VERSION_MAX:
        raise Malformed(f"version {version} of the format is not known")
    return version


def _verify(data: bytes) -> None:
    """A checksum of zeros stands for none. The end of the file is where its last EOF can be, eight bytes before."""
    end = len(data) - CHECKSUM
    stored = int.from_bytes(data[end:], "little")
    if end < HEADER or (stored and crc64(memoryview(data)[:end]) != stored):
        raise Malformed("the checksum is wrong")


def _body(r: Reader) -> Iterator[Stored]:
    db_index, at_ms, idle_s, freq = 0, None, None, None
    while True:
        code = r.byte()
        match code:
            case opcodes.EOF:
                return
            case opcodes.SELECTDB:
                db_index = r.length()
            case opcodes.EXPIRE_MS:
                at_ms = int.from_bytes(r.raw(8), "little", signed=True)
            case opcodes.EXPIRE_S:
                at_ms = int.from_bytes(r.raw(4), "little", signed=True) * 1000
            case opcodes.IDLE:
                idle_s = r.length()
            case opcodes.FREQ:
                freq = r.byte()
            case opcodes.RESIZEDB:
                r.length(), r.length()
            case opcodes.SLOT_INFO:
                r.length(), r.length(), r.length()
            case opcodes.AUX:
                r.string(), r.string()
            case opcodes.FUNCTION | opcodes.FUNCTION_PRE_GA | opcodes.MODULE_AUX:
                raise Malformed("the file holds functions or data of modules")
            case kind:
                key, value = r.string(), _value(r, kind)
                if value is not None:
                    yield Stored(db_index, key, value, at_ms, idle_s, freq)
                at_ms = idle_s = freq = None


def _value(r: Reader, kind: int) -> Value | None:
    """None: a collection without elements, which old versions of Redis could save. There is nothing to keep."""
    try:
        return read_value(r, kind)
    except Empty:
        return None
