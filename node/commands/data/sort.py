"""SORT and SORT_RO.

The request is read first, word by word, into a Query; then the elements are put in order, then looked up (GET). BY and
GET read keys that the request does not name, which is why a cluster refuses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node import flags
from node.commands.table.cursor import Cursor
from node.commands.table.keyspec import KeyUse
from node.commands.table.spec import command
from node.engine.structures.numbers import parse_weight
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

READ = frozenset({"RO", "access"})
STORED = frozenset({"OW", "update"})

NOT_NUMBERS = CommandError("ERR One or more scores can't be converted into double")
SORTABLE: dict[str | None, type[List] | type[Set] | type[ZSet]] = {"list": List, "set": Set, "zset": ZSet}


def sort_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """The key to sort and the last STORE, the one that counts. Values of other options may look like STORE."""
    uses: list[KeyUse] = [(1, READ)]
    skipped = {b"LIMIT": 2, b"GET": 1, b"BY": 1}
    i = 2
    while i < len(argv):
        word = argv[i].upper()
        if word == b"STORE" and i + 1 < len(argv):
            uses[1:] = [(i + 1, STORED)]
            i += 1
        i += 1 + skipped.get(word, 0)
    return uses


def sort_ro_keys(argv: Sequence[bytes]) -> list[KeyUse]:
    """The key to sort; keys that BY and GET read are not known before the elements are."""
    return [(1, READ)]


@command(
    "SORT",
    arity=-2,
    flags="write denyoom",
    keys=(
        "1 RO access; ? RO access (names found in the values read, for BY and GET); ? OW update "
        "(the word STORE may stand anywhere)"
    ),
    acl="-keyspace set sortedset list dangerous",
    group="generic",
    since="1.0.0",
    summary="Return the elements of a list, set or sorted set in order, or store them.",
    complexity="O(N+M*log(M)), N: elements, M: elements returned; O(N) without sorting",
    args=(
        "key [BY pattern:pattern#1] [LIMIT (offset:int count:int)=offset_count] [GET* pattern:pattern#1...] "
        "[(ASC|DESC)=order] [sorting=ALPHA] [STORE destination:key#2]"
    ),
    extractor=sort_keys,
)
def sort(s: Session, argv: list[bytes]) -> Reply:
    query = read_query(s, argv, may_store=True)
    found = run(s, query)
    return found if query.store is None else store(s, query.store, [value or b"" for value in found])


@command(
    "SORT_RO",
    arity=-2,
    flags="readonly",
    keys="1 RO access; ? RO access (names found in the values read, for BY and GET)",
    acl="-keyspace set sortedset list dangerous",
    group="generic",
    since="7.0.0",
    summary="Return the elements of a list, set or sorted set in order.",
    complexity="O(N+M*log(M)), N: elements, M: elements returned; O(N) without sorting",
    args=(
        "key [BY pattern:pattern#1] [LIMIT (offset:int count:int)=offset_count] [GET* pattern:pattern#1...] "
        "[(ASC|DESC)=order] [sorting=ALPHA]"
    ),
    extractor=sort_ro_keys,
)
def sort_ro(s: Session, argv: list[bytes]) -> Reply:
    return run(s, read_query(s, argv, may_store=False))


@dataclass(slots=True)
class Query:
    """What was asked for."""

    key: bytes
    descending: bool = False
    alpha: bool = False
    start: int = 0
    count: int = -1
    by: bytes | None = None
    unsorted: bool = False
    """BY named a key without a star: the elements keep the order that they have."""
    gets: list[bytes] = field(default_factory=list)
    store: bytes | None = None


def read_query(s: Session, argv: list[bytes], may_store: bool) -> Query:
    query = Query(argv[1])
    args = Cursor(argv, 2)
    for word in args.words():
        if word == b"ASC" or word == b"DESC":
            query.descending = word == b"DESC"
        elif word == b"ALPHA":
            query.alpha = True
        elif word == b"LIMIT" and args.left >= 2:
            query.start, query.count = args.take_int(), args.take_int()
        elif word == b"STORE" and args.left and may_store:
            query.store = args.take()
        elif word == b"BY" and args.left:
            query.by = args.take()
            if b"*" in query.by:
                refuse_other_keys(s, "BY")
            else:
                query.unsorted = True
        elif word == b"GET" and args.left:
            refuse_other_keys(s, "GET")
            query.gets.append(args.take())
        else:
            raise SYNTAX
    return query


def refuse_other_keys(s: Session, option: str) -> None:
    """BY and GET with patterns read keys that nobody has checked."""
    if s.node.engine.cluster:
        raise CommandError(f"ERR {option} option of SORT denied in Cluster mode.")


def run(s: Session, query: Query) -> list[bytes | None]:
    """The elements asked for in their order, or for each of them what GET finds."""
    elements = in_order(s, query)
    start = max(query.start, 0)
    elements = elements[start : start + query.count] if query.count >= 0 else elements[start:]
    if not query.gets:
        return list(elements)
    return [look_up(s, pattern, element) for element in elements for pattern in query.gets]


def in_order(s: Session, query: Query) -> list[bytes]:
    value = s.read(query.key, SORTABLE.get(s.db.type_of(query.key), List))
    if value is None:
        return []
    elements: list[bytes]
    if isinstance(value, Set):
        elements = value.members()
        if query.unsorted and (query.store is not None or s.flags & flags.SCRIPT):
            # A set has no order of its own, and what is stored must be the same on every replica.
            return sorted(elements, reverse=query.descending)
    elif isinstance(value, ZSet):
        elements = [member for member, _ in value.range(0, -1)]
    else:
        elements = value.range(0, -1)
    if query.unsorted:
        return elements[::-1] if query.descending and not isinstance(value, Set) else elements
    return by_text(s, query, elements) if query.alpha else by_number(s, query, elements)


def by_text(s: Session, query: Query, elements: list[bytes]) -> list[bytes]:
    """ALPHA. An element whose weight does not exist comes before all others.

    What is stored must be the same on every replica, whatever its locale is.
    """
    collate = s.node.collate if query.store is None else None
    if query.by is None:
        return sorted(elements, key=collate, reverse=query.descending)
    texts = [look_up(s, query.by, element) for element in elements]
    weights: list[Any] = [(text is not None, collate(text or b"") if collate else text or b"") for text in texts]
    order = sorted(range(len(elements)), key=weights.__getitem__, reverse=query.descending)
    return [elements[i] for i in order]


def by_number(s: Session, query: Query, elements: list[bytes]) -> list[bytes]:
    """A weight that does not exist is 0."""
    weights: list[bytes | None] = [*elements]
    if query.by is not None:
        weights = [look_up(s, query.by, element) for element in elements]
    numbers: list[Any] = [parse_weight(b"0" if weight is None else weight) for weight in weights]
    if None in numbers:
        raise NOT_NUMBERS
    order = list(range(len(elements)))
    if len(set(numbers)) < len(numbers):
        # Equal weights: by the elements themselves, so that the order is always the same.
        order.sort(key=elements.__getitem__, reverse=query.descending)
    order.sort(key=numbers.__getitem__, reverse=query.descending)
    return [elements[i] for i in order]


def look_up(s: Session, pattern: bytes, element: bytes) -> bytes | None:
    """What BY or GET refers to: `#` is the element, `key_*` a string, `key_*->field` a field of a hash."""
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    key_end, _, hash_field = after.partition(b"->")
    if hash_field:
        fields = s.lookup(before + element + key_end)
        return fields.get(hash_field) if type(fields) is Hash else None
    value = s.lookup(before + element + after)
    return value if isinstance(value, bytes) else None


def store(s: Session, key: bytes, elements: list[bytes]) -> int:
    """Put the result as a list in place of whatever the key holds; an empty one deletes the key."""
    if elements:
        values = List()
        for element in elements:
            values.push(element, False)
        s.db.set(key, values)
        s.changed(key, "sortstore", "l", len(elements))
    elif s.db.delete(key):
        s.changed(key, "del", "g")
    return len(elements)
