"""What the modules of stream commands share: reading ids, and telling of changes.

An id is a pair of unsigned 64-bit numbers, milliseconds and a sequence number, `<ms>-<seq>` to clients. A missing
sequence number means the lowest at the start of a range and the highest at its end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.replies import CommandError

if TYPE_CHECKING:
    from node.engine.session.session import Session

Id = tuple[int, int]

UINT64_MAX = 2**64 - 1
LOWEST: Id = (0, 0)
HIGHEST: Id = (UINT64_MAX, UINT64_MAX)

INVALID_ID = CommandError("ERR Invalid stream ID specified as stream command argument")
INVALID_START = CommandError("ERR invalid start ID for the interval")
INVALID_END = CommandError("ERR invalid end ID for the interval")

# A number may stand behind blanks and a plus sign, as C reads them; hardly anybody writes them, but Redis takes them.
_ID = re.compile(rb"([ \t\n\v\f\r]*\+?\d+)(?:-([ \t\n\v\f\r]*\+?\d+|\*))?", re.ASCII)
_LONGEST = 127


def id_text(id: Id) -> bytes:
    return b"%d-%d" % id


def parse_partial_id(text: bytes) -> tuple[int, int | None]:
    """An id for XADD; `<ms>-*` leaves the sequence number to the stream: None."""
    ms, seq = _match(text)
    if seq == b"*":
        return _number(ms), None
    return _number(ms), _number(seq) if seq is not None else 0


def parse_id(text: bytes, missing_seq: int = 0) -> Id:
    """An id; the special ids `-` and `+` are none."""
    ms, seq = _match(text)
    if seq is None:
        return _number(ms), missing_seq
    return _number(ms), _number(seq)


def parse_bound(text: bytes, missing_seq: int = 0) -> Id:
    """An id or `-` or `+`, the lowest and the highest of all."""
    if text == b"-":
        return LOWEST
    if text == b"+":
        return HIGHEST
    return parse_id(text, missing_seq)


def parse_start(text: bytes) -> Id:
    """The start of a range; `(` before it excludes it."""
    if len(text) > 1 and text[:1] == b"(":
        start = id_after(parse_id(text[1:]))
        if start is None:
            raise INVALID_START
        return start
    return parse_bound(text)


def parse_end(text: bytes) -> Id:
    """The end of a range; `(` before it excludes it."""
    if len(text) > 1 and text[:1] == b"(":
        ms, seq = parse_id(text[1:], UINT64_MAX)
        if (ms, seq) == LOWEST:
            raise INVALID_END
        return (ms, seq - 1) if seq else (ms - 1, UINT64_MAX)
    return parse_bound(text, UINT64_MAX)


def id_after(id: Id) -> Id | None:
    """The next id; None after the last one there is."""
    ms, seq = id
    if seq < UINT64_MAX:
        return ms, seq + 1
    return (ms + 1, 0) if ms < UINT64_MAX else None


def _match(text: bytes) -> tuple[bytes, bytes | None]:
    found = _ID.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise INVALID_ID
    return found[1], found[2]


def _number(digits: bytes) -> int:
    if digits == b"*":
        raise INVALID_ID
    value = int(digits)
    if value > UINT64_MAX:
        raise INVALID_ID
    return value


# Looking up.


def read_stream(s: Session, key: bytes) -> Stream | None:
    return s.read(key, Stream)


def change_stream(s: Session, key: bytes) -> Stream | None:
    """For commands that look a key up as readers do, with hits and misses, and then change what they find."""
    stream = s.read(key, Stream)
    return None if stream is None else s.write(key, Stream)


def no_group(group: bytes, key: bytes) -> CommandError:
    return CommandError(b"NOGROUP No such consumer group '%s' for key name '%s'" % (group, key))


def no_key_or_group(key: bytes, group: bytes, where: bytes = b"") -> CommandError:
    return CommandError(b"NOGROUP No such key '%s' or consumer group '%s'%s" % (key, group, where))


# Telling.


def note(s: Session, key: bytes, event: str, n: int = 1) -> None:
    """After a change of a stream's groups or counters: n changes are counted and an event is published.

    Entries are as they were, so neither WATCH nor clients that wait for entries are concerned.
    """
    s.db.space.dirty += n
    s.node.notifications.notify("t", event, key, s.db.index)


def touch_consumer(s: Session, key: bytes, group: Group, name: bytes) -> tuple[Consumer, bool]:
    """The consumer of that name, seen just now; True: it was made."""
    now_ms = s.db.space.now_ms
    consumer = group.consumer(name)
    if consumer is not None:
        consumer.seen_ms = now_ms
        return consumer, False
    created = group.create_consumer(name, now_ms)
    assert created is not None
    note(s, key, "xgroup-createconsumer")
    return created, True


def effect_of_claim(s: Session, key: bytes, group: Group, id: bytes, pending: tuple[Consumer, int, int]) -> None:
    """Replicate that an entry is pending: (whose, delivered when, how often)."""
    consumer, delivered_ms, deliveries = pending
    s.effect(
        *(b"XCLAIM", key, group.name, consumer.name, b"0", id),
        *(b"TIME", b"%d" % delivered_ms, b"RETRYCOUNT", b"%d" % deliveries),
        *(b"FORCE", b"JUSTID", b"LASTID", id_text(group.last_id)),
    )


def effect_of_consumer(s: Session, key: bytes, group: Group, consumer: Consumer) -> None:
    """Replicate that there is a consumer."""
    s.effect(b"XGROUP", b"CREATECONSUMER", key, group.name, consumer.name)


def effect_of_position(s: Session, key: bytes, group: Group) -> None:
    """Replicate how far a group has read."""
    s.effect(
        *(b"XGROUP", b"SETID", key, group.name, id_text(group.last_id)),
        *(b"ENTRIESREAD", b"%d" % group.entries_read),
    )
