"""The figures of a node for Prometheus, as values; node/aio/admin writes them in its text format.

Names follow Prometheus' conventions: base units (bytes, seconds), `_total` for what only grows. What INFO shows too is
read from the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gossip.messages import KIND_NAMES
from node.engine.memory.alloc import mem_used
from node.monitoring.percentiles import cumulative
from node.version import VERSION

if TYPE_CHECKING:
    from node.clustering import Clustering
    from node.core import NodeCore

Labels = Mapping[str, str]
NO_LABELS: Labels = {}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its samples by labels. `name` is without `shardis_` and, of a counter, without `_total`."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Calls of one command by duration: seconds -> calls that took at most so long, and all of them together."""

    command: str
    buckets: Mapping[float, int]
    calls: int
    total_s: float


def gauge(name: str, help: str, value: float) -> Family:
    return Family(name, "gauge", help, [(NO_LABELS, value)])


def counter(name: str, help: str, value: float) -> Family:
    return Family(name, "counter", help, [(NO_LABELS, value)])


def by_label(
    kind: Literal["gauge", "counter"], name: str, help: str, label: str, values: Iterable[tuple[str, float]]
) -> Family:
    """A metric with one label."""
    return Family(name, kind, help, [({label: each}, value) for each, value in values])


def families(node: NodeCore) -> Iterator[Family]:
    """Every metric but the histograms of commands."""
    yield from _process(node)
    yield from _memory(node)
    yield from _traffic(node)
    yield from _keyspace(node)
    yield from _replication(node)
    if node.clustering is not None:
        yield from _cluster(node.clustering)


def histograms(node: NodeCore) -> Iterator[Histogram]:
    """How long each command took that has been called."""
    for command in node.all_commands():
        counts = command.latencies()
        if counts:
            buckets = {us / 1e6: calls for us, calls in cumulative(counts).items()}
            yield Histogram(command.name.decode(), buckets, sum(counts), command.time_ns / 1e9)


def _process(node: NodeCore) -> Iterator[Family]:
    process = node.process.facts()
    yield Family("info", "gauge", "Version and role of the node; always 1.", [(_identity(node), 1)])
    yield gauge("uptime_seconds", "Time since the start.", (node.space.now_ms - node.stats.started_ms) / 1000)
    yield by_label(
        "counter",
        "cpu_seconds",
        "CPU time used, by mode.",
        "mode",
        [("user", process.cpu_user_s), ("system", process.cpu_system_s)],
    )
    yield gauge("resident_memory_bytes", "Memory of the process that is in RAM.", process.rss_bytes)
    yield gauge("swap_bytes", "Memory of the process that is in swap.", process.swap_bytes)


def _identity(node: NodeCore) -> dict[str, str]:
    identity = {"version": VERSION, "role": "replica" if node.role == "slave" else "primary"}
    if node.clustering is not None:
        me = node.clustering.core.myself
        identity |= {"node_id": me.id, "shard_id": me.shard_id}
    return identity


def _memory(node: NodeCore) -> Iterator[Family]:
    space = node.space
    yield gauge("memory_used_bytes", "Data and clients' buffers.", node.used_memory())
    yield gauge("memory_data_bytes", "Data alone.", mem_used())
    yield gauge("memory_max_bytes", "The limit (maxmemory); 0 is none.", node.config["maxmemory"])
    yield counter("evicted_keys", "Keys evicted because of maxmemory.", space.evicted)
    yield counter("expired_keys", "Keys that have expired.", space.expired)


