"""Union, intersection and difference of sorted sets; plain sets take part with a score of 1.

Results are collected in a dict: members with their combined scores. Redis goes through the operands from the smallest
to the largest, and sums of floats depend on the order; so it is kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from node.commands.data.sets import NEGATIVE_LIMIT
from node.commands.data.sorted_sets import range_reply, store
from node.commands.table.cursor import Cursor
from node.commands.table.spec import command
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.engine.types.zset import Pair

BAD_WEIGHT = CommandError("ERR weight value is not a float")

Combine = Callable[[float, float], float]


@command(
    "ZDIFF",
    arity=-3,
    flags="readonly",
    keys="#1 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Return the members of the first sorted set that are in no other.",
    complexity="O(L+(N-K)*log(N)), L: members of all sets, N: of the first set, K: of the result",
    args="numkeys:int key... [WITHSCORES]",
)
def zdiff(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 1, "WITHSCORES")
    return range_reply(s, in_order(difference(operands)), operands.with_scores)


@command(
    "ZDIFFSTORE",
    arity=-4,
    flags="write denyoom",
    keys="1 OW update; #2 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Store the members of the first sorted set that are in no other.",
    complexity="O(L+(N-K)*log(N)), L: members of all sets, N: of the first set, K: of the result",
    args="destination:key numkeys:int key#1...",
)
def zdiffstore(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 2)
    return store(s, argv[1], difference(operands).items(), "zdiffstore")


@command(
    "ZINTER",
    arity=-3,
    flags="readonly",
    keys="#1 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Return the members that all sorted sets share, with combined scores.",
    complexity="O(N*K)+O(M*log(M)), N: members of the smallest set, K: sets, M: members of the result",
    args="numkeys:int key... [WEIGHTS weight:int...] [AGGREGATE (SUM|MIN|MAX)=aggregate] [WITHSCORES]",
)
def zinter(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 1, "WEIGHTS", "AGGREGATE", "WITHSCORES")
    return range_reply(s, in_order(intersection(operands)), operands.with_scores)


@command(
    "ZINTERCARD",
    arity=-3,
    flags="readonly",
    keys="#1 RO access",
    group="sorted-set",
    since="7.0.0",
    summary="Count the members that all sorted sets share.",
    complexity="O(N*K), N: members of the smallest set, K: sets",
    args="numkeys:int key... [LIMIT limit:int]",
)
def zintercard(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 1, "LIMIT")
    return len(intersection(operands))


@command(
    "ZINTERSTORE",
    arity=-4,
    flags="write denyoom",
    keys="1 OW update; #2 RO access",
    group="sorted-set",
    since="2.0.0",
    summary="Store the members that all sorted sets share, with combined scores.",
    complexity="O(N*K)+O(M*log(M)), N: members of the smallest set, K: sets, M: members of the result",
    args="destination:key numkeys:int key#1... [WEIGHTS weight:int...] [AGGREGATE (SUM|MIN|MAX)=aggregate]",
)
def zinterstore(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 2, "WEIGHTS", "AGGREGATE")
    return store(s, argv[1], intersection(operands).items(), "zinterstore")


@command(
    "ZUNION",
    arity=-3,
    flags="readonly",
    keys="#1 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Return the members of all sorted sets together, with combined scores.",
    complexity="O(N)+O(M*log(M)), N: members of all sets, M: members of the result",
    args="numkeys:int key... [WEIGHTS weight:int...] [AGGREGATE (SUM|MIN|MAX)=aggregate] [WITHSCORES]",
)
def zunion(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 1, "WEIGHTS", "AGGREGATE", "WITHSCORES")
    return range_reply(s, in_order(union(operands)), operands.with_scores)


@command(
    "ZUNIONSTORE",
    arity=-4,
    flags="write denyoom",
    keys="1 OW update; #2 RO access",
    group="sorted-set",
    since="2.0.0",
    summary="Store the members of all sorted sets together, with combined scores.",
    complexity="O(N)+O(M*log(M)), N: members of all sets, M: members of the result",
    args="destination:key numkeys:int key#1... [WEIGHTS weight:int...] [AGGREGATE (SUM|MIN|MAX)=aggregate]",
)
def zunionstore(s: Session, argv: list[bytes]) -> Reply:
    operands = read_operands(s, argv, 2, "WEIGHTS", "AGGREGATE")
    return store(s, argv[1], union(operands).items(), "zunionstore")


@dataclass(slots=True)
class Operands:
    """What a command combines, and how."""

    sources: list[ZSet | Set]
    """An absent key is an empty sorted set."""
    weights: list[float]
    combine: Combine
    with_scores: bool = False
    limit: int = 0

    def by_size(self) -> list[tuple[ZSet | Set, float]]:
        return sorted(zip(self.sources, self.weights, strict=True), key=lambda operand: len(operand[0]))


def read_operands(s: Session, argv: list[bytes], at: int, *options: str) -> Operands:
    """`numkeys key... [options]`, from argument `at` on. The keys are looked up before the options are read."""
    args = Cursor(argv, at)
    numkeys = args.take_int()
    if numkeys < 1:
        raise CommandError(f"ERR at least 1 input key is needed for '{argv[0].decode('latin-1').lower()}' command")
    operands = Operands([read_source(s, key) for key in args.take_many(numkeys)], [1.0] * numkeys, add)
    for word in args.words():
        name = word.decode("latin-1")
        if name not in options:
            raise SYNTAX
        if name == "WITHSCORES":
            operands.with_scores = True
        elif name == "WEIGHTS" and args.left >= numkeys:
            operands.weights = [args.take_float(BAD_WEIGHT) for _ in range(numkeys)]
        elif name == "AGGREGATE" and args.left:
            operands.combine = read_aggregate(args)
        elif name == "LIMIT" and args.left:
            operands.limit = args.take_int(0, error=NEGATIVE_LIMIT)
        else:
            raise SYNTAX
    return operands


def read_aggregate(args: Cursor) -> Combine:
    combine = {b"SUM": add, b"MIN": lower, b"MAX": higher}.get(args.take_word())
    if combine is None:
        raise SYNTAX
    return combine


def read_source(s: Session, key: bytes) -> ZSet | Set:
    """The sorted set or set at a key; WRONGTYPE for anything else."""
    found = s.read(key, Set) if s.db.type_of(key) == "set" else s.read(key, ZSet)
    return ZSet() if found is None else found


def add(total: float, score: float) -> float:
    """The sum, where +inf and -inf make 0."""
    return number(total + score)


def lower(total: float, score: float) -> float:
    return score if score < total else total


def higher(total: float, score: float) -> float:
    return score if score > total else total


def number(score: float) -> float:
    """0 for what is not a number, such as an infinite score with a weight of 0."""
    return 0.0 if isnan(score) else score


def pairs_of(source: ZSet | Set) -> list[Pair]:
    if isinstance(source, ZSet):
        return source.range(0, -1)
    return [(member, 1.0) for member in source.members()]


def score_in(source: ZSet | Set) -> Callable[[bytes], float | None]:
    """A function that returns the score of a member, None for a stranger."""
    if isinstance(source, ZSet):
        return source.score
    return lambda member: 1.0 if member in source else None


def union(operands: Operands) -> dict[bytes, float]:
    combine = operands.combine
    result: dict[bytes, float] = {}
    for source, weight in operands.by_size():
        for member, score in pairs_of(source):
            score = number(score * weight)
            result[member] = combine(result[member], score) if member in result else score
    return result


def intersection(operands: Operands) -> dict[bytes, float]:
    """The members that all share, but no more than `limit` of them."""
    combine = operands.combine
    (smallest, first_weight), *others = operands.by_size()
    finders = [(score_in(source), weight) for source, weight in others]
    result: dict[bytes, float] = {}
    for member, score in pairs_of(smallest):
        total = number(score * first_weight)
        for find, weight in finders:
            found = find(member)
            if found is None:
                break
            total = combine(total, found * weight)
        else:
            result[member] = total
            if len(result) == operands.limit:
                break
    return result


def difference(operands: Operands) -> dict[bytes, float]:
    """The members of the first operand that are in no other. The shorter side of each comparison is walked."""
    first, *others = operands.sources
    result = dict(pairs_of(first))
    for other in others:
        if len(other) < len(result):
            for member, _ in pairs_of(other):
                result.pop(member, None)
        else:
            result = {member: score for member, score in result.items() if member not in other}
    return result


def in_order(scores: dict[bytes, float]) -> list[Pair]:
    return sorted(scores.items(), key=lambda pair: (pair[1], pair[0]))
