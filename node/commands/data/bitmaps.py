"""Bitmap commands: strings as arrays of bits and of small integers.

The bits themselves are the engine's (bits.pyx), and so are SETBIT and GETBIT (hot_bits.pyx). A string may be huge: it
is not copied: reading looks at it in place (`db.view`), writing grows it first and changes it in place (`db.grow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from node import flags
from node.commands.data.rawstrings import store_raw
from node.commands.table.cursor import INT64_MAX, Cursor, require_int
from node.commands.table.keyspec import KeyUse
from node.commands.table.spec import command, native
from node.engine.structures.numbers import parse_int64 as parse_int
from node.engine.types.bits import bitop as combine
from node.engine.types.bits import bitpos as find_bit
from node.engine.types.bits import getfield, popcount, setfield
from node.replies import NOT_INTEGER, SYNTAX, WRONGTYPE, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

BAD_OFFSET = CommandError("ERR bit offset is not an integer or out of range")
BAD_BIT = CommandError("ERR The bit argument must be 1 or 0.")
BAD_TYPE = CommandError(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
BAD_OVERFLOW = CommandError("ERR Invalid OVERFLOW type specified")
ONLY_GET = CommandError("ERR BITFIELD_RO only supports the GET subcommand")
NOT_TAKES_ONE = CommandError("ERR BITOP NOT must be called with a single source key.")

BITOP_NAMES: dict[bytes, Literal["AND", "OR", "XOR", "NOT"]] = {
    b"AND": "AND",
    b"OR": "OR",
    b"XOR": "XOR",
    b"NOT": "NOT",
}

READ = frozenset({"RO", "access"})
CHANGED = frozenset({"RW", "access", "update"})


def bitfield_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """BITFIELD only reads if all of its operations are GET. What cannot be read counts as a change."""
    operands = {b"GET": 2, b"OVERFLOW": 1}
    i = 2
    while i < len(argv):
        count = operands.get(argv[i].upper())
        if count is None or i + count >= len(argv):
            return [(1, CHANGED)]
        i += 1 + count
    return [(1, READ)]


@command(
    "BITCOUNT",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="bitmap",
    since="2.6.0",
    summary="Count the set bits of a string.",
    complexity="O(N)",
    args="key [(start:int end:int [(BYTE|BIT)=index_unit @7.0.0])=index]",
    history={"7.0.0": "`BYTE|BIT`."},
)
def bitcount(s: Session, argv: list[bytes]) -> Reply:
    # As since 7.2, a request that makes no sense is refused whatever the key has.
    if len(argv) not in (2, 4, 5):
        raise SYNTAX
    start, end = map(require_int, argv[2:4]) if len(argv) > 2 else (0, -1)
    in_bits = len(argv) == 5 and _counts_bits(argv[4])
    text = _text(s, argv[1])
    if text is None or (start < 0 and end < 0 and start > end):
        return 0
    first, last = _bit_range(start, end, len(text), in_bits)
    return popcount(text, first, last) if first <= last else 0


def _text(s: Session, key: bytes) -> memoryview | None:
    """A look at the string at key, without a copy; None if there is none."""
    if s.db.type_of(key) == "string":
        return s.db.view(key)
    s.read(key, bytes)  # a miss to be counted, or another type to be refused
    return None


def _counts_bits(unit: bytes) -> bool:
    match unit.upper():
        case b"BIT":
            return True
        case b"BYTE":
            return False
    raise SYNTAX


def _bit_range(start: int, end: int, size: int, in_bits: bool) -> tuple[int, int]:
    """The first and the last bit of a range that may count from the end; first > last when it is empty."""
    total = size * 8 if in_bits else size
    start = max(start + total if start < 0 else start, 0)
    end = min(max(end + total if end < 0 else end, 0), total - 1)
    return (start, end) if in_bits else (start * 8, end * 8 + 7)


@command(
    "BITFIELD",
    arity=-2,
    flags="write denyoom",
    keys="1 RW access update variable_flags (reads, or reads and changes)",
    group="bitmap",
    since="3.2.0",
    summary="Read, set and increment integers of any width inside a string.",
    complexity="O(1) for each operation",
    args=(
        "key [(GET (encoding offset:int)=encoding_offset|([OVERFLOW (WRAP|SAT|FAIL)=wrap_sat_fail] (SET "
        "(encoding offset:int value:int)=encoding_offset_value|INCRBY "
        "(encoding offset:int increment:int)=encoding_offset_increment)=write_operation)=write)=operation...]"
    ),
    extractor=bitfield_keys,
)
def bitfield(s: Session, argv: list[bytes]) -> Reply:
    return _bitfield(s, argv[1], _operations(s, Cursor(argv, 2)))


@command(
    "BITFIELD_RO",
    arity=-2,
    flags="readonly fast",
    keys="1 RO access",
    group="bitmap",
    since="6.0.0",
    summary="Read integers of any width inside a string.",
    complexity="O(1) for each operation",
    args="key [GET* (encoding offset:int)=encoding_offset...]",
)
def bitfield_ro(s: Session, argv: list[bytes]) -> Reply:
    operations = _operations(s, Cursor(argv, 2))
    if any(operation.writes for operation in operations):
        raise ONLY_GET
    return _bitfield(s, argv[1], operations)


@dataclass(slots=True)
class Operation:
    """One operation of BITFIELD on the integer of `bits` bits at `offset`."""

    name: bytes
    signed: bool
    bits: int
    offset: int
    value: int = 0
    overflow: bytes = b"WRAP"

    @property
    def writes(self) -> bool:
        return self.name != b"GET"

    @property
    def end(self) -> int:
        """The bytes that a string must have to hold the integer."""
        return (self.offset + self.bits + 7) // 8

    def fit(self, value: int) -> int | None:
        """The value as the integer can hold it; None if it cannot, and OVERFLOW says FAIL."""
        low = -(1 << (self.bits - 1)) if self.signed else 0
        high = low + (1 << self.bits) - 1
        if low <= value <= high:
            return value
        match self.overflow:
            case b"WRAP":
                return low + (value - low) % (1 << self.bits)
            case b"SAT":
                # Redis takes a SET's distance from the highest value in 64 bits: from far below it wraps around.
                wrapped = self.name == b"SET" and high - value > INT64_MAX
                return high if value > high or wrapped else low
        return None


def _operations(s: Session, args: Cursor) -> list[Operation]:
    operations: list[Operation] = []
    overflow = b"WRAP"
    for word in args.words():
        if word == b"OVERFLOW" and args.left:
            overflow = args.take_word()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise BAD_OVERFLOW
            continue
        operands = {b"GET": 2, b"SET": 3, b"INCRBY": 3}.get(word)
        if operands is None or args.left < operands:
            raise SYNTAX
        signed, bits = _field_type(args.take())
        operation = Operation(word, signed, bits, _field_offset(s, args.take(), bits), overflow=overflow)
        if operation.writes:
            operation.value = args.take_int(error=NOT_INTEGER)
            if word == b"SET" and not signed:
                operation.value %= 1 << 64  # Redis reads it as signed and keeps the bits
        operations.append(operation)
    return operations


def _field_type(text: bytes) -> tuple[bool, int]:
    """`i16` -> (True, 16)."""
    bits = parse_int(text[1:])
    if text[:1] not in (b"i", b"u") or bits is None or not 1 <= bits <= (64 if text[:1] == b"i" else 63):
        raise BAD_TYPE
    return text[:1] == b"i", bits


def _field_offset(s: Session, text: bytes, bits: int) -> int:
    """An offset in bits; `#3` counts integers of this width."""
    offset = parse_int(text.removeprefix(b"#"))
    if offset is None:
        raise BAD_OFFSET
    if text.startswith(b"#"):
        offset *= bits
    if offset < 0 or (offset >> 3 >= s.node.config["proto-max-bulk-len"] and not s.flags & flags.OBEYED):
        raise BAD_OFFSET
    return offset


def _bitfield(s: Session, key: bytes, operations: list[Operation]) -> list[int | None]:
    size = max((operation.end for operation in operations if operation.writes), default=0)
    if size == 0:
        text = _text(s, key) or b""
        return [getfield(text, each.offset, each.bits, each.signed) for each in operations]
    if s.db.type_of(key) not in (None, "string"):
        raise WRONGTYPE
    grown = (s.db.strlen(key) or 0) < size
    buffer = s.db.grow(key, size)
    changes = 0
    replies: list[int | None] = []
    for operation in operations:
        old = getfield(buffer, operation.offset, operation.bits, operation.signed)
        if not operation.writes:
            replies.append(old)
            continue
        new = operation.fit(old + operation.value if operation.name == b"INCRBY" else operation.value)
        if new is None:
            replies.append(None)
            continue
        setfield(buffer, operation.offset, operation.bits, new)
        changes += grown or old != new
        replies.append(new if operation.name == b"INCRBY" else old)
    if changes:
        s.changed(key, "setbit", "$", changes)
    return replies


@command(
    "BITOP",
    arity=-4,
    flags="write denyoom",
    keys="2 OW update; 3..-1 RO access",
    group="bitmap",
    since="2.6.0",
    summary="Combine strings bit by bit and store the result.",
    complexity="O(N)",
    args="operation destkey:key key#1...",
)
def bitop(s: Session, argv: list[bytes]) -> Reply:
    operation = BITOP_NAMES.get(argv[1].upper())
    if operation is None:
        raise SYNTAX
    if operation == "NOT" and len(argv) != 4:
        raise NOT_TAKES_ONE
    target = argv[2]
    result = combine(operation, [s.read(key, bytes) or b"" for key in argv[3:]])
    if result:
        store_raw(s.db, target, result)
        s.changed(target, "set", "$")
    elif s.db.delete(target):
        s.changed(target, "del", "g")
    return len(result)


@command(
    "BITPOS",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="bitmap",
    since="2.8.7",
    summary="Find the first bit that is set, or the first that is clear.",
    complexity="O(N)",
    args="key bit:int [(start:int [(end:int [(BYTE|BIT)=index_unit @7.0.0])=end_index])=index]",
    history={"7.0.0": "`BYTE|BIT`."},
)
def bitpos(s: Session, argv: list[bytes]) -> Reply:
    bit = require_int(argv[2])
    if bit not in (0, 1):
        raise BAD_BIT
    if len(argv) > 6:
        raise SYNTAX
    start = require_int(argv[3]) if len(argv) > 3 else 0
    in_bits = len(argv) == 6 and _counts_bits(argv[5])
    end = require_int(argv[4]) if len(argv) > 4 else None
    text = _text(s, argv[1])
    if text is None:
        return -1 if bit else 0
    size = len(text)
    end = size - 1 if end is None else end
    first, last = _bit_range(start, end, size, in_bits) if len(argv) > 3 else (0, size * 8 - 1)
    if first > last:
        return -1
    found = find_bit(text, bit == 1, first, last)
    # Without an end, the string is thought to go on with zeros.
    return size * 8 if found < 0 and not bit and len(argv) < 5 else found


native(
    "GETBIT",
    arity=3,
    flags="readonly fast",
    keys="1 RO access",
    group="bitmap",
    since="2.2.0",
    summary="Return one bit of a string.",
    complexity="O(1)",
    args="key offset:int",
)


native(
    "SETBIT",
    arity=4,
    flags="write denyoom",
    keys="1 RW access update",
    group="bitmap",
    since="2.2.0",
    summary="Set or clear one bit of a string.",
    complexity="O(1)",
    args="key offset:int value:int",
)
