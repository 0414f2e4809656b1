"""Fields of hashes that die: HEXPIRE and its family, and the commands that read or set fields together with that.

A field that is given a time in the past is deleted at once. What replicas get is always an absolute time (HPEXPIREAT),
or HDEL; they never delete by themselves. Replies have one number a field:

    -2  there is no such field       0  the condition does not hold       1  done       2  deleted, the time is past
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.commands.table.cursor import UNITS_MS, require_int
from node.commands.table.spec import command
from node.engine.types.hash import Hash
from node.replies import CommandError, Reply, invalid_expire, wrong_arity

if TYPE_CHECKING:
    from node.engine.session.session import Session

NO_FIELD, REFUSED, DONE, DELETED = -2, 0, 1, 2
NO_DEATH = -1
TIME_MAX_MS = (1 << 46) - 1

FIELDS_MISSING = CommandError("ERR Mandatory argument FIELDS is missing or not at the right position")
FIELDS_COUNT = CommandError("ERR The `numfields` parameter must match the number of arguments")
FIELDS_POSITIVE = CommandError("ERR Number of fields must be a positive integer")
PARAMETER_POSITIVE = CommandError("ERR Parameter `numFields` should be greater than 0")
NEGATIVE_TIME = CommandError("ERR invalid expire time, must be >= 0")
ONE_EXPIRATION = CommandError("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
ONE_CONDITION = CommandError("ERR Only one of FXX or FNX arguments can be specified")
NO_TIME = CommandError("ERR missing expire time")

CONDITIONS: dict[bytes, Callable[[int | None, int], bool]] = {
    b"NX": lambda old_ms, new_ms: old_ms is None,
    b"XX": lambda old_ms, new_ms: old_ms is not None,
    b"GT": lambda old_ms, new_ms: old_ms is not None and new_ms > old_ms,
    b"LT": lambda old_ms, new_ms: old_ms is None or new_ms < old_ms,
}


# What they share.


def _names(argv: list[bytes], at: int, not_positive: CommandError = FIELDS_POSITIVE) -> list[bytes]:
    """`FIELDS numfields field ...` from index `at` on, to the end."""
    if at + 1 >= len(argv) or argv[at].upper() != b"FIELDS":
        raise FIELDS_MISSING
    count = require_int(argv[at + 1], not_positive)
    if count < 1:
        raise not_positive
    if count != len(argv) - at - 2:
        raise FIELDS_COUNT
    return argv[at + 2 :]


def _time_ms(text: bytes, unit_ms: int, base_ms: int, name: str) -> int:
    """When: so many units after the base."""
    value = require_int(text)
    if value < 0:
        raise NEGATIVE_TIME
    at_ms = value * unit_ms + base_ms
    if at_ms > TIME_MAX_MS:
        raise invalid_expire(name)
    return at_ms


class Change:
    """What one command does to the deaths of one hash's fields; `tell` when it has done it."""

    def __init__(self, s: Session, key: bytes, fields: Hash) -> None:
        self.s, self.key, self.fields = s, key, fields
        self.updated: list[bytes] = []
        self.deleted: list[bytes] = []

    def expire(self, field: bytes, at_ms: int) -> int:
        """Let a field die at a time; it goes at once if that is past, unless a primary or a file tells us."""
        space = self.s.db.space
        if at_ms <= space.now_ms and space.lazy_expire and not space.show_dead:
            self.fields.delete(field)
            self.deleted.append(field)
            return DELETED
        self.fields.expire(field, at_ms)
        self.updated.append(field)
        return DONE

    def persist(self, field: bytes) -> int:
        if not self.fields.persist(field):
            return NO_DEATH
        self.updated.append(field)
        return DONE

    def tell(self, event: str, *effect: bytes) -> None:
        """Notifications and effects; `effect` is what replicas are to do to the updated fields."""
        s, key = self.s, self.key
        if self.updated:
            s.changed(key, event, "h", len(self.updated))
            s.effect(effect[0], key, *effect[1:], b"FIELDS", b"%d" % len(self.updated), *self.updated)
        if self.deleted:
            s.changed(key, "hdel", "h", len(self.deleted))
            s.effect(b"HDEL", key, *self.deleted)
        if self.updated or self.deleted:
            s.db.deaths_changed(key)
            s.drop_if_empty(key, self.fields)


# HEXPIRE and its like: one function, four ways to give the time.


def _expire(s: Session, argv: list[bytes], unit_ms: int, base_ms: int) -> Reply:
    name, key = argv[0].decode("utf-8", "replace").lower(), argv[1]
    condition = CONDITIONS.get(argv[3].upper())
    fields = s.write(key, Hash)
    at_ms = _time_ms(argv[2], unit_ms, base_ms, name)
    names = _names(argv, 3 if condition is None else 4, PARAMETER_POSITIVE)
    if fields is None:
        return [NO_FIELD] * len(names)
    change = Change(s, key, fields)
    replies = []
    for field in names:
        if field not in fields:
            replies.append(NO_FIELD)
        elif condition is not None and not condition(fields.death(field), at_ms):
            replies.append(REFUSED)
        else:
            replies.append(change.expire(field, at_ms))
    change.tell("hexpire", b"HPEXPIREAT", b"%d" % at_ms)
    return replies


