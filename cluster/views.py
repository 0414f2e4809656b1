"""What clients are shown: CLUSTER NODES, SLOTS, SHARDS, INFO and LINKS, in Redis' formats.

The values are those of Python that stand for replies: bytes for a bulk string, int, list, dict for a map. NODES and
INFO are texts, which the caller sends as verbatim strings.

CLUSTER SLOTS is what every client asks when it connects and after every redirection, so its answer is kept until
something that it shows has changed. The same list object comes back meanwhile, so that a caller can keep the encoded
reply just as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.agreement.nodesconf import node_line
from cluster.agreement.redirect import client_port, endpoint
from cluster.agreement.slots import ranges
from cluster.core import ClusterCore
from gossip.messages import KIND_NAMES
from gossip.peer import Link, Peer

# (allocated, used) bytes of a link's send buffer.
BufferSizes = Callable[[int], tuple[int, int]]


class ClusterViews:
    """The displays of one ClusterCore."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core
        self._slots: dict[bool, tuple[object, list[Any]]] = {}

    def nodes(self, plain_client: bool = False) -> bytes:
        """CLUSTER NODES."""
        state = self._core.state
        lines = [node_line(state, peer, plain_client=plain_client) for peer in state.members]
        return ("\n".join(lines) + "\n").encode()

    def info(self) -> bytes:
        """CLUSTER INFO."""
        core, me = self._core, self._core.myself
        by_condition = {"ok": 0, "pfail": 0, "fail": 0}
        for peer in core.slotmap.owners_with_slots():
            condition = "fail" if peer.failed else "pfail" if peer.suspected else "ok"
            by_condition[condition] += peer.slot_count
        primary = core.state.my_primary or me
        lines = [
            f"cluster_state:{'ok' if core.ok else 'fail'}",
            f"cluster_slots_assigned:{sum(by_condition.values())}",
            *(f"cluster_slots_{name}:{count}" for name, count in by_condition.items()),
            f"cluster_known_nodes:{len(core.members)}",
            f"cluster_size:{core.health.size}",
            f"cluster_current_epoch:{core.state.current_epoch}",
            f"cluster_my_epoch:{primary.config_epoch}",
            *([f"cluster_empty_primary_waits_for:{','.join(core.empty.awaited())}"] if core.empty.active else []),
            *_message_counts(core.bus.sent, "sent"),
            *_message_counts(core.bus.received, "received"),
            f"total_cluster_links_buffer_limit_exceeded:{core.bus.links_over_limit}",
        ]
        return ("\r\n".join(lines) + "\r\n").encode()

    def slots(self, plain_client: bool = False) -> list[Any]:
        """CLUSTER SLOTS. Not to be modified: the list is the cache."""
        shown = self._fingerprint()
        cached = self._slots.get(plain_client)
        if cached is None or cached[0] != shown:
            cached = (shown, self._make_slots(plain_client))
            self._slots[plain_client] = cached
        return cached[1]

    def shards(self) -> list[Any]:
        """CLUSTER SHARDS.

        A primary whose place another has taken, and which has not come back yet, stands with its successor, as it does
        from Redis 7.2 on: it is no shard of its own.
        """
        state = self._core.state
        primaries = [peer for peer in state.members if peer.is_primary]
        successors = {peer.shard_id: peer for peer in primaries if peer.slot_count and peer.shard_id}
        shards = {peer: state.shard_of(peer) for peer in primaries if peer.slot_count or not peer.failed}
        for peer in primaries:
            if peer not in shards:
                shards.setdefault(successors.get(peer.shard_id, peer), []).extend(state.shard_of(peer))
        return [
            {
                b"slots": [slot for run in ranges(state.slotmap.owned_by(primary)) for slot in run],
                b"nodes": [self._shard_node(peer) for peer in nodes],
            }
            for primary, nodes in shards.items()
        ]

    def links(self, buffers: BufferSizes) -> list[Any]:
        """CLUSTER LINKS. The host knows what waits in the sockets: `buffers(link id)`."""
        found: list[Any] = []
        for peer in self._core.members:
            for link in (peer.link, peer.inbound):
                if link is not None:
                    found.append(_link(peer, link, *buffers(link.id)))
        return found

    def my_id(self) -> bytes:
        return self._core.myself.id.encode()

    def my_shard_id(self) -> bytes:
        return self._core.myself.shard_id.encode()

    # CLUSTER SLOTS.

    def _fingerprint(self) -> object:
        """Equal as long as CLUSTER SLOTS would show the same."""
        core = self._core
        nodes = tuple(
            (p.id, p.ip, p.port, p.plain_port, p.hostname, p.primary, self._available(p)) for p in core.members
        )
        return core.slotmap.version, core.settings.preferred_endpoint_type, nodes

    def _make_slots(self, plain_client: bool) -> list[Any]:
        reply: list[Any] = []
        for start, end, owner in self._core.slotmap.runs():
            nodes = [owner, *(replica for replica in owner.replicas if self._available(replica))]
            reply.append([start, end, *(self._slots_node(peer, plain_client) for peer in nodes)])
        return reply

    def _slots_node(self, peer: Peer, plain_client: bool) -> list[Any]:
        settings = self._core.settings
        kind = settings.preferred_endpoint_type
        host = None if kind == "unknown-endpoint" else endpoint(settings, peer).encode()
        metadata: dict[bytes, bytes] = {}
        if kind != "ip":
            metadata[b"ip"] = peer.ip.encode()
        if kind != "hostname" and peer.hostname:
            metadata[b"hostname"] = peer.hostname.encode()
        return [host, client_port(peer, plain_client), peer.id.encode(), metadata]

    def _available(self, replica: Peer) -> bool:
        """Whether it can serve reads: alive, and past its first synchronisation.

        Redis knows the second by the offset alone, which stays 0 until there is something to replicate: whoever
        connects before the first write sees no replica, and may keep that until there is a reason to ask again.
        """
        in_sync = self._core.in_sync if replica.is_myself else replica.in_sync
        return not replica.failed and (in_sync or self._offset(replica) != 0)

    def _offset(self, peer: Peer) -> int:
        return self._core.replication.offset if peer.is_myself else peer.repl_offset

    # CLUSTER SHARDS and LINKS.

    def _shard_node(self, peer: Peer) -> dict[bytes, Any]:
        settings = self._core.settings
        plain_port, tls_port = (peer.plain_port, peer.port) if settings.tls else (peer.port, 0)
        offset = self._offset(peer)
        node: dict[bytes, Any] = {b"id": peer.id.encode()}
        if plain_port:
            node[b"port"] = plain_port
        if tls_port:
            node[b"tls-port"] = tls_port
        node[b"ip"] = peer.ip.encode()
        node[b"endpoint"] = endpoint(settings, peer).encode()
        if peer.hostname:
            node[b"hostname"] = peer.hostname.encode()
        node[b"role"] = b"replica" if peer.is_replica else b"master"
        node[b"replication-offset"] = offset
        loading = peer.is_replica and not self._available(peer)
        node[b"health"] = b"fail" if peer.failed else b"loading" if loading else b"online"
        return node


def _message_counts(counts: dict[int, int], direction: str) -> list[str]:
    lines = [
        f"cluster_stats_messages_{name}_{direction}:{counts[kind]}"
        for kind, name in sorted(KIND_NAMES.items())
        if counts.get(kind)
    ]
    return [*lines, f"cluster_stats_messages_{direction}:{sum(counts.values())}"]


def _link(peer: Peer, link: Link, allocated: int, used: int) -> dict[bytes, Any]:
    return {
        b"direction": b"from" if link.inbound else b"to",
        b"node": peer.id.encode(),
        b"create-time": link.created_ms,
        b"events": b"rw" if used else b"r",
        b"send-buffer-allocated": allocated,
        b"send-buffer-used": used,
    }
