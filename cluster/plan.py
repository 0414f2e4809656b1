"""Plans: what to send to which node, as plain data. Carrying a plan out is the client's business (aio/creation.py).

A plan is made before anything is sent, so that it can be shown, refused and tested without a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.agreement.slots import SLOTS
from cluster.placement import Address, place

SlotRange = tuple[int, int]
"""First and last slot, both included."""

MAX_REPLICAS = 5


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
    """A cluster of all these nodes, each shard with `replicas` replicas, spread over the hosts."""
    check_replicas(replicas)
    shards, left_over = divmod(len(addresses), replicas + 1)
    if shards == 0 or left_over:
        raise PlanError(f"{len(addresses)} nodes cannot be shared out into shards of {replicas + 1}")
    if len(set(addresses)) != len(addresses):
        raise PlanError("an address is named twice")
    placed = place(addresses, shards)
    primaries = tuple(
        NewPrimary(shard[0], slots, epoch)
        for epoch, (shard, slots) in enumerate(zip(placed, split_slots(shards), strict=True), 1)
    )
    rounds = zip(*(shard[1:] for shard in placed), strict=True)
    return CreatePlan(
        primaries,
        tuple(NewReplica(node, shard[0]) for turn in rounds for node, shard in zip(turn, placed, strict=True)),
    )


def check_replicas(replicas: int) -> None:
    """Raises PlanError for more replicas than a primary may have."""
    if replicas > MAX_REPLICAS:
        raise PlanError(f"a primary has at most {MAX_REPLICAS} replicas, not {replicas}")
