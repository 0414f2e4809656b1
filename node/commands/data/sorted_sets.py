"""Sorted set commands: members and scores, popping, random members. Ranges and set algebra have their own modules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.commands.data.lists import BAD_COUNT, BAD_NUMKEYS
from node.commands.data.randoms import check_repeats, take_random_count
from node.commands.table.cursor import INT64_MAX, Cursor, require_timeout
from node.commands.table.spec import command, native
from node.engine.types.zset import ZSet
from node.replies import NULL_ARRAY, SYNTAX, Blocked, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.engine.types.zset import Pair


@command(
    "BZMPOP",
    arity=-5,
    flags="write blocking",
    keys="#2 RW access delete",
    group="sorted-set",
    since="7.0.0",
    summary="Pop members from the first sorted set that has any, waiting if none has.",
    complexity="O(K)+O(M*log(N)), K: keys, N: members, M: members popped",
    args="timeout:float numkeys:int key... (MIN|MAX)=where [COUNT count:int]",
)
def bzmpop(s: Session, argv: list[bytes]) -> Reply:
    keys, lowest, count = pop_options(argv, 2)
    return blocking_pop(s, keys, lowest, count, require_timeout(argv[1]))


@command(
    "BZPOPMAX",
    arity=-3,
    flags="write blocking fast",
    keys="1..-2 RW access delete",
    group="sorted-set",
    since="5.0.0",
    summary="Pop the highest member of the first sorted set that has any, waiting if none has.",
    complexity="O(log(N)), N: members",
    args="key... timeout:float",
    history={"6.0.0": "`timeout` may be fractional."},
)
def bzpopmax(s: Session, argv: list[bytes]) -> Reply:
    return blocking_pop(s, argv[1:-1], False, None, require_timeout(argv[-1]))


@command(
    "BZPOPMIN",
    arity=-3,
    flags="write blocking fast",
    keys="1..-2 RW access delete",
    group="sorted-set",
    since="5.0.0",
    summary="Pop the lowest member of the first sorted set that has any, waiting if none has.",
    complexity="O(log(N)), N: members",
    args="key... timeout:float",
    history={"6.0.0": "`timeout` may be fractional."},
)
def bzpopmin(s: Session, argv: list[bytes]) -> Reply:
    return blocking_pop(s, argv[1:-1], True, None, require_timeout(argv[-1]))


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


@command(
    "ZMPOP",
    arity=-4,
    flags="write",
    keys="#1 RW access delete",
    group="sorted-set",
    since="7.0.0",
    summary="Pop members from the first sorted set that has any.",
    complexity="O(K)+O(M*log(N)), K: keys, N: members, M: members popped",
    args="numkeys:int key... (MIN|MAX)=where [COUNT count:int]",
)
def zmpop(s: Session, argv: list[bytes]) -> Reply:
    keys, lowest, count = pop_options(argv, 1)
    for key in keys:
        members = s.write(key, ZSet)
        if members is not None:
            return pop(s, key, members, lowest, count)
    return NULL_ARRAY


@command(
    "ZMSCORE",
    arity=-3,
    flags="readonly fast",
    keys="1 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Return the scores of several members.",
    complexity="O(N), N: members asked for",
    args="key member...",
)
def zmscore(s: Session, argv: list[bytes]) -> Reply:
    members = s.read(argv[1], ZSet)
    return [None if members is None else members.score(member) for member in argv[2:]]


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


@command(
    "ZRANDMEMBER",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="sorted-set",
    since="6.2.0",
    summary="Return members chosen at random.",
    complexity="O(N), N: members returned",
    args="key [(count:int [WITHSCORES])=options]",
    tips="nondeterministic_output",
)
def zrandmember(s: Session, argv: list[bytes]) -> Reply:
    count = take_random_count(argv[2]) if len(argv) > 2 else None
    with_scores = len(argv) > 3
    if len(argv) > 4 or (with_scores and argv[3].upper() != b"WITHSCORES"):
        raise SYNTAX
    if with_scores and count is not None and abs(count) > INT64_MAX // 2:
        raise CommandError("ERR value is out of range")
    members = s.read(argv[1], ZSet)
    if count is None:
        return None if members is None else members.random()[0]
    if members is None:
        return []
    chosen = members.sample(count) if count >= 0 else [members.random() for _ in range(check_repeats(s, -count))]
    return range_reply(s, chosen, with_scores)


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


def range_reply(s: Session, pairs: list[Pair], with_scores: bool) -> Reply:
    """Members, or members with scores: pairs in RESP3, flat in RESP2."""
    if not with_scores:
        return [member for member, _ in pairs]
    return pairs if s.proto == 3 else [part for pair in pairs for part in pair]


def store(s: Session, key: bytes, pairs: Iterable[Pair], event: str) -> int:
    """Put a sorted set in place of whatever the key holds; an empty one deletes the key."""
    members = ZSet()
    for member, score in pairs:
        members.set(member, score)
    if len(members):
        s.db.set(key, members)
        s.changed(key, event, "z")
    elif s.db.delete(key):
        s.changed(key, "del", "g")
    return len(members)


def pop_options(argv: list[bytes], at: int) -> tuple[list[bytes], bool, int]:
    """`numkeys key... (MIN|MAX) [COUNT count]`, from argument `at` on: keys, the lowest?, count."""
    args = Cursor(argv, at)
    keys = args.take_many(args.take_int(1, error=BAD_NUMKEYS))
    where = args.take_word()
    if where not in (b"MIN", b"MAX"):
        raise SYNTAX
    count = args.take_int(1, error=BAD_COUNT) if args.accept(b"COUNT") else 1
    args.end()
    return keys, where == b"MIN", count


def pop(s: Session, key: bytes, members: ZSet, lowest: bool, count: int | None) -> Reply:
    """Pop one member (`count` is None) or several, tell everyone, and reply with the key's name."""
    verb, event = (b"ZPOPMIN", "zpopmin") if lowest else (b"ZPOPMAX", "zpopmax")
    popped = [members.pop(lowest) for _ in range(min(1 if count is None else count, len(members)))]
    s.effect(verb, key, *([] if count is None else [b"%d" % len(popped)]))
    s.changed(key, event, "z", len(popped))
    s.drop_if_empty(key, members)
    return [key, *popped[0]] if count is None else [key, popped]


def blocking_pop(s: Session, keys: list[bytes], lowest: bool, count: int | None, timeout_ms: int) -> Reply:
    """BZPOPMIN, BZPOPMAX and BZMPOP."""

    def take(session: Session) -> Reply | None:
        for key in keys:
            members = session.write(key, ZSet)
            if members is not None:
                return pop(session, key, members, lowest, count)
        return None

    return take(s) or Blocked(keys, timeout_ms, take, kind="zset")
