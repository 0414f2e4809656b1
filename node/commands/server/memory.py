"""MEMORY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.cursor import Cursor
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.memory.alloc import mem_used
from node.monitoring import allocator
from node.replies import OK, SYNTAX, Reply, Verbatim

if TYPE_CHECKING:
    from node.engine.session.session import Session


container(
    "MEMORY",
    arity=-2,
    group="server",
    since="4.0.0",
    summary="Commands about memory.",
    complexity="that of the subcommand",
)


@command(
    "MEMORY DOCTOR",
    arity=2,
    group="server",
    since="4.0.0",
    summary="Explain problems with memory to a human.",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_doctor(s: Session, argv: list[bytes]) -> Reply:
    used, process = s.node.used_memory(), s.node.process.facts()
    if used < 5 << 20:
        return Verbatim(b"Hi Sam, this instance holds very little data: there is nothing to find yet.\n")
    if process.rss_bytes > 1.5 * used and process.rss_bytes - used > 128 << 20:
        return Verbatim(
            b"Sam, the process holds %d bytes and the data takes %d: memory was freed and is kept for reuse. "
            b"Restart the node if other programs need it.\n" % (process.rss_bytes, used)
        )
    return Verbatim(b"Hi Sam, I can't find any memory issue in your instance.\n")


help_for("MEMORY", group="server", since="4.0.0")


@command(
    "MEMORY MALLOC-STATS",
    arity=2,
    group="server",
    since="4.0.0",
    summary="Return the statistics of the allocator.",
    complexity="that of the allocator",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_malloc_stats(s: Session, argv: list[bytes]) -> Reply:
    return Verbatim(b"Data in bytes: %d (slabs of fixed sizes below 1 KiB, malloc above)\n" % mem_used())


@command(
    "MEMORY PURGE",
    arity=2,
    group="server",
    since="4.0.0",
    summary="Ask the allocator to give memory back to the system.",
    complexity="that of the allocator",
    tips="request_policy:all_shards response_policy:all_succeeded",
)
def memory_purge(s: Session, argv: list[bytes]) -> Reply:
    return OK


@command(
    "MEMORY STATS",
    arity=2,
    group="server",
    since="4.0.0",
    summary="Return how memory is used.",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_stats(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    used, process, keys = node.used_memory(), node.process.facts(), sum(len(db) for db in node.space.dbs)
    data, heap = mem_used(), allocator.measure(process.rss_bytes)
    return {
        b"peak.allocated": max(used, node.memory.peak_bytes),
        b"total.allocated": used,
        b"startup.allocated": 0,
        b"replication.backlog": node.engine.journal.block_bytes,
        b"clients.slaves": node.clients.memory_of(replicas=True),
        b"clients.normal": node.clients.memory_of(replicas=False),
        b"cluster.links": node.cluster_link_bytes(),
        b"aof.buffer": len(s.node.aof.log.buffer),
        b"lua.caches": node.scripts.cache_bytes,
        b"functions.caches": node.functions.cache_bytes,
        b"overhead.total": used - data,
        b"keys.count": keys,
        b"keys.bytes-per-key": data // keys if keys else 0,
        b"dataset.bytes": data,
        b"dataset.percentage": 100.0 * data / used if used else 0.0,
        b"peak.percentage": 100.0 * used / max(node.memory.peak_bytes, used, 1),
        b"allocator.allocated": heap.allocated,
        b"allocator.active": heap.active,
        b"allocator.resident": heap.resident,
        b"allocator-fragmentation.ratio": heap.fragmentation[0],
        b"allocator-fragmentation.bytes": heap.fragmentation[1],
        b"allocator-rss.ratio": heap.kept[0],
        b"allocator-rss.bytes": heap.kept[1],
        b"rss-overhead.ratio": heap.overhead[0],
        b"rss-overhead.bytes": heap.overhead[1],
        b"fragmentation": process.rss_bytes / used if used else 0.0,
        b"fragmentation.bytes": process.rss_bytes - used,
    }


@command(
    "MEMORY USAGE",
    arity=-3,
    flags="readonly",
    keys="2 RO",
    group="server",
    since="4.0.0",
    summary="Estimate the bytes that a key and its value take.",
    complexity="O(N), N: elements looked at",
    args="key [SAMPLES count:int]",
)
def memory_usage(s: Session, argv: list[bytes]) -> Reply:
    samples = 5
    args = Cursor(argv, 3)
    if args.left:
        if args.take_word() != b"SAMPLES":
            raise SYNTAX
        samples = args.take_int()
        if samples < 0:
            raise SYNTAX
        args.end()
    return s.db.memory_of(argv[2], samples or 2**31)
