"""MIGRATE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import Cursor, require_int
from node.commands.table.keyspec import KeyUse
from node.commands.table.spec import command
from node.replies import SYNTAX, CommandError, Reply
from node.transfer.transfer import Order

if TYPE_CHECKING:
    from node.engine.session.session import Session

KEY_AND_KEYS = CommandError(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
CANNOT_WAIT = CommandError("ERR MIGRATE has to wait for another server, which transactions and scripts cannot")

DEFAULT_TIMEOUT_MS = 1000
LONGEST_TIMEOUT_MS = 1 << 42

USE = frozenset({"RW", "access", "delete"})
VALUES_OF = {b"AUTH": 1, b"AUTH2": 2}
"""How many words that are no options follow an option."""


def migrate_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """Everything after KEYS, unless that word is a password."""
    at = 6
    while at < len(argv):
        word = argv[at].upper()
        if word == b"KEYS":
            return [] if argv[3] else [(each, USE) for each in range(at + 1, len(argv))]
        at += 1 + VALUES_OF.get(word, 0)
    return [(3, USE)]


@command(
    "MIGRATE",
    arity=-6,
    flags="write",
    keys="3 RW access delete; KEYS@-2..-1 RW access delete incomplete",
    acl="dangerous",
    group="generic",
    since="2.6.0",
    summary="Move keys to another server, or copy them.",
    complexity="O(N*M) to serialize, N: parts, M: their average size, as much there, and the transfer of as many bytes",
    args=(
        "host port:int (key|empty_string='')=key_or_empty_string destination-db:int timeout:int [COPY @3.0.0] "
        "[REPLACE @3.0.0] "
        "[([AUTH password @4.0.7]|[AUTH2 (username password)=username_password @6.0.0])=authentication] "
        "[KEYS key#1... @3.0.6]"
    ),
    history={"3.0.0": "`COPY` and `REPLACE`.", "3.0.6": "`KEYS`.", "4.0.7": "`AUTH`.", "6.0.0": "`AUTH2`."},
    tips="nondeterministic_output",
    extractor=migrate_keys,
)
def migrate(s: Session, argv: list[bytes]) -> Reply:
    copy = replace = False
    login: tuple[bytes, ...] = ()
    keys = [argv[3]]
    args = Cursor(argv, 6)
    for word in args.words():
        match word:
            case b"COPY":
                copy = True
            case b"REPLACE":
                replace = True
            case b"AUTH":
                login = (args.take(),)
            case b"AUTH2":
                login = tuple(args.take_many(2))
            case b"KEYS":
                if argv[3]:
                    raise KEY_AND_KEYS
                keys = args.take_rest()
            case _:
                raise SYNTAX
    timeout_ms = require_int(argv[5])
    database = require_int(argv[4])
    here = [key for key in dict.fromkeys(keys) if s.lookup(key) is not None]
    if not here:
        return "NOKEY"
    if s.flags & flags.NEVER_WAITS:
        raise CANNOT_WAIT
    order = Order(
        host=argv[1],
        port=argv[2],
        database=database,
        timeout_ms=min(timeout_ms, LONGEST_TIMEOUT_MS) if timeout_ms > 0 else DEFAULT_TIMEOUT_MS,
        keys=here,
        copy=copy,
        replace=replace,
        login=login,
    )
    return s.node.transfers.start(s, argv, order)
