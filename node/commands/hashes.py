"""Hash commands."""

from __future__ import annotations

from node.commands.spec import native

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
