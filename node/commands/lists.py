"""List commands."""

from __future__ import annotations

from node.commands.spec import native

native(
    "LLEN",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="list",
    since="1.0.0",
    summary="Return the length of a list.",
    complexity="O(1)",
    args="key",
)


native(
    "LPOP",
    arity=-2,
    flags="write fast",
    keys="1 RW access delete",
    group="list",
    since="1.0.0",
    summary="Pop elements from the head of a list.",
    complexity="O(N), N: elements returned",
    args="key [count:int @6.2.0]",
    history={"6.2.0": "`count`."},
)


native(
    "LPUSH",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="list",
    since="1.0.0",
    summary="Add elements at the head of a list.",
    complexity="O(1) for each element",
    args="key element...",
    history={"2.4.0": "More than one `element`."},
)

native(
    "LPUSHX",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="list",
    since="2.2.0",
    summary="Add elements at the head of a list that exists.",
    complexity="O(1) for each element",
    args="key element...",
    history={"4.0.0": "More than one `element`."},
)

native(
    "LRANGE",
    arity=4,
    flags="readonly",
    keys="1 RO access",
    group="list",
    since="1.0.0",
    summary="Return the elements of a range of indexes.",
    complexity="O(S+N), S: distance of the start from the nearer end, N: elements returned",
    args="key start:int stop:int",
)


native(
    "RPOP",
    arity=-2,
    flags="write fast",
    keys="1 RW access delete",
    group="list",
    since="1.0.0",
    summary="Pop elements from the tail of a list.",
    complexity="O(N), N: elements returned",
    args="key [count:int @6.2.0]",
    history={"6.2.0": "`count`."},
)


native(
    "RPUSH",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="list",
    since="1.0.0",
    summary="Add elements at the tail of a list.",
    complexity="O(1) for each element",
    args="key element...",
    history={"2.4.0": "More than one `element`."},
)

native(
    "RPUSHX",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="list",
    since="2.2.0",
    summary="Add elements at the tail of a list that exists.",
    complexity="O(1) for each element",
    args="key element...",
    history={"4.0.0": "More than one `element`."},
)
