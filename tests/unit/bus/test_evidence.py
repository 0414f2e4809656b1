"""Evidence that a process is dead: what counts as such, how fast it leads to a verdict, and what must not."""

import pytest

from gossip.effects import Closed
from gossip.failure import CONFIRM_MS, Pardon, acquit, connection_failed, consider_pardon, is_gone, link_ended
from gossip.flags import FAIL, NOFAILOVER, PFAIL, PRIMARY, REPLICA
from gossip.peer import Peer
from tests.unit.bus.simnet import Net

SEEDS = [1, 2, 3]
LOST = [Closed.EOF, Closed.RESET]
OTHER_ENDS = [Closed.OVERFLOW, Closed.TIMEOUT, Closed.ERROR]


def some_peer(bits=PRIMARY):
    return Peer("a" * 40, bits, 1000)


@pytest.mark.parametrize("reason", LOST)
def test_two_refusals_after_a_lost_link(reason):
    peer = some_peer()
    link_ended(peer, reason, 5000)
    connection_failed(peer, Closed.REFUSED, 5001)
    assert not is_gone(peer)
    connection_failed(peer, Closed.REFUSED, 5000 + CONFIRM_MS)
    assert not is_gone(peer)  # too soon after the first
    connection_failed(peer, Closed.REFUSED, 5001 + CONFIRM_MS)
    assert is_gone(peer)
    acquit(peer)
    assert not is_gone(peer)


@pytest.mark.parametrize("reason", OTHER_ENDS)
def test_a_link_that_ended_otherwise_is_no_evidence(reason):
    peer = some_peer()
    link_ended(peer, reason, 5000)
    for at_ms in (5001, 6000):
        connection_failed(peer, Closed.REFUSED, at_ms)
    assert not is_gone(peer)


@pytest.mark.parametrize("reason", [Closed.TIMEOUT, Closed.UNREACHABLE, Closed.ERROR])
def test_only_refusals_in_a_row_count(reason):
    peer = some_peer()
    link_ended(peer, Closed.RESET, 5000)
    connection_failed(peer, Closed.REFUSED, 5001)
    connection_failed(peer, reason, 5500)
    assert not is_gone(peer)
    connection_failed(peer, Closed.REFUSED, 6000)
    assert not is_gone(peer)


@pytest.mark.parametrize(
    ("replicas", "pardon"),
    [
        ([], Pardon.NO_SUCCESSOR),
        ([FAIL], Pardon.NO_SUCCESSOR),
        ([PFAIL, NOFAILOVER], Pardon.NO_SUCCESSOR),
        ([FAIL, 0], Pardon.DENIED),
    ],
)
def test_a_primary_is_pardoned_at_once_if_nobody_could_take_its_place(replicas, pardon):
    peer = some_peer(PRIMARY | FAIL)
    peer.slot_count, peer.fail_ms = 1, 1000
    for number, bits in enumerate(replicas):
        Peer(f"{number:040}", REPLICA | bits, 1000).follow(peer)
    assert consider_pardon(peer, 1001, 5000) is pardon


@pytest.mark.parametrize("seed", SEEDS)
def test_a_process_that_is_back_at_once_is_not_suspected(seed):
    net = Net(5, seed).formed()
    node, *others = net.nodes
    net.kill(node)
    net.run(CONFIRM_MS - 10)
    net.restart(node)
    suspected = []
    net.until(lambda: suspected.extend(n for n in others if n.peer(node).suspected), 2000, must=False)
    assert not suspected
    assert all(other.peer(node).connected for other in others)


@pytest.mark.parametrize("seed", SEEDS)
def test_links_that_are_reset_are_opened_again(seed):
    net = Net(5, seed).formed()
    node, *others = net.nodes
    suspected = []
    for _ in range(5):
        net.reset([node], others)
        net.until(lambda: suspected.extend(n for n in others if n.peer(node).suspected), 500, must=False)
    assert not suspected
    assert all(other.peer(node).connected for other in others)


def test_what_one_node_finds_is_no_verdict():
    """Something between two nodes refuses all connections: the others hear of it and know better."""
    net = Net(5).formed()
    one, two, *others = net.nodes
    net.refuse([one], [two])
    assert net.until(lambda: one.peer(two).suspected and two.peer(one).suspected) < 100
    net.run(20_000)
    assert not any(node.peer(other).failed for node in net.nodes for other in net.nodes if node is not other)
    assert all(node.core.ok for node in others)


def test_a_majority_that_silence_convinced_at_different_times_tells_at_once():
    """The last node that is needed for a verdict does not wait for pings to bring the others' suspicions."""
    net = Net(5).formed()
    lost, *others = net.nodes
    net.cut([lost], others)
    suspicious = lambda: sum(n.peer(lost).suspected or n.peer(lost).failed for n in others) >= 3  # noqa: E731
    net.until(suspicious, 20_000)
    assert net.until(lambda: all(node.peer(lost).failed for node in others)) < 50


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_was_stalled_goes_on_looking_for_evidence_at_once(seed):
    """It had an attempt to connect in mind when it stalled."""
    net = Net(5, seed).formed()
    node, stalled, *_ = net.nodes
    net.kill(node)
    net.until(lambda: stalled.peer(node).refused_ms)
    net.freeze(stalled)
    net.run(800)
    net.thaw(stalled)
    net.until(lambda: stalled.peer(node).refused_again, 200)
