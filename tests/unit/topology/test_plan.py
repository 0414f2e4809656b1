"""How slots and roles are shared out when a cluster is made."""

from __future__ import annotations

import pytest

from cluster.agreement.slots import SLOTS
from cluster.plan import NewReplica, PlanError, create, split_slots


def addresses(count: int) -> list[tuple[str, int]]:
    return [("127.0.0.1", 7000 + at) for at in range(count)]


# Where redis-cli --cluster create cuts.
CUTS = [
    (1, [(0, 16383)]),
    (2, [(0, 8191), (8192, 16383)]),
    (3, [(0, 5460), (5461, 10922), (10923, 16383)]),
    (5, [(0, 3276), (3277, 6553), (6554, 9829), (9830, 13106), (13107, 16383)]),
]


@pytest.mark.parametrize(("shards", "ranges"), CUTS)
def test_slots_are_cut_where_redis_cli_cuts_them(shards: int, ranges: list[tuple[int, int]]) -> None:
    assert split_slots(shards) == ranges


@pytest.mark.parametrize("shards", [1, 4, 7, 15, 90, 1000, SLOTS])
def test_every_slot_has_one_owner_and_shares_are_even(shards: int) -> None:
    ranges = split_slots(shards)
    assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(range(SLOTS))
    sizes = [last - first + 1 for first, last in ranges]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shards", [0, -1, SLOTS + 1])
def test_impossible_numbers_of_shards_are_refused(shards: int) -> None:
    with pytest.raises(PlanError):
        split_slots(shards)


def test_the_first_nodes_become_primaries_and_the_others_their_replicas() -> None:
    nodes = addresses(6)
    plan = create(nodes, replicas=1)
    assert [primary.address for primary in plan.primaries] == nodes[:3]
    assert [primary.epoch for primary in plan.primaries] == [1, 2, 3]
    assert plan.replicas == tuple(NewReplica(nodes[3 + at], nodes[at]) for at in range(3))
    assert plan.meetings == [(node, nodes[0]) for node in nodes[1:]]


@pytest.mark.parametrize(("count", "replicas"), [(0, 0), (5, 1), (1, 1)])
def test_nodes_that_do_not_fill_the_shards_are_refused(count: int, replicas: int) -> None:
    with pytest.raises(PlanError, match=f"{count} nodes cannot be shared out"):
        create(addresses(count), replicas)


def test_an_address_may_not_be_named_twice() -> None:
    with pytest.raises(PlanError, match="twice"):
        create(addresses(2) + addresses(1))


def test_a_sixth_replica_is_refused() -> None:
    assert len(create(addresses(6), replicas=5).replicas) == 5
    with pytest.raises(PlanError, match="at most 5 replicas, not 6"):
        create(addresses(7), replicas=6)


def on_hosts(*counts: int) -> list[tuple[str, int]]:
    return [(f"10.0.0.{host}", 7000 + at) for host, count in enumerate(counts) for at in range(count)]


def hosts_of_shards(nodes: list[tuple[str, int]], replicas: int) -> list[list[str]]:
    plan = create(nodes, replicas)
    shards = {primary.address: [primary.address[0]] for primary in plan.primaries}
    for replica in plan.replicas:
        shards[replica.primary].append(replica.address[0])
    return list(shards.values())


@pytest.mark.parametrize(
    ("counts", "replicas"),
    [((2, 2, 2), 1), ((3, 3), 1), ((4, 1, 1), 1), ((3, 3, 3), 2), ((15,) * 6, 5), ((30, 30, 30), 2), ((1, 2, 3), 1)],
)
def test_no_shard_has_two_nodes_on_a_host_where_that_is_possible(counts: tuple[int, ...], replicas: int) -> None:
    shards = hosts_of_shards(on_hosts(*counts), replicas)
    possible = all(count <= len(shards) for count in counts)
    crowded = [shard for shard in shards if len(set(shard)) < len(shard)]
    assert len(crowded) == (0 if possible else max(counts) - len(shards))


def test_primaries_are_spread_over_hosts() -> None:
    for counts in ((2, 2, 2), (6, 6, 6), (4, 4)):
        primaries = [shard[0] for shard in hosts_of_shards(on_hosts(*counts), 1)]
        assert max(map(primaries.count, primaries)) - min(map(primaries.count, set(primaries))) <= 1
