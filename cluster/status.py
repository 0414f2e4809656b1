"""The state of a cluster for people and scripts: built from what the nodes answer, shown by `shardis status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.slots import SLOTS
from cluster.topology import NodeView, slots_text


@dataclass(frozen=True, slots=True)
class Answers:
    """What one node says of itself; `problem` instead where it could not be asked."""

    keys: int = 0
    memory_bytes: int = 0
    cluster_state: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node as the report shows it."""

    view: NodeView
    answers: Answers

    @property
    def role(self) -> str:
        return "primary" if self.view.is_primary else "replica"

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
        return self.answers.cluster_state or "unknown"


@dataclass(frozen=True, slots=True)
class Shard:
    """A primary and its replicas; a shard without slots is a primary that waits for some."""

    primary: NodeStatus
    replicas: tuple[NodeStatus, ...]

    @property
    def nodes(self) -> tuple[NodeStatus, ...]:
        return (self.primary, *self.replicas)


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
                    "nodes": [_node_dict(node) for node in shard.nodes],
                }
                for shard in self.shards
            ],
        }


def _node_dict(node: NodeStatus) -> dict[str, Any]:
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
        "problem": node.answers.problem,
    }


def build(views: Sequence[NodeView], answers: Mapping[str, Answers]) -> ClusterStatus:
    """The report from one node's view of the cluster and each node's own answers, by node id."""
    nodes = [NodeStatus(view, answers.get(view.id, Answers(problem="was not asked"))) for view in views]
    primaries = [node for node in nodes if node.view.is_primary or not node.view.primary_id]
    primaries.sort(key=lambda node: (node.view.slots or ((SLOTS, SLOTS),), node.view.address))
    return ClusterStatus(
        tuple(
            Shard(
                primary,
                tuple(
                    sorted(
                        (node for node in nodes if node.view.primary_id == primary.view.id),
                        key=lambda node: node.view.address,
                    )
                ),
            )
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
    """The lines of the table: shard, node, role, slots, keys, memory, state."""
    return [
        (
            str(number) if node is shard.primary else "",
            node.address,
            node.role,
            f"{node.view.slot_count} ({slots_text(node.view.slots)})" if node.view.slots else "",
            "" if node.answers.problem else str(node.answers.keys),
            "" if node.answers.problem else memory_shown(node.answers.memory_bytes),
            node.state,
        )
        for number, shard in enumerate(status.shards, 1)
        for node in shard.nodes
    ]
