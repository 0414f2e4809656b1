"""A primary that is told to end hands its slots over first. The node timeout is far longer than any test waits."""

from __future__ import annotations

import signal

import pytest

from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, wait_until

SIZE = 3


def role(server: Server) -> bytes:
    return server.call("ROLE")[0]


def told_to_end(server: Server) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)


def ended(server: Server) -> bool:
    return server.process is not None and server.process.poll() is not None


def log_of(server: Server) -> str:
    return server.log.read_text(errors="replace")


@pytest.fixture
def servers(fleet: Fleet) -> list[Server]:
    """Primaries with a third of the slots each, then a replica of the first, in sync."""
    servers = [fleet.ours(cluster_enabled="yes", cluster_node_timeout="60000") for _ in range(SIZE + 1)]
    for at, server in enumerate(servers):
        if at < SIZE:
            server.call("CLUSTER", "ADDSLOTSRANGE", at * 16384 // SIZE, (at + 1) * 16384 // SIZE - 1)
        server.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        server.call("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    for server in servers:
        wait_until(lambda server=server: _complete(server), "the cluster has formed", timeout_s=30)
    servers[-1].call("CLUSTER", "REPLICATE", servers[0].id)
    wait_until(lambda: servers[-1].info("replication").get("master_link_status") == "up", "the replica is in sync")
    wait_until(lambda: servers[0].info("replication")["slave0"].count("state=online"), "the primary knows")
    for server in servers:
        wait_until(lambda server=server: b"slave" in server.call("CLUSTER", "NODES"), "all know the replica")
    return servers


def _complete(server: Server) -> bool:
    lines = server.call("CLUSTER", "NODES").decode().splitlines()
    connected = sum(" connected" in line and "handshake" not in line for line in lines)
    return connected == SIZE + 1 and server.cluster_info()["cluster_state"] == "ok"


def write_until_redirected(client: Connection) -> int:
    """Write numbered keys to a slot of the first primary; how many were acknowledged."""
    for number in range(1_000_000):
        reply = client.ask("SET", f"{{b}}:{number}", number)  # slot 3300
        if reply.is_error:
            assert reply.body.startswith(b"MOVED 3300 ")
            return number
        assert reply.value == b"OK"
    raise AssertionError("never redirected")


def test_a_primary_that_ends_hands_over_and_no_acknowledged_write_is_lost(servers: list[Server]) -> None:
    primary, *others, replica = servers
    with primary.connect() as client:
        told_to_end(primary)
        written = write_until_redirected(client)
    assert written > 0
    wait_until(lambda: ended(primary), "the old primary has ended", timeout_s=20)
    assert role(replica) == b"master"
    assert replica.call("DBSIZE") == written
    assert replica.call("SET", "{b}:more", "1") == b"OK"
    assert "The slots are handed over." in log_of(primary)
    primary.start()
    wait_until(lambda: primary.info("replication").get("master_link_status") == "up", "it is back as a replica")
    assert all(b"fail" not in server.call("CLUSTER", "NODES") for server in others)


def test_a_primary_whose_replica_ends_too_just_ends(servers: list[Server]) -> None:
    primary, *_, replica = servers
    told_to_end(replica)
    told_to_end(primary)
    wait_until(lambda: ended(primary) and ended(replica), "both have ended", timeout_s=20)
    assert "hands over" not in log_of(replica)
    primary.start()
    replica.start()
    wait_until(lambda: role(replica) == b"slave", "the replica follows again")
    assert role(primary) == b"master"


def test_nothing_is_handed_to_a_replica_that_must_not_fail_over(servers: list[Server]) -> None:
    primary, *_, replica = servers
    replica.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    wait_until(lambda: b"nofailover" in primary.call("CLUSTER", "NODES"), "the primary has been told")
    told_to_end(primary)
    wait_until(lambda: ended(primary), "the primary has ended", timeout_s=20)
    assert "Handing over" not in log_of(primary)
    assert role(replica) == b"slave"


@pytest.mark.parametrize("how", ["NOW", "FORCE"])
def test_a_shutdown_in_a_hurry_hands_nothing_over(servers: list[Server], how: str) -> None:
    primary, replica = servers[0], servers[-1]
    with primary.connect() as client:
        client.ask("SHUTDOWN", "NOSAVE", how)
    wait_until(lambda: ended(primary), "the primary has ended", timeout_s=20)
    assert "hands over" not in log_of(replica)


def test_failover_is_an_option_of_clusters(fleet: Fleet) -> None:
    server = fleet.ours()
    assert server.ask("SHUTDOWN", "FAILOVER").raw == b"-ERR This instance has cluster support disabled\r\n"
    assert server.call("CONFIG", "SET", "shutdown-on-sigterm", "failover") == b"OK"
    assert server.call("CONFIG", "GET", "shutdown-on-sigterm") == [b"shutdown-on-sigterm", b"failover"]
