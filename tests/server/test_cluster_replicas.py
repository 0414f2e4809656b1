"""A replica in a cluster: it follows its primary, reads, redirects, and comes back after a restart."""

from __future__ import annotations

import pytest

from tests.support.servers import Fleet, Server, own_all_slots, wait_until


def in_sync(replica: Server, primary: Server) -> bool:
    ours, theirs = replica.info("replication"), primary.info("replication")
    return ours.get("master_link_status") == "up" and ours["slave_repl_offset"] == theirs["master_repl_offset"]


@pytest.fixture
def pair(fleet: Fleet) -> tuple[Server, Server]:
    """A primary of all slots, and its replica."""
    primary, replica = own_all_slots(fleet.ours("primary", cluster_enabled="yes")), fleet.ours(cluster_enabled="yes")
    replica.call("CLUSTER", "MEET", "127.0.0.1", primary.port)
    node_id = primary.call("CLUSTER", "MYID")
    wait_until(lambda: node_id in replica.call("CLUSTER", "NODES"), "the nodes know each other")
    wait_until(lambda: b"handshake" not in replica.call("CLUSTER", "NODES"), "the handshake is over")
    primary.call("SET", "before", "1")
    assert replica.call("CLUSTER", "REPLICATE", node_id) == b"OK"
    wait_until(lambda: in_sync(replica, primary), "the replica is in sync")
    return primary, replica


def test_it_reads_for_clients_that_say_so(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    primary.call("SET", "k", "v")
    wait_until(lambda: in_sync(replica, primary), "the write has come")
    with replica.connect() as client:
        assert str(client.ask("GET", "k").value) == f"MOVED 7629 127.0.0.1:{primary.port}"
        assert client.ask("READONLY").value == b"OK"
        assert client.ask("GET", "k").value == b"v"
        assert client.ask("GET", "before").value == b"1"
        assert str(client.ask("SET", "k", "w").value) == f"MOVED 7629 127.0.0.1:{primary.port}"
        assert client.ask("READWRITE").value == b"OK"
        assert str(client.ask("GET", "k").value) == f"MOVED 7629 127.0.0.1:{primary.port}"
    assert str(replica.ask("REPLICAOF", "NO", "ONE").value) == "ERR REPLICAOF not allowed in cluster mode."


def test_a_full_synchronisation_waits_for_nobody_when_all_replicas_are_here(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    primary.call("CONFIG", "SET", "repl-diskless-sync-delay", "60")
    primary.call("DEBUG", "CHANGE-REPL-ID")
    replica.kill()
    primary.call("SET", "meanwhile", "1")
    replica.start()
    wait_until(lambda: in_sync(replica, primary), "the replica is in sync again")
    assert primary.info("stats")["sync_full"] == "2"


def test_it_follows_again_after_a_restart_and_no_more_after_a_reset(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    replica.kill()
    primary.call("SET", "meanwhile", "1")
    replica.start()
    wait_until(lambda: in_sync(replica, primary), "the replica is in sync again")
    assert replica.call("DBSIZE") == 2
    offset = int(primary.info("replication")["master_repl_offset"])
    assert replica.call("ROLE") == [b"slave", b"127.0.0.1", primary.port, b"connected", offset]
    assert replica.call("CLUSTER", "RESET") == b"OK"
    wait_until(lambda: replica.call("ROLE")[0] == b"master", "the replica is a primary")
    assert replica.call("DBSIZE") == 0
