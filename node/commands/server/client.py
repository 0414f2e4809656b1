"""CLIENT: what a connection can say about itself and do to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node import flags
from node.commands.server.client_filters import Filters, letters
from node.commands.table.cursor import require_int, require_timeout_ms
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.structures.numbers import parse_int64 as parse_int
from node.replies import NO_REPLY, OK, SYNTAX, CommandError, Reply, ReplySet, Verbatim
from node.requests.clients import check_name, count_names

if TYPE_CHECKING:
    from node.engine.session.session import Session


container(
    "CLIENT",
    arity=-2,
    acl="-connection",
    group="connection",
    since="2.4.0",
    summary="Commands about client connections.",
    complexity="that of the subcommand",
)


@command(
    "CLIENT GETNAME",
    arity=2,
    flags="noscript loading stale",
    group="connection",
    since="2.6.9",
    summary="Return the name of the connection.",
    complexity="O(1)",
)
def client_getname(s: Session, argv: list[bytes]) -> Reply:
    return s.name or None


@command(
    "CLIENT GETREDIR",
    arity=2,
    flags="noscript loading stale",
    group="connection",
    since="6.0.0",
    summary="Return the client that receives this connection's invalidation messages.",
    complexity="O(1)",
)
def client_getredir(s: Session, argv: list[bytes]) -> Reply:
    return -1


help_for("CLIENT", group="connection", since="5.0.0")


@command(
    "CLIENT ID",
    arity=2,
    flags="noscript loading stale",
    group="connection",
    since="5.0.0",
    summary="Return the id of the connection.",
    complexity="O(1)",
)
def client_id(s: Session, argv: list[bytes]) -> Reply:
    return s.id


@command(
    "CLIENT INFO",
    arity=2,
    flags="noscript loading stale",
    group="connection",
    since="6.2.0",
    summary="Describe the connection in one line.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def client_info(s: Session, argv: list[bytes]) -> Reply:
    return Verbatim(describe(s) + b"\n")


@command(
    "CLIENT KILL",
    arity=-3,
    flags="admin noscript loading stale",
    group="connection",
    since="2.4.0",
    summary="Close connections chosen by address or filters.",
    complexity="O(N), N: connections",
    args=(
        "(address !2.8.12|([ID client-id:int @2.8.12]|[TYPE (NORMAL|MASTER @3.2.0|SLAVE|REPLICA "
        "@5.0.0|PUBSUB)=normal_master_slave_pubsub @2.8.12]|[USER username]|[ADDR address]|[LADDR address "
        "@6.2.0]|[SKIPME yes/no])=new-format...)=filter"
    ),
    history={
        "2.8.12": "The filter form; `ID`.",
        "3.2.0": "`TYPE master`.",
        "5.0.0": "`TYPE replica`; `slave` stays an alias.",
        "6.2.0": "`LADDR`.",
        "7.4.0": "`MAXAGE`.",
        "9.0.0": "`IP`, `NAME`, `FLAGS`, `IDLE`, `DB`, `LIB-NAME`, `LIB-VER`, several ids, and opposites (Valkey).",
    },
)
def client_kill(s: Session, argv: list[bytes]) -> Reply:
    clients = list(s.node.clients.by_id.values())
    if len(argv) == 3:
        chosen = [client for client in clients if client.peer == argv[2]][:1]
        if not chosen:
            raise CommandError("ERR No such client")
        kill(s, chosen)
        return OK
    filters = Filters(s, argv[2:], skip_me=True)
    chosen = [client for client in clients if filters.passes(client)]
    kill(s, chosen)
    return len(chosen)


@command(
    "CLIENT LIST",
    arity=-2,
    flags="admin noscript loading stale",
    group="connection",
    since="2.4.0",
    summary="Describe every connection, one a line.",
    complexity="O(N), N: connections",
    args="[TYPE (NORMAL|MASTER|REPLICA|PUBSUB)=normal_master_replica_pubsub @5.0.0] [ID (client-id:int...)=id @6.2.0]",
    tips="nondeterministic_output",
    history={
        "2.8.12": "The field `id`.",
        "5.0.0": "`TYPE`.",
        "6.0.0": "The field `user`.",
        "6.2.0": "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the filter `ID`.",
        "7.0.0": "The fields `resp`, `multi-mem`, `rbs` and `rbp`.",
        "7.0.3": "The field `ssub`.",
        "7.2.0": "The fields `lib-name` and `lib-ver`.",
        "8.0.0": "The fields `watch`, `tot-net-in`, `tot-net-out` and `tot-cmds`.",
        "9.0.0": "The filters of `CLIENT KILL` (Valkey).",
    },
)
def client_list(s: Session, argv: list[bytes]) -> Reply:
    clients = list(s.node.clients.by_id.values())
    if len(argv) == 3:
        raise SYNTAX
    if argv[2:3] and argv[2].upper() == b"ID":
        by_id = s.node.clients.by_id
        if require_int(argv[3], INVALID_ID) and all(parse_int(arg) is not None for arg in argv[3:]):
            # Only ids: the lines come in their order, and as often.
            return lines_of(s, [by_id[id] for arg in argv[3:] if (id := require_int(arg)) in by_id])
    filters = Filters(s, argv[2:], skip_me=False)
    return lines_of(s, [client for client in clients if filters.passes(client)])


def lines_of(s: Session, clients: list[Session]) -> Reply:
    return Verbatim(b"".join(describe(client) + b"\n" for client in clients))


@command(
    "CLIENT NO-EVICT",
    arity=3,
    flags="admin noscript loading stale",
    group="connection",
    since="7.0.0",
    summary="Exempt the connection from being closed to save memory.",
    complexity="O(1)",
    args="(ON|OFF)=enabled",
)
def client_no_evict(s: Session, argv: list[bytes]) -> Reply:
    switch(s, argv[2], flags.NO_EVICT)
    return OK


@command(
    "CLIENT NO-TOUCH",
    arity=3,
    flags="noscript loading stale",
    group="connection",
    since="7.2.0",
    summary="Let the connection's commands leave access times and frequencies alone.",
    complexity="O(1)",
    args="(ON|OFF)=enabled",
)
def client_no_touch(s: Session, argv: list[bytes]) -> Reply:
    switch(s, argv[2], flags.NO_TOUCH)
    return OK


@command(
    "CLIENT PAUSE",
    arity=-3,
    flags="admin noscript loading stale",
    group="connection",
    since="3.0.0",
    summary="Hold back the commands of all clients for some time.",
    complexity="O(1)",
    args="timeout:int [(WRITE|ALL)=mode @6.2.0]",
    history={"6.2.0": "The mode `WRITE`."},
)
def client_pause(s: Session, argv: list[bytes]) -> Reply:
    duration_ms = require_timeout_ms(argv[2])
    mode = argv[3].upper() if len(argv) == 4 else b"ALL"
    if len(argv) > 4 or mode not in (b"WRITE", b"ALL"):
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    s.node.pause.start(s.node.space.now_ms + duration_ms, all_commands=mode == b"ALL")
    return OK


@command(
    "CLIENT REPLY",
    arity=3,
    flags="noscript loading stale",
    group="connection",
    since="3.2.0",
    summary="Turn the replies to this connection on or off, or skip the next one.",
    complexity="O(1)",
    args="(ON|OFF|SKIP)=on_off_skip",
)
def client_reply(s: Session, argv: list[bytes]) -> Reply:
    match argv[2].upper():
        case b"ON":
            s.flags &= ~(flags.REPLY_OFF | flags.REPLY_SKIP | flags.REPLY_SKIP_NEXT)
            return OK
        case b"OFF":
            s.mute()
        case b"SKIP":
            s.skip_reply()
        case _:
            raise SYNTAX
    return NO_REPLY


@command(
    "CLIENT SETINFO",
    arity=4,
    flags="noscript loading stale",
    group="connection",
    since="7.2.0",
    summary="Record the name or version of the client's library.",
    complexity="O(1)",
    args="(LIB-NAME libname|LIB-VER libver)=attr",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def client_setinfo(s: Session, argv: list[bytes]) -> Reply:
    option = argv[2].lower()
    if option not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '%s'" % argv[2])
    check_name(argv[3], argv[2].decode("utf-8", "replace"))
    if option == b"lib-name":
        s.lib_name = argv[3]
    else:
        s.lib_ver = argv[3]
    count_names(s)
    return OK


@command(
    "CLIENT SETNAME",
    arity=3,
    flags="noscript loading stale",
    group="connection",
    since="2.6.9",
    summary="Name the connection.",
    complexity="O(1)",
    args="connection-name",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def client_setname(s: Session, argv: list[bytes]) -> Reply:
    check_name(argv[2])
    s.name = argv[2]
    count_names(s)
    return OK


@command(
    "CLIENT TRACKINGINFO",
    arity=2,
    flags="noscript loading stale",
    group="connection",
    since="6.2.0",
    summary="Return the state of tracking for the connection.",
    complexity="O(1)",
)
def client_trackinginfo(s: Session, argv: list[bytes]) -> Reply:
    return {b"flags": ReplySet([b"off"]), b"redirect": -1, b"prefixes": []}


@command(
    "CLIENT UNBLOCK",
    arity=-3,
    flags="admin noscript loading stale",
    group="connection",
    since="5.0.0",
    summary="Release a client that waits in a blocking command.",
    complexity="O(log(N)), N: connections",
    args="client-id:int [(TIMEOUT|ERROR)=timeout_error]",
)
def client_unblock(s: Session, argv: list[bytes]) -> Reply:
    client_id = require_int(argv[2])
    reason = argv[3].upper() if len(argv) == 4 else b"TIMEOUT"
    if len(argv) > 4 or reason not in (b"TIMEOUT", b"ERROR"):
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = s.node.clients.by_id.get(client_id)
    return int(target is not None and s.node.blocking.unblock(target, error=reason == b"ERROR"))


@command(
    "CLIENT UNPAUSE",
    arity=2,
    flags="admin noscript loading stale",
    group="connection",
    since="6.2.0",
    summary="End a pause of the clients.",
    complexity="O(N), N: paused clients",
)
def client_unpause(s: Session, argv: list[bytes]) -> Reply:
    s.node.pause.end()
    return OK


INVALID_ID = CommandError("ERR Invalid client ID")


def switch(s: Session, word: bytes, flag: int) -> None:
    """Set or clear a flag of the session, as ON or OFF says."""
    if word.upper() == b"ON":
        s.flags |= flag
    elif word.upper() == b"OFF":
        s.flags &= ~flag
    else:
        raise SYNTAX


def kill(s: Session, chosen: list[Session]) -> None:
    """Close connections; the caller's own only after it has its reply."""
    for client in chosen:
        if client is s:
            s.flags |= flags.CLOSE
        else:
            s.node.clients.disconnect(client)


