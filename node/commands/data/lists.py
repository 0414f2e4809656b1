"""List commands: what is not native, and the commands that wait for a list to have elements.

A waiting command returns Blocked. When a list of its keys changes it is asked again and then does what it would have
done at once; what it did is replicated as the plain command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import INT64_MAX, INT64_MIN, Cursor, require_int, require_timeout
from node.commands.table.spec import command, native
from node.engine.types.list import List
from node.replies import (
    NO_SUCH_KEY,
    NULL_ARRAY,
    OK,
    OUT_OF_RANGE,
    SYNTAX,
    Blocked,
    CommandError,
    Reply,
)

if TYPE_CHECKING:
    from node.engine.session.session import Session

ZERO_RANK = CommandError(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    "or use negative to start from the end of the list"
)
BAD_RANK = CommandError(f"ERR value is out of range, value must between {INT64_MIN + 1} and {INT64_MAX}")
NEGATIVE_COUNT = CommandError("ERR COUNT can't be negative")
NEGATIVE_MAXLEN = CommandError("ERR MAXLEN can't be negative")
BAD_NUMKEYS = CommandError("ERR numkeys should be greater than 0")
BAD_COUNT = CommandError("ERR count should be greater than 0")


@command(
    "BLMOVE",
    arity=6,
    flags="write denyoom blocking",
    keys="1 RW access delete; 2 RW insert",
    group="list",
    since="6.2.0",
    summary="Move an element from one list to another, waiting for one if there is none.",
    complexity="O(1)",
    args="source:key destination:key#1 (LEFT|RIGHT)=wherefrom (LEFT|RIGHT)=whereto timeout:float",
)
def blmove(s: Session, argv: list[bytes]) -> Reply:
    from_left, to_left = is_left(argv[3]), is_left(argv[4])
    return blocking_move(s, argv, from_left, to_left, require_timeout(argv[5]))


@command(
    "BLMPOP",
    arity=-5,
    flags="write blocking",
    keys="#2 RW access delete",
    group="list",
    since="7.0.0",
    summary="Pop elements from the first list that has any, waiting if none has.",
    complexity="O(N+M), N: keys, M: elements returned",
    args="timeout:float numkeys:int key... (LEFT|RIGHT)=where [COUNT count:int]",
)
def blmpop(s: Session, argv: list[bytes]) -> Reply:
    keys, left, count = pop_options(argv, 2)
    return blocking_pop(s, keys, left, count, require_timeout(argv[1]))


@command(
    "BLPOP",
    arity=-3,
    flags="write blocking",
    keys="1..-2 RW access delete",
    group="list",
    since="2.0.0",
    summary="Pop the first element of the first list that has any, waiting if none has.",
    complexity="O(N), N: keys",
    args="key... timeout:float",
    history={"6.0.0": "`timeout` may be fractional."},
)
def blpop(s: Session, argv: list[bytes]) -> Reply:
    return blocking_pop(s, argv[1:-1], True, None, require_timeout(argv[-1]))


@command(
    "BRPOP",
    arity=-3,
    flags="write blocking",
    keys="1..-2 RW access delete",
    group="list",
    since="2.0.0",
    summary="Pop the last element of the first list that has any, waiting if none has.",
    complexity="O(N), N: keys",
    args="key... timeout:float",
    history={"6.0.0": "`timeout` may be fractional."},
)
def brpop(s: Session, argv: list[bytes]) -> Reply:
    return blocking_pop(s, argv[1:-1], False, None, require_timeout(argv[-1]))


@command(
    "BRPOPLPUSH",
    arity=4,
    flags="write denyoom blocking",
    keys="1 RW access delete; 2 RW insert",
    group="list",
    since="2.2.0",
    summary="Move the last element of a list to the head of another, waiting for one if there is none.",
    complexity="O(1)",
    args="source:key destination:key#1 timeout:float",
    history={"6.0.0": "`timeout` may be fractional."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`BLMOVE` with the `RIGHT` and `LEFT` arguments",
)
def brpoplpush(s: Session, argv: list[bytes]) -> Reply:
    return blocking_move(s, argv, False, True, require_timeout(argv[3]))


@command(
    "LINDEX",
    arity=3,
    flags="readonly",
    keys="1 RO access",
    group="list",
    since="1.0.0",
    summary="Return the element at an index.",
    complexity="O(N), N: elements between the nearer end and the index",
    args="key index:int",
)
def lindex(s: Session, argv: list[bytes]) -> Reply:
    values = s.read(argv[1], List)
    return None if values is None else values.index(require_int(argv[2]))


@command(
    "LINSERT",
    arity=5,
    flags="write denyoom",
    keys="1 RW insert",
    group="list",
    since="2.2.0",
    summary="Insert an element before or after another one.",
    complexity="O(N), N: elements before the pivot",
    args="key (BEFORE|AFTER)=where pivot element",
)
def linsert(s: Session, argv: list[bytes]) -> Reply:
    _, key, where, pivot, element = argv
    where = where.upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise SYNTAX
    values = s.write(key, List)
    if values is None:
        return 0
    if not values.insert(pivot, element, where == b"BEFORE"):
        return -1
    s.changed(key, "linsert", "l")
    return len(values)


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


@command(
    "LMOVE",
    arity=5,
    flags="write denyoom",
    keys="1 RW access delete; 2 RW insert",
    group="list",
    since="6.2.0",
    summary="Move an element from one end of a list to one end of another.",
    complexity="O(1)",
    args="source:key destination:key#1 (LEFT|RIGHT)=wherefrom (LEFT|RIGHT)=whereto",
)
def lmove(s: Session, argv: list[bytes]) -> Reply:
    return move(s, argv[1], argv[2], is_left(argv[3]), is_left(argv[4]))


@command(
    "LMPOP",
    arity=-4,
    flags="write",
    keys="#1 RW access delete",
    group="list",
    since="7.0.0",
    summary="Pop elements from the first list that has any.",
    complexity="O(N+M), N: keys, M: elements returned",
    args="numkeys:int key... (LEFT|RIGHT)=where [COUNT count:int]",
)
def lmpop(s: Session, argv: list[bytes]) -> Reply:
    keys, left, count = pop_options(argv, 1)
    for key in keys:
        values = s.write(key, List)
        if values is not None:
            return pop(s, key, values, left, count)
    return NULL_ARRAY


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


@command(
    "LPOS",
    arity=-3,
    flags="readonly",
    keys="1 RO access",
    group="list",
    since="6.0.6",
    summary="Find the positions of an element.",
    complexity="O(N), N: elements looked at",
    args="key element [RANK rank:int] [COUNT num-matches:int] [MAXLEN len:int]",
)
def lpos(s: Session, argv: list[bytes]) -> Reply:
    rank, count, maxlen = 1, None, 0
    args = Cursor(argv, 3)
    for word in args.words():
        if word == b"RANK" and args.left:
            rank = args.take_int()
            if rank == 0:
                raise ZERO_RANK
            if rank == INT64_MIN:
                raise BAD_RANK
        elif word == b"COUNT" and args.left:
            count = args.take_int(0, error=NEGATIVE_COUNT)
        elif word == b"MAXLEN" and args.left:
            maxlen = args.take_int(0, error=NEGATIVE_MAXLEN)
        else:
            raise SYNTAX
    values = s.read(argv[1], List)
    found = [] if values is None else values.positions(argv[2], rank, 1 if count is None else count, maxlen)
    if count is None:
        return found[0] if found else None
    return found


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


@command(
    "LREM",
    arity=4,
    flags="write",
    keys="1 RW delete",
    group="list",
    since="1.0.0",
    summary="Remove elements equal to a value.",
    complexity="O(N+M), N: length of the list, M: elements removed",
    args="key count:int element",
)
def lrem(s: Session, argv: list[bytes]) -> Reply:
    _, key, _, element = argv
    count = max(require_int(argv[2]), INT64_MIN + 1)
    values = s.write(key, List)
    if values is None:
        return 0
    removed = values.remove(element, count)
    if removed:
        s.changed(key, "lrem", "l", removed)
        s.drop_if_empty(key, values)
    return removed


@command(
    "LSET",
    arity=4,
    flags="write denyoom",
    keys="1 RW update",
    group="list",
    since="1.0.0",
    summary="Replace the element at an index.",
    complexity="O(N), N: length of the list; O(1) at both ends",
    args="key index:int element",
)
def lset(s: Session, argv: list[bytes]) -> Reply:
    _, key, index, element = argv
    values = s.write(key, List)
    if values is None:
        raise NO_SUCH_KEY
    try:
        values.set(require_int(index), element)
    except IndexError:
        raise OUT_OF_RANGE from None
    s.changed(key, "lset", "l")
    return OK


@command(
    "LTRIM",
    arity=4,
    flags="write",
    keys="1 RW delete",
    group="list",
    since="1.0.0",
    summary="Keep only a range of indexes.",
    complexity="O(N), N: elements removed",
    args="key start:int stop:int",
)
def ltrim(s: Session, argv: list[bytes]) -> Reply:
    key, start, stop = argv[1], require_int(argv[2]), require_int(argv[3])
    values = s.write(key, List)
    if values is None:
        return OK
    before = len(values)
    values.trim(start, stop)
    s.changed(key, "ltrim", "l", before - len(values))
    s.drop_if_empty(key, values)
    return OK


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


@command(
    "RPOPLPUSH",
    arity=3,
    flags="write denyoom",
    keys="1 RW access delete; 2 RW insert",
    group="list",
    since="1.2.0",
    summary="Move the last element of a list to the head of another.",
    complexity="O(1)",
    args="source:key destination:key#1",
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`LMOVE` with the `RIGHT` and `LEFT` arguments",
)
def rpoplpush(s: Session, argv: list[bytes]) -> Reply:
    return move(s, argv[1], argv[2], False, True)


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


def is_left(word: bytes) -> bool:
    """LEFT or RIGHT."""
    word = word.upper()
    if word not in (b"LEFT", b"RIGHT"):
        raise SYNTAX
    return word == b"LEFT"


def pop_options(argv: list[bytes], at: int) -> tuple[list[bytes], bool, int]:
    """`numkeys key... (LEFT|RIGHT) [COUNT count]`, from argument `at` on: keys, from the left?, count."""
    args = Cursor(argv, at)
    keys = args.take_many(args.take_int(1, error=BAD_NUMKEYS))
    left = is_left(args.take())
    count = args.take_int(1, error=BAD_COUNT) if args.accept(b"COUNT") else 1
    args.end()
    return keys, left, count


def pop(s: Session, key: bytes, values: List, left: bool, count: int | None) -> Reply:
    """Pop one element (`count` is None) or several, tell everyone, and reply with the key's name."""
    verb, event = (b"LPOP", "lpop") if left else (b"RPOP", "rpop")
    popped: Reply
    if count is None:
        popped = values.pop(left)
        s.effect(verb, key)
        s.changed(key, event, "l")
    else:
        popped = values.pop_many(left, min(count, len(values)))
        s.effect(verb, key, b"%d" % len(popped))
        s.changed(key, event, "l", len(popped))
    s.drop_if_empty(key, values)
    return [key, popped]


