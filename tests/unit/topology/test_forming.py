"""Empty nodes that form a cluster by themselves, started in any order and at any time."""

from __future__ import annotations

import random

import pytest

from cluster.agreement.state import Wish
from cluster.forming import vacancies
from gossip import flags
from gossip.peer import Peer
from tests.unit.bus.simnet import Net, Node

HOST = "nodes.example"


def net_of(size: int, wish: Wish, seed: int = 1) -> Net:
    """Nodes that have not been started yet."""
    net = Net(size, seed=seed, seeds=(HOST,), wish=wish)
    net.names[HOST] = [node.ip for node in net.nodes]
    for node in net.nodes:
        net.kill(node)
        node.disk = ""
    net.run(10)
    return net


def start(net: Net, nodes: list[Node], within_ms: int) -> None:
    """Start these nodes in an order and at times that the net's chance decides."""
    waits = sorted(net.rng.randrange(within_ms) for _ in nodes)
    began = net.now
    for wait, node in zip(waits, net.rng.sample(nodes, len(nodes)), strict=True):
        net.run(max(began + wait - net.now, 0))
        net.restart(node)


def shape(node: Node) -> list[int]:
    """The number of replicas of each shard, as this node sees it."""
    return sorted(len(owner.replicas) for owner in node.core.slotmap.owners_with_slots())


def all_formed(net: Net, wish: Wish) -> bool:
    alive = [node for node in net.nodes if node.alive]
    return all(node.core.ok and shape(node) == [wish.replicas] * wish.shards for node in alive) and same_maps(alive)


def same_maps(nodes: list[Node]) -> bool:
    maps = {tuple((s, e, owner.id) for s, e, owner in node.core.slotmap.runs()) for node in nodes}
    roles = {frozenset((p.id, p.primary.id if p.primary else "") for p in node.core.members) for node in nodes}
    return len(maps) == len(roles) == 1


@pytest.mark.parametrize("seed", range(40))
def test_any_order_and_timing_of_starts(seed: int) -> None:
    rng = random.Random(seed)
    wish = Wish(rng.randint(1, 4), rng.randint(0, 2))
    net = net_of(wish.nodes, wish, seed)
    start(net, net.nodes, rng.choice([1, 500, 5000, 30_000]))
    net.until(lambda: all_formed(net, wish), 15_000)
    before = [node.core.state.current_epoch for node in net.nodes]
    net.run(10_000)
    assert all_formed(net, wish)
    assert [node.core.state.current_epoch for node in net.nodes] == before, "it forms once, then rests"


@pytest.mark.parametrize("seed", range(10))
def test_two_halves_that_start_apart_end_as_one(seed: int) -> None:
    wish = Wish(3, 1)
    net = net_of(6, wish, seed)
    half = net.rng.sample(net.nodes, 3)
    others = [node for node in net.nodes if node not in half]
    net.cut(half, others)
    start(net, net.nodes, 2000)
    net.run(10_000)
    assert not any(node.core.slotmap.assigned() for node in net.nodes)
    net.heal()
    net.until(lambda: all_formed(net, wish), 30_000)


@pytest.mark.parametrize("seed", range(20))
def test_the_one_who_decides_dies_at_any_moment_and_comes_back(seed: int) -> None:
    wish = Wish(3, 1)
    net = net_of(6, wish, seed)
    start(net, net.nodes, 300)
    net.until(lambda: any(node.core.slotmap.assigned() for node in net.nodes))
    decided = next(node for node in net.nodes if node.core.slotmap.assigned())
    net.run(net.rng.randrange(8))
    net.kill(decided)
    net.run(net.rng.choice([10, 1000, 20_000]))
    net.restart(decided)
    net.until(lambda: all_formed(net, wish), 40_000)


@pytest.mark.parametrize("seed", range(20))
def test_nodes_that_come_and_go_while_it_forms(seed: int) -> None:
    wish = Wish(2, 1)
    net = net_of(4, wish, seed)
    start(net, net.nodes, 1000)
    for _ in range(net.rng.randrange(1, 6)):
        net.run(net.rng.randrange(400))
        node = net.rng.choice(net.nodes)
        net.kill(node)
        net.run(net.rng.randrange(800))
        net.restart(node)
    net.until(lambda: all_formed(net, wish), 60_000)


def test_many_nodes_that_form_a_cluster_say_and_write_little() -> None:
    """On two cores ninety nodes have no time for more: what each does a hundred times is done nine thousand times."""
    wish = Wish(6, 3)
    net = net_of(wish.nodes, wish)
    maps = 0

    def counted(target: Peer, node: Node) -> tuple[object, object]:
        nonlocal maps
        offered = real[node.number](target)
        maps += offered[1] is not None
        return offered

    start(net, net.nodes, 3000)
    real = {node.number: node.core.offers for node in net.nodes}
    for node in net.nodes:
        node.core.offers = lambda target, node=node: counted(target, node)  # type: ignore[method-assign]
    net.until(lambda: all_formed(net, wish), 15_000)
    net.run(2000)
    others = wish.nodes - 1
    assert sum(sum(node.core.bus.sent.values()) for node in net.nodes) < 8 * others * wish.nodes
    assert maps < 3 * others, "the one who decides tells all, and hardly anybody else does"
    for node in net.nodes:
        assert sum(node.writes) < 6, "an fsync holds up all that is to be sent"


