"""Nodes that change their addresses, and names that lead back to them."""

from __future__ import annotations

import pytest

from gossip.seeds import Seed, parse_seed
from tests.unit.bus.simnet import Net

HOST = "nodes.example"


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("a.example", Seed("a.example", 16379)),
        ("a.example:7000", Seed("a.example", 17000)),
        ("10.0.0.1:7000@7999", Seed("10.0.0.1", 7999)),
        ("[::1]:7000", Seed("::1", 17000)),
        ("[fe80::1]", Seed("fe80::1", 16379)),
        ("fe80::1", Seed("fe80::1", 16379)),
    ],
)
def test_a_seed_is_read(text: str, seed: Seed) -> None:
    assert parse_seed(text, 16379) == seed


WRONG = ["", ":7000", "a:", "a:x", "a:70000", "a:7000@", "a:7000@x", "[::1", "[::1]7000", "a:0"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host"):
        parse_seed(text)


def formed(size: int = 6, seeds: tuple[str, ...] = (HOST,), seed: int = 1) -> Net:
    net = Net(size, seed=seed, seeds=seeds).formed()
    net.names[HOST] = [node.ip for node in net.nodes]
    return net


def move_all(net: Net, first: int = 100) -> None:
    """All nodes stop, and start again with other addresses."""
    for node in net.nodes:
        net.kill(node)
    for node in net.nodes:
        node.ip = f"10.0.1.{first + node.number}"
        net.restart(node)


def healthy(net: Net) -> bool:
    connected = all(peer.connected for node in net.nodes for peer in node.core.members.others())
    return net.agree() and connected and all(node.core.ok for node in net.nodes)


@pytest.mark.parametrize("seed", range(5))
def test_a_cluster_whose_addresses_have_all_changed_heals(seed: int) -> None:
    net = formed(seed=seed)
    before = {node.id for node in net.nodes}
    move_all(net)
    net.run(300)
    assert not any(node.core.ok for node in net.nodes)
    net.names[HOST] = [node.ip for node in net.nodes]
    assert net.until(lambda: healthy(net), 10_000) < 5000
    assert {node.id for node in net.nodes} == before
    for node in net.nodes:
        assert {peer.ip for peer in node.core.members.others()} == {n.ip for n in net.nodes if n is not node}


def test_one_seed_is_enough() -> None:
    net = formed(size=12)
    move_all(net)
    net.names[HOST] = [net.nodes[3].ip]
    assert net.until(lambda: healthy(net), 20_000) < 10_000


def test_literal_addresses_are_seeds_too() -> None:
    net = formed(seeds=tuple(f"10.0.1.{100 + number}" for number in range(1, 7)))
    move_all(net)
    assert net.until(lambda: healthy(net), 10_000) < 5000
    assert net.look_ups == []


def test_without_seeds_it_stays_apart() -> None:
    net = formed(seeds=())
    move_all(net)
    net.run(30_000)
    assert not any(node.core.ok for node in net.nodes)


def test_addresses_that_nodes_have_swapped_are_sorted_out() -> None:
    net = formed()
    ips = [node.ip for node in net.nodes]
    for node in net.nodes:
        net.kill(node)
    for node, ip in zip(net.nodes, ips[1:] + ips[:1], strict=True):
        node.ip = ip
        net.restart(node)
    net.until(lambda: healthy(net), 10_000)


def test_two_nodes_that_have_swapped_their_addresses_find_each_other() -> None:
    """Each remembers as its own the address at which the other is now."""
    net = formed(size=2)
    one, other = net.nodes
    for node in net.nodes:
        net.kill(node)
    one.ip, other.ip = other.ip, one.ip
    for node in net.nodes:
        net.restart(node)
    net.until(lambda: healthy(net), 10_000)


def test_nobody_asks_for_names_while_all_are_connected() -> None:
    net = formed()
    net.run(5000)
    net.look_ups.clear()
    net.run(60_000)
    assert net.look_ups == []
    net.kill(net.nodes[2])
    net.run(10_000)
    asked = [at for at, number, _ in net.look_ups if number == 1]
    assert 3 <= len(asked) <= 12, "now and then, not all the time"


def test_a_node_of_another_cluster_at_a_seed_is_left_alone() -> None:
    net = formed(size=3)
    other = Net(3, seed=2).formed()
    strangers = {node.id for node in other.nodes}
    for node in other.nodes:
        node.net = net
        node.ip = node.ip.replace("10.0.0.", "10.9.0.")
        node.number += 50
        net.nodes.append(node)
        net.restart(node)
    net.names[HOST] = [node.ip for node in net.nodes]
    net.kill(net.nodes[0])
    net.run(20_000)
    for node in net.nodes[:3]:
        assert not node.knows() & strangers


def test_a_node_that_an_operator_reset_stays_out() -> None:
    net = formed(size=4)
    leaving = net.nodes[3]
    leaving.do("flush_slots")
    leaving.do("reset", False)
    for node in net.nodes[:3]:
        node.do("forget", leaving.id.encode())
    net.run(70_000)
    assert leaving.knows() == {leaving.id}
    assert all(leaving.id not in node.knows() for node in net.nodes[:3])


def test_empty_nodes_find_each_other() -> None:
    net = Net(6, seeds=(HOST,))
    net.names[HOST] = [node.ip for node in net.nodes[:2]]
    net.until(lambda: all(len(node.knows()) == 6 for node in net.nodes), 10_000)
    net.run(3000)
    assert not any(peer.in_handshake for node in net.nodes for peer in node.core.members)
