"""How a process ends: told twice, and by a fault of its own."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.support.resp import CLOSED
from tests.support.servers import Fleet, Server, wait_until


def ended_by(server: Server) -> int:
    """The status with which the process ends: a negative number is a signal."""
    assert server.process is not None
    return server.process.wait(20)


def test_a_second_interrupt_ends_a_save_that_takes_too_long(fleet: Fleet) -> None:
    server = fleet.ours(save="3600 1", rdb_key_save_delay="100000")
    for i in range(100):
        server.call("SET", f"key:{i}", "v")
    server.process.send_signal(signal.SIGINT)
    draft = server.directory / f"temp-{server.pid}.rdb"
    wait_until(draft.exists, "the save has begun")
    server.process.send_signal(signal.SIGINT)
    assert ended_by(server) == 1
    assert not draft.exists()
    assert not (server.directory / "dump.rdb").exists()
    assert "You insist... exiting now." in server.log_tail()


def test_a_replica_that_ends_amid_a_transfer_leaves_nothing_of_it(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as primary:
        primary.settimeout(10)
        server = fleet.ours(replicaof=f"127.0.0.1 {primary.getsockname()[1]}")
        connection, _ = primary.accept()
        with connection:
            connection.sendall(b"+PONG\r\n" + b"+OK\r\n" * 3 + b"+FULLRESYNC %s 0\r\n$1000\r\nREDIS" % (b"a" * 40))
            wait_until(lambda: list(server.directory.glob("temp-replication-*")), "the transfer has begun")
            server.process.terminate()
            assert ended_by(server) == 0
    assert not list(server.directory.glob("temp-replication-*"))
    assert "Task was destroyed" not in server.log_tail()


def test_a_fault_is_reported_with_the_place(fleet: Fleet) -> None:
    server = fleet.ours()
    assert server.connect().ask("DEBUG", "SEGFAULT") is CLOSED
    assert ended_by(server) == -signal.SIGSEGV
    report = server.log_tail(80)
    assert "crashed by signal: 11" in report
    assert "in segfault" in report


@pytest.mark.parametrize("enabled", ["yes", "no"])
def test_a_report_goes_to_the_log_file_unless_it_is_switched_off(fleet: Fleet, enabled: str) -> None:
    server = fleet.ours(logfile="own.log")
    server.call("CONFIG", "SET", "crash-log-enabled", enabled)
    server.process.send_signal(signal.SIGABRT)
    assert ended_by(server) == -signal.SIGABRT
    log = (server.directory / "own.log").read_text()
    assert ("crashed by signal: 6" in log) is (enabled == "yes")
    assert ("most recent call first" in log) is (enabled == "yes")
    assert "crashed by" not in server.log_tail()
