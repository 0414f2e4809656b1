"""A node as a process: in the background, under a supervisor, its log and its pid file."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import syslog
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from node.aio.logfile import SystemLog
from tests.support.resp import Connection
from tests.support.servers import OURS, ROOT, Fleet, StartFailed, free_port, wait_until


def test_daemonize_leaves_a_child_that_serves(tmp_path: Path) -> None:
    port, pidfile, log = free_port(), tmp_path / "pid", tmp_path / "log"
    options = {"port": port, "dir": tmp_path, "daemonize": "yes", "pidfile": pidfile, "logfile": log, "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([*OURS, *words], cwd=ROOT, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    wait_until(pidfile.exists, "the pid file is written")
    pid = wait_until(lambda: int(pidfile.read_text() or 0), "it has a number")
    try:
        assert os.getsid(pid) == pid
        assert wait_until(lambda: "Ready to accept" in log.read_text(), "it is ready")
        with Connection(port) as client:
            assert client.ask("PING").body == b"PONG"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pidfile.exists(), "the pid file is gone")
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "the process is gone")


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(("mode", "abstract"), [("systemd", False), ("auto", True)])
def test_systemd_is_told(
    fleet: Fleet, tmp_path: Path, mode: str, abstract: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"@shardis-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(name.replace("@", "\0") if abstract else name)
        inbox.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        server = fleet.ours(supervised=mode)
        told = [inbox.recv(1000), inbox.recv(1000)]
        assert told == [b"STATUS=Shardis is loading...\n", b"STATUS=Ready to accept connections\nREADY=1\n"]
        server.kill(signal.SIGTERM)
        assert b"STOPPING=1\n" in inbox.recv(1000)


def test_upstart_finds_the_process_stopped(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTART_JOB", "shardis")
    server = fleet.prepare(OURS, "ours", {"supervised": "upstart"})
    fleet.running.append(server)
    server.launch()
    state = lambda: Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]  # noqa: E731
    wait_until(lambda: state() == "T", "it has stopped itself", 20)
    os.kill(server.pid, signal.SIGCONT)
    server.await_answer()


def test_a_supervisor_that_is_not_there_is_a_warning(fleet: Fleet) -> None:
    server = fleet.ours(supervised="systemd")
    assert "NOTIFY_SOCKET is not set" in server.log_tail()


def test_a_log_that_cannot_be_written_is_said_at_the_start(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="Can't open the log file 'logfile /no/such/log': No such file or directory"):
        fleet.ours(logfile="/no/such/log")


def test_a_pid_file_that_cannot_be_written_is_a_warning(fleet: Fleet) -> None:
    server = fleet.ours(pidfile="/no/such/pid")
    assert "Failed to write PID file /no/such/pid: No such file" in server.log_tail()


def test_files_of_the_process_are_found_again_after_a_change_of_dir(fleet: Fleet, tmp_path: Path) -> None:
    server = fleet.ours(pidfile="pid", unixsocket="sock", **{"enable-protected-configs": "yes"})
    server.call("CONFIG", "SET", "dir", str(tmp_path))
    server.kill(signal.SIGTERM)
    assert not {"pid", "sock"} & {each.name for each in server.directory.iterdir()}


def test_the_systems_log_gets_every_message_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *given: told.append(given))
    monkeypatch.setattr(syslog, "syslog", lambda *given: told.append(given))
    beside: list[str] = []
    log = SystemLog("me", "local3", lambda mark, text: beside.append(mark + text))
    log("#", "trouble \udcff\0")
    log(".", "detail")
    assert told == [
        ("me", syslog.LOG_PID | syslog.LOG_NDELAY | syslog.LOG_NOWAIT, syslog.LOG_LOCAL3),
        (syslog.LOG_WARNING, "trouble \\udcff\\0"),
        (syslog.LOG_DEBUG, "detail"),
    ]
    assert beside == ["#trouble \udcff\0", ".detail"]


def test_a_node_starts_with_the_systems_log(fleet: Fleet) -> None:
    server = fleet.ours(**{"syslog-enabled": "yes", "syslog-facility": "user"})
    assert server.call("PING") == b"PONG"


def test_a_locale_that_there_is_not(fleet: Fleet) -> None:
    server = fleet.ours()
    assert server.ask("CONFIG", "SET", "locale-collate", "no_SUCH").raw.endswith(b" - Invalid locale name\r\n")
    assert server.call("CONFIG", "SET", "locale-collate", "C") == b"OK"
    with pytest.raises(StartFailed, match="locale-collate: Invalid locale name"):
        fleet.ours(**{"locale-collate": "no_SUCH"})


PIDFD_GETFD = 438


def sockets_of(pid: int) -> Iterator[socket.socket]:
    """The connections of another process, to be asked for their options."""
    process = os.pidfd_open(pid)
    for each in Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(each).startswith("socket:"):
            fd = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(each.name), 0)
            if fd < 0:
                pytest.skip("another process' sockets cannot be looked at here")
            with socket.socket(fileno=fd) as sock:
                yield sock
    os.close(process)


@pytest.mark.parametrize("fewer", [True, False])
def test_replicas_may_have_fewer_larger_packets(fleet: Fleet, fewer: bool) -> None:
    setting = {"repl-disable-tcp-nodelay": "yes" if fewer else "no"}
    primary = fleet.ours(**setting, **{"repl-diskless-sync-delay": "0"})
    replica = fleet.ours(replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is up", 20)
    primary.call("SET", "a", "1")
    wait_until(lambda: replica.call("GET", "a") == b"1", "the write has arrived")
    mine = primary.ask("CLIENT", "LIST", "TYPE", "replica").body.split(b" addr=")[1].split()[0].decode()
    delays = []
    for sock in sockets_of(primary.pid):
        with suppress(OSError):
            if sock.family == socket.AF_INET and "{}:{}".format(*sock.getpeername()) == mine:
                delays.append(not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    assert delays == [fewer]


@pytest.mark.parametrize(("setting", "left"), [("yes", []), ("no", ["dump.rdb"])])
def test_files_of_a_synchronisation_may_be_deleted(fleet: Fleet, setting: str, left: list[str]) -> None:
    primary = fleet.ours(**{"repl-diskless-sync-delay": "0"})
    primary.call("SET", "a", "1")
    replica = fleet.ours(replicaof=f"127.0.0.1 {primary.port}", **{"rdb-del-sync-files": setting})
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is up", 20)
    assert replica.call("GET", "a") == b"1"
    assert [each.name for each in replica.directory.iterdir() if each.name != "server.log"] == left
