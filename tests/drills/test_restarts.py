"""What operators do under load: hand-overs, restarts of one node after the other, and of all at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.cluster import RedisCluster
from redis.exceptions import RedisError

from tests.drills.conftest import long_drill
from tests.support.drill import RECOVERY_S, Drill
from tests.support.history import History
from tests.support.hosts import Network, network
from tests.support.servers import Fleet

ROUNDS = int(os.environ.get("ROLLING_COUNT", "1"))
DURABLE = {"appendonly": "yes"}


def restart_one_after_the_other(drill: Drill) -> None:
    """SIGTERM, wait for its end, start, wait until all is well: last node first, as a StatefulSet is updated."""
    for node in reversed(drill.nodes):
        node.kill(signal.SIGTERM)
        node.start()
        drill.await_health()


def test_a_primary_that_is_told_to_hand_over_loses_nothing(fleet: Fleet) -> None:
    """CLUSTER FAILOVER at the replica of each shard, to and fro, without any min-acks."""
    drill = Drill(fleet)
    with drill.load() as history:
        for _ in range(2):
            for shard in range(len(drill.shards)):
                old = drill.owner(shard)
                new = next(node for node in drill.shards[shard] if node is not old)
                since = time.monotonic()
                assert new.call("CLUSTER", "FAILOVER") == b"OK"
                history.await_write(shard, since, RECOVERY_S, not_at=old.name)
                drill.await_health()
                assert history.owners(shard, since) in ([old.name, new.name], [new.name])
    drill.check(history)


def test_a_rolling_restart_loses_nothing(fleet: Fleet) -> None:
    drill = Drill(fleet)
    with drill.load() as history:
        restart_one_after_the_other(drill)
    drill.check(history)


@contextmanager
def an_application(drill: Drill) -> Iterator[History]:
    """A service that writes through redis-py with its default settings, to all shards in turn."""
    history = History()
    stop = threading.Event()
    client = RedisCluster(host="127.0.0.1", port=drill.nodes[0].port)

    def write() -> None:
        number = 0
        while not stop.wait(0.001):
            shard = number % len(drill.shards)
            key = f"{{{drill.tags[shard]}}}:app:{number}"
            number += 1
            sent = time.monotonic()
            try:
                client.set(key, key)
            except RedisError as error:
                history.not_acknowledged(shard, type(error).__name__)
            else:
                history.acknowledged(shard, key, "any", sent)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield history
    finally:
        stop.set()
        thread.join(60)
        client.close()


@long_drill
def test_an_application_lives_through_rolling_restarts(fleet: Fleet) -> None:
    """`make rolling COUNT=20` is this with twenty rounds."""
    drill = Drill(fleet, cluster_node_timeout="5000")
    began = time.monotonic()
    with an_application(drill) as history:
        for number in range(1, ROUNDS + 1):
            restart_one_after_the_other(drill)
            pause_ms = max(history.outage_s(shard) for shard in range(len(drill.shards))) * 1000
            print(
                f"after {number} rolling restarts, {time.monotonic() - began:.0f} s: {history.count} acknowledged,"
                f" {sum(history.refused.values())} errors, longest pause {pause_ms:.0f} ms",
                flush=True,
            )
    drill.check(history)
    print(f"all {history.count} acknowledged writes are there; errors: {dict(history.refused)}")


@long_drill
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
def test_all_nodes_at_once_come_back_with_all_data(fleet: Fleet, how: int) -> None:
    drill = Drill(fleet, **DURABLE)
    before = [node.id for node in drill.nodes]
    with drill.load() as history:
        drill.signal(how, *drill.nodes)
        for node in drill.nodes:
            node.kill(how)
        fleet.restart(*drill.nodes)
        since = time.monotonic()
        for shard in range(len(drill.shards)):
            history.await_write(shard, since, RECOVERY_S)
        drill.await_health()
    assert [node.id for node in drill.nodes] == before
    drill.check(history)


@pytest.fixture
def twelve_hosts() -> Iterator[Network]:
    with network(12) as net:
        yield net


@long_drill
def test_all_nodes_come_back_on_other_hosts(twelve_hosts: Network, fleet: Fleet) -> None:
    """Their files move with them, their addresses are new: they find each other by the seeds, and the clients them."""
    hosts = [twelve_hosts.hosts[number] for number in range(1, 13)]
    drill = Drill(fleet, hosts=hosts[:6], **DURABLE)
    seeds = " ".join(f"{hosts[6 + at].address}:{node.port}" for at, node in enumerate(drill.nodes))
    with drill.load() as history:
        drill.kill(*drill.nodes)
        for node, host in zip(drill.nodes, hosts[6:], strict=True):
            node.host, node.enter = host.address, host.enter
            node.directives = {**node.directives, "bind": f"127.0.0.1 {host.address}", "cluster-seeds": seeds}
        fleet.restart(*drill.nodes)
        since = time.monotonic()
        for shard in range(len(drill.shards)):
            healed = history.await_write(shard, since, 2 * RECOVERY_S)
            print(f"shard {shard} accepts writes {healed.acked - since:.1f} s after the last node answered")
        drill.await_health()
    drill.check(history)
