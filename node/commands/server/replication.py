"""Replication: the commands by which replicas attach to this node, and what it says of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node import flags
from node.commands.server.client import describe
from node.commands.table.cursor import require_int, require_timeout_ms
from node.commands.table.spec import command
from node.persistence.types.kinds import Form
from node.replication.partial import go_on, refusal
from node.replies import NO_REPLY, NOT_POSITIVE, OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.replication.following import Following

NO_DATA = CommandError("LOADING This primary has lost its data and waits for a replica to take its place")
NO_LINK = CommandError("NOMASTERLINK Can't SYNC while not connected with my master")
INVALID_PORT = CommandError("ERR Invalid master port")
PENDING_OUTPUT = CommandError("ERR SYNC and PSYNC are invalid with pending output")


@command(
    "PSYNC",
    arity=-3,
    flags="admin noscript no_async_loading no_multi",
    group="server",
    since="2.8.0",
    summary="Begin or resume replication; used between nodes.",
    args="replicationid offset:int",
)
def psync(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    try:
        offset = require_int(argv[2])
    except CommandError:
        node.log.warning(f"Replica {node.replicas.of(s).name} asks for synchronization but with a wrong offset")
        raise
    wanted = argv[1].decode("utf-8", "replace")
    refuse_without_link(s)
    if s.output_bytes:
        raise PENDING_OUTPUT
    if s.flags & flags.REPLICA:
        return NO_REPLY
    replica = node.replicas.of(s)
    node.log.notice(f"Replica {replica.name} asks for synchronization")
    reason = refusal(node.history, s.engine.journal, replica.name, wanted, offset)
    if reason is None:
        go_on(node.replicas, s, offset)
        return NO_REPLY
    node.log.notice(reason)
    if wanted != "?":
        node.replicas.partial_syncs_refused += 1
    replica.acknowledges = True
    synchronise(s)
    return NO_REPLY


@command(
    "REPLCONF",
    arity=-1,
    flags="admin noscript loading stale allow_busy",
    group="server",
    since="3.0.0",
    summary="Exchange replication settings; used between nodes.",
    complexity="O(1)",
    doc_flags="syscmd",
)
def replconf(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise SYNTAX
    replicas = s.node.replicas
    read: int | None = None
    for name, value in zip(argv[1::2], argv[2::2], strict=True):
        match name.lower():
            case b"listening-port":
                replicas.of(s).port = require_int(value)
            case b"ip-address":
                replicas.of(s).address = value
            case b"capa":
                replicas.of(s).understands_eof |= value.lower() == b"eof"
                replicas.of(s).understands_psync2 |= value.lower() == b"psync2"
                if value.lower() == b"rdb-channel-repl":  # which Redis 8 has first
                    replicas.of(s).form = Form.REDIS_72
            case b"rdb-filter-only":
                replicas.of(s).with_data = filtered(value)
            case b"version":
                replicas.of(s).form = form_of(value)
            case b"rdb-only":
                replicas.of(s).snapshot_only = require_int(value) != 0
            case b"ack":
                read = require_int(value)
            case b"fack":
                replicas.of(s).durable_offset = max(replicas.of(s).durable_offset, require_int(value))
            case b"getack":
                if s.flags & flags.RELAYED:
                    s.node.following.carrier.acknowledge()
                return NO_REPLY
            case _:
                raise CommandError(b"ERR Unrecognized REPLCONF option: " + name)
    if read is not None:
        replicas.acknowledge(s, read)
        return NO_REPLY
    return OK


def form_of(version: bytes) -> Form:
    """What snapshots may be made of for a replica of this version. Only Valkey's replicas tell theirs, and ours."""
    match = re.fullmatch(rb"(\d{1,3})\.(\d{1,3})\.(\d{1,3})", version)
    if match is None:
        raise CommandError(b"ERR Unrecognized version format: " + version)
    numbers = tuple(map(int, match.groups()))
    return Form.VALKEY_9 if numbers >= (9, 0, 0) else Form.REDIS_72 if numbers >= (7, 2, 0) else Form.REDIS_70


def filtered(value: bytes) -> bool:
    """`rdb-filter-only`: whether the keys are wanted."""
    wanted = value.lower().split()
    for word in wanted:
        if word not in (b"include", b"functions"):
            raise CommandError(b"ERR Unsupported rdb-filter-only option: " + word)
    return b"include" in wanted


