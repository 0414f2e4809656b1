"""Several nodes on a simulated network: who gets to know whom, who is thought dead, who owns what."""

import pytest

from cluster.agreement.effects import DropKeys, FollowPrimary
from gossip import flags
from gossip.effects import Deliver, LinkAccepted, Received
from gossip.messages import Kind, LightPublish
from gossip.wire import encode_light
from tests.unit.bus.simnet import Net

SEEDS = [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_meet_spreads_to_everybody(seed):
    net = Net(7, seed)
    for node in net.nodes[1:]:
        node.meet(net.nodes[0])
    net.until(lambda: all(len(node.knows()) == 7 for node in net.nodes), 15_000)
    net.until(net.agree, 15_000)
    net.until(lambda: all(peer.connected for node in net.nodes for peer in node.core.members.others()), 15_000)
    assert not any(peer.in_handshake for node in net.nodes for peer in node.core.members)
    assert all(node.core.myself.ip == node.ip for node in net.nodes)


def test_meeting_along_a_chain_is_enough():
    net = Net(5)
    for one, next_one in zip(net.nodes, net.nodes[1:], strict=False):
        one.meet(next_one)
    net.until(lambda: all(len(node.knows()) == 5 for node in net.nodes))


def test_meeting_oneself_or_nobody_leaves_no_trace():
    net = Net(1)
    node = net.nodes[0]
    node.meet(node)
    node.do("meet", [b"10.0.0.99", b"6379"])
    assert len(node.core.members) == 3
    net.run(6000)
    assert node.knows() == {node.id}
    assert len(node.core.members) == 1


def test_meeting_twice_is_meeting_once():
    net = Net(2)
    a, b = net.nodes
    a.meet(b)
    a.meet(b)
    b.meet(a)
    net.until(lambda: len(a.knows()) == len(b.knows()) == 2)
    net.run(10_000)
    assert len(a.core.members) == len(b.core.members) == 2


def test_the_same_seed_gives_the_same_run():
    def trace(seed):
        net = Net(5, seed).formed()
        net.kill(net.nodes[4])
        net.run(20_000)
        return net.trace

    assert trace(9) == trace(9)
    assert trace(9) != trace(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_epochs_are_told_apart(seed):
    net = Net(6, seed).formed()
    epochs = sorted(node.core.myself.config_epoch for node in net.nodes)
    assert len(set(epochs)) == 6
    greatest = max(net.nodes, key=lambda node: node.id)
    assert greatest.core.myself.config_epoch == epochs[0]  # the greatest id never gives way
    for node in net.nodes:
        assert f" {node.core.myself.config_epoch} connected" in node.disk


def test_a_slot_goes_to_the_claim_with_the_higher_epoch():
    net = Net(2)
    a, b = net.nodes
    a.do("add_slots", [b"1", b"2"])
    b.do("add_slots", [b"2", b"3"])
    a.do("set_config_epoch", b"5")
    b.do("set_config_epoch", b"6")
    b.keys.by_slot[2] = 1
    a.keys.by_slot[2] = 4
    a.meet(b)
    net.until(lambda: a.owner(3) == b.id and b.owner(1) == a.id)
    net.run(3000)
    assert a.owner(2) == b.owner(2) == b.id
    assert DropKeys((2,)) in a.effects
    assert not [effect for effect in b.effects if isinstance(effect, DropKeys)]


def test_whoever_loses_its_last_slot_follows_the_winner():
    net = Net(2)
    a, b = net.nodes
    a.do("add_slots", [b"7"])
    b.do("add_slots", [b"7"])
    b.do("set_config_epoch", b"1")
    a.meet(b)
    net.until(lambda: a.core.myself.is_replica)
    assert a.core.myself.primary.id == b.id
    assert FollowPrimary(b.id, b.ip, 6379) in a.effects
    net.until(lambda: b.peer(a) and b.peer(a).primary is b.core.myself)
    assert "myself,slave " + b.id in a.disk


def test_an_outdated_claim_is_corrected_by_an_update():
    """The new owner cannot reach the old one; a third node tells."""
    net = Net(3).formed()
    old, new, witness = net.nodes
    net.cut([old], [new])
    slot = 100
    new.do("set_slot", [b"100", b"importing", old.id.encode()])
    new.do("set_slot", [b"100", b"node", new.id.encode()])
    net.until(lambda: witness.owner(slot) == new.id)
    net.until(lambda: old.owner(slot) == new.id)
    assert old.core.bus.received[7] >= 1  # UPDATE


def test_a_slot_moves_by_the_operators_steps():
    net = Net(3).formed()
    source, target, third = net.nodes
    target.do("set_slot", [b"100", b"importing", source.id.encode()])
    source.do("set_slot", [b"100", b"migrating", target.id.encode()])
    table = bytearray(16384)
    source.core.fill_served(table)
    assert table[100] == 0
    assert table[99] == 1
    target.do("set_slot", [b"100", b"node", target.id.encode()])
    source.do("set_slot", [b"100", b"node", target.id.encode()])
    net.until(lambda: {node.owner(100) for node in net.nodes} == {target.id}, 1000)
    assert not source.core.slotmap.migrating
    assert not target.core.slotmap.importing
    epochs = [node.core.myself.config_epoch for node in net.nodes]
    assert target.core.myself.config_epoch == max(epochs)
    assert third.core.ok


def test_a_forgotten_node_stays_away_for_a_minute():
    net = Net(4).formed()
    a, b, _c, gone = net.nodes
    for node in (a, b):  # c, and the node itself, are not told
        node.do("forget", gone.id.encode())
    assert gone.id not in a.knows()
    assert a.owner(16383) is None
    net.run(50_000)
    assert gone.id not in a.knows() | b.knows()


def test_forgetting_spreads_by_the_extension():
    net = Net(4).formed()
    a, b, c, gone = net.nodes
    net.kill(gone)
    a.do("forget", gone.id.encode())
    net.until(lambda: gone.id not in a.knows() | b.knows() | c.knows(), 1000)


def test_after_a_minute_it_may_come_back():
    net = Net(3).formed()
    a, b, gone = net.nodes
    net.kill(b)  # or b would be told to forget it too
    net.run(1)
    a.do("forget", gone.id.encode())
    net.run(61_000)
    net.restart(b)
    net.until(lambda: gone.id in a.knows())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_primary_is_suspected_then_failed_by_a_majority(seed):
    net = Net(5, seed).formed()
    dead, *others = net.nodes
    net.kill(dead)
    assert net.until(lambda: all(node.peer(dead).failed for node in others)) < 100
    assert all(not node.core.ok for node in others)
    assert b"cluster_slots_fail:3276\r\n" in others[0].views.info()
    net.restart(dead)
    net.until(lambda: all(node.core.ok for node in net.nodes), 3000)  # it waits two seconds by itself


def test_a_node_behind_a_cut_is_suspected_too():
    net = Net(5).formed()
    lost, *others = net.nodes
    net.cut([lost], others)
    took = net.until(lambda: all(node.peer(lost).failed for node in others), 20_000)
    assert took > 5000
    net.until(lambda: not lost.core.ok, 20_000)
    net.heal()
    net.until(lambda: all(node.core.ok for node in net.nodes), 40_000)


def test_a_minority_declares_nobody_failed():
    net = Net(5).formed()
    few, many = net.nodes[:2], net.nodes[2:]
    net.cut(few, many)
    net.until(lambda: all(node.peer(other).failed for node in many for other in few), 20_000)
    net.run(30_000)
    for node in few:
        assert not node.core.ok
        assert all(node.peer(other).suspected and not node.peer(other).failed for other in many)


def test_a_quiet_cluster_stays_quiet():
    """Nobody is suspected for an hour, and the pings stay few."""
    net = Net(6).formed()
    before = sum(sum(node.core.bus.sent.values()) for node in net.nodes)
    net.run(600_000)
    assert all(node.core.ok for node in net.nodes)
    assert not any(peer.reports for node in net.nodes for peer in node.core.members)
    sent = sum(sum(node.core.bus.sent.values()) for node in net.nodes) - before
    assert sent < 600 * 6 * 5 * 5  # twice a second to each of five, and the answers


def test_a_link_that_is_cut_by_hand_is_opened_again():
    net = Net(2).formed()
    a, b = net.nodes
    a.core.bus.close(a.peer(b).link)
    net.run_effects(a)
    assert not a.peer(b).connected
    net.until(lambda: a.peer(b).connected, 100)


def test_a_moved_node_is_found_again():
    net = Net(3).formed()
    moved, *others = net.nodes
    net.kill(moved)
    moved.ip = "10.0.9.9"
    net.restart(moved)
    net.until(lambda: all(node.peer(moved).ip == "10.0.9.9" and node.peer(moved).connected for node in others), 20_000)
    net.until(lambda: all(node.core.ok for node in net.nodes), 20_000)
    assert all("10.0.9.9:6379@16379" in node.disk for node in others)


def test_a_taken_over_address_is_noticed():
    """The address of a node now belongs to one that we don't know."""
    net = Net(4)
    a, b, c, stranger = net.nodes
    a.meet(b)
    a.meet(c)
    net.until(lambda: len(a.knows()) == len(b.knows()) == len(c.knows()) == 3)
    net.kill(b)
    b.ip, stranger.ip = "10.0.9.9", b.ip
    net.until(lambda: not a.peer(b).has_address)
    assert stranger.id not in a.knows()
    assert f"{b.id} :0@0 master,noaddr" in a.disk


def test_a_restarted_node_remembers():
    net = Net(3).formed()
    node = net.nodes[1]
    before = node.disk
    net.kill(node)
    net.restart(node)
    assert node.disk == before
    assert len(node.knows()) == 3
    assert not node.core.ok  # it had slots: someone may have taken them meanwhile
    net.until(lambda: node.core.ok)
    assert sum(node.peer(other).answered_ms > 0 for other in net.nodes if other is not node) >= 1  # a majority, with us


def test_published_messages_reach_everybody_once():
    net = Net(4).formed()
    net.nodes[0].core.publish(b"news", b"hello")
    net.run_effects(net.nodes[0])
    net.run(100)
    for node in net.nodes[1:]:
        assert [e for e in node.effects if isinstance(e, Deliver)] == [Deliver(b"news", b"hello", False)]
    net.nodes[0].core.publish(b"news", b"hello", sharded=True)
    net.run_effects(net.nodes[0])
    net.run(100)
    assert len([e for e in net.nodes[1].effects if isinstance(e, Deliver)]) == 1  # another shard


def test_published_messages_are_light_for_those_who_understand_that():
    net = Net(3).formed()
    sender, modern, old = net.nodes
    sender.peer(old).flags &= ~flags.LIGHT_PUBLISH
    net.trace.clear()
    sender.core.publish(b"news", b"hello")
    net.run_effects(sender)
    assert sorted(size for _, number, _, size in net.trace if number == sender.number) == [33, 2256 + 17]
    net.run(100)
    for node in (modern, old):
        assert [e for e in node.effects if isinstance(e, Deliver)] == [Deliver(b"news", b"hello", False)]
        assert node.core.bus.received[4] == 1
    net.run(5000)
    assert sender.peer(old).flags & flags.LIGHT_PUBLISH  # its next packet says so again


def test_what_is_published_while_a_link_is_opened_arrives():
    net = Net(2).formed()
    sender, other = net.nodes
    bus, peer = sender.core.bus, sender.peer(other)
    bus.close(peer.link)
    bus.watch(peer, net.now)
    sender.core.tick(net.now)
    assert peer.link is not None
    assert not peer.link.established
    sender.core.publish(b"news", b"hello")
    net.run_effects(sender)
    net.run(500)
    assert [e for e in other.effects if isinstance(e, Deliver)] == [Deliver(b"news", b"hello", False)]


def test_a_light_message_from_nobody_known_is_ignored():
    net = Net(2).formed()
    node = net.nodes[0]
    bus = node.core.bus
    node.core.step(LinkAccepted(link_id := node.core.new_link_id(), "10.9.9.9", node.ip), net.now)
    node.core.step(Received(link_id, encode_light(LightPublish(Kind.PUBLISH, b"news", b"hello"))), net.now)
    net.run_effects(node)
    assert not [e for e in node.effects if isinstance(e, Deliver)]
    assert link_id in bus.links


def test_reset_leaves_the_cluster():
    net = Net(3).formed()
    node, *others = net.nodes
    old_id = node.id
    node.do("reset", False)
    assert node.knows() == {old_id}
    assert node.core.slotmap.assigned() == 0
    node.do("reset", True)
    assert node.id != old_id
    assert node.core.state.current_epoch == 0
    assert node.disk.startswith(node.id)
    net.run(20_000)
    assert node.knows() == {node.id}
    assert others[0].core.members.get(old_id).failed or not others[0].core.members.get(old_id).has_address


def test_forty_nodes_form_a_cluster():
    net = Net(40).formed()
    assert all(len(node.knows()) == 40 for node in net.nodes)
