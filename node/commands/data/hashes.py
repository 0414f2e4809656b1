"""Hash commands: what is not native."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.data.randoms import check_repeats, take_random_count
from node.commands.table.cursor import INT64_MAX
from node.commands.table.spec import command, native
from node.engine.structures.numbers import add_float, float_kind
from node.engine.types.hash import Hash
from node.replies import NOT_FLOAT, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

MOST_PAIRS = INT64_MAX // 2
"""Twice as many elements must still be a number."""


native(
    "HDEL",
    arity=-3,
    flags="write fast",
    keys="1 RW delete",
    group="hash",
    since="2.0.0",
    summary="Delete fields.",
    complexity="O(N), N: fields to delete",
    args="key field...",
    history={"2.4.0": "More than one `field`."},
)

native(
    "HEXISTS",
    arity=3,
    flags="readonly fast",
    keys="1 RO",
    group="hash",
    since="2.0.0",
    summary="Tell whether a field exists.",
    complexity="O(1)",
    args="key field",
)

native(
    "HGET",
    arity=3,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="2.0.0",
    summary="Return the value of a field.",
    complexity="O(1)",
    args="key field",
)

native(
    "HGETALL",
    arity=2,
    flags="readonly",
    keys="1 RO access",
    group="hash",
    since="2.0.0",
    summary="Return all fields and values.",
    complexity="O(N), N: fields",
    args="key",
    tips="nondeterministic_output_order",
)

native(
    "HINCRBY",
    arity=4,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="hash",
    since="2.0.0",
    summary="Add a number to the integer in a field.",
    complexity="O(1)",
    args="key field increment:int",
)


@command(
    "HINCRBYFLOAT",
    arity=4,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="hash",
    since="2.6.0",
    summary="Add a floating point number to the number in a field.",
    complexity="O(1)",
    args="key field increment:float",
)
def hincrbyfloat(s: Session, argv: list[bytes]) -> Reply:
    _, key, field, increment = argv
    kind = float_kind(increment)
    if kind is None:
        raise NOT_FLOAT
    if kind == "infinite":
        raise CommandError("ERR value is NaN or Infinity")
    fields = s.write(key, Hash)
    value = None if fields is None else fields.get(field)
    try:
        total = add_float(b"0" if value is None else value, increment)
    except ValueError:
        raise CommandError("ERR hash value is not a float") from None
    except OverflowError:
        raise CommandError("ERR increment would produce NaN or Infinity") from None
    if fields is None:
        fields = Hash()
        s.db.set(key, fields)
    fields.put(field, total)
    s.changed(key, "hincrbyfloat", "h")
    s.effect(b"HSET", key, field, total)
    at_ms = fields.death(field)
    if at_ms is not None:
        s.effect(b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field)
    return total


@command(
    "HKEYS",
    arity=2,
    flags="readonly",
    keys="1 RO access",
    group="hash",
    since="2.0.0",
    summary="Return all fields.",
    complexity="O(N), N: fields",
    args="key",
    tips="nondeterministic_output_order",
)
def hkeys(s: Session, argv: list[bytes]) -> Reply:
    fields = s.read(argv[1], Hash)
    return [] if fields is None else fields.keys()


native(
    "HLEN",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="hash",
    since="2.0.0",
    summary="Return the number of fields.",
    complexity="O(1)",
    args="key",
)

native(
    "HMGET",
    arity=-3,
    flags="readonly fast",
    keys="1 RO access",
    group="hash",
    since="2.0.0",
    summary="Return the values of several fields.",
    complexity="O(N), N: fields asked for",
    args="key field...",
)

native(
    "HMSET",
    arity=-4,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="2.0.0",
    summary="Set several fields.",
    complexity="O(N), N: fields to set",
    args="key (field value)=field_value...",
    doc_flags="deprecated",
    deprecated_since="4.0.0",
    replaced_by="`HSET` with multiple field-value pairs",
)


@command(
    "HRANDFIELD",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="hash",
    since="6.2.0",
    summary="Return fields chosen at random.",
    complexity="O(N), N: fields returned",
    args="key [(count:int [WITHVALUES])=options]",
    tips="nondeterministic_output",
)
def hrandfield(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        fields = s.read(argv[1], Hash)
        pair = None if fields is None else fields.random()
        return None if pair is None else pair[0]
    count = take_random_count(argv[2])
    if len(argv) > 4 or (len(argv) == 4 and argv[3].upper() != b"WITHVALUES"):
        raise SYNTAX
    with_values = len(argv) == 4
    if with_values and not -MOST_PAIRS <= count <= MOST_PAIRS:
        raise CommandError("ERR value is out of range")
    fields = s.read(argv[1], Hash)
    if fields is None:
        return []
    if count >= 0:
        pairs = fields.sample(count)
    else:
        drawn = [fields.random() for _ in range(check_repeats(s, -count))]
        pairs = [pair for pair in drawn if pair is not None]
    if not with_values:
        return [field for field, _ in pairs]
    return pairs if s.proto == 3 else [part for pair in pairs for part in pair]


native(
    "HSET",
    arity=-4,
    flags="write denyoom fast",
    keys="1 RW update",
    group="hash",
    since="2.0.0",
    summary="Set fields.",
    complexity="O(1) for each field",
    args="key (field value)=field_value...",
    history={"4.0.0": "More than one `field` with its `value`."},
)


@command(
    "HSETNX",
    arity=4,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="hash",
    since="2.0.0",
    summary="Set a field that does not exist.",
    complexity="O(1)",
    args="key field value",
)
def hsetnx(s: Session, argv: list[bytes]) -> Reply:
    _, key, field, value = argv
    fields = s.write(key, Hash)
    if fields is None:
        fields = Hash()
        s.db.set(key, fields)
    elif field in fields:
        return 0
    fields.set(field, value)
    s.changed(key, "hset", "h")
    return 1


@command(
    "HSTRLEN",
    arity=3,
    flags="readonly fast",
    keys="1 RO",
    group="hash",
    since="3.2.0",
    summary="Return the length of the value of a field.",
    complexity="O(1)",
    args="key field",
)
def hstrlen(s: Session, argv: list[bytes]) -> Reply:
    fields = s.read(argv[1], Hash)
    return 0 if fields is None else fields.strlen(argv[2])


@command(
    "HVALS",
    arity=2,
    flags="readonly",
    keys="1 RO access",
    group="hash",
    since="2.0.0",
    summary="Return all values.",
    complexity="O(N), N: fields",
    args="key",
    tips="nondeterministic_output_order",
)
def hvals(s: Session, argv: list[bytes]) -> Reply:
    fields = s.read(argv[1], Hash)
    return [] if fields is None else fields.values()