def _traffic(node: NodeCore) -> Iterator[Family]:
    engine, stats = node.engine, node.stats
    sessions = node.clients.by_id.values()
    kinds = {"normal": 0, "pubsub": 0, "replica": 0, "master": 0}
    for session in sessions:
        kinds[node.clients.type_of(session)] += 1
    kinds["primary"] = kinds.pop("master")
    yield by_label("gauge", "connections", "Connections, by what is at their other end.", "kind", kinds.items())
    yield gauge("blocked_clients", "Clients that wait for a key.", node.blocking.count)
    yield counter("connections_received", "Connections accepted.", stats.connections_received)
    yield counter("connections_rejected", "Connections refused.", stats.rejected_connections)
    yield counter("commands_processed", "Commands run.", engine.processed)
    yield counter("received_bytes", "Bytes received from clients.", engine.bytes_in)
    yield counter("sent_bytes", "Bytes sent to clients.", engine.bytes_out)
    errors = [(code.decode("utf-8", "replace"), count) for code, count in sorted(engine.error_stats.items())]
    yield by_label("counter", "error_replies", "Error replies, by code.", "code", errors)
    hits = [("hit", node.space.hits), ("miss", node.space.misses)]
    yield by_label("counter", "keyspace_lookups", "Lookups of keys by reading commands.", "outcome", hits)


def _keyspace(node: NodeCore) -> Iterator[Family]:
    used = [db for db in node.space.dbs if len(db) or db.index == 0]
    yield by_label("gauge", "keys", "Keys, by database.", "db", [(str(db.index), len(db)) for db in used])
    volatile = [(str(db.index), db.volatile_keys) for db in used]
    yield by_label("gauge", "keys_with_expiry", "Keys that will expire, by database.", "db", volatile)
    yield gauge("changes_since_save", "Changes that the last snapshot does not have.", node.space.dirty)


def _replication(node: NodeCore) -> Iterator[Family]:
    now_ms, offset = node.space.now_ms, node.stream.offset
    yield gauge("replication_offset_bytes", "How far this node's stream of writes is.", offset)
    replicas = node.replicas.attached.values()
    if node.following.active:
        yield gauge("primary_link_up", "1 where this replica follows its primary's stream.", node.following.connected)
    yield gauge("connected_replicas", "Replicas that are attached.", len(replicas))
    labels = [({"replica": f"{each.host}:{each.port}"}, each) for each in replicas]
    yield Family(
        "replica_lag_bytes",
        "gauge",
        "Bytes of the stream that a replica has not acknowledged yet.",
        [(label, max(0, offset - each.offset)) for label, each in labels],
    )
    yield Family(
        "replica_lag_seconds",
        "gauge",
        "Time since a replica's last acknowledgement.",
        [(label, each.lag_s(now_ms)) for label, each in labels],
    )
    yield Family(
        "replica_online",
        "gauge",
        "1 where the replica has all data and follows the stream.",
        [(label, float(each.state == "online")) for label, each in labels],
    )


def _cluster(clustering: Clustering) -> Iterator[Family]:
    core = clustering.core
    me = core.myself
    slots = core.slotmap.owned_by(core.state.my_primary or me).bit_count()
    yield gauge("cluster_ok", "1 where cluster_state is ok.", core.ok)
    yield gauge("cluster_slots", "Slots of this node's shard.", slots)
    yield gauge("cluster_slots_served", "Slots that this node serves for writing.", slots if me.is_primary else 0)
    yield gauge("cluster_size", "Primaries with slots.", core.health.size)
    yield counter("failovers", "Times that this node has taken the place of its primary.", core.failovers)
    yield gauge("cluster_epoch", "The current epoch.", core.state.current_epoch)
    conditions = {"ok": 0, "suspected": 0, "failed": 0}
    for peer in core.members:
        conditions["failed" if peer.failed else "suspected" if peer.suspected else "ok"] += 1
    yield by_label("gauge", "cluster_nodes", "Known nodes, by condition.", "condition", conditions.items())
    for counts, direction in ((core.bus.sent, "sent"), (core.bus.received, "received")):
        values = [(name, counts.get(kind, 0)) for kind, name in sorted(KIND_NAMES.items())]
        help = f"Packets {direction} on the cluster bus, by type."
        yield by_label("counter", f"bus_messages_{direction}", help, "type", values)
    yield gauge("bus_unsent_bytes", "Bytes that wait on the links of the bus.", clustering.link_bytes())
