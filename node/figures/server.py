"""Figures of the node as a whole: what it is, how it was started, what its commands have done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.engine.memory.heap import compiler_version
from node.monitoring.figure import Labels, Samples, Table, measured, shown
from node.monitoring.percentiles import percentiles_us
from node.version import REDIS_VERSION, VERSION

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session.session import Command


def uptime_s(node: NodeCore) -> int:
    return max(0, (node.space.now_ms - node.started_ms) // 1000)


def listeners(node: NodeCore) -> dict[str, str]:
    """Where clients are welcome: `name=tcp,bind=127.0.0.1,bind=-::1,port=6379`."""
    config = node.config
    found = []
    if config["port"]:
        addresses = "".join(f"bind={address}," for address in config["bind"])
        found.append(f"name=tcp,{addresses}port={config['port']}")
    if config["unixsocket"]:
        found.append(f"name=unix,bind={config['unixsocket']}")
    return {f"listener{number}": line for number, line in enumerate(found)}


def identity(node: NodeCore) -> Samples:
    labels: Labels = {"version": VERSION, "role": "replica" if node.role == "slave" else "primary"}
    if node.clustering is not None:
        me = node.clustering.core.myself
        labels = {**labels, "node_id": me.id, "shard_id": me.shard_id}
    return [(labels, 1)]


def used_commands(node: NodeCore) -> Iterator[Command]:
    """Commands and subcommands that were called, or refused."""
    return (command for command in node.all_commands() if command.calls or command.rejected or command.failed)


def calls(node: NodeCore) -> dict[str, str]:
    return {f"cmdstat_{command.name.decode()}": command_line(command) for command in used_commands(node)}


def command_line(command: Command) -> str:
    """`calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,failed_calls=0`."""
    usec = command.time_ns // 1000
    per_call = command.time_ns / 1000 / command.calls if command.calls else 0.0
    return (
        f"calls={command.calls},usec={usec},usec_per_call={per_call:.2f},"
        f"rejected_calls={command.rejected},failed_calls={command.failed}"
    )


def latencies(node: NodeCore) -> dict[str, str]:
    wanted = node.config["latency-tracking-info-percentiles"]
    found = {}
    for command in used_commands(node):
        counts = command.latencies()
        if counts:
            shown = ",".join(f"p{point:g}={value:.3f}" for point, value in percentiles_us(counts, wanted))
            found[f"latency_percentiles_usec_{command.name.decode()}"] = shown
    return found


def forget_calls(node: NodeCore) -> None:
    for command in node.all_commands():
        command.reset_stats()


def figures() -> Table[NodeCore]:
    return (
        shown(
            "server", "redis_version", lambda node: REDIS_VERSION, "The version of Redis that clients may take us for."
        ),
        shown("server", "redis_git_sha1", lambda node: "00000000", "Always 00000000."),
        shown("server", "redis_git_dirty", lambda node: 0, "Always 0."),
        shown("server", "redis_build_id", lambda node: "0", "Always 0."),
        shown("server", "server_name", lambda node: "shardis", "Always shardis."),
        shown("server", "shardis_version", lambda node: VERSION, "The version of Shardis."),
        shown(
            "server",
            "redis_mode",
            lambda node: "cluster" if node.engine.cluster else "standalone",
            "Cluster or standalone.",
        ),
        shown("server", "monotonic_clock", lambda node: "POSIX clock_gettime", "The clock.", after="arch_bits"),
        shown("server", "multiplexing_api", lambda node: "epoll", "How the process waits for clients."),
        shown("server", "atomicvar_api", lambda node: "none", "Always none."),
        shown("server", "gcc_version", lambda node: compiler_version(), "The compiler of the engine."),
        shown("server", "process_supervised", lambda node: "no", "Always no.", after="process_id"),
        shown("server", "run_id", lambda node: node.run_id, "A name that this start of the process has drawn."),
        shown("server", "tcp_port", lambda node: node.config["port"], "The port for clients."),
        shown("server", "server_time_usec", lambda node: node.clock.now_us(), "Unix time in microseconds."),
        shown("server", "uptime_in_seconds", uptime_s, "Time since the start."),
        shown("server", "uptime_in_days", lambda node: uptime_s(node) // 86400, "The same in days."),
        shown("server", "hz", lambda node: node.config["hz"], "The directive hz."),
        shown("server", "configured_hz", lambda node: node.config["hz"], "The same."),
        shown(
            "server", "lru_clock", lambda node: (node.space.now_ms // 1000) & 0xFFFFFF, "Unix time in seconds, 24 bits."
        ),
        shown("server", "config_file", lambda node: node.config.path, "Its configuration file.", after="executable"),
        shown("server", "io_threads_active", lambda node: 0, "Always 0: no threads serve clients."),
        shown("server", "listener<N>", listeners, "Where clients are welcome: a TCP port or a Unix socket."),
        measured("info", identity, "Version and role of the node; always 1."),
        measured("uptime_seconds", lambda node: (node.space.now_ms - node.started_ms) / 1000, "Time since the start."),
        shown(
            "clients",
            "cluster_connections",
            lambda node: node.cluster_connections(),
            "Links of the cluster bus, both ways.",
            after="connected_clients",
        ),
        shown("clients", "maxclients", lambda node: node.config["maxclients"], "The directive maxclients."),
        shown(
            "memory",
            "mem_cluster_links",
            lambda node: node.cluster_link_bytes(),
            "Bytes that wait on the cluster bus.",
            after="mem_clients_normal",
        ),
        shown("commandstats", "cmdstat_<command>", calls, "Calls of a command, and their time.", reset=forget_calls),
        shown(
            "latencystats",
            "latency_percentiles_usec_<command>",
            latencies,
            "Percentiles of the duration of a command's calls, in microseconds.",
        ),
        shown(
            "stats",
            "eventloop_duration_cmd_sum",
            lambda node: sum(each.time_ns for each in node.all_commands()) // 1000,
            "Time spent in commands, in microseconds.",
            after="eventloop_duration_sum",
        ),
        shown("cluster", "cluster_enabled", lambda node: int(node.engine.cluster), "1 in cluster mode."),
    )