@command(
    "ROLE",
    arity=1,
    flags="noscript loading stale fast",
    acl="admin dangerous",
    group="server",
    since="2.8.12",
    summary="Return the role of this server in replication.",
    complexity="O(1)",
)
def role(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    if node.following.active:
        return role_of_replica(node.following)
    online = [each for each in node.replicas.attached.values() if each.is_online]
    told = [[each.host.encode(), b"%d" % each.port, b"%d" % each.offset] for each in online]
    return [node.role.encode(), node.stream.offset, told]


@command(
    "SYNC",
    arity=1,
    flags="admin noscript no_async_loading no_multi",
    group="server",
    since="1.0.0",
    summary="Begin replication; used between nodes.",
)
def sync(s: Session, argv: list[bytes]) -> Reply:
    refuse_without_link(s)
    if s.output_bytes:
        raise PENDING_OUTPUT
    if not s.flags & flags.REPLICA:
        s.node.log.notice(f"Replica {s.node.replicas.of(s).name} asks for synchronization")
        synchronise(s)
    return NO_REPLY


def refuse_without_link(s: Session) -> None:
    following = s.node.following
    if following.active and not following.connected:
        raise NO_LINK
    clustering = s.node.clustering
    if clustering is not None and clustering.core.empty.active:
        raise NO_DATA


def synchronise(s: Session) -> None:
    """Make the client a replica that needs all data. What it is sent from here on is no reply any more."""
    s.node.replicas.sync.ask(s.node.replicas.attach(s))


WAIT_ON_REPLICA = CommandError(
    "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured "
    "to be writable (which is not the default) writes to replicas are just local and are not propagated."
)


@command(
    "WAIT",
    arity=3,
    flags="",
    acl="-keyspace connection",
    group="generic",
    since="3.0.0",
    summary="Wait until replicas have acknowledged the writes of this connection.",
    complexity="O(1)",
    args="numreplicas:int timeout:int",
    tips="request_policy:all_shards response_policy:agg_min",
)
def wait(s: Session, argv: list[bytes]) -> Reply:
    if s.engine.journal.follows:
        raise WAIT_ON_REPLICA
    wanted = require_int(argv[1])
    timeout_ms = require_timeout_ms(argv[2])
    return s.node.replicas.acks.wait(s, wanted, timeout_ms)


@command(
    "WAITAOF",
    arity=4,
    flags="",
    acl="-keyspace connection",
    group="generic",
    since="7.2.0",
    summary="Wait until the writes of this connection are on disk, here and at replicas.",
    complexity="O(1)",
    args="numlocal:int numreplicas:int timeout:int",
    tips="request_policy:all_shards response_policy:agg_min",
)
def waitaof(s: Session, argv: list[bytes]) -> Reply:
    local, replicas = require_int(argv[1]), require_int(argv[2])
    if local not in (0, 1):
        raise CommandError("ERR value is out of range, value must between 0 and 1")
    if replicas < 0:
        raise NOT_POSITIVE
    timeout_ms = require_timeout_ms(argv[3])
    if s.engine.journal.follows:
        raise CommandError(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just "
            "local and are not propagated."
        )
    if local and not s.node.config["appendonly"]:
        raise CommandError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    return s.node.durable.wait(s, local, replicas, timeout_ms)


REPLICAOF = {
    "arity": 3,
    "flags": "admin noscript stale no_async_loading",
    "group": "server",
    "complexity": "O(1)",
}


@command(
    "REPLICAOF",
    **REPLICAOF,
    since="5.0.0",
    summary="Copy another server's data and follow its writes, or become a primary.",
    args="((host port:int)=host-port|(NO ONE)=no-one)=args",
)
def replicaof(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    following = node.following
    if node.engine.cluster:
        raise CommandError("ERR REPLICAOF not allowed in cluster mode.")
    if [word.lower() for word in argv[1:]] == [b"no", b"one"]:
        if following.active:
            following.stop()
            node.config.put("replicaof", None)
            node.log.notice(f"MASTER MODE enabled (user request from '{describe(s).decode()}')")
        return OK
    if s.flags & flags.REPLICA:
        raise CommandError("ERR Command is not valid when client is a replica.")
    port = require_int(argv[2], INVALID_PORT)
    if not 0 <= port <= 65535:
        raise INVALID_PORT
    host = argv[1].decode("utf-8", "surrogateescape")
    if following.primary is not None and (following.primary[0].lower(), following.primary[1]) == (host.lower(), port):
        node.log.notice(
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation "
            "performed."
        )
        return "OK Already connected to specified master"
    node.config.put("replicaof", (host, port))
    following.follow(host, port)
    node.log.notice(f"REPLICAOF {host}:{port} enabled (user request from '{describe(s).decode()}')")
    return OK


@command(
    "SLAVEOF",
    **REPLICAOF,
    since="1.0.0",
    summary="Copy another server's data and follow its writes, or become a primary.",
    args="((host port:int)=host-port|(NO ONE)=no-one)=args",
    doc_flags="deprecated",
    deprecated_since="5.0.0",
    replaced_by="`REPLICAOF`",
)
def slaveof(s: Session, argv: list[bytes]) -> Reply:
    return replicaof(s, argv)


def role_of_replica(following: Following) -> Reply:
    assert following.primary is not None
    host, port = following.primary
    state = {"loading": "sync"}.get(following.link.state.value, following.link.state.value)
    offset = following.applied_offset if following.connected else -1
    return [b"slave", host.encode("utf-8", "surrogateescape"), port, state.encode(), offset]
