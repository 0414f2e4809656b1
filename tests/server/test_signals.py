"""What a node does at each signal: it ends with its data saved, or it goes on."""

from __future__ import annotations

import os
import signal

import pytest

from node.aio.signals import ENDING, HARMLESS
from tests.support.servers import Fleet, wait_until

LEFT_ALONE = {
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
    signal.SIGURG,
    signal.SIGWINCH,
    signal.SIGCONT,
}
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def test_every_signal_has_been_thought_of() -> None:
    known = {*ENDING, *HARMLESS, *LEFT_ALONE, *CRASHES, *STOPS, signal.SIGKILL}
    assert set(signal.valid_signals()) - known == set()


def test_signals_that_are_no_reason_to_end(fleet: Fleet) -> None:
    server = fleet.ours(save="3600 1")
    server.call("SET", "a", "1")
    for number in sorted(HARMLESS | LEFT_ALONE):
        os.kill(server.pid, number)
        assert server.call("GET", "a") == b"1", f"signal {number}"
    wait_until(lambda: "Received SIGALRM, which means nothing" in server.log_tail(100), "the log tells")


@pytest.mark.parametrize("number", sorted(ENDING))
def test_signals_that_end_a_node_leave_its_data(fleet: Fleet, number: int) -> None:
    server = fleet.ours(save="3600 1")
    server.call("SET", "a", "1")
    os.kill(server.pid, number)
    assert server.process is not None
    assert server.process.wait(10) == 0
    fleet.restart(server)
    assert server.call("GET", "a") == b"1"


def test_a_moved_log_goes_on_in_a_new_file(fleet: Fleet) -> None:
    server = fleet.ours(logfile="node.log")
    log = server.directory / "node.log"
    assert "Ready to accept" in log.read_text()
    log.rename(server.directory / "node.log.1")
    os.kill(server.pid, signal.SIGHUP)
    wait_until(log.exists, "there is a new file")
    assert "Received SIGHUP" in log.read_text()
