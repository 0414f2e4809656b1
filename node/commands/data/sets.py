"""Set commands: what is not native. The algebra itself is the engine's (node/engine/types/setops.pyx)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.data.randoms import check_repeats, take_random_count
from node.commands.table.cursor import Cursor
from node.commands.table.spec import command, native
from node.engine.types.set import Set
from node.engine.types.setops import difference, intersection, intersection_size, union
from node.replies import SYNTAX, CommandError, Reply, ReplySet

if TYPE_CHECKING:
    from node.engine.session.session import Session

BAD_NUMKEYS = CommandError("ERR numkeys should be greater than 0")
TOO_MANY_KEYS = CommandError("ERR Number of keys can't be greater than number of args")
NEGATIVE_LIMIT = CommandError("ERR LIMIT can't be negative")


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


@command(
    "SDIFF",
    arity=-2,
    flags="readonly",
    keys="1..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Return the members of the first set that are in no other.",
    complexity="O(N), N: members of all sets",
    args="key...",
    tips="nondeterministic_output_order",
)
def sdiff(s: Session, argv: list[bytes]) -> Reply:
    return ReplySet(diff_of(s, argv[1:]).members())


@command(
    "SDIFFSTORE",
    arity=-3,
    flags="write denyoom",
    keys="1 OW update; 2..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Store the members of the first set that are in no other.",
    complexity="O(N), N: members of all sets",
    args="destination:key key#1...",
)
def sdiffstore(s: Session, argv: list[bytes]) -> Reply:
    return store(s, argv[1], diff_of(s, argv[2:]), "sdiffstore")


@command(
    "SINTER",
    arity=-2,
    flags="readonly",
    keys="1..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Return the members that all sets share.",
    complexity="O(N*M), N: members of the smallest set, M: sets",
    args="key...",
    tips="nondeterministic_output_order",
)
def sinter(s: Session, argv: list[bytes]) -> Reply:
    return ReplySet(inter_of(s, argv[1:]).members())


@command(
    "SINTERCARD",
    arity=-3,
    flags="readonly",
    keys="#1 RO access",
    group="set",
    since="7.0.0",
    summary="Count the members that all sets share.",
    complexity="O(N*M), N: members of the smallest set, M: sets",
    args="numkeys:int key... [LIMIT limit:int]",
)
def sintercard(s: Session, argv: list[bytes]) -> Reply:
    args = Cursor(argv)
    numkeys = args.take_int(1, error=BAD_NUMKEYS)
    if numkeys > args.left:
        raise TOO_MANY_KEYS
    keys = args.take_many(numkeys)
    limit = 0
    for word in args.words():
        if word != b"LIMIT" or not args.left:
            raise SYNTAX
        limit = args.take_int(0, error=NEGATIVE_LIMIT)
    sets = present(read_sets(s, keys))
    return intersection_size(sets, limit) if len(sets) == numkeys else 0


@command(
    "SINTERSTORE",
    arity=-3,
    flags="write denyoom",
    keys="1 RW update; 2..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Store the members that all sets share.",
    complexity="O(N*M), N: members of the smallest set, M: sets",
    args="destination:key key#1...",
)
def sinterstore(s: Session, argv: list[bytes]) -> Reply:
    return store(s, argv[1], inter_of(s, argv[2:]), "sinterstore")


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


@command(
    "SMISMEMBER",
    arity=-3,
    flags="readonly fast",
    keys="1 RO access",
    group="set",
    since="6.2.0",
    summary="Tell of several values whether they are members.",
    complexity="O(N), N: values",
    args="key member...",
)
def smismember(s: Session, argv: list[bytes]) -> Reply:
    members = s.read(argv[1], Set)
    return [int(members is not None and member in members) for member in argv[2:]]


@command(
    "SMOVE",
    arity=4,
    flags="write fast",
    keys="1 RW access delete; 2 RW insert",
    group="set",
    since="1.0.0",
    summary="Move a member from one set to another.",
    complexity="O(1)",
    args="source:key destination:key#1 member",
)
def smove(s: Session, argv: list[bytes]) -> Reply:
    _, source, destination, member = argv
    members = s.write(source, Set)
    if members is None:
        return 0
    target = s.write(destination, Set)
    if source == destination:
        return int(member in members)
    if not members.remove(member):
        return 0
    s.changed(source, "srem", "s")
    s.drop_if_empty(source, members)
    if target is None:
        target = Set()
        s.db.set(destination, target)
    if target.add(member):
        s.changed(destination, "sadd", "s")
    return 1


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


@command(
    "SRANDMEMBER",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="set",
    since="1.0.0",
    summary="Return members chosen at random.",
    complexity="O(N), N: members returned",
    args="key [count:int @2.6.0]",
    tips="nondeterministic_output",
    history={"2.6.0": "`count`."},
)
def srandmember(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX
    count = take_random_count(argv[2]) if len(argv) == 3 else None
    members = s.read(argv[1], Set)
    if members is None:
        return None if count is None else []
    if count is None:
        return members.random()
    if count >= 0:
        return members.sample(count)
    return [members.random() for _ in range(check_repeats(s, -count))]


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


@command(
    "SUNION",
    arity=-2,
    flags="readonly",
    keys="1..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Return the members of all sets together.",
    complexity="O(N), N: members of all sets",
    args="key...",
    tips="nondeterministic_output_order",
)
def sunion(s: Session, argv: list[bytes]) -> Reply:
    return ReplySet(union_of(s, argv[1:]).members())


@command(
    "SUNIONSTORE",
    arity=-3,
    flags="write denyoom",
    keys="1 OW update; 2..-1 RO access",
    group="set",
    since="1.0.0",
    summary="Store the members of all sets together.",
    complexity="O(N), N: members of all sets",
    args="destination:key key#1...",
)
def sunionstore(s: Session, argv: list[bytes]) -> Reply:
    return store(s, argv[1], union_of(s, argv[2:]), "sunionstore")


def read_sets(s: Session, keys: list[bytes]) -> list[Set | None]:
    """All of them are looked at before anything is computed: each may be of the wrong type."""
    return [s.read(key, Set) for key in keys]


def present(sets: list[Set | None]) -> list[Set]:
    return [members for members in sets if members is not None]


def union_of(s: Session, keys: list[bytes]) -> Set:
    return union(present(read_sets(s, keys)))


def inter_of(s: Session, keys: list[bytes]) -> Set:
    """An absent key is an empty set."""
    sets = present(read_sets(s, keys))
    return intersection(sets) if len(sets) == len(keys) else Set()


def diff_of(s: Session, keys: list[bytes]) -> Set:
    first, *others = read_sets(s, keys)
    if first is None:
        return Set()
    return difference(first, present(others))


def store(s: Session, key: bytes, members: Set, event: str) -> int:
    """Put a computed set in place of whatever the key holds; an empty one deletes the key."""
    if len(members):
        s.db.set(key, members)
        s.changed(key, event, "s")
    elif s.db.delete(key):
        s.changed(key, "del", "g")
    return len(members)
