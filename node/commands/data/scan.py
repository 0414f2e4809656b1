"""The SCAN family: walking through a collection a few elements at each call.

What the commands share is here: the cursor, the options, and the reply. An element that is there from the first call to
the last is returned at least once; the engine's cursors see to that (node/engine/structures/dict.pyx).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.commands.table.cursor import Cursor
from node.commands.table.spec import command
from node.engine.structures.glob import Glob
from node.engine.structures.numbers import format_score
from node.engine.types.hash import Hash
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

INVALID_CURSOR = CommandError("ERR invalid cursor")
DEFAULT_COUNT = 10


@command(
    "HSCAN",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="hash",
    since="2.8.0",
    summary="Walk through the fields of a hash, a few at each call.",
    complexity="O(1) a call, O(N) in all, N: elements",
    args="key cursor:int [MATCH pattern:pattern] [COUNT count:int] [NOVALUES @7.4.0]",
    tips="nondeterministic_output",
    history={"7.4.0": "`NOVALUES`."},
)
def hscan(s: Session, argv: list[bytes]) -> Reply:
    cursor = scan_cursor(argv[2])
    fields = s.read(argv[1], Hash)
    if fields is None:
        return scan_reply(0, [])
    options = scan_options(argv, 3, b"NOVALUES")
    cursor, pairs = fields.scan(cursor, options.count)
    if options.names_only:
        return scan_reply(cursor, [field for field, _ in pairs if options.wants(field)])
    return scan_reply(cursor, [part for pair in pairs if options.wants(pair[0]) for part in pair])


@command(
    "SCAN",
    arity=-2,
    flags="readonly touches_arbitrary_keys",
    group="generic",
    since="2.8.0",
    summary="Walk through all keys, a few at each call.",
    complexity="O(1) a call, O(N) in all, N: keys",
    args="cursor:int [MATCH pattern:pattern] [COUNT count:int] [TYPE type @6.0.0]",
    tips="nondeterministic_output request_policy:special response_policy:special",
    history={"6.0.0": "`TYPE`."},
)
def scan(s: Session, argv: list[bytes]) -> Reply:
    cursor = scan_cursor(argv[1])
    options = scan_options(argv, 2, b"TYPE")
    cursor, keys = s.db.scan(cursor, options.count)
    keys = [key for key in keys if options.wants(key)]
    if options.type is not None:
        keys = [key for key in keys if s.db.type_of(key) == options.type]
    return scan_reply(cursor, keys)


@command(
    "SSCAN",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="set",
    since="2.8.0",
    summary="Walk through the members of a set, a few at each call.",
    complexity="O(1) a call, O(N) in all, N: elements",
    args="key cursor:int [MATCH pattern:pattern] [COUNT count:int]",
    tips="nondeterministic_output",
)
def sscan(s: Session, argv: list[bytes]) -> Reply:
    cursor = scan_cursor(argv[2])
    members = s.read(argv[1], Set)
    if members is None:
        return scan_reply(0, [])
    options = scan_options(argv, 3)
    cursor, found = members.scan(cursor, options.count)
    return scan_reply(cursor, [member for member in found if options.wants(member)])


@command(
    "ZSCAN",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="2.8.0",
    summary="Walk through the members of a sorted set, a few at each call.",
    complexity="O(1) a call, O(N) in all, N: elements",
    args="key cursor:int [MATCH pattern:pattern] [COUNT count:int] [NOSCORES @9.0.0]",
    tips="nondeterministic_output",
    history={"9.0.0": "`NOSCORES` (Valkey)."},
)
def zscan(s: Session, argv: list[bytes]) -> Reply:
    cursor = scan_cursor(argv[2])
    members = s.read(argv[1], ZSet)
    if members is None:
        return scan_reply(0, [])
    options = scan_options(argv, 3, b"NOSCORES")
    # Scores are strings here, even in RESP3, and each form of the sorted set writes them in its own way.
    text = format_score if members.encoding == "listpack" else b"%.17g".__mod__
    cursor, pairs = members.scan(cursor, options.count)
    if options.names_only:
        return scan_reply(cursor, [member for member, _ in pairs if options.wants(member)])
    return scan_reply(cursor, [part for m, score in pairs if options.wants(m) for part in (m, text(score))])


@dataclass(slots=True)
class ScanOptions:
    """What a client asks of one call. `type` (lower case) is for SCAN alone."""

    count: int = DEFAULT_COUNT
    wants: Callable[[bytes], bool] = lambda text: True
    """True for an element that matches the pattern, or if there is none."""
    type: str | None = None
    names_only: bool = False


def scan_cursor(text: bytes) -> int:
    """The cursor as C's strtoul reads it: a sign is fine, and nothing at all is 0."""
    if not text:
        return 0
    if not re.fullmatch(rb"[+-]?[0-9]+", text) or abs(int(text)) >= 2**64:
        raise INVALID_CURSOR
    return int(text) % 2**64


def scan_options(argv: list[bytes], at: int, own: bytes = b"") -> ScanOptions:
    """MATCH, COUNT and the option that only this command has, from argument `at` on.

    Redis looks the key up first: an absent one ends the walk whatever the options say.
    """
    options = ScanOptions()
    args = Cursor(argv, at)
    for word in args.words():
        if word == b"COUNT" and args.left:
            options.count = args.take_int()
            if options.count < 1:
                raise SYNTAX
        elif word == b"MATCH" and args.left:
            pattern = args.take()
            if pattern != b"*":  # an empty name matches no pattern, but is scanned
                options.wants = Glob(pattern)
        elif word == own == b"TYPE" and args.left:
            options.type = args.take().decode("latin-1").lower()
        elif word == own != b"TYPE":
            options.names_only = True
        else:
            raise SYNTAX
    return options


def scan_reply(cursor: int, elements: list[bytes]) -> Reply:
    """The next cursor (0: the walk is over) and the elements of this call."""
    return [b"%d" % cursor, elements]
