"""The state of a cluster for people and scripts: built from what the nodes answer, shown by `shardis status`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.agreement.slots import SLOTS
from cluster.operator.topology import NodeView, slots_text


@dataclass(frozen=True, slots=True)
class Replication:
    """What a node says in INFO replication, as far as it concerns how far replicas lag behind."""

    offset: int = 0
    link_up: bool = True
    """Whether a replica's stream from its primary runs. A primary has no such link and lacks nothing."""
    silent_s: int = 0
    """For how long a replica has heard nothing from its primary."""
    acknowledged_s: Mapping[int, int] = field(default_factory=dict)
    """How long ago each replica of a primary has acknowledged what it got, by the replica's port."""

    @classmethod
    def parse(cls, info: Mapping[str, str]) -> Replication:
        if info.get("role") == "slave":
            link_up = info.get("master_link_status") == "up"
            return cls(int(info.get("slave_repl_offset", 0)), link_up, int(info.get("master_last_io_seconds_ago", -1)))
        replicas = [_fields(value) for name, value in info.items() if _REPLICA_LINE.fullmatch(name)]
        acknowledged_s = {int(each["port"]): int(each["lag"]) for each in replicas if {"port", "lag"} <= each.keys()}
        return cls(int(info.get("master_repl_offset", 0)), acknowledged_s=acknowledged_s)


_REPLICA_LINE = re.compile(r"slave\d+")