@command(
    "HEXPIRE",
    arity=-6,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="7.4.0",
    summary="Let fields of a hash expire after some seconds.",
    complexity="O(N), N: fields",
    args="key seconds:int [(NX|XX|GT|LT)=condition] (FIELDS numfields:int field...)=fields",
)
def hexpire(s: Session, argv: list[bytes]) -> Reply:
    return _expire(s, argv, 1000, s.db.space.now_ms)


@command(
    "HPEXPIRE",
    arity=-6,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="7.4.0",
    summary="Let fields of a hash expire after some milliseconds.",
    complexity="O(N), N: fields",
    args="key milliseconds:int [(NX|XX|GT|LT)=condition] (FIELDS numfields:int field...)=fields",
)
def hpexpire(s: Session, argv: list[bytes]) -> Reply:
    return _expire(s, argv, 1, s.db.space.now_ms)


@command(
    "HEXPIREAT",
    arity=-6,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="7.4.0",
    summary="Let fields of a hash expire at a unix time in seconds.",
    complexity="O(N), N: fields",
    args="key unix-time-seconds:time [(NX|XX|GT|LT)=condition] (FIELDS numfields:int field...)=fields",
)
def hexpireat(s: Session, argv: list[bytes]) -> Reply:
    return _expire(s, argv, 1000, 0)


@command(
    "HPEXPIREAT",
    arity=-6,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="7.4.0",
    summary="Let fields of a hash expire at a unix time in milliseconds.",
    complexity="O(N), N: fields",
    args="key unix-time-milliseconds:time [(NX|XX|GT|LT)=condition] (FIELDS numfields:int field...)=fields",
)
def hpexpireat(s: Session, argv: list[bytes]) -> Reply:
    return _expire(s, argv, 1, 0)


# When do they die?


def _deaths(s: Session, argv: list[bytes], shown: Callable[[int], int]) -> Reply:
    fields = s.read(argv[1], Hash)
    names = _names(argv, 2)
    if fields is None:
        return [NO_FIELD] * len(names)
    replies = []
    for field in names:
        at_ms = fields.death(field)
        if field not in fields:
            replies.append(NO_FIELD)
        else:
            replies.append(NO_DEATH if at_ms is None else shown(at_ms))
    return replies