def test_nodes_without_slots_share_an_epoch_until_they_get_some() -> None:
    """An epoch of its own for each empty node would be a hundred durable writes where ninety meet."""
    net = Net(5)
    for node in net.nodes[1:]:
        node.meet(net.nodes[0])
    net.until(lambda: all(len(node.knows()) == 5 for node in net.nodes))
    net.run(20_000)
    assert {node.core.myself.config_epoch for node in net.nodes} == {0}
    for index, node in enumerate(net.nodes[:3]):
        node.do("add_slots_range", [b"%d" % (index * 5000), b"%d" % (index * 5000 + 4999)])
    net.until(net.agree)
    assert sorted(node.core.myself.config_epoch for node in net.nodes)[:3] == [0, 0, 0], "two empty ones, and one owner"


def test_two_who_claim_the_same_slot_in_the_same_epoch_agree_on_one() -> None:
    net = Net(4)
    for node in net.nodes[1:]:
        node.meet(net.nodes[0])
    net.until(lambda: all(len(node.knows()) == 4 for node in net.nodes))
    net.cut(net.nodes[:2], net.nodes[2:])
    for node in (net.nodes[0], net.nodes[2]):
        node.do("add_slots_range", [b"0", b"99"])
    net.run(3000)
    net.heal()
    net.until(net.agree)
    assert len({node.owner(50) for node in net.nodes}) == 1


def test_too_few_nodes_wait() -> None:
    net = net_of(6, Wish(3, 1))
    start(net, net.nodes[:5], 100)
    net.run(60_000)
    assert not any(node.core.slotmap.assigned() for node in net.nodes[:5])


def test_nodes_with_different_wishes_wait() -> None:
    net = net_of(4, Wish(2, 1))
    net.nodes[1].given = {**net.nodes[1].given, "wish": Wish(4, 0)}
    start(net, net.nodes, 100)
    net.run(30_000)
    assert not any(node.core.slotmap.assigned() for node in net.nodes)


def test_a_node_with_data_is_not_part_of_a_bootstrap() -> None:
    net = net_of(4, Wish(4, 0))
    net.nodes[2].keys.by_slot = {866: 3}
    start(net, net.nodes, 100)
    net.run(30_000)
    assert not any(node.core.slotmap.assigned() for node in net.nodes), "it has keys: the others are too few"
    net.nodes[2].core.data_loaded(net.now)
    net.run_effects(net.nodes[2])
    net.run(30_000)
    assert {node.owner(866) for node in net.nodes} == {net.nodes[2].id}
    assert net.nodes[2].keys.slot_len(866) == 3
    assert not any(effect for effect in net.nodes[2].effects if type(effect).__name__ == "DropKeys")


def test_an_empty_node_becomes_the_replica_that_is_missing() -> None:
    wish = Wish(3, 1)
    net = net_of(6, wish)
    start(net, net.nodes, 100)
    net.until(lambda: all_formed(net, wish), 15_000)
    lost = next(node for node in net.nodes if node.core.myself.is_replica)
    net.kill(lost)
    net.run(15_000)
    lost.disk = ""
    net.restart(lost)
    net.until(lambda: lost.core.myself.is_replica, 20_000)
    assert lost.core.myself.primary is not None


def test_a_formed_cluster_does_not_form_again_when_it_restarts() -> None:
    wish = Wish(3, 0)
    net = net_of(3, wish)
    start(net, net.nodes, 100)
    net.until(lambda: all_formed(net, wish), 15_000)
    before = [(node.id, node.core.myself.slot_count, node.core.state.current_epoch) for node in net.nodes]
    for node in net.nodes:
        net.kill(node)
    start(net, net.nodes, 3000)
    net.until(lambda: all_formed(net, wish), 15_000)
    assert [(node.id, node.core.myself.slot_count, node.core.state.current_epoch) for node in net.nodes] == before


def test_vacancies_are_filled_where_fewest_replicas_are() -> None:
    def shard(letter: str, replicas: int, failed: int = 0) -> Peer:
        primary = Peer(letter * 40, flags.PRIMARY, 0)
        for number in range(replicas):
            bits = flags.REPLICA | (flags.FAIL if number < failed else 0)
            Peer(f"{letter}{number:039}", bits, 0).follow(primary)
        return primary

    a, b, c = shard("a", 2), shard("b", 1, failed=1), shard("c", 1)
    assert vacancies([a, b, c], 2) == [b, b, c]
    a.flags |= flags.FAIL
    assert vacancies([a, b, c], 3) == [b, b, c, b, c]