REPLY_BLOCK = 16384
"""Output up to here is shown as `obl`; what is beyond, as `oll` blocks of `omem` bytes, as Redis keeps it."""


def describe(client: Session) -> bytes:
    """One line of CLIENT LIST."""
    own = client.subscriptions
    now_ms = client.engine.space.now_ms
    queued = -1 if client.multi is None else len(client.multi)
    waiting = client.output_bytes
    beyond = max(0, waiting - REPLY_BLOCK)
    fields: dict[str, Any] = {
        "id": client.id,
        "addr": (client.peer or b"").decode(),
        "laddr": (client.local or b"").decode(),
        "fd": client.file_descriptor,
        "name": client.name.decode("utf-8", "surrogateescape"),
        "age": max(0, now_ms - client.created_ms) // 1000,
        "idle": max(0, now_ms - client.active_ms) // 1000,
        "flags": letters(client),
        "db": client.db.index,
        "sub": len(own.channels) if own else 0,
        "psub": len(own.patterns) if own else 0,
        "ssub": len(own.shard_channels) if own else 0,
        "multi": queued,
        "qbuf": client.input_bytes,
        "qbuf-free": max(0, client.input_capacity - client.input_bytes - client.parsed_bytes),
        "argv-mem": client.waiting_bytes + client.parsed_bytes,
        "multi-mem": client.multi_bytes + client.watched_bytes,
        "rbs": client.output_capacity,
        "rbp": client.output_capacity,
        "obl": min(waiting, REPLY_BLOCK),
        "oll": -(-beyond // REPLY_BLOCK) + (client.reader.blocks_left if client.reader is not None else 0),
        "omem": beyond + (client.reader.memory_bytes if client.reader is not None else 0),
        "tot-mem": client.memory_bytes,
        "events": "rw" if waiting else "r",
        "cmd": client.command.name.decode() if client.command is not None else "NULL",
        "user": (client.user or b"default").decode("utf-8", "surrogateescape"),
        "redir": -1,
        "resp": client.proto,
        "lib-name": client.lib_name.decode("utf-8", "surrogateescape"),
        "lib-ver": client.lib_ver.decode("utf-8", "surrogateescape"),
        "watch": len(client.watched or ()),
        "tot-net-in": client.bytes_in,
        "tot-net-out": client.bytes_out,
        "tot-cmds": client.commands,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode("utf-8", "surrogateescape")
