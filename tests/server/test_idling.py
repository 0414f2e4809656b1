"""A node at rest does its regular work less often; whoever asks something of it must not notice."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.servers import Fleet, Server, wait_until


def rounds(server: Server) -> int:
    """How often the process has given up the processor by itself: about once for each round of regular work."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("voluntary_ctxt")).split()[1])


def test_a_node_that_has_slept_wakes_at_the_first_request(fleet: Fleet) -> None:
    server = fleet.ours()
    server.call("PING")
    wait_until(lambda: _quiet(server), "the node rests", timeout_s=30)
    client = server.connect()
    client.ask("SET", "key", "value", "PX", "1")
    client.ask("CLIENT", "PAUSE", "50")
    began = time.monotonic()
    client.ask("SET", "other", "value")
    assert time.monotonic() - began >= 0.04
    wait_until(lambda: server.info("stats")["expired_keys"] == "1", "the key expires by itself")


def test_a_primary_rests_although_its_replica_says_every_second_that_it_lives(fleet: Fleet) -> None:
    primary = fleet.ours()
    replica = fleet.ours(replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica is in sync")
    wait_until(lambda: _quiet(primary) and _quiet(replica), "both rest", timeout_s=30)
    primary.call("SET", "key", "value")
    wait_until(lambda: replica.call("GET", "key") == b"value", "what is written is replicated")
    replica.kill()
    wait_until(lambda: primary.info("replication")["connected_slaves"] == "0", "the replica is missed")


def _quiet(server: Server) -> bool:
    before = rounds(server)
    time.sleep(1)
    return rounds(server) - before < 5
