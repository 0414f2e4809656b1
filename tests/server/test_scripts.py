"""Scripts in real processes: a long one keeps neither the cluster nor its node's end waiting; libraries last."""

from __future__ import annotations

import signal

import pytest

from tests.support.peers import needs
from tests.support.resp import pack
from tests.support.servers import Fleet, Server, form_cluster, wait_until

LOOP = "while true do end"
WRITES_AND_LOOPS = f"redis.call('SET', KEYS[1], 'half') {LOOP}"
LIBRARY = "#!lua name=lib\nredis.register_function('f', function(keys) return redis.call('INCR', keys[1]) end)"
TIMEOUT_MS = 1000


def begin(server: Server, script: str, *keys: str) -> None:
    """Start a script whose end nobody waits for, and wait until others are told BUSY."""
    connection = server.connect()
    connection.send_raw(pack(("EVAL", script, str(len(keys)), *keys)))
    wait_until(lambda: str(server.ask("PING").value).startswith("BUSY"), "the script is found to be slow")


def test_the_cluster_does_not_miss_a_node_with_a_long_script(fleet: Fleet) -> None:
    directives = {"cluster_enabled": "yes", "cluster_node_timeout": str(TIMEOUT_MS), "busy_reply_threshold": "100"}
    servers = [fleet.ours(f"node-{i}", **directives) for i in range(3)]
    form_cluster(servers)
    begin(servers[0], LOOP)
    others = servers[1:]

    def pings() -> int:
        return sum(int(other.cluster_info()["cluster_stats_messages_pong_received"]) for other in others)

    # So many answers as take several times the node timeout at the usual pace of one ping a second or so for each link.
    enough = pings() + 20
    wait_until(lambda: pings() >= enough, "the others have heard of each other", timeout_s=30)
    for other in others:
        assert b"fail" not in other.call("CLUSTER", "NODES")
        assert other.cluster_info()["cluster_state"] == "ok"
    assert servers[0].call("SCRIPT", "KILL") == b"OK"
    wait_until(lambda: servers[0].ask("PING").value == b"PONG", "the script has ended")


def test_sigterm_ends_a_node_whose_script_only_reads(fleet: Fleet) -> None:
    server = fleet.ours(busy_reply_threshold="50")
    begin(server, LOOP)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0


def test_shutdown_nosave_ends_a_script_that_has_written_and_nothing_of_it_stays(fleet: Fleet) -> None:
    server = fleet.ours(busy_reply_threshold="50", appendonly="yes")
    server.call("SET", "k", "whole")
    begin(server, WRITES_AND_LOOPS, "k")
    assert str(server.ask("SCRIPT", "KILL").value).startswith("UNKILLABLE")
    assert str(server.ask("SHUTDOWN").value).startswith("BUSY")
    with server.connect() as client:
        client.send_raw(pack(("SHUTDOWN", "NOSAVE")))
        assert server.process is not None
        assert server.process.wait(10) == 0
    fleet.restart(server)
    assert server.call("GET", "k") == b"whole"


@pytest.mark.parametrize(
    "directives",
    [{"appendonly": "yes"}, {"appendonly": "yes", "aof_use_rdb_preamble": "no"}, {"save": "3600 1"}],
    ids=["log", "log of commands", "snapshot"],
)
def test_libraries_outlive_a_restart(fleet: Fleet, directives: dict[str, str]) -> None:
    server = fleet.ours(**directives)
    server.call("FUNCTION", "LOAD", LIBRARY)
    server.call("FCALL", "f", "1", "n")
    if "appendonly" in directives:
        server.call("BGREWRITEAOF")
        wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite has ended")
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(10)
    fleet.restart(server)
    assert server.call("FCALL", "f", "1", "n") == 2


@needs("redis")
def test_redis_follows_and_gets_libraries_and_what_scripts_write(fleet: Fleet) -> None:
    primary = fleet.ours()
    primary.call("FUNCTION", "LOAD", LIBRARY)
    replica = fleet.oracle(replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", "the replica follows")
    primary.call("FUNCTION", "LOAD", LIBRARY.replace("lib", "more").replace("'f'", "'g'"))
    primary.call("FCALL", "f", "1", "n")
    primary.call("EVAL", "redis.call('INCR', 'n') redis.call('SET', 'last', 'x')", "0")
    wait_until(lambda: replica.call("GET", "last") == b"x", "the script's writes have come")
    assert replica.call("GET", "n") == b"2"
    assert len(replica.call("FUNCTION", "LIST")) == 2