@command(
    "HTTL",
    arity=-5,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="7.4.0",
    summary="Return the seconds that fields of a hash have left.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
    tips="nondeterministic_output",
)
def httl(s: Session, argv: list[bytes]) -> Reply:
    now_ms = s.db.space.now_ms
    return _deaths(s, argv, lambda at_ms: (at_ms - now_ms + 999) // 1000)


@command(
    "HPTTL",
    arity=-5,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="7.4.0",
    summary="Return the milliseconds that fields of a hash have left.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
    tips="nondeterministic_output",
)
def hpttl(s: Session, argv: list[bytes]) -> Reply:
    now_ms = s.db.space.now_ms
    return _deaths(s, argv, lambda at_ms: at_ms - now_ms)


@command(
    "HEXPIRETIME",
    arity=-5,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="7.4.0",
    summary="Return the unix time in seconds at which fields of a hash expire.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
)
def hexpiretime(s: Session, argv: list[bytes]) -> Reply:
    return _deaths(s, argv, lambda at_ms: (at_ms + 999) // 1000)


@command(
    "HPEXPIRETIME",
    arity=-5,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="7.4.0",
    summary="Return the unix time in milliseconds at which fields of a hash expire.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
)
def hpexpiretime(s: Session, argv: list[bytes]) -> Reply:
    return _deaths(s, argv, lambda at_ms: at_ms)


@command(
    "HPERSIST",
    arity=-5,
    flags="write fast",
    keys="1 RW update",
    group="hash",
    since="7.4.0",
    summary="Let fields of a hash live.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
)
def hpersist(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    fields = s.write(key, Hash)
    names = _names(argv, 2)
    if fields is None:
        return [NO_FIELD] * len(names)
    change = Change(s, key, fields)
    replies = [change.persist(field) if field in fields else NO_FIELD for field in names]
    change.tell("hpersist", b"HPERSIST")
    return replies


# Reading and setting, and expiry with it (Redis 8).


@command(
    "HGETDEL",
    arity=-5,
    flags="write fast",
    keys="1 RW access delete",
    group="hash",
    since="8.0.0",
    summary="Return the values of fields and delete them.",
    complexity="O(N), N: fields",
    args="key (FIELDS numfields:int field...)=fields",
)
def hgetdel(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    fields = s.write(key, Hash)
    names = _names(argv, 2)
    if fields is None:
        return [None] * len(names)
    values, deleted = [], []
    for field in names:
        values.append(fields.get(field))
        if values[-1] is not None:
            fields.delete(field)
            deleted.append(field)
    if deleted:
        s.changed(key, "hdel", "h", len(deleted))
        s.effect(b"HDEL", key, *deleted)
        s.db.deaths_changed(key)
        s.drop_if_empty(key, fields)
    return values


@command(
    "HGETEX",
    arity=-5,
    flags="write fast",
    keys="1 RW access update",
    group="hash",
    since="8.0.0",
    summary="Return the values of fields and let them expire, or live.",
    complexity="O(N), N: fields",
    args=(
        "key [(EX seconds:int|PX milliseconds:int|EXAT unix-time-seconds:time|PXAT unix-time-milliseconds:time"
        "|PERSIST)=expiration] (FIELDS numfields:int field...)=fields"
    ),
)
def hgetex(s: Session, argv: list[bytes]) -> Reply:
    key, option = argv[1], argv[2].upper()
    fields = s.write(key, Hash)
    at_ms, names_at = None, 2
    if option in UNITS_MS:
        at_ms, names_at = _option_ms(s, option, argv[3], "hgetex"), 4
    elif option == b"PERSIST":
        names_at = 3
    names = _names(argv, names_at)
    if fields is None:
        return [None] * len(names)
    change = Change(s, key, fields)
    values = []
    for field in names:
        values.append(fields.get(field))
        if values[-1] is None:
            continue
        if at_ms is not None:
            change.expire(field, at_ms)
        elif option == b"PERSIST":
            change.persist(field)
    if at_ms is not None:
        change.tell("hexpire", b"HPEXPIREAT", b"%d" % at_ms)
    else:
        change.tell("hpersist", b"HPERSIST")
    return values


def _option_ms(s: Session, option: bytes, text: bytes, name: str) -> int:
    base_ms = s.db.space.now_ms if option in (b"EX", b"PX") else 0
    return _time_ms(text, UNITS_MS[option], base_ms, name)


@command(
    "HSETEX",
    arity=-6,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="8.0.0",
    summary="Set fields and let them expire.",
    complexity="O(N), N: fields",
    args=(
        "key [(FNX|FXX)=condition] [(EX seconds:int|PX milliseconds:int|EXAT unix-time-seconds:time"
        "|PXAT unix-time-milliseconds:time|KEEPTTL)=expiration] (FIELDS numfields:int (field value)=data...)=fields"
    ),
)
def hsetex(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    condition, keep, at_ms, pairs = _hsetex_options(s, argv)
    fields = s.write(key, Hash)
    there = [field for field, _ in pairs if fields is not None and field in fields]
    if (condition == b"FXX" and len(there) < len(pairs)) or (condition == b"FNX" and there):
        return 0
    if fields is None:
        fields = Hash()
        s.db.set(key, fields)
    for field, value in pairs:
        if keep or at_ms is not None:
            fields.put(field, value)
        else:
            fields.set(field, value)
    s.changed(key, "hset", "h", len(pairs))
    kept = [b"KEEPTTL"] if keep else []
    s.effect(b"HSETEX", key, *kept, b"FIELDS", b"%d" % len(pairs), *(part for pair in pairs for part in pair))
    change = Change(s, key, fields)
    if at_ms is not None:
        for field in dict(pairs):
            change.expire(field, at_ms)
        change.tell("hexpire", b"HPEXPIREAT", b"%d" % at_ms)
    else:
        s.db.deaths_changed(key)
    return 1


def _hsetex_options(s: Session, argv: list[bytes]) -> tuple[bytes, bool, int | None, list[tuple[bytes, bytes]]]:
    """The condition, whether deaths are kept, a new one, and the fields with their values."""
    condition, keep, at_ms = b"", False, None
    at = 2
    while at < len(argv):
        word = argv[at].upper()
        if word == b"FIELDS":
            return condition, keep, at_ms, _pairs(argv, at)
        if word in UNITS_MS or word == b"KEEPTTL":
            if keep or at_ms is not None:
                raise ONE_EXPIRATION
            if word == b"KEEPTTL":
                keep = True
            else:
                at += 1
                if at >= len(argv):
                    raise NO_TIME
                at_ms = _option_ms(s, word, argv[at], "hsetex")
        elif word in (b"FXX", b"FNX"):
            if condition:
                raise ONE_CONDITION
            condition = word
        else:
            raise CommandError(b"ERR unknown argument: " + argv[at])
        at += 1
    raise FIELDS_MISSING


def _pairs(argv: list[bytes], at: int) -> list[tuple[bytes, bytes]]:
    if at >= len(argv) - 3:
        raise wrong_arity("hsetex")
    error = CommandError("ERR invalid number of fields")
    count = require_int(argv[at + 1], error)
    if count < 1:
        raise error
    rest = argv[at + 2 :]
    if len(rest) != 2 * count:
        raise wrong_arity("hsetex")
    return list(zip(rest[::2], rest[1::2], strict=True))
