"""Nodes on hosts of their own, whose network fails in all ways but politely; clients reach every node all the time.

Hosts 1 to 3 hold the primaries of shards 0 to 2, hosts 4 to 6 and 7 to 9 their replicas; `min-acks 1` promises that no
acknowledged write is lost. That clients reach both sides of a cut is the worst case: a deposed primary is asked for
writes without pause.
"""

from __future__ import annotations

import time

import pytest

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.history import History
from tests.support.hosts import Network
from tests.support.servers import Fleet
from tests.support.switch import Line

ALL = range(1, 10)
DETECTED_S = NODE_TIMEOUT_MS / 1000 * 2.5
TCP_PAUSE_S = 26.0  # TCP repeats itself 25.4 s after it lost something, and then not for 25 s more


@pytest.fixture
def drill(nine_hosts: Network, fleet: Fleet) -> Drill:
    hosts = [nine_hosts.hosts[number] for number in ALL]
    return Drill(fleet, replicas=2, hosts=hosts, min_acks="1", min_acks_timeout="1000")


def heal_once_replaced(drill: Drill, net: Network, history: History, since: float) -> list[str]:
    """Shard 0's first primary is out of reach since then: wait until another accepts its writes, then heal. Returns
    who should have accepted writes in the end: the first, then the other."""
    old = drill.primary(0).name
    new = history.await_write(0, since, RECOVERY_S, not_at=old).node
    net.heal()
    drill.await_health()
    return [old, new]


def test_a_primary_cut_off_alone_is_replaced_and_accepts_nothing_after_its_successor(
    drill: Drill, nine_hosts: Network
) -> None:
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        nine_hosts.cut([1], ALL)
        owners = heal_once_replaced(drill, nine_hosts, history, since)
    assert history.owners(0) == owners
    drill.check(history)


@long_drill
def test_a_minority_that_could_go_on_by_itself_accepts_nothing_after_the_majority_does(
    nine_hosts: Network, fleet: Fleet
) -> None:
    """Shard 0's primary with one replica, a replica of shard 1 and their clients: only its lease stops that primary.

    Without `min-acks`, which would stop the majority's side here: what it accepts until its lease ends is lost.
    """
    drill = Drill(fleet, replicas=2, hosts=[nine_hosts.hosts[number] for number in ALL])
    old = drill.primary(0)
    with drill.load(everywhere=[0, 1]) as history:
        since = time.monotonic()
        nine_hosts.cut([1, 5, 7], [2, 3, 4, 6, 8, 9])
        taken = history.await_write(0, since, RECOVERY_S, not_at=old.name)
        fenced_s = max(ack.acked for ack in history.acks[0] if ack.node == old.name) - since
        print(f"the old primary accepted writes for {fenced_s:.2f} s, the new one from {taken.acked - since:.2f} s on")
        time.sleep(DETECTED_S)
        nine_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, taken.node]
    drill.check(history, unsafe={0: (since, taken.acked)})


@long_drill
def test_without_a_majority_nobody_accepts_writes_and_all_is_well_afterwards(drill: Drill, nine_hosts: Network) -> None:
    """Three parts of three hosts, with one primary and a replica of each other shard: no part may go on."""
    with drill.load(everywhere=[0, 1, 2]) as history:
        nine_hosts.cut([1, 5, 9], [2, 6, 7, 3, 4, 8])
        nine_hosts.cut([2, 6, 7], [3, 4, 8])
        time.sleep(DETECTED_S)
        fenced = time.monotonic()
        time.sleep(TCP_PAUSE_S - DETECTED_S)
        accepted = [ack for acks in history.acks.values() for ack in acks if ack.sent > fenced]
        assert not accepted, f"{len(accepted)} writes accepted in a minority"
        healed = time.monotonic()
        nine_hosts.heal()
        drill.await_health()
        for shard in range(3):
            back_s = history.await_write(shard, healed, RECOVERY_S).acked - healed
            print(f"shard {shard} accepts writes {back_s:.1f} s after the cut healed")
            assert back_s < TCP_PAUSE_S / 2, "it waits for connections that TCP has slowed down"
            history.owners(shard)
    drill.check(history)


@long_drill
@pytest.mark.parametrize("direction", ["deaf", "mute"])
def test_a_primary_that_only_hears_or_only_speaks(drill: Drill, nine_hosts: Network, direction: str) -> None:
    """One way of its network is cut: TCP dies in both, but each side finds out in its own time."""
    old = drill.primary(0)
    others = [number for number in ALL if number != 1]
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        nine_hosts.cut(*((others, [1]) if direction == "deaf" else ([1], others)), both=False)
        history.await_write(0, since + DETECTED_S, RECOVERY_S)
        nine_hosts.heal()
        drill.await_health()
    assert history.owners(0)[0] == old.name
    drill.check(history)


@long_drill
def test_a_bus_that_is_silent_while_clients_and_replicas_are_served(drill: Drill, nine_hosts: Network) -> None:
    """Only the ports of the bus are cut around shard 0's primary: clients see nothing wrong, the cluster does."""
    bus = frozenset(node.port + 10000 for node in drill.nodes)
    with drill.load(everywhere=[0]) as history:
        since = time.monotonic()
        nine_hosts.set_line([1], ALL, Line(loss=1.0, ports=bus))
        owners = heal_once_replaced(drill, nine_hosts, history, since)
    assert history.owners(0) == owners
    drill.check(history)


@long_drill
def test_a_link_that_flaps(drill: Drill, nine_hosts: Network) -> None:
    """Shard 0's primary vanishes for half the node timeout, again and again, then for good: only that is a failure."""
    with drill.load(everywhere=[0]) as history:
        for _ in range(6):
            nine_hosts.cut([1], ALL)
            time.sleep(NODE_TIMEOUT_MS / 2000)
            nine_hosts.heal()
            time.sleep(NODE_TIMEOUT_MS / 4000)
        history.await_write(0, time.monotonic(), RECOVERY_S)
        since = time.monotonic()
        nine_hosts.cut([1], ALL)
        owners = heal_once_replaced(drill, nine_hosts, history, since)
    assert history.owners(0) == owners
    drill.check(history)


@long_drill
def test_loss_and_delay_fail_nobody_over(drill: Drill, nine_hosts: Network) -> None:
    """Every line between nodes loses one packet in twenty and takes 20 to 60 ms: slow, but nobody is dead."""
    with drill.load() as history:
        nine_hosts.set_line(ALL, ALL, Line(loss=0.05, delay_s=0.02, jitter_s=0.04))
        time.sleep(15)
        nine_hosts.heal()
        drill.await_health()
    for shard, nodes in enumerate(drill.shards):
        assert history.owners(shard) == [nodes[0].name]
    drill.check(history)


@long_drill
def test_a_primary_dies_where_lines_are_bad(drill: Drill, nine_hosts: Network) -> None:
    old = drill.primary(0)
    with drill.load() as history:
        nine_hosts.set_line(ALL, ALL, Line(loss=0.05, delay_s=0.02, jitter_s=0.04))
        since = drill.kill(old)
        new = history.await_write(0, since, RECOVERY_S, not_at=old.name).node
        old.start()
        nine_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [old.name, new]
    drill.check(history)
