"""Real nodes that come back with other addresses (of 127.0.0.0/8), and what they tell others about their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Fleet, Server, own_all_slots, wait_until

SIZE = 4


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet()
    yield fleet
    fleet.close()


def on_host(number: int) -> dict[str, str]:
    """A node that speaks to others from an address of its own; tests reach it at 127.0.0.1 all the same."""
    return {"bind": f"127.0.0.1 127.0.0.{number}", "bind-source-addr": f"127.0.0.{number}"}


def address(server: Server) -> str:
    return server.directives["bind-source-addr"]


def known_addresses(server: Server) -> set[str]:
    return {line.split()[1].split("@")[0] for line in server.call("CLUSTER", "NODES").decode().splitlines()}


def healthy(servers: list[Server], by_name: Server | None = None) -> bool:
    """Whether all reach each other; the node that seeds name may be known by the address of that name, too."""
    wanted = {f"{address(server)}:{server.port}" for server in servers}
    also = {f"127.0.0.1:{by_name.port}"} if by_name else set()
    return all(
        server.cluster_info()["cluster_state"] == "ok"
        and len(known_addresses(server)) == len(servers)
        and known_addresses(server) <= wanted | also
        and b"disconnected" not in server.call("CLUSTER", "NODES")
        for server in servers
    )


def start_cluster(fleet: Fleet) -> list[Server]:
    servers = [
        fleet.ours(cluster_enabled="yes", cluster_node_timeout="5000", **on_host(11 + at)) for at in range(SIZE)
    ]
    for at, server in enumerate(servers):
        server.call("CLUSTER", "ADDSLOTSRANGE", at * 16384 // SIZE, (at + 1) * 16384 // SIZE - 1)
        server.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        server.call("CLUSTER", "MEET", address(servers[0]), servers[0].port)
    wait_until(lambda: healthy(servers), "the cluster has formed", timeout_s=30)
    return servers


def restart_elsewhere(servers: list[Server], seeds: str) -> None:
    for server in servers:
        server.kill()
    for at, server in enumerate(servers):
        server.directives = {**server.directives, **on_host(31 + at), "cluster-seeds": seeds}
        server.start()


@pytest.mark.parametrize("which", ["a name", "literals"])
def test_all_nodes_restart_with_new_addresses(fleet: Fleet, which: str) -> None:
    servers = start_cluster(fleet)
    before = [server.id for server in servers]
    name = f"localhost:{servers[2].port}"
    literals = " ".join(f"127.0.0.{31 + at}:{server.port}" for at, server in enumerate(servers))
    named = servers[2] if which == "a name" else None
    restart_elsewhere(servers, name if named else literals)
    wait_until(lambda: healthy(servers, named), "the cluster has found itself again", timeout_s=10)
    assert [server.id for server in servers] == before


def test_a_node_announces_what_its_operator_says(fleet: Fleet) -> None:
    one, other = (
        fleet.ours(cluster_enabled="yes", cluster_announce_hostname=f"{name}.example") for name in ("one", "other")
    )
    one.call("CLUSTER", "MEET", "127.0.0.1", other.port)
    wait_until(lambda: b"one.example" in other.call("CLUSTER", "NODES"), "the name has arrived")
    one.call("CONFIG", "SET", "cluster-announce-human-nodename", "uno")
    # An address that leads there as well, as behind a translation of addresses, and a port that others are told.
    one.call("CONFIG", "SET", "cluster-announce-ip", "127.0.0.9", "cluster-announce-port", "7777")
    wait_until(
        lambda: f"127.0.0.9:7777@{one.port + 10000},one.example".encode() in other.call("CLUSTER", "NODES"),
        "the new address has arrived",
    )


@pytest.mark.parametrize("source", ["192.0.2.1", "no.such.host.invalid", "..", "x" * 100])
def test_a_source_that_there_is_not_cuts_nobody_off(fleet: Fleet, source: str) -> None:
    """bind-source-addr with an address that this host has lost: connections come from another one."""
    one, other = (fleet.ours(cluster_enabled="yes", **{"bind-source-addr": source}) for _ in range(2))
    own_all_slots(one)
    other.call("CLUSTER", "MEET", one.host, one.port)
    wait_until(lambda: other.cluster_info()["cluster_state"] == "ok", "they know each other")
    other.call("CLUSTER", "REPLICATE", one.id)
    wait_until(lambda: other.info("replication")["master_link_status"] == "up", "the replica is in sync", 20)
