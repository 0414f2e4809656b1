"""Ranges of sorted sets: by rank, by score and by member (BYLEX), in both directions; counted, stored, removed.

All forms of ZRANGE become one Query; what a form may say is decided while reading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.commands.data.sorted_sets import range_reply, store
from node.commands.table.cursor import Cursor, require_int
from node.commands.table.spec import command
from node.engine.structures.numbers import parse_bound
from node.engine.types.zset import ZSet
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.engine.types.zset import LexBound, Pair

NO_SCORE = CommandError("ERR min or max is not a float")
NO_MEMBER = CommandError("ERR min or max not valid string range item")
LIMIT_OF_RANKS = CommandError("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
SCORES_BYLEX = CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")


@command(
    "ZCOUNT",
    arity=4,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="2.0.0",
    summary="Count the members in a range of scores.",
    complexity="O(log(N)), N: members",
    args="key min:float max:float",
)
def zcount(s: Session, argv: list[bytes]) -> Reply:
    bounds = read_bounds("score", argv[2], argv[3])
    members = s.read(argv[1], ZSet)
    return 0 if members is None else members.count_by_score(*bounds)


@command(
    "ZLEXCOUNT",
    arity=4,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="2.8.9",
    summary="Count the members in a lexicographical range.",
    complexity="O(log(N)), N: members",
    args="key min max",
)
def zlexcount(s: Session, argv: list[bytes]) -> Reply:
    bounds = read_bounds("lex", argv[2], argv[3])
    members = s.read(argv[1], ZSet)
    return 0 if members is None else members.count_by_lex(*bounds)


@command(
    "ZRANGE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="1.2.0",
    summary="Return the members in a range of ranks, scores or names.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args=(
        "key start stop [(BYSCORE|BYLEX)=sortby @6.2.0] [REV @6.2.0] "
        "[LIMIT (offset:int count:int)=offset_count @6.2.0] [WITHSCORES]"
    ),
    history={"6.2.0": "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`."},
    native=True,
)
def zrange(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv))


@command(
    "ZRANGEBYLEX",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="2.8.9",
    summary="Return the members in a lexicographical range.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args="key min max [LIMIT (offset:int count:int)=offset_count]",
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYLEX` argument",
)
def zrangebylex(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv, by="lex", reverse=False))


@command(
    "ZRANGEBYSCORE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="1.0.5",
    summary="Return the members in a range of scores.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args="key min:float max:float [WITHSCORES @2.0.0] [LIMIT (offset:int count:int)=offset_count]",
    history={"2.0.0": "`WITHSCORES`."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYSCORE` argument",
)
def zrangebyscore(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv, by="score", reverse=False))


@command(
    "ZRANGESTORE",
    arity=-5,
    flags="write denyoom",
    keys="1 OW update; 2 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Store the members in a range of ranks, scores or names.",
    complexity="O(log(N)+M), N: members, M: members stored",
    args="dst:key src:key#1 min max [(BYSCORE|BYLEX)=sortby] [REV] [LIMIT (offset:int count:int)=offset_count]",
)
def zrangestore(s: Session, argv: list[bytes]) -> Reply:
    query = read_query(argv, at=2, stores=True)
    members = s.read(query.key, ZSet)
    return store(s, argv[1], [] if members is None else query.find(members), "zrangestore")


@command(
    "ZREMRANGEBYLEX",
    arity=4,
    flags="write",
    keys="1 RW delete",
    group="sorted-set",
    since="2.8.9",
    summary="Remove the members in a lexicographical range.",
    complexity="O(log(N)+M), N: members, M: members removed",
    args="key min max",
)
def zremrangebylex(s: Session, argv: list[bytes]) -> Reply:
    return remove_range(s, argv, "lex", "zremrangebylex")


@command(
    "ZREMRANGEBYRANK",
    arity=4,
    flags="write",
    keys="1 RW delete",
    group="sorted-set",
    since="2.0.0",
    summary="Remove the members in a range of ranks.",
    complexity="O(log(N)+M), N: members, M: members removed",
    args="key start:int stop:int",
)
def zremrangebyrank(s: Session, argv: list[bytes]) -> Reply:
    return remove_range(s, argv, "rank", "zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE",
    arity=4,
    flags="write",
    keys="1 RW delete",
    group="sorted-set",
    since="1.2.0",
    summary="Remove the members in a range of scores.",
    complexity="O(log(N)+M), N: members, M: members removed",
    args="key min:float max:float",
)
def zremrangebyscore(s: Session, argv: list[bytes]) -> Reply:
    return remove_range(s, argv, "score", "zremrangebyscore")


@command(
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
    native=True,
)
def zrevrange(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv, by="rank", reverse=True))


@command(
    "ZREVRANGEBYLEX",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="2.8.9",
    summary="Return the members in a lexicographical range, last name first.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args="key max min [LIMIT (offset:int count:int)=offset_count]",
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYLEX` arguments",
)
def zrevrangebylex(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv, by="lex", reverse=True))


@command(
    "ZREVRANGEBYSCORE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="2.2.0",
    summary="Return the members in a range of scores, highest score first.",
    complexity="O(log(N)+M), N: members, M: members returned",
    args="key max:float min:float [WITHSCORES] [LIMIT (offset:int count:int)=offset_count]",
    history={"2.1.6": "Exclusive bounds."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYSCORE` arguments",
)
def zrevrangebyscore(s: Session, argv: list[bytes]) -> Reply:
    return answer(s, read_query(argv, by="score", reverse=True))


FIND: dict[str, Any] = {"rank": ZSet.range, "score": ZSet.range_by_score, "lex": ZSet.range_by_lex}
REMOVE: dict[str, Any] = {
    "rank": ZSet.remove_range_by_rank,
    "score": ZSet.remove_range_by_score,
    "lex": ZSet.remove_range_by_lex,
}


@dataclass(slots=True)
class Query:
    """One range of one sorted set. `bounds` is what the engine's methods for `by` (rank, score, lex) begin with."""

    key: bytes
    by: str
    bounds: tuple[Any, ...]
    reverse: bool
    limit: tuple[int, int]
    with_scores: bool

    def find(self, members: ZSet) -> list[Pair]:
        limit = () if self.by == "rank" else self.limit
        found: list[Pair] = FIND[self.by](members, *self.bounds, self.reverse, *limit)
        return found


