"""Expiration of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.spec import command, native
from node.replies import Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session


native(
    "EXPIRE",
    arity=-3,
    flags="write fast",
    keys="1 RW update",
    group="generic",
    since="1.0.0",
    summary="Let a key expire after some seconds.",
    complexity="O(1)",
    args="key seconds:int [(NX|XX|GT|LT)=condition @7.0.0]",
    history={"7.0.0": "`NX`, `XX`, `GT` and `LT`."},
)


native(
    "EXPIREAT",
    arity=-3,
    flags="write fast",
    keys="1 RW update",
    group="generic",
    since="1.2.0",
    summary="Let a key expire at a unix time in seconds.",
    complexity="O(1)",
    args="key unix-time-seconds:time [(NX|XX|GT|LT)=condition @7.0.0]",
    history={"7.0.0": "`NX`, `XX`, `GT` and `LT`."},
)


native(
    "EXPIRETIME",
    arity=2,
    flags="readonly fast",
    keys="1 RO access",
    group="generic",
    since="7.0.0",
    summary="Return the unix time in seconds at which a key expires.",
    complexity="O(1)",
    args="key",
)


@command(
    "PERSIST",
    arity=2,
    flags="write fast",
    keys="1 RW update",
    group="generic",
    since="2.2.0",
    summary="Remove the expiration of a key.",
    complexity="O(1)",
    args="key",
)
def persist(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    at_ms = s.db.expire_at(key)
    if at_ms is None:
        return 0
    s.db.set_expire(key, None)
    s.changed(key, "persist", "g")
    return 1


native(
    "PEXPIRE",
    arity=-3,
    flags="write fast",
    keys="1 RW update",
    group="generic",
    since="2.6.0",
    summary="Let a key expire after some milliseconds.",
    complexity="O(1)",
    args="key milliseconds:int [(NX|XX|GT|LT)=condition @7.0.0]",
    history={"7.0.0": "`NX`, `XX`, `GT` and `LT`."},
)


native(
    "PEXPIREAT",
    arity=-3,
    flags="write fast",
    keys="1 RW update",
    group="generic",
    since="2.6.0",
    summary="Let a key expire at a unix time in milliseconds.",
    complexity="O(1)",
    args="key unix-time-milliseconds:time [(NX|XX|GT|LT)=condition @7.0.0]",
    history={"7.0.0": "`NX`, `XX`, `GT` and `LT`."},
)


native(
    "PEXPIRETIME",
    arity=2,
    flags="readonly fast",
    keys="1 RO access",
    group="generic",
    since="7.0.0",
    summary="Return the unix time in milliseconds at which a key expires.",
    complexity="O(1)",
    args="key",
)


native(
    "PTTL",
    arity=2,
    flags="readonly fast",
    keys="1 RO access",
    group="generic",
    since="2.6.0",
    summary="Return the milliseconds until a key expires.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
    history={"2.8.0": "-2 for a key that does not exist."},
)

native(
    "TTL",
    arity=2,
    flags="readonly fast",
    keys="1 RO access",
    group="generic",
    since="1.0.0",
    summary="Return the seconds until a key expires.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
    history={"2.8.0": "-2 for a key that does not exist."},
)
