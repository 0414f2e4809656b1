"""Real nodes that die or freeze: who notices, and why. The node timeout is far longer than any test waits."""

from __future__ import annotations

import pytest

from tests.support.servers import Fleet, Server, wait_until

SIZE = 4


def flags_of(server: Server, node_id: str) -> str:
    """How `server` shows this node in CLUSTER NODES."""
    lines = server.call("CLUSTER", "NODES").decode().splitlines()
    return next(line.split()[2] for line in lines if line.startswith(node_id))


@pytest.fixture
def servers(fleet: Fleet) -> list[Server]:
    """Primaries with a quarter of the slots each, all connected."""
    servers = [fleet.ours(cluster_enabled="yes", cluster_node_timeout="60000") for _ in range(SIZE)]
    for at, server in enumerate(servers):
        server.call("CLUSTER", "ADDSLOTSRANGE", at * 16384 // SIZE, (at + 1) * 16384 // SIZE - 1)
        server.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        server.call("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    for server in servers:
        wait_until(lambda server=server: _complete(server), "the cluster has formed", timeout_s=20)
    return servers


def _complete(server: Server) -> bool:
    lines = server.call("CLUSTER", "NODES").decode().splitlines()
    connected = sum(" connected " in line and "handshake" not in line for line in lines)
    return connected == SIZE and server.cluster_info()["cluster_state"] == "ok"


def test_a_killed_process_has_failed_long_before_the_timeout(servers: list[Server]) -> None:
    dead, *others = servers
    dead_id = dead.id
    dead.kill()
    for server in others:
        wait_until(lambda server=server: flags_of(server, dead_id) == "master,fail", "the dead node has failed")
    dead.start()
    for server in servers:
        wait_until(lambda server=server: _complete(server), "it is back, and nobody had to wait for it")
