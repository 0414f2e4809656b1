"""String commands. Most are native; here are those that change a string in place or look into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.commands.data.keys import delete_instead
from node.commands.table.cursor import INT64_MAX, UNITS_MS, Cursor, require_int
from node.commands.table.keyspec import KeyUse
from node.commands.table.spec import command, native
from node.engine.structures.numbers import add_float
from node.engine.types.lcs import longest_common_subsequence
from node.replies import NOT_FLOAT, SYNTAX, TOO_LONG, CommandError, Reply, invalid_expire, wrong_arity

if TYPE_CHECKING:
    from node.engine.session.session import Session

OVERWRITTEN = frozenset({"OW", "update"})
READ_AND_REPLACED = frozenset({"RW", "access", "update"})
LENGTH_BYTES = 4
"""A cell of LCS' table: Redis', and ours."""
INT32_MAX = 2**31 - 1
NUMKEYS_RANGE = CommandError("ERR invalid numkeys value or out of range")


def set_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """SET reads the key only when GET is given."""
    reads = any(argument.upper() == b"GET" for argument in argv[3:])
    return [(1, READ_AND_REPLACED if reads else OVERWRITTEN)]


@command(
    "APPEND",
    arity=3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="string",
    since="2.0.0",
    summary="Add to the end of a string.",
    complexity="O(1) amortized",
    args="key value",
)
def append(s: Session, argv: list[bytes]) -> Reply:
    _, key, tail = argv
    length = s.length(key)
    if length is not None:
        check_length(s, length, len(tail))
    length = s.db.append(key, tail)
    s.changed(key, "append", "$")
    return length


native(
    "DECR",
    arity=2,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="1.0.0",
    summary="Subtract one from an integer.",
    complexity="O(1)",
    args="key",
)

native(
    "DECRBY",
    arity=3,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="1.0.0",
    summary="Subtract a number from an integer.",
    complexity="O(1)",
    args="key decrement:int",
)

@command(
    "DELIFEQ",
    arity=3,
    flags="write fast",
    keys="1 RM delete",
    group="string",
    since="9.0.0",
    summary="Delete a string if this is its value.",
    complexity="O(1)",
    args="key value",
)
def delifeq(s: Session, argv: list[bytes]) -> Reply:
    _, key, value = argv
    text = s.view(key)
    if text is None or text != value:
        return 0
    delete_instead(s, key)  # replicas may not know the command, and need not compare
    return 1


native(
    "GET",
    arity=2,
    flags="readonly fast",
    keys="1 RO access",
    group="string",
    since="1.0.0",
    summary="Return the string at a key.",
    complexity="O(1)",
    args="key",
)

native(
    "GETDEL",
    arity=2,
    flags="write fast",
    keys="1 RW access delete",
    group="string",
    since="6.2.0",
    summary="Return the string at a key and delete the key.",
    complexity="O(1)",
    args="key",
)

native(
    "GETEX",
    arity=-2,
    flags="write fast",
    keys="1 RW access update (it may change the time to live)",
    group="string",
    since="6.2.0",
    summary="Return the string at a key and change its expiration.",
    complexity="O(1)",
    args=(
        "key [(EX seconds:int|PX milliseconds:int|EXAT unix-time-seconds:time|PXAT "
        "unix-time-milliseconds:time|PERSIST)=expiration]"
    ),
)


@command(
    "GETRANGE",
    arity=4,
    flags="readonly",
    keys="1 RO access",
    group="string",
    since="2.4.0",
    summary="Return a part of a string.",
    complexity="O(N), N: bytes returned",
    args="key start:int end:int",
)
def getrange(s: Session, argv: list[bytes]) -> Reply:
    start, end = require_int(argv[2]), require_int(argv[3])
    text = s.view(argv[1])
    if text is None or (start < 0 and end < 0 and start > end):
        return b""
    size = len(text)
    start = max(start + size if start < 0 else start, 0)
    end = max(end + size if end < 0 else end, 0)
    return bytes(text[start : end + 1])


native(
    "GETSET",
    arity=3,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="1.0.0",
    summary="Replace the string at a key and return the previous one.",
    complexity="O(1)",
    args="key value",
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`SET` with the `!GET` argument",
)

native(
    "INCR",
    arity=2,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="1.0.0",
    summary="Add one to an integer.",
    complexity="O(1)",
    args="key",
)

native(
    "INCRBY",
    arity=3,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="1.0.0",
    summary="Add a number to an integer.",
    complexity="O(1)",
    args="key increment:int",
)


@command(
    "INCRBYFLOAT",
    arity=3,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="string",
    since="2.6.0",
    summary="Add a floating point number to a number.",
    complexity="O(1)",
    args="key increment:float",
)
def incrbyfloat(s: Session, argv: list[bytes]) -> Reply:
    _, key, increment = argv
    value = s.write(key, bytes)
    try:
        total = add_float(b"0" if value is None else value, increment)
    except ValueError:
        raise NOT_FLOAT from None
    except OverflowError:
        raise CommandError("ERR increment would produce NaN or Infinity") from None
    s.db.set_text(key, total)
    s.changed(key, "incrbyfloat", "$")
    s.effect(b"SET", key, total, b"KEEPTTL")
    return total


@command(
    "LCS",
    arity=-3,
    flags="readonly",
    keys="1..2 RO access",
    group="string",
    since="7.0.0",
    summary="Find the longest common subsequence of two strings.",
    complexity="O(N*M), N and M: their lengths",
    args="key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:int] [WITHMATCHLEN]",
)
def lcs(s: Session, argv: list[bytes]) -> Reply:
    a, b = lcs_operands(s, argv[1:3])
    wanted = LcsOptions(argv)
    cells = (len(a) + 1) * (len(b) + 1)
    if cells * LENGTH_BYTES > s.node.config["proto-max-bulk-len"]:
        raise CommandError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    common, runs = longest_common_subsequence(a, b)
    if wanted.indexes:
        return {b"matches": lcs_matches(runs, wanted), b"len": len(common)}
    return len(common) if wanted.length else common


native(
    "MGET",
    arity=-2,
    flags="readonly fast",
    keys="1..-1 RO access",
    group="string",
    since="1.0.0",
    summary="Return the strings at several keys.",
    complexity="O(N), N: keys",
    args="key...",
    tips="request_policy:multi_shard",
)

native(
    "MSET",
    arity=-3,
    flags="write denyoom",
    keys="1..-1/2 OW update",
    group="string",
    since="1.0.1",
    summary="Set several keys.",
    complexity="O(N), N: keys",
    args="(key value)=key_value...",
    tips="request_policy:multi_shard response_policy:all_succeeded",
)


@command(
    "MSETEX",
    arity=-4,
    flags="write denyoom",
    keys="#1/2 OW update",
    group="string",
    since="9.1.0",
    summary="Set several strings, with a condition and an expiration for all of them.",
    complexity="O(N), N: keys",
    args=(
        "numkeys:int (key value)=data... [(NX|XX)=condition] "
        "[(EX seconds:int|PX milliseconds:int|EXAT unix-time-seconds:time|PXAT unix-time-milliseconds:time|KEEPTTL)"
        "=expiration]"
    ),
    tips="request_policy:multi_shard response_policy:all_succeeded",
)
def msetex(s: Session, argv: list[bytes]) -> Reply:
    args = Cursor(argv)
    numkeys = args.take_int(1, INT32_MAX, error=NUMKEYS_RANGE)
    if 2 * numkeys > args.left:
        raise SYNTAX
    words = args.take_many(2 * numkeys)
    keys, values = words[::2], words[1::2]
    condition, keep, at_ms = _msetex_options(s, args)
    if condition and any((key in s.db) != (condition == b"XX") for key in keys):
        return 0
    space = s.db.space
    past = at_ms is not None and at_ms <= space.now_ms and space.lazy_expire
    for key, value in zip(keys, values, strict=True):
        if past:
            delete_instead(s, key)
            continue
        dies_ms = s.db.expire_at(key) if keep else at_ms
        s.db.set(key, value)
        if dies_ms is not None:
            s.db.set_expire(key, dies_ms)
        s.effect(b"SET", key, value, *([] if dies_ms is None else [b"PXAT", b"%d" % dies_ms]))
        s.changed(key, "set", "$")
        if at_ms is not None:
            s.changed(key, "expire", "g", 0)
    return 1


def _msetex_options(s: Session, args: Cursor) -> tuple[bytes, bool, int | None]:
    """The condition, whether the expirations are kept, and a new one in unix milliseconds.

    As with SET an option may be repeated (the last one counts), but each excludes those that contradict it.
    """
    condition, unit, amount = b"", b"", b""
    for word in args.words():
        if word in (b"NX", b"XX") and condition in (b"", word):
            condition = word
        elif word == b"KEEPTTL" and unit in (b"", word):
            unit = word
        elif word in UNITS_MS and unit in (b"", word) and args.left:
            unit, amount = word, args.take()
        else:
            raise SYNTAX
    if unit not in UNITS_MS:
        return condition, bool(unit), None
    number = require_int(amount)
    at_ms = number * UNITS_MS[unit] + (s.db.space.now_ms if unit in (b"EX", b"PX") else 0)
    if number <= 0 or at_ms > INT64_MAX:
        raise invalid_expire("msetex")
    return condition, False, at_ms


@command(
    "MSETNX",
    arity=-3,
    flags="write denyoom",
    keys="1..-1/2 OW insert",
    group="string",
    since="1.0.1",
    summary="Set several keys if none of them exists.",
    complexity="O(N), N: keys",
    args="(key value)=key_value...",
)
def msetnx(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise wrong_arity("msetnx")
    keys, values = argv[1::2], argv[2::2]
    if any(key in s.db for key in keys):
        return 0
    for key, value in zip(keys, values, strict=True):
        s.db.set(key, value)
        s.changed(key, "set", "$")
    return 1


native(
    "PSETEX",
    arity=4,
    flags="write denyoom",
    keys="1 OW update",
    group="string",
    since="2.6.0",
    summary="Set a string that expires after some milliseconds.",
    complexity="O(1)",
    args="key milliseconds:int value",
    doc_flags="deprecated",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `PX` argument",
)

native(
    "SET",
    arity=-3,
    flags="write denyoom",
    keys="1 RW access update variable_flags (reads too when GET is given)",
    group="string",
    since="1.0.0",
    summary="Set the string at a key, with conditions and expiration.",
    complexity="O(1)",
    args=(
        "key value [(NX|XX|IFEQ comparison-value @8.1.0)=condition @2.6.12] [GET @6.2.0] "
        "[(EX seconds:int @2.6.12|PX milliseconds:int @2.6.12|EXAT unix-time-seconds:time @6.2.0|PXAT "
        "unix-time-milliseconds:time @6.2.0|KEEPTTL @6.0.0)=expiration]"
    ),
    history={
        "2.6.12": "`EX`, `PX`, `NX` and `XX`.",
        "6.0.0": "`KEEPTTL`.",
        "6.2.0": "`GET`, `EXAT` and `PXAT`.",
        "7.0.0": "`NX` together with `GET`.",
        "8.1.0": "`IFEQ`.",
    },
    extractor=set_keys,
)

native(
    "SETEX",
    arity=4,
    flags="write denyoom",
    keys="1 OW update",
    group="string",
    since="2.0.0",
    summary="Set a string that expires after some seconds.",
    complexity="O(1)",
    args="key seconds:int value",
    doc_flags="deprecated",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `EX` argument",
)

native(
    "SETNX",
    arity=3,
    flags="write denyoom fast",
    keys="1 OW insert",
    group="string",
    since="1.0.0",
    summary="Set the string at a key that does not exist.",
    complexity="O(1)",
    args="key value",
    doc_flags="deprecated",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `NX` argument",
)


@command(
    "SETRANGE",
    arity=4,
    flags="write denyoom",
    keys="1 RW update",
    group="string",
    since="2.2.0",
    summary="Overwrite a part of a string.",
    complexity="O(1) for short values, otherwise O(M), M: length of the value",
    args="key offset:int value",
)
def setrange(s: Session, argv: list[bytes]) -> Reply:
    _, key, _, value = argv
    offset = require_int(argv[2])
    if offset < 0:
        raise CommandError("ERR offset is out of range")
    length = s.length(key)
    if not value:
        return length or 0
    check_length(s, offset, len(value))
    end = offset + len(value)
    s.db.grow(key, end)[offset:end] = value
    s.changed(key, "setrange", "$")
    return max(length or 0, end)


@command(
    "STRLEN",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="string",
    since="2.2.0",
    summary="Return the length of a string.",
    complexity="O(1)",
    args="key",
)
def strlen(s: Session, argv: list[bytes]) -> Reply:
    text = s.view(argv[1])
    return 0 if text is None else len(text)


@command(
    "SUBSTR",
    arity=4,
    flags="readonly",
    keys="1 RO access",
    group="string",
    since="1.0.0",
    summary="Return a part of a string.",
    complexity="O(N), N: bytes returned",
    args="key start:int end:int",
    doc_flags="deprecated",
    deprecated_since="2.0.0",
    replaced_by="`GETRANGE`",
)
def substr(s: Session, argv: list[bytes]) -> Reply:
    return getrange(s, argv)


def check_length(s: Session, length: int, more: int) -> None:
    """No string may grow beyond what a reply could carry."""
    if length + more > s.node.config["proto-max-bulk-len"]:
        raise TOO_LONG


class LcsOptions:
    """LEN, IDX, MINMATCHLEN and WITHMATCHLEN of LCS."""

    def __init__(self, argv: list[bytes]) -> None:
        self.length = self.indexes = self.with_lengths = False
        self.shortest = 0
        args = Cursor(argv, 3)
        for word in args.words():
            if word == b"IDX":
                self.indexes = True
            elif word == b"LEN":
                self.length = True
            elif word == b"WITHMATCHLEN":
                self.with_lengths = True
            elif word == b"MINMATCHLEN" and args.left:
                self.shortest = args.take_int()
            else:
                raise SYNTAX
        if self.length and self.indexes:
            raise CommandError("ERR If you want both the length and indexes, please just use IDX.")


def lcs_operands(s: Session, keys: list[bytes]) -> list[bytes]:
    """The two strings; an absent key is an empty one."""
    try:
        return [s.read(key, bytes) or b"" for key in keys]
    except CommandError:
        raise CommandError("ERR The specified keys must contain string values") from None


def lcs_matches(runs: list[tuple[int, int, int]], wanted: LcsOptions) -> list[Reply]:
    """The ranges (ends included) of each run in both strings."""
    matches: list[Reply] = []
    for a, b, length in runs:
        if length >= wanted.shortest:
            match: list[Reply] = [[a, a + length - 1], [b, b + length - 1]]
            matches.append([*match, length] if wanted.with_lengths else match)
    return matches
