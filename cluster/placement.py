"""Which node becomes what in a new cluster: primaries and replicas spread over hosts.

A host that dies should take neither many primaries nor a primary with all its replicas. So the nodes of the hosts are
dealt out in turn, the first of them become primaries, and each replica goes to a shard that has no node on its host
yet; at the end replicas change places while that leaves fewer pairs of a shard on one host. Where all nodes share a
host, the order in which they were named decides, so that a plan can be foretold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, zip_longest

Address = tuple[str, int]
Shards = list[list[Address]]
"""For each shard its primary, then its replicas."""


def place(addresses: Sequence[Address], shards: int) -> Shards:
    """Share the nodes out; their number is a multiple of `shards`."""
    assert len(addresses) % shards == 0
    dealt = interleaved(addresses)
    placed: Shards = [[address] for address in dealt[:shards]]
    waiting = dealt[shards:]
    while waiting:
        for shard in placed:
            shard.append(waiting.pop(_best_for(shard, waiting)))
    _exchange(placed)
    return placed


def interleaved(addresses: Iterable[Address]) -> list[Address]:
    """The same nodes, one of each host in turn."""
    by_host: dict[str, list[Address]] = {}
    for address in addresses:
        by_host.setdefault(address[0], []).append(address)
    return [address for turn in zip_longest(*by_host.values()) for address in turn if address is not None]


def crowding(shard: Sequence[Address]) -> int:
    """How many pairs of this shard's nodes share a host; a pair with the primary in it counts for most."""
    primary, *replicas = [host for host, _ in shard]
    among_replicas = sum(count * (count - 1) // 2 for count in Counter(replicas).values())
    return among_replicas + 100 * replicas.count(primary)


def _best_for(shard: Sequence[Address], waiting: Sequence[Address]) -> int:
    """Where in `waiting` the best replica for this shard stands: the first on the host of which it has fewest nodes."""
    return min(range(len(waiting)), key=lambda at: (crowding([*shard, waiting[at]]), at))


def _exchange(placed: Shards) -> None:
    """Let two replicas change places as long as that helps. Each exchange lowers the sum, so this ends."""
    improved = True
    while improved:
        improved = False
        for one, other in combinations(placed, 2):
            for i in range(1, len(one)):
                for j in range(1, len(other)):
                    before = crowding(one) + crowding(other)
                    one[i], other[j] = other[j], one[i]
                    if crowding(one) + crowding(other) < before:
                        improved = True
                    else:
                        one[i], other[j] = other[j], one[i]
