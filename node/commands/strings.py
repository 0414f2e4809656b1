"""String commands."""

from __future__ import annotations

from collections.abc import Sequence

from node.commands.keyspec import KeyUse
from node.commands.spec import native

OVERWRITTEN = frozenset({"OW", "update"})
READ_AND_REPLACED = frozenset({"RW", "access", "update"})


def set_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """SET reads the key only when GET is given."""
    reads = any(argument.upper() == b"GET" for argument in argv[3:])
    return [(1, READ_AND_REPLACED if reads else OVERWRITTEN)]


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
        "key value [(NX|XX)=condition @2.6.12] [GET @6.2.0] "
        "[(EX seconds:int @2.6.12|PX milliseconds:int @2.6.12|EXAT unix-time-seconds:time @6.2.0|PXAT "
        "unix-time-milliseconds:time @6.2.0|KEEPTTL @6.0.0)=expiration]"
    ),
    history={
        "2.6.12": "`EX`, `PX`, `NX` and `XX`.",
        "6.0.0": "`KEEPTTL`.",
        "6.2.0": "`GET`, `EXAT` and `PXAT`.",
        "7.0.0": "`NX` together with `GET`.",
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
)
