"""Sorted set commands."""

from __future__ import annotations

from node.commands.spec import native

native(
    "ZADD",
    arity=-4,
    flags="write denyoom fast",
    keys="1 RW update",
    group="sorted-set",
    since="1.2.0",
    summary="Add members with scores, or change their scores.",
    complexity="O(log(N)) for each member, N: members",
    args=(
        "key [(NX|XX)=condition @3.0.2] [(GT|LT)=comparison @6.2.0] [change=CH @3.0.2] [increment=INCR @3.0.2] "
        "(score:float member)=score_member..."
    ),
    history={"2.4.0": "More than one member.", "3.0.2": "`XX`, `NX`, `CH` and `INCR`.", "6.2.0": "`GT` and `LT`."},
)

native(
    "ZCARD",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="sorted-set",
    since="1.2.0",
    summary="Return the number of members.",
    complexity="O(1)",
    args="key",
)


native(
    "ZINCRBY",
    arity=4,
    flags="write denyoom fast",
    keys="1 RW access update",
    group="sorted-set",
    since="1.2.0",
    summary="Add to the score of a member.",
    complexity="O(log(N)), N: members",
    args="key increment:int member",
)


native(
    "ZPOPMAX",
    arity=-2,
    flags="write fast",
    keys="1 RW access delete",
    group="sorted-set",
    since="5.0.0",
    summary="Pop the members with the highest scores.",
    complexity="O(log(N)*M), N: members, M: members popped",
    args="key [count:int]",
)

native(
    "ZPOPMIN",
    arity=-2,
    flags="write fast",
    keys="1 RW access delete",
    group="sorted-set",
    since="5.0.0",
    summary="Pop the members with the lowest scores.",
    complexity="O(log(N)*M), N: members, M: members popped",
    args="key [count:int]",
)


native(
    "ZRANK",
    arity=-3,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="2.0.0",
    summary="Return the rank of a member, counted from the lowest score.",
    complexity="O(log(N)), N: members",
    args="key member [WITHSCORE @7.2.0]",
    history={"7.2.0": "`WITHSCORE`."},
)

native(
    "ZREM",
    arity=-3,
    flags="write fast",
    keys="1 RW delete",
    group="sorted-set",
    since="1.2.0",
    summary="Remove members.",
    complexity="O(M*log(N)), N: members, M: members to remove",
    args="key member...",
    history={"2.4.0": "More than one member."},
)


native(
    "ZREVRANGE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="1.2.0",
    summary="Return the members in a range of ranks, highest score first.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args="key start:int stop:int [WITHSCORES]",
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` argument",
)


native(
    "ZREVRANK",
    arity=-3,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="2.0.0",
    summary="Return the rank of a member, counted from the highest score.",
    complexity="O(log(N)), N: members",
    args="key member [WITHSCORE @7.2.0]",
    history={"7.2.0": "`WITHSCORE`."},
)

native(
    "ZSCORE",
    arity=3,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="1.2.0",
    summary="Return the score of a member.",
    complexity="O(1)",
    args="key member",
)
