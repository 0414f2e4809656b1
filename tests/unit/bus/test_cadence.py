"""How often members ping each other in a large cluster that has settled, and that rare pings cost no news."""

import pytest

from gossip.messages import Kind
from gossip.pinging import (
    GRID_DIVISOR,
    LARGE,
    MIN_GOSSIP,
    NEWCOMERS,
    NO_CONCERN,
    OTHER_SHARD,
    SETTLED_MS,
    SIBLING,
    choose_gossip,
    on_grid,
    ping_after_ms,
)
from gossip.verdicts import LATER_MS
from tests.unit.bus.simnet import Net

NT = 5000
SHARDS = 3
SLACK_MS = 700  # pings wait for each other, and for the network


@pytest.fixture(scope="module")
def net():
    """Three shards with seven replicas each, at rest."""
    net = Net(24)
    primaries = net.nodes[:SHARDS]
    for index, node in enumerate(primaries):
        node.do("add_slots_range", [b"%d" % (index * 5000), b"%d" % (16383 if index == 2 else index * 5000 + 4999)])
    for node in net.nodes[1:]:
        net.nodes[0].meet(node)
    net.until(lambda: all(len(node.knows()) == 24 and node.core.ok for node in net.nodes))
    for index, node in enumerate(net.nodes[SHARDS:]):
        node.do("replicate", primaries[index % SHARDS].id.encode())
    net.run(SETTLED_MS + 10 * NT)
    return net


def pairs(net, kind):
    """Pairs of nodes with their peers: voters, a primary and its replica, two replicas of a shard, a voter and somebody
    else's replica, two strangers."""
    for node in net.nodes:
        me = node.core.myself
        for peer in node.core.members.others():
            votes = me.is_primary + peer.is_primary
            same = (me.primary or me).id == (peer.primary or peer).id
            if kind == (("siblings", "shard") if same else ("strangers", "voter", "voters"))[votes]:
                yield node, peer


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        ("voters", 1),
        ("shard", 2),
        ("siblings", 2 * SIBLING),
        ("voter", 2 * OTHER_SHARD),
        ("strangers", 2 * NO_CONCERN),
    ],
)
def test_who_hears_whom_how_often(net, kind, waits):
    wait_ms = ping_after_ms(NT, 24)
    silences = []
    for _ in range(60):
        net.run(1000)
        for _, peer in pairs(net, kind):
            silences.append(net.now - max(peer.data_received_ms, peer.pong_received_ms))
    assert max(silences) <= waits * wait_ms + SLACK_MS
    assert max(silences) > waits * wait_ms // 3


def test_a_node_at_rest_says_little(net):
    before = [sum(node.core.bus.sent.values()) for node in net.nodes]
    net.run(60_000)
    rates = [(sum(node.core.bus.sent.values()) - old) / 60 for node, old in zip(net.nodes, before, strict=True)]
    assert max(rates[SHARDS:]) < 6
    assert not any(peer.suspected or peer.failed for node in net.nodes for peer in node.core.members)


def test_each_peer_is_told_of_each_member_once(net):
    """Chance alone would mention the last of many newcomers to somebody much later."""
    bus, target = net.nodes[0].core.bus, net.nodes[0].peer(net.nodes[5])
    target.told = 0
    packets = [bus.members.joined_after(0)]
    while target.told < bus.members.joined:
        packets.append(choose_gossip(bus.members, target, bus.rng))
    assert len(packets) == 1 + -(-24 // NEWCOMERS), "twenty in a packet, then the rest"
    mentioned = {peer.id for packet in packets[1:] for peer in packet}
    assert mentioned == {node.id for node in net.nodes} - {net.nodes[0].id, target.id}
    assert len(choose_gossip(bus.members, target, bus.rng)) == MIN_GOSSIP
    assert len(choose_gossip(bus.members, None, bus.rng)) == MIN_GOSSIP, "to a stranger a tenth, three at least"


def test_what_changes_is_told_to_everybody_at_once(net):
    """A replica goes to another shard: strangers know it long before their next ping."""
    mover = net.nodes[-1]
    there = next(node for node in net.nodes[:SHARDS] if node.id != mover.core.myself.primary.id)
    mover.do("replicate", there.id.encode())
    others = net.nodes[:-1]
    took_ms = net.until(lambda: all((node.peer(mover).primary or node.peer(mover)).id == there.id for node in others))
    assert took_ms <= 5000 + SLACK_MS


def test_a_frozen_replica_fails_for_everybody_and_is_pardoned_soon(net):
    frozen = net.nodes[-2]
    others = [node for node in net.nodes if node is not frozen]
    net.freeze(frozen)
    took_ms = net.until(lambda: all(node.peer(frozen).failed for node in others))
    assert took_ms < 3 * NT + SLACK_MS
    net.run(2000)
    net.thaw(frozen)
    assert net.until(lambda: not any(node.peer(frozen).flags & 12 for node in others)) < NT


def test_the_grid_is_the_same_for_all_peers_and_another_for_each_node(net):
    one, two = net.nodes[0].core.bus, net.nodes[1].core.bus
    assert len(one.members) >= LARGE
    grid_ms = NT // GRID_DIVISOR
    moments = {on_grid(one, net.now + offset, net.now) for offset in range(0, 1000, 7)}
    assert len(moments) <= 1000 // grid_ms + 1
    assert all(moment >= net.now for moment in moments)
    others = {on_grid(two, net.now + offset, net.now) for offset in range(1000)}
    assert {moment % grid_ms for moment in moments} != {moment % grid_ms for moment in others}


def test_only_voters_tell_of_suspicions(net):
    """What replicas think of a dead node counts for nothing; their saying so would hold up those who replace it."""
    dead = net.nodes[-3]
    before = [node.core.bus.sent[Kind.PONG] for node in net.nodes]
    net.kill(dead)
    net.until(lambda: all(node.peer(dead).failed for node in net.nodes if node is not dead))
    told = [node.core.bus.sent[Kind.PONG] - old for node, old in zip(net.nodes, before, strict=True)]
    assert sum(told[:SHARDS]) >= SHARDS - 1
    assert sum(told[SHARDS:]) < 2 * len(told)  # answers to PINGs; each of 21 would tell three


def test_a_verdict_is_told_at_once_to_those_who_act_and_to_the_others_by_one(net):
    """A primary dies: voters and its replicas hear it from all who find out, everybody else a moment later."""
    dead = net.nodes[1]
    living = [node for node in net.nodes if node.alive and node is not dead]
    orphans = [node for node in living if node.core.myself.primary and node.core.myself.primary.id == dead.id]
    fails = sum(node.core.bus.sent[Kind.FAIL] for node in living)
    net.kill(dead)
    net.until(lambda: all(node.peer(dead).failed for node in (net.nodes[0], net.nodes[2], *orphans)))
    took_ms = net.until(lambda: all(node.peer(dead).failed for node in living))
    assert 0 < took_ms < LATER_MS + 50
    net.run(5000)
    told = sum(node.core.bus.sent[Kind.FAIL] for node in living) - fails
    assert len(living) - 1 <= told <= (SHARDS - 1) * (SHARDS + len(orphans)) + len(living)
