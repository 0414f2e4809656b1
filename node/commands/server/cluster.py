"""Cluster commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.agreement.slots import key_slot, members
from node import flags
from node.commands.table.cursor import Cursor
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.structures.numbers import parse_int64 as parse_int
from node.replies import CLUSTER_DISABLED, OK, SYNTAX, CommandError, Reply, Verbatim, wrong_arity, wrong_syntax

if TYPE_CHECKING:
    from node.clustering import Clustering
    from node.engine.keyspace.table import Db
    from node.engine.session.session import Session

BAD_LIMIT = CommandError("ERR Limit has to lie in between 1 and 16384 (maximum number of slots).")


@command(
    "ASKING",
    arity=1,
    flags="fast",
    acl="connection",
    group="cluster",
    since="3.0.0",
    summary="Let the next command use a slot that is being imported.",
    complexity="O(1)",
)
def asking(s: Session, argv: list[bytes]) -> Reply:
    clustering(s)
    s.flags |= flags.ASKING
    return OK


container(
    "CLUSTER",
    arity=-2,
    group="cluster",
    since="3.0.0",
    summary="Commands about the cluster.",
    complexity="that of the subcommand",
)


@command(
    "CLUSTER ADDSLOTS",
    arity=-3,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Assign slots to this node.",
    complexity="O(N), N: slots",
    args="slot:int...",
)
def cluster_addslots(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.add_slots, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER ADDSLOTSRANGE",
    arity=-4,
    flags="admin stale no_async_loading",
    group="cluster",
    since="7.0.0",
    summary="Assign ranges of slots to this node.",
    complexity="O(N), N: slots",
    args="(start-slot:int end-slot:int)=start-slot_end-slot...",
)
def cluster_addslotsrange(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    if len(argv) % 2:
        raise wrong_arity("cluster|addslotsrange")
    c.act(c.orders.add_slots_range, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER BUMPEPOCH",
    arity=2,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Give this node a new configuration epoch.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def cluster_bumpepoch(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.bump_epoch, c.now_ms)


@command(
    "CLUSTER COUNT-FAILURE-REPORTS",
    arity=3,
    flags="admin stale",
    group="cluster",
    since="3.0.0",
    summary="Count the nodes that report another one as failing.",
    complexity="O(N), N: reports",
    args="node-id",
    tips="nondeterministic_output",
)
def cluster_count_failure_reports(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.count_failure_reports, argv[2], c.now_ms)


@command(
    "CLUSTER COUNTKEYSINSLOT",
    arity=3,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Count the keys of a slot.",
    complexity="O(1)",
    args="slot:int",
)
def cluster_countkeysinslot(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.count_keys_in_slot, argv[2])


@command(
    "CLUSTER DELSLOTS",
    arity=-3,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Give up slots.",
    complexity="O(N), N: slots",
    args="slot:int...",
)
def cluster_delslots(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.del_slots, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER DELSLOTSRANGE",
    arity=-4,
    flags="admin stale no_async_loading",
    group="cluster",
    since="7.0.0",
    summary="Give up ranges of slots.",
    complexity="O(N), N: slots",
    args="(start-slot:int end-slot:int)=start-slot_end-slot...",
)
def cluster_delslotsrange(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    if len(argv) % 2:
        raise wrong_arity("cluster|delslotsrange")
    c.act(c.orders.del_slots_range, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER FAILOVER",
    arity=-2,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Have this replica take its primary's place.",
    complexity="O(1)",
    args="[(FORCE|TAKEOVER)=options]",
)
def cluster_failover(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    if len(argv) > 3:
        raise wrong_syntax(argv[1], "CLUSTER")
    c.act(c.orders.failover, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER FLUSHSLOTS",
    arity=2,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Give up all slots of this node.",
    complexity="O(1)",
)
def cluster_flushslots(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.flush_slots, c.now_ms)
    return OK


@command(
    "CLUSTER FORGET",
    arity=3,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Remove a node from this node's table.",
    complexity="O(1)",
    args="node-id",
)
def cluster_forget(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.forget, argv[2], c.now_ms)
    return OK


@command(
    "CLUSTER GETKEYSINSLOT",
    arity=4,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Return keys of a slot.",
    complexity="O(N), N: keys asked for",
    args="slot:int count:int",
    tips="nondeterministic_output",
)
def cluster_getkeysinslot(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.get_keys_in_slot, argv[2], argv[3])


help_for("CLUSTER", group="cluster", since="5.0.0")


@command(
    "CLUSTER INFO",
    arity=2,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Return the state of the cluster as this node sees it.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def cluster_info(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return Verbatim(c.views.info())


@command(
    "CLUSTER KEYSLOT",
    arity=3,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Return the slot of a key.",
    complexity="O(N), N: bytes of the key",
    args="key:str",
)
def cluster_keyslot(s: Session, argv: list[bytes]) -> Reply:
    clustering(s)
    return key_slot(argv[2])


@command(
    "CLUSTER LINKS",
    arity=2,
    flags="stale",
    group="cluster",
    since="7.0.0",
    summary="Return the bus connections to and from other nodes.",
    complexity="O(N), N: nodes",
    tips="nondeterministic_output",
)
def cluster_links(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.views.links(c.buffers)


@command(
    "CLUSTER MEET",
    arity=-4,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Introduce another node to the cluster.",
    complexity="O(1)",
    args="ip port:int [cluster_bus_port:int @4.0.0]",
    history={"4.0.0": "`cluster_bus_port`."},
)
def cluster_meet(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.meet, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER MYID",
    arity=2,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Return the id of this node.",
    complexity="O(1)",
)
def cluster_myid(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.views.my_id()


@command(
    "CLUSTER MYSHARDID",
    arity=2,
    flags="stale",
    group="cluster",
    since="7.2.0",
    summary="Return the id of this node's shard.",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def cluster_myshardid(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.views.my_shard_id()


@command(
    "CLUSTER NODES",
    arity=2,
    flags="stale",
    group="cluster",
    since="3.0.0",
    summary="Return the nodes as this node sees them, one a line.",
    complexity="O(N), N: nodes",
    tips="nondeterministic_output",
)
def cluster_nodes(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return Verbatim(c.views.nodes())


@command(
    "CLUSTER REPLICAS",
    arity=3,
    flags="admin stale",
    group="cluster",
    since="5.0.0",
    summary="Return the replicas of a primary.",
    complexity="O(N), N: replicas",
    args="node-id",
    tips="nondeterministic_output",
)
def cluster_replicas(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.replicas, argv[2])


@command(
    "CLUSTER REPLICATE",
    arity=3,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Make this node a replica of a primary.",
    complexity="O(1)",
    args="node-id",
)
def cluster_replicate(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.replicate, argv[2], c.now_ms)
    return OK


@command(
    "CLUSTER RESET",
    arity=-2,
    flags="admin noscript stale",
    group="cluster",
    since="3.0.0",
    summary="Make this node forget the cluster.",
    complexity="O(N), N: nodes; a hard reset may flush the data too",
    args="[(HARD|SOFT)=hard_soft]",
)
def cluster_reset(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    mode = argv[2].lower() if len(argv) > 2 else b"soft"
    if len(argv) > 3 or mode not in (b"soft", b"hard"):
        raise SYNTAX
    c.act(c.orders.reset, mode == b"hard", c.now_ms)
    return OK


@command(
    "CLUSTER SAVECONFIG",
    arity=2,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Write the cluster's state to disk.",
    complexity="O(1)",
)
def cluster_saveconfig(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.save_config)
    return OK


@command(
    "CLUSTER SET-CONFIG-EPOCH",
    arity=3,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Set the configuration epoch of a new node.",
    complexity="O(1)",
    args="config-epoch:int",
)
def cluster_set_config_epoch(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.set_config_epoch, argv[2], c.now_ms)
    return OK


@command(
    "CLUSTER SETSLOT",
    arity=-4,
    flags="admin stale no_async_loading",
    group="cluster",
    since="3.0.0",
    summary="Change the state of a slot, or its owner.",
    complexity="O(1)",
    args="slot:int (IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)=subcommand",
)
def cluster_setslot(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    c.act(c.orders.set_slot, argv[2:], c.now_ms)
    return OK


@command(
    "CLUSTER SHARDS",
    arity=2,
    flags="loading stale",
    group="cluster",
    since="7.0.0",
    summary="Return the shards with their slots and nodes.",
    complexity="O(N), N: nodes",
    tips="nondeterministic_output",
)
def cluster_shards(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.views.shards()


@command(
    "CLUSTER SLAVES",
    arity=3,
    flags="admin stale",
    group="cluster",
    since="3.0.0",
    summary="Return the replicas of a primary.",
    complexity="O(N), N: replicas",
    args="node-id",
    tips="nondeterministic_output",
    doc_flags="deprecated",
    deprecated_since="5.0.0",
    replaced_by="`CLUSTER REPLICAS`",
)
def cluster_slaves(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.act(c.orders.replicas, argv[2])


@command(
    "CLUSTER SLOT-STATS",
    arity=-4,
    flags="loading stale",
    group="cluster",
    since="8.0.0",
    summary="Return usage statistics of slots.",
    complexity="O(N), N: slots; O(N*log(N)) with ORDERBY",
    args=(
        "(SLOTSRANGE (start-slot:int end-slot:int)=slotsrange|ORDERBY "
        "(metric [LIMIT limit:int] [(ASC|DESC)=order])=orderby)=filter"
    ),
    tips="nondeterministic_output request_policy:all_shards",
)
def cluster_slot_stats(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    db = s.node.space.dbs[0]
    slots = members(c.core.slotmap.owned_by(c.core.myself))
    action = argv[2].upper()
    if action == b"SLOTSRANGE" and len(argv) == 5:
        first, last = parse_slot_arg(argv[3]), parse_slot_arg(argv[4])
        if first > last:
            raise CommandError(f"ERR Start slot number {first} is greater than end slot number {last}")
        chosen = [slot for slot in slots if first <= slot <= last]
    elif action == b"ORDERBY" and len(argv) in (4, 5, 6, 7):
        chosen = ordered_slots(db, list(slots), Cursor(argv, 3))
    else:
        raise SYNTAX
    return [[slot, {b"key-count": db.slot_len(slot)}] for slot in chosen]


@command(
    "CLUSTER SLOTS",
    arity=2,
    flags="loading stale",
    group="cluster",
    since="3.0.0",
    summary="Return ranges of slots with the nodes that serve them.",
    complexity="O(N), N: nodes",
    tips="nondeterministic_output",
    history={"4.0.0": "Node IDs.", "7.0.0": "A map of further addresses."},
    doc_flags="deprecated",
    deprecated_since="7.0.0",
    replaced_by="`CLUSTER SHARDS`",
)
def cluster_slots(s: Session, argv: list[bytes]) -> Reply:
    c = clustering(s)
    return c.views.slots()


@command(
    "READONLY",
    arity=1,
    flags="loading stale fast",
    acl="connection",
    group="cluster",
    since="3.0.0",
    summary="Let this connection read from a replica.",
    complexity="O(1)",
)
def readonly(s: Session, argv: list[bytes]) -> Reply:
    clustering(s)
    s.flags |= flags.READONLY
    return OK


@command(
    "READWRITE",
    arity=1,
    flags="loading stale fast",
    acl="connection",
    group="cluster",
    since="3.0.0",
    summary="End READONLY.",
    complexity="O(1)",
)
def readwrite(s: Session, argv: list[bytes]) -> Reply:
    clustering(s)
    s.flags &= ~flags.READONLY
    return OK


def clustering(s: Session) -> Clustering:
    """The node's part in its cluster; an error where it is not in cluster mode."""
    found = s.node.clustering
    if found is None:
        raise CLUSTER_DISABLED
    return found


def parse_slot_arg(arg: bytes) -> int:
    slot = parse_int(arg)
    if slot is None or not 0 <= slot < 16384:
        raise CommandError("ERR Invalid or out of range slot")
    return slot


def ordered_slots(db: Db, slots: list[int], args: Cursor) -> list[int]:
    """SLOT-STATS ORDERBY KEY-COUNT [LIMIT n] [ASC|DESC]: most keys first unless told otherwise."""
    if args.take_word() != b"KEY-COUNT":
        raise CommandError("ERR Unrecognized sort metric for ORDERBY.")
    limit, descending = len(slots), True
    for word in args.words():
        match word:
            case b"LIMIT":
                limit = args.take_int(
                    1, 16384, CommandError("ERR Limit has to lie in between 1 and 16384 (maximum number of slots).")
                )
            case b"ASC" | b"DESC":
                descending = word == b"DESC"
            case _:
                raise SYNTAX
    return sorted(slots, key=lambda slot: (-db.slot_len(slot) if descending else db.slot_len(slot), slot))[:limit]
