"""Silence: when a peer is pinged, when others are asked about it, and when it is our own silence that we hear."""

import pytest

from gossip.failure import forgive, is_overdue
from gossip.flags import PRIMARY
from gossip.peer import Peer
from gossip.pinging import ping_after_ms
from tests.unit.bus.simnet import Net

SEEDS = [1, 2, 3]
NT = 5000


def some_peer(**fields):
    peer = Peer("a" * 40, PRIMARY, 1000)
    for name, value in fields.items():
        setattr(peer, name, value)
    return peer


@pytest.mark.parametrize(
    ("timeout_ms", "members", "wait_ms"),
    [(5000, 2, 500), (5000, 6, 500), (5000, 20, 1000), (5000, 90, 2500), (1000, 6, 300), (15000, 6, 1500)],
)
def test_peers_are_pinged_sooner_in_small_clusters(timeout_ms, members, wait_ms):
    assert ping_after_ms(timeout_ms, members) == wait_ms


@pytest.mark.parametrize(
    ("fields", "first_overdue_ms"),
    [
        ({}, None),  # no answer is expected
        ({"ping_sent_ms": 10_000}, 15_001),
        ({"ping_sent_ms": 10_000, "data_received_ms": 11_000}, 16_001),
        ({"ping_sent_ms": 10_000, "vouched_ms": 9000}, 15_001),
        ({"ping_sent_ms": 10_000, "vouched_ms": 12_000}, 17_001),
        ({"ping_sent_ms": 10_000, "vouched_ms": 19_000}, 20_001),  # not for more than one further timeout
    ],
)
def test_when_silence_is_long_enough(fields, first_overdue_ms):
    peer = some_peer(**fields)
    if first_overdue_ms is None:
        assert not is_overdue(peer, 1 << 40, NT)
    else:
        assert not is_overdue(peer, first_overdue_ms - 1, NT)
        assert is_overdue(peer, first_overdue_ms, NT)


@pytest.mark.parametrize(
    ("fields", "then"),
    [
        ({}, 0),
        ({"ping_sent_ms": 10_000}, 13_000),
        ({"ping_sent_ms": 10_000, "data_received_ms": 11_000}, 14_000),
        ({"ping_sent_ms": 18_000}, 20_000),  # never in the future
    ],
)
def test_our_own_pause_is_forgiven(fields, then):
    peer = some_peer(**fields)
    forgive(peer, 3000, 20_000)
    assert peer.ping_sent_ms == then


def ever_suspected(net, nodes, others, for_ms):
    """Whether one of `nodes` holds one of `others` failing at some moment."""
    found = []

    def look():
        found.extend(n for n in nodes for o in others if n is not o and n.peer(o).flags & 12)
        return found

    net.until(look, for_ms, must=False)
    return bool(found)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pause_ms", [1500, 4900, 12_000, 60_000])
def test_a_node_that_was_stalled_accuses_nobody(seed, pause_ms):
    net = Net(6, seed).formed()
    stalled, *others = net.nodes
    net.run(seed * 100)
    net.freeze(stalled)
    net.run(pause_ms)
    net.thaw(stalled)
    assert not ever_suspected(net, [stalled], others, 20_000)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_frozen_node_fails_after_little_more_than_the_timeout(seed):
    net = Net(6, seed).formed()
    frozen, *others = net.nodes
    net.run(seed * 700)
    net.freeze(frozen)
    took = net.until(lambda: all(node.peer(frozen).failed for node in others))
    assert NT < took < NT + 700


@pytest.mark.parametrize("seed", SEEDS)
def test_a_peer_that_others_hear_is_suspected_later(seed):
    net = Net(6, seed).formed()
    one, two, *others = net.nodes
    net.cut([one], [two])
    assert not ever_suspected(net, [one], [two], 2 * NT - 200)
    assert net.until(lambda: one.peer(two).suspected) < NT
    assert not ever_suspected(net, others, [one, two], 5 * NT)
    net.heal()
    assert net.until(lambda: not one.peer(two).suspected) < 2 * NT


def test_opinions_are_asked_for_only_where_needed_and_of_few():
    net = Net(6).formed()
    asked = []
    for node in net.nodes:
        ping = node.core.bus.ping

        def spy(peer, now_ms, say=None, node=node, ping=ping):
            asked.append((node, peer.id))
            ping(peer, now_ms, *([say] if say else []))

        node.core.bus.ping = spy
    net.run(5000)
    random_pings = len(asked)
    assert random_pings <= 6 * 5  # one a second and node
    net.cut(net.nodes[:1], net.nodes[1:2])
    net.run(NT)
    assert len(asked) - random_pings <= 6 * 5 + 2 * 2 * 2  # both ask two others, at most twice


def test_of_two_nodes_one_pings_and_one_answers():
    """Voters ask each other; for every other pair a PING that came in does as well as an answer."""
    net = Net(12)
    voters = net.nodes[:3]
    voters[0].do("add_slots_range", [b"0", b"5460"])
    voters[1].do("add_slots_range", [b"5461", b"10922"])
    voters[2].do("add_slots_range", [b"10923", b"16383"])
    for node in net.nodes[1:]:
        net.nodes[0].meet(node)
    net.until(lambda: all(len(node.knows()) == 12 and node.core.ok for node in net.nodes))
    net.run(10_000)
    wait_ms = ping_after_ms(NT, 12)
    before = sum(node.core.bus.sent[0] for node in net.nodes)
    for _ in range(40):
        net.run(500)
        for node in net.nodes:
            for peer in node.core.members.others():
                limit_ms = 1 if node in voters and peer.slot_count else 2
                heard_ms = max(peer.data_received_ms, peer.pong_received_ms)
                assert net.now - heard_ms <= limit_ms * wait_ms + 20
                assert net.now - peer.pinged_ms <= limit_ms * 2 * wait_ms + 20
    pings_a_second = (sum(node.core.bus.sent[0] for node in net.nodes) - before) / 20
    pairs = 12 * 11 / 2
    assert pings_a_second < 1.2 * pairs * 1000 / (2 * wait_ms) + 12  # and one at random, a second and node


def test_a_replica_that_is_reachable_again_hears_of_the_verdict_on_its_primary():
    """It was cut off with its primary, and takes that for well."""
    net = Net(4)
    for index, node in enumerate(net.nodes[:3]):
        node.do("add_slots_range", [b"%d" % (index * 5000), b"%d" % (16383 if index == 2 else index * 5000 + 4999)])
    for node in net.nodes[1:]:
        net.nodes[0].meet(node)
    net.until(lambda: all(len(node.knows()) == 4 and node.core.ok for node in net.nodes))
    primary, voter, _, replica = net.nodes
    replica.do("replicate", primary.id.encode())
    net.until(lambda: voter.peer(replica).primary is voter.peer(primary))
    voter.core.bus.mark_failed(voter.peer(primary), net.now)
    voter.peer(primary).wanted_ms = net.now  # somebody has asked for its place
    voter.core.members.suspect(voter.peer(replica))
    voter.core.bus.ping(voter.peer(replica), net.now)
    net.run_effects(voter)
    net.until(lambda: replica.peer(primary).failed, 100)
