"""DUMP and RESTORE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.commands.data.keys import delete_instead
from node.commands.table.cursor import Cursor, require_int
from node.commands.table.spec import command
from node.engine.durable.rdb import Malformed
from node.persistence.rdb.payload import WrongFooter, dump_payload, load_payload
from node.replies import BUSYKEY, OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value
    from node.engine.session.session import Session

WRONG_FOOTER = CommandError("ERR DUMP payload version or checksum are wrong")
BAD_FORMAT = CommandError("ERR Bad data format")
INVALID_TTL = CommandError("ERR Invalid TTL value, must be >= 0")
INVALID_IDLETIME = CommandError("ERR Invalid IDLETIME value, must be >= 0")
INVALID_FREQ = CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")


@command(
    "DUMP",
    arity=2,
    flags="readonly",
    keys="1 RO access",
    group="generic",
    since="2.6.0",
    summary="Return the value of a key in serialized form.",
    complexity="O(1) to find the key, O(N*M) to serialize, N: parts, M: their average size",
    args="key",
    tips="nondeterministic_output",
)
def dump(s: Session, argv: list[bytes]) -> Reply:
    value = s.lookup(argv[1])
    return None if value is None else dump_payload(value, s.node.config["rdbcompression"])


@command(
    "RESTORE",
    arity=-4,
    flags="write denyoom",
    keys="1 OW update",
    acl="dangerous",
    group="generic",
    since="2.6.0",
    summary="Create a key from the serialized form that DUMP returned.",
    complexity=(
        "O(1) to create the key, O(N*M) to read the value, N: parts, M: their average size; O(N*M*log(N)) for "
        "sorted sets"
    ),
    args=(
        "key ttl:int serialized-value [REPLACE @3.0.0] [ABSTTL @5.0.0] [IDLETIME seconds:int @5.0.0] "
        "[FREQ frequency:int @5.0.0]"
    ),
    history={"3.0.0": "`REPLACE`.", "5.0.0": "`ABSTTL`; `IDLETIME` and `FREQ`."},
)
def restore(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    options = _options(Cursor(argv, 4))
    if not options.replace and s.db.exists(key):
        raise BUSYKEY
    at_ms = require_int(argv[2])
    if at_ms < 0:
        raise INVALID_TTL
    value = _value(s, argv[3])
    if not isinstance(value, bytes):
        s.node.loading.checked_payloads += 1
    if at_ms and not options.absttl:
        at_ms += s.db.space.now_ms
    if at_ms and at_ms <= s.db.space.now_ms and s.db.space.lazy_expire:
        delete_instead(s, key)  # the restored value would be dead already: what remains is that the old one goes
        return OK
    s.db.set(key, value)
    if at_ms:
        s.db.set_expire(key, at_ms)
        if not options.absttl:
            s.effect(*argv[:2], b"%d" % at_ms, *argv[3:], b"ABSTTL")
    if options.idle_s is not None:
        s.db.set_idle(key, options.idle_s)
    if options.freq is not None:
        s.db.set_freq(key, options.freq)
    s.changed(key, "restore", "g")
    return OK


@command(
    "RESTORE-ASKING",
    arity=-4,
    flags="write denyoom asking",
    keys="1 OW update",
    acl="keyspace dangerous",
    group="server",
    since="3.0.0",
    summary="Create a key while its slot is being imported; used between nodes.",
    complexity=(
        "O(1) to create the key, O(N*M) to read the value, N: parts, M: their average size; O(N*M*log(N)) for "
        "sorted sets"
    ),
    args=(
        "key ttl:int serialized-value [REPLACE @3.0.0] [ABSTTL @5.0.0] [IDLETIME seconds:int @5.0.0] "
        "[FREQ frequency:int @5.0.0]"
    ),
    history={"3.0.0": "`REPLACE`.", "5.0.0": "`ABSTTL`; `IDLETIME` and `FREQ`."},
    doc_flags="syscmd",
)
def restore_asking(s: Session, argv: list[bytes]) -> Reply:
    return restore(s, argv)


@dataclass(slots=True)
class Options:
    replace: bool = False
    absttl: bool = False
    idle_s: int | None = None
    freq: int | None = None


def _options(args: Cursor) -> Options:
    found = Options()
    for word in args.words():
        match word:
            case b"REPLACE":
                found.replace = True
            case b"ABSTTL":
                found.absttl = True
            case b"IDLETIME" if args.left and found.freq is None:
                found.idle_s = args.take_int()
                if found.idle_s < 0:
                    raise INVALID_IDLETIME
            case b"FREQ" if args.left and found.idle_s is None:
                found.freq = args.take_int()
                if not 0 <= found.freq <= 255:
                    raise INVALID_FREQ
            case _:
                raise SYNTAX
    return found


def _value(s: Session, payload: bytes) -> Value:
    try:
        return load_payload(payload, s.node.checks_payloads)
    except WrongFooter:
        raise WRONG_FOOTER from None
    except Malformed as error:
        s.node.log.verbose(f"A payload for RESTORE was refused: {error}")
        raise BAD_FORMAT from None
