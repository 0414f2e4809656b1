"""The append-only file of a real process: killed at any moment, started again, everything acknowledged is there."""

from __future__ import annotations

import resource

import pytest

from tests.support.bulk import fill
from tests.support.ledger import Ledger
from tests.support.resp import CLOSED
from tests.support.servers import Fleet, Server, wait_until


def started_again(server: Server) -> Server:
    server.kill()
    return server.start()


def files(server: Server) -> list[str]:
    return sorted(path.name for path in (server.directory / "appendonlydir").iterdir())


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_kill_9_loses_nothing_that_was_acknowledged(fleet: Fleet, policy: str) -> None:
    server = fleet.ours(appendonly="yes", appendfsync=policy)
    ledger = Ledger()
    with server.connect() as connection:
        for _ in range(20):
            assert ledger.write(connection, 50)
    # Under everysec a write may be put off while a flush is under way, as in Redis.
    wait_until(lambda: server.info("persistence")["aof_buffer_length"] == "0", "everything is written")
    digest = server.call("DEBUG", "DIGEST")
    started_again(server)
    assert server.call("DEBUG", "DIGEST") == digest
    with server.connect() as connection:
        ledger.check(connection)


def test_redis_goes_on_with_our_files_and_we_with_its(fleet: Fleet) -> None:
    ours = fleet.ours(appendonly="yes")
    ledger = Ledger()
    with ours.connect() as connection:
        ledger.write(connection, 500)
        ours.call("BGREWRITEAOF")
        wait_until(lambda: ours.info("persistence")["aof_rewrites"] == "1", "the rewrite began")
        wait_until(lambda: ours.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite ended")
        ledger.write(connection, 500)
    digest = ours.call("DEBUG", "DIGEST")
    ours.kill(15)
    redis = fleet.oracle(appendonly="no")
    redis.kill()
    (ours.directory / "appendonlydir").rename(redis.directory / "appendonlydir")
    redis.directives = {**redis.directives, "appendonly": "yes"}
    redis.start()
    assert redis.call("DEBUG", "DIGEST") == digest
    with redis.connect() as connection:
        ledger.write(connection, 500)
    digest = redis.call("DEBUG", "DIGEST")
    redis.kill(15)
    (redis.directory / "appendonlydir").rename(ours.directory / "appendonlydir")
    ours.start()
    assert ours.call("DEBUG", "DIGEST") == digest
    with ours.connect() as connection:
        ledger.check(connection)


def test_a_cut_tail_is_repaired_and_said(fleet: Fleet) -> None:
    server = fleet.ours(appendonly="yes", appendfsync="always")
    server.call("SET", "k", "v")
    server.call("SET", "l", "w")
    server.kill()
    log = server.directory / "appendonlydir" / "appendonly.aof.1.incr.aof"
    log.write_bytes(log.read_bytes()[:-3])
    server.start()
    assert server.call("EXISTS", "k", "l") == 1
    assert "loaded anyway because aof-load-truncated is enabled" in server.log.read_text()
    server.call("SET", "l", "again")
    started_again(server)
    assert server.call("GET", "l") == b"again"


def test_switched_on_and_off_while_it_runs(fleet: Fleet) -> None:
    server = fleet.ours(appendonly="no")
    server.call("SET", "before", "1")
    server.call("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: "appendonly.aof.1.incr.aof" in files(server), "the first rewrite has ended")
    server.call("SET", "after", "1")
    server.call("DEBUG", "LOADAOF")
    assert server.call("EXISTS", "before", "after") == 2
    server.call("CONFIG", "SET", "appendonly", "no")
    server.call("SET", "unlogged", "1")
    server.directives = {**server.directives, "appendonly": "yes"}
    started_again(server)
    assert server.call("EXISTS", "before", "after", "unlogged") == 2


def limit_files(server: Server, size: int) -> None:
    """Let the process write no file beyond this size: to it, the disk is full."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_stops_writes_until_there_is_room(fleet: Fleet) -> None:
    server = fleet.ours(appendonly="yes")
    limit_files(server, 1 << 20)
    with server.connect() as connection:
        assert connection.ask("SET", "big", "x" * (2 << 20)).body == b"OK"  # as in Redis: it is in memory, and kept
        refused = wait_until(lambda: (got := connection.ask("SET", "k", "v")).is_error and got, "writes are refused")
        assert refused.body.startswith(b"MISCONF Errors writing to the AOF file: ")
        assert connection.ask("GET", "big").body == b"x" * (2 << 20)
    assert server.info("persistence")["aof_last_write_status"] == "err"
    assert "Error writing to the AOF file" in server.log.read_text() or "Short write" in server.log.read_text()
    limit_files(server, resource.RLIM_INFINITY)
    wait_until(lambda: not server.ask("SET", "k", "v").is_error, "the node writes again")
    wait_until(lambda: server.info("persistence")["aof_buffer_length"] == "0", "everything is written")
    started_again(server)
    assert server.call("STRLEN", "big") == 2 << 20
    assert server.call("GET", "k") == b"v"


def test_under_always_a_full_disk_ends_the_node_without_a_reply(fleet: Fleet) -> None:
    server = fleet.ours(appendonly="yes", appendfsync="always")
    server.call("SET", "k", "v")
    limit_files(server, 1 << 20)
    with server.connect() as connection:
        assert connection.ask("SET", "big", "x" * (2 << 20)) is CLOSED
    assert server.process is not None
    assert server.process.wait(10) == 1
    assert "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..." in server.log_tail()
    server.kill()
    server.start()
    assert server.call("EXISTS", "k", "big") == 1


def test_a_write_is_on_the_disk_of_a_replica(fleet: Fleet) -> None:
    primary = fleet.ours("primary", appendonly="yes")
    replica = fleet.ours("replica", appendonly="yes", replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", "the link is up")
    wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"] == "0", "its data is on disk")
    with primary.connect() as connection:
        connection.call("SELECT", 3)
        connection.call("SET", "k", "v")
        assert connection.call("WAITAOF", 1, 1, 10000) == [1, 1]
    digest = primary.call("DEBUG", "DIGEST")
    replica.kill()
    replica.directives = {name: value for name, value in replica.directives.items() if name != "replicaof"}
    replica.start()
    assert replica.call("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("diskless_load", ["disabled", "swapdb"])
def test_a_replica_logs_what_a_synchronization_brought(fleet: Fleet, diskless_load: str) -> None:
    """Its own data is not the log's base any more: killed right after the rewrite, it has the primary's."""
    primary = fleet.ours("primary")
    replica = fleet.ours("replica", appendonly="yes", repl_diskless_load=diskless_load)
    with replica.connect() as connection:
        connection.pipeline([["SET", f"own:{n}", "1"] for n in range(1000)])
    with primary.connect() as connection:
        fill(connection, 3000)
    replica.call("REPLICAOF", "127.0.0.1", primary.port)
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", "the link is up")
    primary.call("SET", "after", "1")
    digest = primary.call("DEBUG", "DIGEST")
    wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"] == "0", "its data is on disk")
    assert primary.call("WAITAOF", 0, 1, 10000)[1] == 1
    started_again(replica)  # as a primary: the directives name none
    assert replica.call("DEBUG", "DIGEST") == digest
