"""Nodes on hosts of their own, whose network fails in all ways but politely; clients reach every node all the time.

Hosts 1 to 3 hold the primaries of shards 0 to 2, hosts 4 to 6 their replicas. That clients reach both sides of a cut is
the worst case: a deposed primary is asked for writes without pause.
"""

from __future__ import annotations

import time

import pytest

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.hosts import Line, Network
from tests.support.servers import Fleet

ALL = range(1, 7)
DETECTED_S = NODE_TIMEOUT_MS / 1000 * 2.5
TCP_PAUSE_S = 26.0  # TCP repeats itself 25.4 s after it lost something, and then not for 25 s more


@pytest.fixture
def drill(six_hosts: Network, fleet: Fleet) -> Drill:
    return Drill(fleet, hosts=[six_hosts.hosts[number] for number in ALL], min_acks="1", min_acks_timeout="1000")


@long_drill
def test_a_primary_cut_off_alone_is_replaced_and_accepts_nothing_after_its_successor(
    drill: Drill, six_hosts: Network
) -> None:
    old, new = drill.shards[0]
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        six_hosts.cut([1], ALL)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_a_minority_with_its_clients_accepts_nothing_while_the_majority_goes_on(
    drill: Drill, six_hosts: Network
) -> None:
    """Shard 0's primary and shard 1's replica are on the small side: the one is replaced, the other missed."""
    old, new = drill.shards[0]
    with drill.load(everywhere=[0, 1]) as history:
        since = time.monotonic()
        six_hosts.cut([1, 5], [2, 3, 4, 6])
        history.await_write(0, since, RECOVERY_S, by=new.name)
        time.sleep(DETECTED_S)
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_without_a_majority_nobody_accepts_writes_and_all_is_well_afterwards(drill: Drill, six_hosts: Network) -> None:
    """Three parts of two hosts, a primary and another shard's replica in each: no part may go on."""
    with drill.load(everywhere=[0, 1, 2]) as history:
        six_hosts.cut([1, 5], [2, 3, 4, 6])
        six_hosts.cut([2, 6], [3, 4])
        time.sleep(DETECTED_S)
        fenced = time.monotonic()
        time.sleep(TCP_PAUSE_S - DETECTED_S)
        accepted = [ack for acks in history.acks.values() for ack in acks if ack.sent > fenced]
        assert not accepted, f"{len(accepted)} writes accepted in a minority"
        healed = time.monotonic()
        six_hosts.heal()
        drill.await_health()
        for shard in range(3):
            back_s = history.await_write(shard, healed, RECOVERY_S).acked - healed
            print(f"shard {shard} accepts writes {back_s:.1f} s after the cut healed")
            assert back_s < TCP_PAUSE_S / 2, "it waits for connections that TCP has slowed down"
            history.owners(shard)
    drill.check(history)


@long_drill
@pytest.mark.parametrize("direction", ["deaf", "mute"])
def test_a_primary_that_only_hears_or_only_speaks(drill: Drill, six_hosts: Network, direction: str) -> None:
    """One way of its network is cut: TCP dies in both, but each side finds out in its own time."""
    old, _ = drill.shards[0]
    others = [number for number in ALL if number != 1]
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        six_hosts.cut(*((others, [1]) if direction == "deaf" else ([1], others)), both=False)
        history.await_write(0, since + DETECTED_S, RECOVERY_S)
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0)[0] == old.name
    drill.check(history)


@long_drill
def test_a_bus_that_is_silent_while_clients_and_replicas_are_served(drill: Drill, six_hosts: Network) -> None:
    """Only the ports of the bus are cut around shard 0's primary: clients see nothing wrong, the cluster does."""
    old, new = drill.shards[0]
    bus = frozenset(node.port + 10000 for node in drill.nodes)
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        six_hosts.set_line([1], ALL, Line(loss=1.0, ports=bus))
        history.await_write(0, since, RECOVERY_S, by=new.name)
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_a_link_that_flaps(drill: Drill, six_hosts: Network) -> None:
    """Shard 0's primary vanishes for half the node timeout, again and again, then for good: only that is a failure."""
    old, new = drill.shards[0]
    with drill.load(everywhere=[0]) as history:
        for _ in range(6):
            six_hosts.cut([1], ALL)
            time.sleep(NODE_TIMEOUT_MS / 2000)
            six_hosts.heal()
            time.sleep(NODE_TIMEOUT_MS / 4000)
        history.await_write(0, time.monotonic(), RECOVERY_S)
        since = time.monotonic()
        six_hosts.cut([1], ALL)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)


@long_drill
def test_loss_and_delay_fail_nobody_over(drill: Drill, six_hosts: Network) -> None:
    """Every line between nodes loses one packet in twenty and takes 20 to 60 ms: slow, but nobody is dead."""
    with drill.load() as history:
        six_hosts.set_line(ALL, ALL, Line(loss=0.05, delay_s=0.02, jitter_s=0.04))
        time.sleep(15)
        six_hosts.heal()
        drill.await_health()
    for shard, nodes in enumerate(drill.shards):
        assert history.owners(shard) == [nodes[0].name]
    drill.check(history)


@long_drill
def test_a_primary_dies_where_lines_are_bad(drill: Drill, six_hosts: Network) -> None:
    old, new = drill.shards[0]
    with drill.load() as history:
        six_hosts.set_line(ALL, ALL, Line(loss=0.05, delay_s=0.02, jitter_s=0.04))
        since = drill.kill(old)
        history.await_write(0, since, RECOVERY_S, by=new.name)
        old.start()
        six_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new.name]
    drill.check(history)