def _fields(line: str) -> dict[str, str]:
    """`ip=127.0.0.1,port=7003,state=online,offset=98,lag=0`"""
    return dict(pair.partition("=")[::2] for pair in line.split(","))


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a replica is behind its primary, as nearly as two nodes can be asked at the same moment."""

    link_up: bool
    bytes: int | None
    seconds: int | None

    def __str__(self) -> str:
        if not self.link_up:
            return "link down"
        known = [(value, unit) for value, unit in ((self.bytes, "B"), (self.seconds, "s")) if value is not None]
        return " ".join(f"{value} {unit}" for value, unit in known)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one node says of itself; `problem` instead where it could not be asked."""

    keys: int = 0
    memory_bytes: int = 0
    cluster_state: str = ""
    replication: Replication | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node as the report shows it."""

    view: NodeView
    answers: Answers

    @property
    def role(self) -> str:
        if self.is_replaced:
            return "former primary"
        return "primary" if self.view.is_primary else "replica"

    @property
    def is_replaced(self) -> bool:
        """Whether it was a primary that has failed, and whose slots another has now. It will be a replica."""
        return self.view.is_primary and "fail" in self.view.flags and not self.view.slots

    @property
    def address(self) -> str:
        host, port = self.view.address
        return f"{host}:{port}"

    @property
    def state(self) -> str:
        """In one word or two, the worst that is known."""
        if "fail" in self.view.flags:
            return "failed"
        if self.answers.problem:
            return "unreachable"
        if "fail?" in self.view.flags:
            return "suspected"
        if self.view.flags & {"handshake", "noaddr"}:
            return "joining"
        if self.answers.cluster_state == "ok" and not (self.answers.replication or Replication()).link_up:
            return "syncing"
        return self.answers.cluster_state or "unknown"


@dataclass(frozen=True, slots=True)
class Shard:
    """A primary and its replicas; a shard without slots is a primary that waits for some."""

    primary: NodeStatus
    replicas: tuple[NodeStatus, ...]

    @property
    def nodes(self) -> tuple[NodeStatus, ...]:
        return (self.primary, *self.replicas)

    def lag(self, node: NodeStatus) -> Lag | None:
        """How far a replica of this shard is behind; None for the primary, and where it cannot be known."""
        theirs, primarys = node.answers.replication, self.primary.answers.replication
        if node is self.primary or theirs is None:
            return None
        if primarys is None:
            return Lag(theirs.link_up, None, None)
        seconds = primarys.acknowledged_s.get(node.view.address[1], theirs.silent_s)
        return Lag(theirs.link_up, max(primarys.offset - theirs.offset, 0), seconds if seconds >= 0 else None)


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """All shards, in the order of their first slots."""

    shards: tuple[Shard, ...]

    @property
    def slots_served(self) -> int:
        return sum(shard.primary.view.slot_count for shard in self.shards if shard.primary.state == "ok")

    @property
    def is_healthy(self) -> bool:
        return self.slots_served == SLOTS and all(node.state == "ok" for shard in self.shards for node in shard.nodes)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "healthy": self.is_healthy,
            "slots_served": self.slots_served,
            "keys": sum(shard.primary.answers.keys for shard in self.shards),
            "shards": [
                {
                    "slots": [list(slots) for slots in shard.primary.view.slots],
                    "nodes": [_node_dict(node, shard.lag(node)) for node in shard.nodes],
                }
                for shard in self.shards
            ],
        }


def _node_dict(node: NodeStatus, lag: Lag | None) -> dict[str, Any]:
    return {
        "id": node.view.id,
        "address": node.address,
        "hostname": node.view.hostname,
        "role": node.role,
        "state": node.state,
        "config_epoch": node.view.epoch,
        "slots": node.view.slot_count,
        "open_slots": list(node.view.open_slots),
        "keys": node.answers.keys,
        "memory_bytes": node.answers.memory_bytes,
        "replication": lag and {"link_up": lag.link_up, "lag_bytes": lag.bytes, "lag_s": lag.seconds},
        "problem": node.answers.problem,
    }


def build(
    views: Sequence[NodeView], answers: Mapping[str, Answers], shards: Mapping[str, str] | None = None
) -> ClusterStatus:
    """The report from one node's view of the cluster and each node's own answers, by node id.

    `shards` names the shard of each node: a primary that was replaced, and is down, belongs to its successor's.
    """
    shards = shards or {}
    nodes = [NodeStatus(view, answers.get(view.id, Answers(problem="was not asked"))) for view in views]
    heads = [node for node in nodes if node.view.is_primary or not node.view.primary_id]
    owners = {shards[node.view.id]: node.view.id for node in heads if node.view.slots and node.view.id in shards}
    home = {node.view.id: node.view.primary_id for node in nodes}
    home |= {node.view.id: owners.get(shards.get(node.view.id, ""), "") for node in heads if node.is_replaced}
    primaries = [node for node in heads if not home[node.view.id]]
    primaries.sort(key=lambda node: (node.view.slots or ((SLOTS, SLOTS),), node.view.address))
    followers = sorted((node for node in nodes if home[node.view.id]), key=lambda node: node.view.address)
    return ClusterStatus(
        tuple(
            Shard(primary, tuple(node for node in followers if home[node.view.id] == primary.view.id))
            for primary in primaries
        )
    )


def parse_info(text: str) -> dict[str, str]:
    """The fields of INFO or CLUSTER INFO."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def memory_shown(size: int) -> str:
    """`12.3 MiB`, for people."""
    shown = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if shown < 1024 or unit == "GiB":
            break
        shown /= 1024
    return f"{shown:.0f} B" if unit == "B" else f"{shown:.1f} {unit}"


def rows(status: ClusterStatus) -> list[tuple[str, ...]]:
    """The lines of the table: shard, node, role, slots, keys, memory, lag, state."""
    return [
        (
            str(number) if node is shard.primary else "",
            node.address,
            node.role,
            f"{node.view.slot_count} ({slots_text(node.view.slots)})" if node.view.slots else "",
            "" if node.answers.problem else str(node.answers.keys),
            "" if node.answers.problem else memory_shown(node.answers.memory_bytes),
            str(shard.lag(node) or ""),
            node.state,
        )
        for number, shard in enumerate(status.shards, 1)
        for node in shard.nodes
    ]
