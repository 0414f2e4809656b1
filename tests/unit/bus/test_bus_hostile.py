"""Packets that lie: a node of a formed cluster gets damaged and invented packets, and must come through them sane."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.agreement import nodesconf
from cluster.agreement.redirect import Request
from gossip import wire
from gossip.effects import LinkAccepted, Received, Send
from gossip.messages import (
    EXT_DATA,
    AuthRequest,
    Extensions,
    Fail,
    GossipEntry,
    Header,
    Kind,
    Meet,
    MfStart,
    Module,
    Ping,
    Pong,
    Publish,
    Update,
)
from tests.unit.bus.simnet import Net

NET = Net(4, seed=3).formed()
IDS = [node.id for node in NET.nodes] + ["0" * 40, "f" * 40]
ADDRESSES = ["", "10.0.0.1", "10.0.0.2", "10.9.9.9", "host.example", "::1"]


def revived():
    """The first node of the cluster as it comes back, with links to the others."""
    net = Net(4, seed=3)
    net.nodes[0].disk = NET.nodes[0].disk
    for node, known in zip(net.nodes[1:], NET.nodes[1:], strict=True):
        node.disk = known.disk
    for node in net.nodes:
        node.boot()
    net.run(3000)
    return net, net.nodes[0]


def header(draw_from: random.Random) -> Header:
    pick = draw_from.choice
    return Header(
        sender=pick(IDS),
        current_epoch=pick([0, 1, 5, 1 << 40]),
        config_epoch=pick([0, 1, 5, 1 << 40]),
        offset=pick([0, 1 << 63]),
        slots=pick([bytes(2048), b"\xff" * 2048, draw_from.randbytes(2048)]),
        primary_id=pick([None, *IDS]),
        ip=pick(ADDRESSES),
        port=pick([0, 6379, 65535]),
        plain_port=pick([0, 6380]),
        bus_port=pick([0, 16379]),
        flags=draw_from.randrange(1 << 16),
        state_fail=pick([True, False]),
        mflags=(pick([0, EXT_DATA, 7]), draw_from.randrange(4), 0),
    )


def message(draw_from: random.Random):
    pick = draw_from.choice
    made = header(draw_from)
    gossip = tuple(
        GossipEntry(pick(IDS), 0, pick([0, 1 << 31]), pick(ADDRESSES), 6379, 16379, draw_from.randrange(1 << 16), 0)
        for _ in range(draw_from.randrange(4))
    )
    extensions = Extensions(pick([None, "h", "bad name\n"]), None, pick([None, *IDS]), ((pick(IDS), 1 << 60),))
    return pick(
        [
            Ping(made, gossip, extensions),
            Pong(made, gossip),
            Meet(made, gossip),
            Fail(made, pick(IDS)),
            Update(made, pick(IDS), pick([0, 6, 1 << 50]), pick([bytes(2048), b"\xff" * 2048])),
            Publish(made, b"c", b"m"),
            AuthRequest(made),
            MfStart(made),
            Module(made, 1, 1, b"x"),
        ]
    )


def assert_sane(core):
    """What must hold whatever was said."""
    me = core.myself
    assert [peer for peer in core.members if peer.is_myself] == [me]
    assert me.primary is not me
    slotmap = core.slotmap
    for peer in core.members:
        assert slotmap.owned_by(peer).bit_count() == peer.slot_count
        assert all(replica.primary is peer for replica in peer.replicas)
    assert all(owner is None or owner in core.members for owner in slotmap.owners)
    assert core.members.suspects == {peer for peer in core.members if peer.suspected}
    again = nodesconf.load(core.nodes_conf(), 1)
    assert again.slotmap.owned_by(again.myself) == slotmap.owned_by(me)
    core.fill_served(bytearray(16384))
    core.route(Request([b"foo"]), lambda key: True, core.next_due_ms())
    core.tick(core.next_due_ms())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_invented_packets(seed):
    rng = random.Random(seed)
    net, node = revived()
    core, inbound = node.core, node.core.new_link_id()
    core.step(LinkAccepted(inbound, "10.0.0.66", node.ip), net.now)
    for _ in range(30):
        link_id = rng.choice([inbound, *core.bus.links])
        core.step(Received(link_id, wire.encode(message(rng))), net.now)
        for effect in core.take_effects():
            if isinstance(effect, Send):
                wire.decode(effect.data)  # what we say makes sense to others
        assert_sane(core)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_damaged_packets(seed):
    rng = random.Random(seed)
    net, node = revived()
    core, other = node.core, net.nodes[1]
    packets = [wire.encode(kind(other.core.bus.header(EXT_DATA), ())) for kind in (Ping, Pong, Meet)]
    for _ in range(30):
        packet = bytearray(rng.choice(packets))
        for _ in range(rng.randrange(4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        link_id = rng.choice([0, *core.bus.links])
        cut = rng.randrange(len(packet))
        core.step(Received(link_id, bytes(packet[:cut])), net.now)
        core.step(Received(link_id, bytes(packet[cut:])), net.now)
        core.take_effects()
        assert_sane(core)


def test_a_stranger_is_not_believed():
    net, node = revived()
    core, link = node.core, node.core.new_link_id()
    core.step(LinkAccepted(link, "10.0.0.66", node.ip), net.now)
    before = core.nodes_conf()
    stranger = Header(sender="e" * 40, current_epoch=99, config_epoch=99, slots=b"\xff" * 2048, port=1, bus_port=2)
    victim = net.nodes[1].id
    lies = (GossipEntry("d" * 40, 0, 0, "10.0.0.77", 1, 2, 1), GossipEntry(victim, 0, 0, "10.0.0.77", 1, 2, 9))
    update = Update(stranger, victim, 99, bytes(2048))
    for lie in (Ping(stranger, lies), Pong(stranger, lies), Fail(stranger, victim), update):
        core.step(Received(link, wire.encode(lie)), net.now)
    assert core.nodes_conf() == before
    sent = [wire.decode(effect.data) for effect in core.take_effects() if isinstance(effect, Send)]
    assert [answer.kind for answer in sent] == [Kind.PONG]  # a PING is answered, whoever asks