def read_query(
    argv: list[bytes], at: int = 1, by: str | None = None, reverse: bool | None = None, stores: bool = False
) -> Query:
    """`key start stop [options]` from argument `at` on; `by` and `reverse` are given where the command decides."""
    key, first, last = argv[at : at + 3]
    may_choose, may_turn = by is None, reverse is None
    limit, with_scores = (0, -1), False
    args = Cursor(argv, at + 3)
    for word in args.words():
        if word == b"WITHSCORES" and not stores:
            with_scores = True
        elif word == b"LIMIT" and args.left >= 2:
            limit = args.take_int(), args.take_int()
        elif word == b"REV" and may_turn:
            reverse, may_turn = True, False
        elif word in (b"BYSCORE", b"BYLEX") and may_choose:
            by, may_choose = word[2:].decode().lower(), False
        else:
            raise SYNTAX
    by = by or "rank"
    if limit[1] != -1 and by == "rank":
        raise LIMIT_OF_RANKS
    if with_scores and by == "lex":
        raise SCORES_BYLEX
    if reverse and by != "rank":
        first, last = last, first
    return Query(key, by, read_bounds(by, first, last), bool(reverse), limit, with_scores)


def read_bounds(by: str, low: bytes, high: bytes) -> tuple[Any, ...]:
    """The bounds of a range as the engine's methods for it take them."""
    if by == "rank":
        return require_int(low), require_int(high)
    if by == "lex":
        return read_member_bound(low), read_member_bound(high)
    lowest, highest = parse_bound(low), parse_bound(high)
    if lowest is None or highest is None:
        raise NO_SCORE
    return lowest + highest


def read_member_bound(text: bytes) -> LexBound:
    """`-`, `+`, `[member` or `(member`."""
    kind = text[:1].decode("latin-1")
    if kind not in ("-", "+", "[", "(") or (kind in ("-", "+") and len(text) > 1):
        raise NO_MEMBER
    return kind, text[1:]


def answer(s: Session, query: Query) -> Reply:
    members = s.read(query.key, ZSet)
    return [] if members is None else range_reply(s, query.find(members), query.with_scores)


def remove_range(s: Session, argv: list[bytes], by: str, event: str) -> int:
    key = argv[1]
    bounds = read_bounds(by, argv[2], argv[3])
    members = s.write(key, ZSet)
    if members is None:
        return 0
    removed: int = REMOVE[by](members, *bounds)
    if removed:
        s.changed(key, event, "z", removed)
        s.drop_if_empty(key, members)
    return removed
