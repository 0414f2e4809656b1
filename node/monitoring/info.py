"""INFO: the sections and their fields, as clients and monitoring tools parse them.

Each section is a function that returns its fields in order; figures that the node does not have are left out rather
than invented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from node import flags
from node.engine.memory.alloc import mem_used
from node.engine.memory.heap import compiler_version
from node.monitoring import allocator
from node.monitoring.percentiles import percentiles_us
from node.replication.link import State
from node.version import ALLOCATOR, REDIS_VERSION, VERSION

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session.session import Command

Fields = dict[str, object]

DEFAULT = (
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "errorstats",
    "cluster",
    "keyspace",
)
ALL = (*DEFAULT[:7], "modules", "commandstats", "errorstats", "latencystats", "cluster", "keyspace")


def text(node: NodeCore, wanted: Iterable[str]) -> str:
    """The sections asked for (lower case; `default`, `all` and `everything` are sets of them), default if none."""
    chosen: dict[str, None] = {}
    for name in list(wanted) or ["default"]:
        chosen.update(dict.fromkeys({"default": DEFAULT, "all": ALL, "everything": ALL}.get(name, (name,))))
    parts = []
    for name in ALL:
        if name in chosen:
            lines = [f"# {TITLES.get(name, name.capitalize())}"]
            lines += [f"{field}:{value}" for field, value in SECTIONS[name](node).items()]
            parts.append("".join(f"{line}\r\n" for line in lines))
    return "\r\n".join(parts)


def server(node: NodeCore) -> Fields:
    config, process = node.config, node.process.facts()
    uptime_s = max(0, (node.space.now_ms - node.stats.started_ms) // 1000)
    leaving_ms = node.leaving.remaining_ms
    return {
        "redis_version": REDIS_VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "server_name": "shardis",
        "shardis_version": VERSION,
        "redis_mode": "cluster" if node.engine.cluster else "standalone",
        "os": process.os,
        "arch_bits": process.arch_bits,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "atomicvar_api": "none",
        "gcc_version": compiler_version(),
        "python_version": process.python,
        "process_id": process.pid,
        "process_supervised": "no",
        "run_id": node.run_id,
        "tcp_port": config["port"],
        "server_time_usec": node.now_us(),
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86400,
        "hz": config["hz"],
        "configured_hz": config["hz"],
        "lru_clock": (node.space.now_ms // 1000) & 0xFFFFFF,
        "executable": process.executable,
        "config_file": config.path,
        "io_threads_active": 0,
        **{f"listener{number}": line for number, line in enumerate(listeners(node))},
        **({} if leaving_ms is None else {"shutdown_in_milliseconds": leaving_ms}),
    }


def listeners(node: NodeCore) -> list[str]:
    """Where clients are welcome: `name=tcp,bind=127.0.0.1,bind=-::1,port=6379`."""
    config = node.config
    found = []
    if config["port"]:
        addresses = "".join(f"bind={address}," for address in config["bind"])
        found.append(f"name=tcp,{addresses}port={config['port']}")
    if config["unixsocket"]:
        found.append(f"name=unix,bind={config['unixsocket']}")
    return found


def clients(node: NodeCore) -> Fields:
    reason, paused, paused_ms = node.pause.described()
    sessions = [each for each in node.clients.by_id.values() if not each.flags & (flags.REPLICA | flags.PRIMARY)]
    return {
        "connected_clients": len(sessions),
        "cluster_connections": node.cluster_connections(),
        "maxclients": node.config["maxclients"],
        "client_recent_max_input_buffer": max((each.input_capacity for each in sessions), default=0),
        "client_recent_max_output_buffer": max((each.output_capacity for each in sessions), default=0),
        "blocked_clients": node.blocking.count + len(node.pause.waiting),
        "tracking_clients": 0,
        "pubsub_clients": sum(each.subscriptions is not None and each.subscriptions.any for each in sessions),
        "watching_clients": sum(bool(each.watched) for each in sessions),
        "clients_in_timeout_table": len(node.blocking.timers),
        "total_watched_keys": node.watches.key_count,
        "total_blocking_keys": node.blocking.keys_count(),
        "total_blocking_keys_on_nokey": node.blocking.keys_count("group"),
        "paused_reason": reason,
        "paused_actions": paused,
        "paused_timeout_milliseconds": paused_ms,
    }


def memory(node: NodeCore) -> Fields:
    process = node.process.facts()
    used = node.used_memory()
    data = mem_used()
    stats = node.stats
    stats.peak_memory_bytes = max(stats.peak_memory_bytes, used)
    heap = allocator.measure(process.rss_bytes)
    overhead = used - data
    limit = node.config["maxmemory"]
    journal = node.engine.journal
    lua = node.scripts.used_bytes
    script_texts = node.scripts.cache_bytes + node.functions.cache_bytes
    beyond_backlog = max(0, journal.block_bytes - journal.capacity) if node.replicas.attached else 0
    return {
        "used_memory": used,
        "used_memory_human": human(used),
        "used_memory_rss": process.rss_bytes,
        "used_memory_rss_human": human(process.rss_bytes),
        "used_memory_peak": stats.peak_memory_bytes,
        "used_memory_peak_human": human(stats.peak_memory_bytes),
        "used_memory_peak_perc": f"{100 * used / max(stats.peak_memory_bytes, 1):.2f}%",
        "used_memory_overhead": overhead,
        "used_memory_startup": 0,
        "used_memory_dataset": data,
        "used_memory_dataset_perc": f"{100 * data / max(used, 1):.2f}%",
        "allocator_allocated": heap.allocated,
        "allocator_active": heap.active,
        "allocator_resident": heap.resident,
        "total_system_memory": process.total_system_memory_bytes,
        "total_system_memory_human": human(process.total_system_memory_bytes),
        "used_memory_lua": lua,
        "used_memory_vm_eval": lua,
        "used_memory_lua_human": human(lua),
        "used_memory_scripts_eval": node.scripts.cache_bytes,
        "number_of_cached_scripts": len(node.scripts.by_digest),
        "number_of_functions": node.functions.count,
        "number_of_libraries": len(node.functions.libraries),
        "used_memory_vm_functions": node.functions.used_bytes,
        "used_memory_vm_total": lua + node.functions.used_bytes,
        "used_memory_vm_total_human": human(lua + node.functions.used_bytes),
        "used_memory_functions": node.functions.cache_bytes,
        "used_memory_scripts": script_texts,
        "used_memory_scripts_human": human(script_texts),
        "maxmemory": limit,
        "maxmemory_human": human(limit),
        "maxmemory_policy": node.config["maxmemory-policy"],
        "allocator_frag_ratio": f"{heap.fragmentation[0]:.2f}",
        "allocator_frag_bytes": heap.fragmentation[1],
        "allocator_rss_ratio": f"{heap.kept[0]:.2f}",
        "allocator_rss_bytes": heap.kept[1],
        "rss_overhead_ratio": f"{heap.overhead[0]:.2f}",
        "rss_overhead_bytes": heap.overhead[1],
        "mem_fragmentation_ratio": f"{process.rss_bytes / max(used, 1):.2f}",
        "mem_fragmentation_bytes": process.rss_bytes - used,
        "mem_not_counted_for_evict": journal.uncounted_bytes,
        "mem_replication_backlog": min(journal.block_bytes, journal.capacity),
        "mem_total_replication_buffers": journal.block_bytes,
        "mem_clients_slaves": node.clients.memory_of(replicas=True) + beyond_backlog,
        "mem_clients_normal": node.clients.memory_of(replicas=False),
        "mem_cluster_links": node.cluster_link_bytes(),
        "mem_aof_buffer": len(node.aof.log.buffer),
        "mem_allocator": ALLOCATOR,
        "active_defrag_running": 0,
        "lazyfree_pending_objects": node.space.lazyfree_pending,
        "lazyfreed_objects": node.space.lazyfreed,
    }


def persistence(node: NodeCore) -> Fields:
    saving = node.saving
    snapshots = node.snapshots.handles
    done, total = sum(each.keys_done for each in snapshots), sum(each.keys_total for each in snapshots)
    kept = sum(each.walk.waiting_bytes for each in snapshots)
    return {
        "loading": int(node.loading.active and not node.loading.asynchronous),
        "async_loading": int(node.loading.asynchronous),
        "current_cow_peak": kept,
        "current_cow_size": kept,
        "current_cow_size_age": 0,
        "current_fork_perc": f"{100 * done / total if total else 0:.2f}",
        "current_save_keys_processed": done,
        "current_save_keys_total": total,
        "rdb_changes_since_last_save": node.space.dirty,
        "rdb_bgsave_in_progress": int(saving.in_progress or node.replicas.sync.active),
        "rdb_last_save_time": saving.last_save_ms // 1000,
        "rdb_last_bgsave_status": saving.last_status,
        "rdb_last_bgsave_time_sec": saving.last_took_s,
        "rdb_current_bgsave_time_sec": saving.current_took_s,
        "rdb_saves": saving.saves,
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": node.loading.last_dead,
        "rdb_last_load_keys_loaded": node.loading.last_keys,
        **node.aof.info(),
    } | (node.loading.fields() if node.loading.active else {})


# Figures of what does not exist here: rules that refuse, moving of data to fill holes, threads that read or write.
NO_RULES = ("acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel")
NO_DEFRAGMENTATION = (
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
)
NO_THREADS = ("io_threaded_reads_processed", "io_threaded_writes_processed")


def stats(node: NodeCore) -> Fields:
    engine, space, own = node.engine, node.space, node.stats
    turns, command_ns = own.loop_turns.per_second, sum(each.time_ns for each in node.all_commands())
    pubsub = node.pubsub
    return {
        "total_connections_received": own.connections_received,
        "total_commands_processed": engine.processed,
        "instantaneous_ops_per_sec": round(own.commands.per_second),
        "total_net_input_bytes": engine.bytes_in,
        "total_net_output_bytes": engine.bytes_out,
        "total_net_repl_input_bytes": own.repl_bytes_in,
        "total_net_repl_output_bytes": engine.stream_bytes_out,
        "instantaneous_input_kbps": f"{own.input.per_second / 1024:.2f}",
        "instantaneous_output_kbps": f"{own.output.per_second / 1024:.2f}",
        "instantaneous_input_repl_kbps": f"{own.repl_input.per_second / 1024:.2f}",
        "instantaneous_output_repl_kbps": f"{own.repl_output.per_second / 1024:.2f}",
        "rejected_connections": own.rejected_connections,
        "sync_full": own.full_syncs,
        "sync_partial_ok": own.partial_syncs,
        "sync_partial_err": own.partial_syncs_refused,
        "expired_keys": space.expired,
        "expired_subkeys": space.expired_fields,
        "expired_stale_perc": f"{space.expired_stale_perc:.2f}",
        "expired_time_cap_reached_count": space.expire_capped,
        "expire_cycle_cpu_milliseconds": own.expire_cycle_us // 1000,
        "evicted_keys": space.evicted,
        "evicted_clients": own.evicted_clients,
        "total_eviction_exceeded_time": node.eviction.total_exceeded_ms,
        "current_eviction_exceeded_time": node.eviction.exceeded_ms,
        "keyspace_hits": space.hits,
        "keyspace_misses": space.misses,
        "pubsub_channels": len(pubsub.channels),
        "pubsub_patterns": len(pubsub.patterns),
        "pubsubshard_channels": len(pubsub.shard_channels),
        "latest_fork_usec": 0,
        "total_forks": own.background_jobs,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": len(node.following.local_expiry),
        **dict.fromkeys(NO_DEFRAGMENTATION, 0),
        "tracking_total_keys": 0,
        "tracking_total_items": 0,
        "tracking_total_prefixes": 0,
        "unexpected_error_replies": node.following.unexpected_errors,
        "total_error_replies": engine.errors,
        "dump_payload_sanitizations": own.restored_collections,
        "total_reads_processed": engine.reads,
        "total_writes_processed": engine.writes,
        **dict.fromkeys(NO_THREADS, 0),
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
        "eventloop_cycles": engine.loop_turns,
        "eventloop_duration_sum": engine.loop_ns // 1000,
        "eventloop_duration_cmd_sum": command_ns // 1000,
        "instantaneous_eventloop_cycles_per_sec": round(turns),
        "instantaneous_eventloop_duration_usec": round(own.loop_us.per_second / turns) if turns else 0,
        "client_query_buffer_limit_disconnections": own.query_buffer_limit_disconnections,
        "client_output_buffer_limit_disconnections": own.output_buffer_limit_disconnections,
        "acl_access_denied_auth": own.acl_denied_auth,
        **dict.fromkeys(NO_RULES, 0),
    }


def replication(node: NodeCore) -> Fields:
    replicas, journal = node.replicas, node.engine.journal
    fields: Fields = {"role": node.role}
    if node.following.active:
        fields |= following(node)
    fields["connected_slaves"] = len(replicas.attached)
    if node.config["min-replicas-to-write"] and node.config["min-replicas-max-lag"]:
        fields["min_slaves_good_slaves"] = replicas.acks.good
    for number, replica in enumerate(replicas.attached.values()):
        fields[f"slave{number}"] = (
            f"ip={replica.host},port={replica.port},state={replica.state},"
            f"offset={replica.offset},lag={replica.lag_s(node.space.now_ms)}"
        )
    return fields | {
        "master_failover_state": "no-failover",
        "master_replid": node.history.id,
        "master_replid2": node.history.second_id,
        "master_repl_offset": node.stream.offset,
        "second_repl_offset": node.history.second_offset,
        "repl_backlog_active": int(journal.keeps),
        "repl_backlog_size": node.config["repl-backlog-size"],
        "repl_backlog_first_byte_offset": journal.first_offset if journal.keeps else 0,
        "repl_backlog_histlen": journal.history_bytes,
    }


def following(node: NodeCore) -> Fields:
    """What a replica tells of the link to its primary."""
    own, link, config, now_ms = node.following, node.following.link, node.config, node.space.now_ms
    assert own.primary is not None
    transferring = link.state in (State.SYNC, State.LOADING)
    fields: Fields = {
        "master_host": own.primary[0],
        "master_port": own.primary[1],
        "master_link_status": "up" if own.connected else "down",
        "master_last_io_seconds_ago": (now_ms - link.last_io_ms) // 1000 if own.connected else -1,
        "master_sync_in_progress": int(transferring),
        "slave_read_repl_offset": own.read_offset,
        "slave_repl_offset": own.applied_offset,
    }
    if transferring:
        total, read = link.snapshot_size or 0, link.snapshot_read
        fields |= {
            "master_sync_total_bytes": total,
            "master_sync_read_bytes": read,
            "master_sync_left_bytes": total - read,
            "master_sync_perc": f"{100 * read / total if total else 0:.2f}",
            "master_sync_last_io_seconds_ago": (now_ms - link.last_io_ms) // 1000,
        }
    if not own.connected:
        since_s = (now_ms - own.down_since_ms) // 1000 if own.down_since_ms else -1
        fields["master_link_down_since_seconds"] = since_s
    return fields | {
        "slave_priority": config["replica-priority"],
        "slave_read_only": int(config["replica-read-only"]),
        "replica_announced": int(config["replica-announced"]),
    }


def cpu(node: NodeCore) -> Fields:
    process = node.process.facts()
    return {
        "used_cpu_sys": f"{process.cpu_system_s:.6f}",
        "used_cpu_user": f"{process.cpu_user_s:.6f}",
        "used_cpu_sys_children": f"{process.cpu_system_children_s:.6f}",
        "used_cpu_user_children": f"{process.cpu_user_children_s:.6f}",
        "used_cpu_sys_main_thread": f"{process.cpu_system_main_s:.6f}",
        "used_cpu_user_main_thread": f"{process.cpu_user_main_s:.6f}",
    }


def modules(node: NodeCore) -> Fields:
    return {}


def commandstats(node: NodeCore) -> Fields:
    return {f"cmdstat_{command.name.decode()}": command_line(command) for command in used_commands(node)}


def command_line(command: Command) -> str:
    """`calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,failed_calls=0`."""
    usec = command.time_ns // 1000
    per_call = command.time_ns / 1000 / command.calls if command.calls else 0.0
    return (
        f"calls={command.calls},usec={usec},usec_per_call={per_call:.2f},"
        f"rejected_calls={command.rejected},failed_calls={command.failed}"
    )


def used_commands(node: NodeCore) -> list[Command]:
    """Commands and subcommands that were called, or refused."""
    return [command for command in node.all_commands() if command.calls or command.rejected or command.failed]


def errorstats(node: NodeCore) -> Fields:
    counts = node.engine.error_stats
    return {f"errorstat_{code.decode('utf-8', 'replace')}": f"count={counts[code]}" for code in sorted(counts)}


def latencystats(node: NodeCore) -> Fields:
    wanted = node.config["latency-tracking-info-percentiles"]
    out: Fields = {}
    for command in used_commands(node):
        counts = command.latencies()
        if counts:
            shown = ",".join(f"p{point:g}={value:.3f}" for point, value in percentiles_us(counts, wanted))
            out[f"latency_percentiles_usec_{command.name.decode()}"] = shown
    return out


def cluster(node: NodeCore) -> Fields:
    return {"cluster_enabled": int(node.engine.cluster)}


def keyspace(node: NodeCore) -> Fields:
    return {
        f"db{db.index}": f"keys={len(db)},expires={db.volatile_keys},avg_ttl={db.avg_ttl}"
        for db in node.space.dbs
        if len(db)
    }


def human(size: int) -> str:
    """Bytes with a unit, as INFO shows them."""
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.2f}{unit}"
    return f"{size}B"


TITLES = {"cpu": "CPU"}
SECTIONS: dict[str, Callable[[NodeCore], Fields]] = {
    "server": server,
    "clients": clients,
    "memory": memory,
    "persistence": persistence,
    "stats": stats,
    "replication": replication,
    "cpu": cpu,
    "modules": modules,
    "commandstats": commandstats,
    "errorstats": errorstats,
    "latencystats": latencystats,
    "cluster": cluster,
    "keyspace": keyspace,
}
