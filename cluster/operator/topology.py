"""A cluster as one of its nodes describes it: the text of CLUSTER NODES, read for the operator's client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.agreement.slots import SLOTS
from cluster.placement import Address
from cluster.plan import SlotRange


@dataclass(frozen=True, slots=True)
class NodeView:
    """One line of CLUSTER NODES."""

    id: str
    address: Address
    hostname: str
    flags: frozenset[str]
    primary_id: str
    epoch: int
    connected: bool
    slots: tuple[SlotRange, ...]
    open_slots: tuple[str, ...]
    """Slots on the move, as the node writes them: `[93->-id]` leaves, `[93-<-id]` arrives."""

    @property
    def is_primary(self) -> bool:
        return "master" in self.flags

    @property
    def slot_count(self) -> int:
        return sum(last - first + 1 for first, last in self.slots)


def parse_nodes(text: str) -> list[NodeView]:
    """All lines of CLUSTER NODES; raises ValueError for what is not one."""
    return [_parse_line(line) for line in text.splitlines() if line.strip()]


def _parse_line(line: str) -> NodeView:
    node_id, location, flags, primary, _ping, _pong, epoch, link, *slots = line.split()
    address, *names = location.split(",")
    host, _, port = address.partition("@")[0].rpartition(":")
    return NodeView(
        id=node_id,
        address=(host, int(port)),
        hostname=names[0] if names else "",
        flags=frozenset(flags.split(",")),
        primary_id="" if primary == "-" else primary,
        epoch=int(epoch),
        connected=link == "connected",
        slots=tuple(_range(word) for word in slots if not word.startswith("[")),
        open_slots=tuple(word for word in slots if word.startswith("[")),
    )


def parse_shards(reply: Iterable[Sequence[Any]]) -> dict[str, str]:
    """CLUSTER SHARDS, in RESP2: each node's id, and that of the first node of its shard, as the shard's name."""
    named: dict[str, str] = {}
    for shard in reply:
        nodes = _fields(shard)["nodes"]
        ids = [_fields(node)["id"] for node in nodes]
        named.update((node_id, ids[0]) for node_id in ids)
    return named


def _fields(flat: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _range(word: str) -> SlotRange:
    first, _, last = word.partition("-")
    return int(first), int(last or first)


def slots_text(slots: Iterable[SlotRange]) -> str:
    """`0-5460 5462`, as CLUSTER NODES writes ranges."""
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in slots)


def agreed(views: list[list[NodeView]]) -> bool:
    """Whether all nodes (one view each) know each other, name the same owners, and every slot has one."""
    signatures = {frozenset((node.id, node.is_primary, node.primary_id, node.slots) for node in view) for view in views}
    if len(signatures) != 1:
        return False
    view = views[0]
    if any(node.flags & {"handshake", "noaddr", "fail", "fail?"} for each in views for node in each):
        return False
    return len(view) == len(views) and sum(node.slot_count for node in view) == SLOTS
