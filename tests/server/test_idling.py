"""A node at rest does its regular work less often; whoever asks something of it must not notice.

Whether it rests its metrics tell, which are no requests of clients: how many rounds it has done, and when the last was.
"""

from __future__ import annotations

import time

from tests.server.test_admin import node_with_http, scrape
from tests.support.servers import Fleet, wait_until

RESTING_PAUSE_S = 0.5
"""Between two rounds: at rest there is one a second, otherwise `hz`, which is 10."""


def rests(admin_port: int) -> bool:
    """Whether the next rounds of regular work are as far apart as those of a node at rest."""
    first = look(admin_port)
    last = wait_until(lambda: later_by(2, first, look(admin_port)), "two rounds are done", every_s=0.1)
    return (last[1] - first[1]) / (last[0] - first[0]) > RESTING_PAUSE_S


def look(admin_port: int) -> tuple[float, float]:
    """The rounds of regular work so far, and the time of the last."""
    metrics = scrape(admin_port)
    return metrics["shardis_ticks_total", frozenset()], metrics["shardis_uptime_seconds", frozenset()]


def later_by(rounds: int, first: tuple[float, float], last: tuple[float, float]) -> tuple[float, float] | None:
    return last if last[0] >= first[0] + rounds else None


def test_a_node_that_has_slept_wakes_at_the_first_request(fleet: Fleet) -> None:
    server, port = node_with_http(fleet)
    server.call("PING")
    wait_until(lambda: rests(port), "the node rests", timeout_s=30)
    client = server.connect()
    client.ask("SET", "key", "value", "PX", "1")
    client.ask("CLIENT", "PAUSE", "50")
    began = time.monotonic()
    client.ask("SET", "other", "value")
    assert time.monotonic() - began >= 0.04
    wait_until(lambda: server.info("stats")["expired_keys"] == "1", "the key expires by itself")


def test_a_primary_rests_although_its_replica_says_every_second_that_it_lives(fleet: Fleet) -> None:
    primary, primary_port = node_with_http(fleet)
    replica, replica_port = node_with_http(fleet, replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica is in sync")
    wait_until(lambda: rests(primary_port) and rests(replica_port), "both rest", timeout_s=30)
    primary.call("SET", "key", "value")
    wait_until(lambda: replica.call("GET", "key") == b"value", "what is written is replicated")
    replica.kill()
    wait_until(lambda: primary.info("replication")["connected_slaves"] == "0", "the replica is missed")
