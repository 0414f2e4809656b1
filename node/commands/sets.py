"""Set commands."""

from __future__ import annotations

from node.commands.spec import native

native(
    "SADD",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="set",
    since="1.0.0",
    summary="Add members to a set.",
    complexity="O(1) for each member",
    args="key member...",
    history={"2.4.0": "More than one `member`."},
)

native(
    "SCARD",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="set",
    since="1.0.0",
    summary="Return the number of members.",
    complexity="O(1)",
    args="key",
)


native(
    "SISMEMBER",
    arity=3,
    flags="readonly fast",
    keys="1 RO",
    group="set",
    since="1.0.0",
    summary="Tell whether a value is a member.",
    complexity="O(1)",
    args="key member",
)

native(
    "SMEMBERS",
    arity=2,
    flags="readonly",
    keys="1 RO access",
    group="set",
    since="1.0.0",
    summary="Return all members.",
    complexity="O(N), N: members",
    args="key",
    tips="nondeterministic_output_order",
)


native(
    "SPOP",
    arity=-2,
    flags="write fast",
    keys="1 RW access delete",
    group="set",
    since="1.0.0",
    summary="Remove and return members chosen at random.",
    complexity="O(N), N: members returned",
    args="key [count:int @3.2.0]",
    tips="nondeterministic_output",
    history={"3.2.0": "`count`."},
)


native(
    "SREM",
    arity=-3,
    flags="write fast",
    keys="1 RW delete",
    group="set",
    since="1.0.0",
    summary="Remove members.",
    complexity="O(N), N: members to remove",
    args="key member...",
    history={"2.4.0": "More than one `member`."},
)
