"""Replication: the commands by which replicas attach to this node, and what it says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.cursor import require_int
from node.commands.spec import command
from node.replies import NO_REPLY, OK, SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session import Session

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
    require_int(argv[2])
    if argv[1] != b"?":
        s.node.stats.partial_syncs_refused += 1
    return synchronise(s, acknowledges=True)


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
    for name, value in zip(argv[1::2], argv[2::2], strict=True):
        match name.lower():
            case b"listening-port":
                replicas.of(s).port = require_int(value)
            case b"ip-address":
                replicas.of(s).address = value
            case b"capa":
                pass  # a snapshot with its length first, and the whole stream, is what every replica understands
            case b"rdb-only":
                replicas.of(s).snapshot_only = require_int(value) != 0
            case b"ack":
                replicas.acknowledge(s, require_int(value))
                return NO_REPLY
            case b"getack":
                return NO_REPLY  # the question of a primary to its replica
            case _:
                raise CommandError(b"ERR Unrecognized REPLCONF option: " + name)
    return OK


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
    online = [each for each in node.replicas.attached.values() if each.state == "online"]
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
    return synchronise(s, acknowledges=False)


def synchronise(s: Session, acknowledges: bool) -> Reply:
    """Make the client a replica. What it is sent from here on is no reply any more."""
    if s.output_bytes:
        raise PENDING_OUTPUT
    s.node.replicas.attach(s, acknowledges)
    return NO_REPLY