def blocking_pop(s: Session, keys: list[bytes], left: bool, count: int | None, timeout_ms: int) -> Reply:
    """BLPOP, BRPOP and BLMPOP."""

    def take(session: Session) -> Reply | None:
        for key in keys:
            values = session.write(key, List)
            if values is not None:
                return pop(session, key, values, left, count)
        return None

    return take(s) or Blocked(keys, timeout_ms, take)


def move(s: Session, source: bytes, destination: bytes, from_left: bool, to_left: bool) -> bytes | None:
    """Take an element from one end of a list to one end of another, which may be the same list."""
    values = s.write(source, List)
    if values is None:
        return None
    target = s.write(destination, List)
    if target is None:
        target = List()
        element: bytes = values.move(target, from_left, to_left)
        s.db.set(destination, target)
    else:
        element = values.move(target, from_left, to_left)
    s.changed(destination, "lpush" if to_left else "rpush", "l")
    s.changed(source, "lpop" if from_left else "rpop", "l", 0)
    s.drop_if_empty(source, values)
    return element


def blocking_move(s: Session, argv: list[bytes], from_left: bool, to_left: bool, timeout_ms: int) -> Reply:
    """BLMOVE and BRPOPLPUSH."""
    source, destination = argv[1], argv[2]
    plain = [b"LMOVE", *argv[1:5]] if len(argv) == 6 else [b"RPOPLPUSH", source, destination]

    def take(session: Session) -> Reply | None:
        element = move(session, source, destination, from_left, to_left)
        if element is not None:
            session.effect(*plain)
        return element

    element = take(s)
    if element is not None or s.flags & (flags.EXEC | flags.SCRIPT):
        return element  # in a transaction None is not the null array that ends a wait
    return Blocked([source], timeout_ms, take)
