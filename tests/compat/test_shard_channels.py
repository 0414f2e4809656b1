"""A subscriber to a shard channel is told when its node has nothing to do with the channel's slot any more."""

from __future__ import annotations

import pytest

from cluster.agreement.slots import key_slot
from tests.support import peers
from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, form_cluster, wait_until

CHANNEL = next(f"channel-{n}" for n in range(100) if key_slot(b"channel-%d" % n) < 5461)  # of the first shard
SLOT = key_slot(CHANNEL.encode())


class Cluster:
    """Three shards; `primary` and `replica` are of the one that has the channel."""

    def __init__(self, fleet: Fleet, kind: str) -> None:
        command = fleet.ours_command if kind == "ours" else peers.command(kind)
        settings = {"cluster_enabled": "yes", "repl_diskless_sync_delay": "0"}
        self.nodes = [fleet.prepare(command, f"{kind}-{at}", settings) for at in range(4)]
        fleet.start_together(*self.nodes)
        form_cluster(self.nodes[:3], self.nodes[3:])
        self.primary, self.other, _, self.replica = self.nodes


def subscriber(server: Server, proto: int) -> Connection:
    connection = server.connect(proto)
    assert connection.ask("SSUBSCRIBE", CHANNEL).value == [b"ssubscribe", CHANNEL.encode(), 1]
    return connection


def is_told(connection: Connection) -> bool:
    """Waits for the push, with the limit of the connection."""
    return connection.read().value == [b"sunsubscribe", CHANNEL.encode(), 0]


KINDS = pytest.mark.parametrize("kind", ["ours", "valkey"])


@KINDS
@pytest.mark.parametrize("proto", [2, 3])
def test_a_replica_that_moves_to_another_shard(fleet: Fleet, kind: str, proto: int) -> None:
    cluster = Cluster(fleet, kind)
    with subscriber(cluster.replica, proto) as listener:
        cluster.primary.call("SPUBLISH", CHANNEL, "before")
        assert listener.read().value == [b"smessage", CHANNEL.encode(), b"before"]
        assert cluster.replica.call("CLUSTER", "REPLICATE", cluster.other.id) == b"OK"
        assert is_told(listener)
        assert cluster.replica.call("PUBSUB", "SHARDCHANNELS") == []


@KINDS
@pytest.mark.parametrize("which", ["primary", "replica"])
def test_a_node_that_is_reset(fleet: Fleet, kind: str, which: str) -> None:
    cluster = Cluster(fleet, kind)
    node = cluster.replica if which == "replica" else cluster.primary
    with subscriber(node, 3) as listener:
        assert node.call("CLUSTER", "RESET") == b"OK"
        assert is_told(listener)


@KINDS
def test_a_slot_that_goes_to_another_shard(fleet: Fleet, kind: str) -> None:
    """Its primary is told so by an operator, its replica by the new owner's claim."""
    cluster = Cluster(fleet, kind)
    with subscriber(cluster.primary, 3) as at_primary, subscriber(cluster.replica, 3) as at_replica:
        cluster.other.call("CLUSTER", "SETSLOT", SLOT, "IMPORTING", cluster.primary.id)
        cluster.other.call("CLUSTER", "SETSLOT", SLOT, "NODE", cluster.other.id)
        assert is_told(at_primary)
        assert is_told(at_replica)


@KINDS
def test_a_primary_that_is_replaced(fleet: Fleet, kind: str) -> None:
    cluster = Cluster(fleet, kind)
    with subscriber(cluster.primary, 3) as listener:
        assert cluster.replica.call("CLUSTER", "FAILOVER") == b"OK"
        wait_until(lambda: cluster.replica.call("ROLE")[0] == b"master", "it has taken over", 30)
        assert is_told(listener)
