"""Nodes that missed what happened while they were cut off, on hosts of their own: what they do until they are told.

Hosts 1 to 3 hold the primaries of shards 0 to 2, the next three and the three after those their replicas.
"""

from __future__ import annotations

import time

import pytest

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.hosts import Network
from tests.support.servers import Fleet, wait_until

ALL = range(1, 10)
WAIT_S = 15.0  # an empty primary without min-acks would serve after ten


@pytest.fixture
def drill(nine_hosts: Network, fleet: Fleet) -> Drill:
    hosts = [nine_hosts.hosts[number] for number in ALL]
    return Drill(fleet, replicas=2, hosts=hosts, min_acks="1", min_acks_timeout="1000")


@long_drill
def test_two_that_were_replaced_make_no_majority_with_a_replica_of_the_third(drill: Drill, nine_hosts: Network) -> None:
    """Shard 0's primary was replaced first, then shard 1's by votes that the first knows nothing of. Then they meet."""
    first, second, third = (drill.primary(shard) for shard in range(3))
    with drill.load(everywhere=[0, 1, 2]) as history:
        since = time.monotonic()
        nine_hosts.cut([1], ALL)
        heir = history.await_write(0, since, RECOVERY_S, not_at=first.name).node
        since = time.monotonic()
        nine_hosts.cut([2, 6], [number for number in ALL if number not in (2, 6)])
        other_heir = history.await_write(1, since, RECOVERY_S, not_at=second.name).node
        nine_hosts.heal()
        apart = [1, 2, 6]
        nine_hosts.cut(apart, [number for number in ALL if number not in apart])
        since = time.monotonic()
        time.sleep(3 * NODE_TIMEOUT_MS / 1000)
        theirs = {first.name, second.name, drill.shards[2][1].name}
        wrong = [ack for acks in history.acks.values() for ack in acks if ack.sent > since and ack.node in theirs]
        assert not wrong, f"{len(wrong)} writes accepted among nodes that have been replaced: {wrong[:3]}"
        nine_hosts.heal()
        drill.await_health()
    assert history.owners(0) == [first.name, heir]
    assert history.owners(1) == [second.name, other_heir]
    assert history.owners(2) == [third.name]
    drill.check(history)


@long_drill
def test_an_empty_primary_waits_for_its_only_holder_that_is_cut_off(nine_hosts: Network, fleet: Fleet) -> None:
    hosts = [nine_hosts.hosts[number] for number in range(1, 7)]
    drill = Drill(fleet, replicas=1, hosts=hosts, min_acks="1", min_acks_timeout="1000", save="")
    empty, holder = drill.shards[0]
    holder_id = holder.call("CLUSTER", "MYID").decode()
    with drill.load() as history:
        nine_hosts.cut([4], range(1, 7))
        time.sleep(0.2)
        drill.kill(empty)
        empty.start()
        since = time.monotonic()
        while time.monotonic() - since < WAIT_S:
            assert f"cluster_empty_primary_waits_for:{holder_id}" in empty.ask("CLUSTER", "INFO").body.decode()
            assert empty.call("DBSIZE") == 0
            time.sleep(0.5)
        assert [ack for ack in history.acks[0] if ack.sent > since] == []
        nine_hosts.heal()
        wait_until(lambda: holder.call("ROLE")[0] == b"master", "the holder has taken over", RECOVERY_S)
        drill.await_health()
    assert drill.owner(0) is holder
    drill.check(history)
