"""Plans: what to send to which node, as plain data. Carrying a plan out is the client's business (aio/creation.py).

A plan is made before anything is sent, so that it can be shown, refused and tested without a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.slots import SLOTS

Address = tuple[str, int]
SlotRange = tuple[int, int]
"""First and last slot, both included."""


class PlanError(ValueError):
    """No such plan exists; the text says why."""


@dataclass(frozen=True, slots=True)
class NewPrimary:
    """A node that becomes a primary, with the slots it serves and the epoch that makes its claim distinct."""

    address: Address
    slots: SlotRange
    epoch: int


@dataclass(frozen=True, slots=True)
class NewReplica:
    """A node that becomes a replica of the primary at an address."""

    address: Address
    primary: Address


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """How empty nodes become one cluster."""

    primaries: tuple[NewPrimary, ...]
    replicas: tuple[NewReplica, ...]

    @property
    def addresses(self) -> list[Address]:
        return [primary.address for primary in self.primaries] + [replica.address for replica in self.replicas]

    @property
    def meetings(self) -> list[tuple[Address, Address]]:
        """Who is told to meet whom. All meet the first node and gossip does the rest, however many there are."""
        first, *others = self.addresses
        return [(other, first) for other in others]


def split_slots(shards: int) -> list[SlotRange]:
    """All slots in consecutive ranges whose sizes differ by one at most, cut where redis-cli cuts them."""
    if not 1 <= shards <= SLOTS:
        raise PlanError(f"a cluster has between 1 and {SLOTS} shards, not {shards}")
    # Halves round away from zero, as C's lround does and Python's round does not.
    cuts = [int(SLOTS * shard / shards - 1 + 0.5) + 1 for shard in range(1, shards)]
    return list(zip([0, *cuts], [*(cut - 1 for cut in cuts), SLOTS - 1], strict=True))


def create(addresses: Sequence[Address], replicas: int = 0) -> CreatePlan:
    """A cluster of all these nodes, each shard with `replicas` replicas: the first nodes become the primaries."""
    shards, left_over = divmod(len(addresses), replicas + 1)
    if shards == 0 or left_over:
        raise PlanError(f"{len(addresses)} nodes cannot be shared out into shards of {replicas + 1}")
    if len(set(addresses)) != len(addresses):
        raise PlanError("an address is named twice")
    primaries = tuple(
        NewPrimary(address, slots, epoch)
        for epoch, (address, slots) in enumerate(zip(addresses[:shards], split_slots(shards), strict=True), 1)
    )
    return CreatePlan(
        primaries,
        tuple(NewReplica(node, addresses[at % shards]) for at, node in enumerate(addresses[shards:])),
    )
