"""Commands for keys of any type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.cursor import Cursor
from node.commands.table.help import help_for
from node.commands.table.spec import command, container, native
from node.engine.structures.glob import Glob
from node.replies import NO_SUCH_KEY, OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db
    from node.engine.session.session import Session

SAME_OBJECT = CommandError("ERR source and destination objects are the same")
NO_FREQUENCIES = CommandError(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
)
NO_IDLE_TIMES = CommandError(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. "
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
)
SHARED_INTEGERS = 10_000


@command(
    "COPY",
    arity=-3,
    flags="write denyoom",
    keys="1 RO access; 2 OW update",
    group="generic",
    since="6.2.0",
    summary="Copy the value of a key to another key.",
    complexity="O(N) for collections, N: items inside; O(1) for strings",
    args="source:key destination:key#1 [DB destination-db:int] [REPLACE]",
)
def copy(s: Session, argv: list[bytes]) -> Reply:
    target = s.db
    args = Cursor(argv, 3)
    replace = False
    other_database = False
    for word in args.words():
        if word == b"REPLACE":
            replace = True
        elif word == b"DB" and args.left:
            index = take_db_index(s, args)
            other_database = s.node.engine.cluster and index != 0
            target = s.db if other_database else s.node.space.dbs[index]
        else:
            raise SYNTAX
    if other_database:
        raise CommandError("ERR Copying to another database is not allowed in cluster mode")
    _, source, destination = argv[:3]
    if target is s.db and source == destination:
        raise SAME_OBJECT
    if not s.touch(source) or (destination in target and not replace):
        return 0
    s.db.copy(source, target, destination)
    tell(s, target, destination, "copy_to")
    s.engine.space.dirty += 1
    return 1


native(
    "DEL",
    arity=-2,
    flags="write",
    keys="1..-1 RM delete",
    group="generic",
    since="1.0.0",
    summary="Delete keys.",
    complexity="O(N), N: keys; a collection adds its number of elements",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
)

native(
    "EXISTS",
    arity=-2,
    flags="readonly fast",
    keys="1..-1 RO",
    group="generic",
    since="1.0.0",
    summary="Count how many of the keys exist.",
    complexity="O(N), N: keys",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
    history={"3.0.3": "More than one `key`."},
)


@command(
    "KEYS",
    arity=2,
    flags="readonly",
    acl="dangerous",
    group="generic",
    since="1.0.0",
    summary="Return the keys that match a pattern.",
    complexity="O(N), N: keys in the database",
    args="pattern:pattern",
    tips="request_policy:all_shards nondeterministic_output_order",
)
def keys(s: Session, argv: list[bytes]) -> Reply:
    if argv[1] == b"*":
        return s.db.keys()
    return s.db.keys(Glob(argv[1]))


@command(
    "MOVE",
    arity=3,
    flags="write fast",
    keys="1 RW access update",
    group="generic",
    since="1.0.0",
    summary="Move a key to another database.",
    complexity="O(1)",
    args="key db:int",
)
def move(s: Session, argv: list[bytes]) -> Reply:
    if s.node.engine.cluster:
        raise CommandError("ERR MOVE is not allowed in cluster mode")
    key = argv[1]
    target = s.node.space.dbs[take_db_index(s, Cursor(argv, 2))]
    if target is s.db:
        raise SAME_OBJECT
    taken = s.db.take(key) if key in s.db and key not in target else None
    if taken is None:
        return 0
    value, expire_ms = taken
    target.set(key, value)
    if expire_ms is not None:
        target.set_expire(key, expire_ms)
    s.changed(key, "move_from", "g")
    tell(s, target, key, "move_to")
    return 1


container(
    "OBJECT",
    arity=-2,
    acl="-keyspace",
    group="generic",
    since="2.2.3",
    summary="Commands that look inside values.",
    complexity="that of the subcommand",
)


@command(
    "OBJECT ENCODING",
    arity=3,
    flags="readonly",
    keys="2 RO",
    group="generic",
    since="2.2.3",
    summary="Return the name of a value's internal representation.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
)
def object_encoding(s: Session, argv: list[bytes]) -> Reply:
    encoding = s.db.encoding(argv[2]) if s.db.exists(argv[2]) else None
    return None if encoding is None else encoding.encode()


@command(
    "OBJECT FREQ",
    arity=3,
    flags="readonly",
    keys="2 RO",
    group="generic",
    since="4.0.0",
    summary="Return the logarithmic counter of accesses to a key.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
)
def object_freq(s: Session, argv: list[bytes]) -> Reply:
    if not s.db.exists(argv[2]):
        return None
    if not s.node.space.lfu:
        raise NO_FREQUENCIES
    return s.db.freq(argv[2])


help_for("OBJECT", group="generic", since="6.2.0")


@command(
    "OBJECT IDLETIME",
    arity=3,
    flags="readonly",
    keys="2 RO",
    group="generic",
    since="2.2.3",
    summary="Return the seconds since the last access to a key.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
)
def object_idletime(s: Session, argv: list[bytes]) -> Reply:
    if not s.db.exists(argv[2]):
        return None
    if s.node.space.lfu:
        raise NO_IDLE_TIMES
    return s.db.idle_s(argv[2])


@command(
    "OBJECT REFCOUNT",
    arity=3,
    flags="readonly",
    keys="2 RO",
    group="generic",
    since="2.2.3",
    summary="Return the number of references to a value.",
    complexity="O(1)",
    args="key",
    tips="nondeterministic_output",
)
def object_refcount(s: Session, argv: list[bytes]) -> Reply:
    if not s.db.exists(argv[2]):
        return None
    # Nothing is shared here; but Redis shares small integers, unless each needs a clock of its own for eviction, and
    # says so with the largest C int.
    config = s.node.config
    may_share = not config["maxmemory"] or not config["maxmemory-policy"].endswith(("lru", "lfu"))
    value = s.db.peek(argv[2]) if may_share and s.db.encoding(argv[2]) == "int" else None
    shared = isinstance(value, bytes) and 0 <= int(value) < SHARED_INTEGERS
    return 2**31 - 1 if shared else 1


@command(
    "RANDOMKEY",
    arity=1,
    flags="readonly touches_arbitrary_keys",
    group="generic",
    since="1.0.0",
    summary="Return a key chosen at random.",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:special nondeterministic_output",
)
def randomkey(s: Session, argv: list[bytes]) -> Reply:
    return s.db.random_key()


@command(
    "RENAME",
    arity=3,
    flags="write",
    keys="1 RW access delete; 2 OW update",
    group="generic",
    since="1.0.0",
    summary="Give a key another name, replacing what was there.",
    complexity="O(1)",
    args="key newkey:key#1",
)
def rename(s: Session, argv: list[bytes]) -> Reply:
    if argv[1] not in s.db:
        raise NO_SUCH_KEY
    if argv[1] != argv[2]:
        give_name(s, argv[1], argv[2])
    return OK


@command(
    "RENAMENX",
    arity=3,
    flags="write fast",
    keys="1 RW access delete; 2 OW insert",
    group="generic",
    since="1.0.0",
    summary="Give a key another name if that name is free.",
    complexity="O(1)",
    args="key newkey:key#1",
    history={"3.2.0": "Source and destination may be the same."},
)
def renamenx(s: Session, argv: list[bytes]) -> Reply:
    if argv[1] not in s.db:
        raise NO_SUCH_KEY
    if argv[2] in s.db:
        return 0
    give_name(s, argv[1], argv[2])
    return 1


@command(
    "TOUCH",
    arity=-2,
    flags="readonly fast",
    keys="1..-1 RO",
    group="generic",
    since="3.2.1",
    summary="Count how many of the keys exist, and refresh their access times.",
    complexity="O(N), N: keys",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def touch(s: Session, argv: list[bytes]) -> Reply:
    return sum(map(s.touch, argv[1:]))


@command(
    "TYPE",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="generic",
    since="1.0.0",
    summary="Return the type of the value of a key.",
    complexity="O(1)",
    args="key",
)
def type_(s: Session, argv: list[bytes]) -> Reply:
    return s.db.type_of(argv[1]) if s.exists(argv[1]) else "none"


@command(
    "UNLINK",
    arity=-2,
    flags="write fast",
    keys="1..-1 RM delete",
    group="generic",
    since="4.0.0",
    summary="Delete keys and free their memory later.",
    complexity="O(1) a key; freeing costs O(N), N: allocations",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def unlink(s: Session, argv: list[bytes]) -> Reply:
    removed = 0
    for key in argv[1:]:
        if s.db.delete(key, lazy=True):
            s.changed(key, "del", "g")
            removed += 1
    return removed


def take_db_index(s: Session, args: Cursor) -> int:
    """The number of a database of the configuration. A cluster has only the first; what the others mean there, the
    caller says."""
    index = args.take_int(-(2**31), 2**31 - 1)
    if not 0 <= index < s.node.config["databases"]:
        raise CommandError("ERR DB index is out of range")
    return index


def give_name(s: Session, key: bytes, name: bytes) -> None:
    """Move a value to another name and tell of both."""
    s.db.rename(key, name)
    s.changed(key, "rename_from", "g")
    s.changed(name, "rename_to", "g", 0)


def tell(s: Session, db: Db, key: bytes, event: str) -> None:
    """What Session.changed tells about a key of the client's database, for one of another database."""
    if s.engine.hooks:
        s.node.key_changed(s, db, key, event, "g")


def delete_instead(s: Session, key: bytes) -> None:
    """What a command does comes to this: the key goes, if it is there. Replicas are told so."""
    if s.db.delete(key):
        s.effect(b"DEL", key)
        s.changed(key, "del", "g")
