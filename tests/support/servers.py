"""Servers as processes: ours and those that it is compared with (`peers.py`), started with the same directives.

Ports lie below the range that the kernel gives to outgoing connections, with the bus port (+ 10000) checked too, so
that runs of tests side by side rarely meet; when they do, another port is tried. Processes are ended by their id.
"""

from __future__ import annotations

import ctypes
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gossip.settings import BUS_PORT_OFFSET
from tests.support import peers
from tests.support.resp import CLOSED, Connection, Frame, Word

ROOT = Path(__file__).resolve().parents[2]
OURS = [sys.executable, "-m", "node"]
START_TIMEOUT_S = 60.0
FIRST_PORT = 10500  # with BUS_PORT_OFFSET ports from here on, no port is another's bus port
_given: deque[int] = deque(maxlen=100)  # the ports that this process has been given last


class StartFailed(Exception):
    """The process ended or did not answer in time; the text holds the end of its log."""


def have_oracle() -> bool:
    return peers.have("redis")


def free_port() -> int:
    """A port on loopback that is free now, and whose bus port is free too.

    None is given again soon: servers that are prepared together start later, and of two with one port the second would
    end while the first answers in its place. For the same reason test processes side by side have ports of their own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = BUS_PORT_OFFSET // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(FIRST_PORT + worker * share, FIRST_PORT + (worker + 1) * share)
    for _ in range(200):
        port = random.SystemRandom().choice(ports)
        if port not in _given and _is_free(port) and _is_free(port + BUS_PORT_OFFSET):
            _given.append(port)
            return port
    raise StartFailed(f"no free port found in {ports}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def end_with_parent() -> None:
    """Runs in the child: a test run that is killed must not leave servers behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 10.0, every_s: float = 0.01) -> Any:
    """Poll until the condition holds and return its value; the failure says what was awaited."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(every_s)


@dataclass
class Server:
    """One running server."""

    name: str
    command: Sequence[str]
    port: int
    directory: Path
    directives: Mapping[str, str]
    host: str = "127.0.0.1"
    enter: Callable[[], None] = lambda: None  # runs in the child before the server: joins its network namespace
    process: subprocess.Popen[bytes] | None = None
    _admin: Connection | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self, answering: bytes = b"PONG") -> Server:
        """Start the process and wait until it answers PING so; b"LOADING" is how it does while it loads its data."""
        self.launch()
        return self.await_answer(answering)

    def launch(self) -> None:
        """Start the process, and leave the waiting to `await_answer`: several can start at the same time."""
        arguments = ["--port", str(self.port), "--dir", str(self.directory)]
        for directive, value in self.directives.items():
            arguments += [f"--{directive}", value]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                preexec_fn=self._prepare_child,
            )

    def _prepare_child(self) -> None:
        end_with_parent()
        self.enter()

    def await_answer(self, answering: bytes = b"PONG") -> Server:
        """Wait until the started process answers PING so. Raises StartFailed."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers(answering):
            if self.process.poll() is not None:
                raise StartFailed(f"{self.name} ended with status {self.process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(f"{self.name} did not answer within {START_TIMEOUT_S:g} s\n{self.log_tail()}")
            time.sleep(0.01)
        return self

    def _answers(self, expected: bytes) -> bool:
        try:
            with Connection(self.port, host=self.host, timeout_s=2) as probe:
                return probe.ask("PING").body.startswith(expected)
        except OSError:
            return False

    def connect(self, proto: int = 2, timeout_s: float = 10) -> Connection:
        return Connection(self.port, proto, self.host, timeout_s)

    def ask(self, *argv: Word) -> Frame:
        """One command on a connection kept for the test's own questions."""
        if self._admin is None:
            self._admin = self.connect()
        try:
            frame = self._admin.ask(*argv)
        except TimeoutError:
            self._admin = None  # a late reply must not answer the next question
            raise AssertionError(f"{self.name} does not answer {argv}") from None
        if frame is CLOSED:
            self._admin = self.connect()
            frame = self._admin.ask(*argv)
        return frame

    def call(self, *argv: Word) -> Any:
        frame = self.ask(*argv)
        assert frame is not CLOSED, f"{self.name} hung up at {argv}"
        assert not frame.is_error, f"{self.name}: {argv} answered {frame.raw!r}"
        return frame.value

    def info(self, section: str = "all") -> dict[str, str]:
        """INFO as a dictionary."""
        return dict(line.split(":", 1) for line in self.call("INFO", section).decode().splitlines() if ":" in line)

    def cluster_info(self) -> dict[str, str]:
        return dict(line.split(":", 1) for line in self.call("CLUSTER", "INFO").decode().splitlines() if ":" in line)

    @property
    def id(self) -> str:
        return self.call("CLUSTER", "MYID").decode()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End the process by its id and wait for it."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log_tail(self, lines: int = 30) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Fleet:
    """Starts servers and remembers them, so that all are ended and their logs can be shown."""

    def __init__(self, ours: Sequence[str] = OURS) -> None:
        self.ours_command = list(ours)
        self.running: list[Server] = []
        self._home = Path(tempfile.mkdtemp(prefix="shardis-test-"))

    def ours(self, name: str = "ours", **directives: str) -> Server:
        return self._start(self.ours_command, name, directives)

    def oracle(self, name: str = "redis-server", **directives: str) -> Server:
        return self.peer("redis", name, **directives)

    def peer(self, kind: str, name: str = "", **directives: str) -> Server:
        """A server of another kind; the test is skipped where there is none."""
        return self._start(peers.command(kind), name or kind, directives)

    def _start(self, command: Sequence[str], name: str, directives: Mapping[str, str]) -> Server:
        return self.start_together(self.prepare(command, name, directives))[0]

    def prepare(self, command: Sequence[str], name: str, directives: Mapping[str, str]) -> Server:
        """A server with a folder and a port, not started yet. Underscores in names of directives stand for dashes."""
        given = {key.replace("_", "-"): value for key, value in directives.items()}
        settings = {"bind": "127.0.0.1", "save": "", "enable-debug-command": "yes", **given}
        return Server(name, command, free_port(), Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._home)), settings)

    def start_together(self, *servers: Server) -> Sequence[Server]:
        """Start prepared servers side by side; one whose port was taken meanwhile gets another. Raises StartFailed."""
        self.running += servers
        return self.restart(*servers)

    def restart(self, *servers: Server) -> Sequence[Server]:
        """Start servers side by side whose processes have ended."""
        for server in servers:
            server.launch()
        for server in servers:
            for _ in range(2):
                try:
                    server.await_answer()
                    break
                except StartFailed as failure:
                    if "in use" not in str(failure):
                        raise
                server.port = free_port()
                server.launch()
            else:
                server.await_answer()
        return servers

    def end(self, *servers: Server) -> None:
        for server in servers or tuple(self.running):
            server.kill()
            if server in self.running:
                self.running.remove(server)

    def close(self) -> None:
        self.end()
        shutil.rmtree(self._home, ignore_errors=True)


def own_all_slots(server: Server) -> Server:
    """Make a cluster of one node and wait until it serves."""
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: server.cluster_info()["cluster_state"] == "ok", f"{server.name} serves all slots")
    return server


def form_cluster(primaries: Sequence[Server], replicas: Sequence[Server] = ()) -> None:
    """Introduce the nodes to each other over the wire, share the slots evenly among the primaries and the replicas in
    turn among these, and wait until all agree and all replicas are in sync."""
    servers = [*primaries, *replicas]
    for i, server in enumerate(primaries):
        first, last = i * 16384 // len(primaries), (i + 1) * 16384 // len(primaries) - 1
        server.call("CLUSTER", "ADDSLOTSRANGE", first, last)
    for i, server in enumerate(servers):
        server.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
    for other in servers[1:]:
        servers[0].call("CLUSTER", "MEET", other.host, other.port)

    def agreed() -> bool:
        infos = [server.cluster_info() for server in servers]
        return all(i["cluster_state"] == "ok" and i["cluster_known_nodes"] == str(len(servers)) for i in infos)

    wait_until(agreed, f"{len(servers)} nodes know each other and serve all slots", timeout_s=30)
    for i, replica in enumerate(replicas):
        replica.call("CLUSTER", "REPLICATE", primaries[i % len(primaries)].id)
    for replica in replicas:
        wait_until(
            lambda r=replica: r.info("replication").get("master_link_status") == "up", f"{replica.name} is in sync", 30
        )
    known = [replica.id for replica in replicas]
    for server in servers:
        wait_until(lambda s=server: replicas_known(s) >= set(known), f"{server.name} knows all replicas", 30)


def replicas_known(server: Server) -> set[str]:
    """The ids of the nodes that this one takes for replicas."""
    rows = (line.split() for line in server.call("CLUSTER", "NODES").decode().splitlines())
    return {row[0] for row in rows if "slave" in row[2].split(",")}


class Pair:
    """Ours and the oracles' servers in one mode, started when first asked for and again when one has died.

    `instead` is a kind of oracle that answers in the place of all.
    """

    def __init__(self, fleet: Fleet, instead: str = "") -> None:
        self._fleet = fleet
        self._instead = instead
        self._servers: dict[tuple[str, str], Server] = {}
        self._failed: dict[str, str] = {}

    def ours(self, mode: str) -> Server:
        return self._get("ours", mode)

    def oracle(self, mode: str, kind: str = "redis") -> Server:
        return self._get(self._instead or kind, mode)

    def _get(self, which: str, mode: str) -> Server:
        server = self._servers.get((which, mode))
        if server is None or not server.alive():
            if which in self._failed:
                pytest.fail(self._failed[which], pytrace=False)
            try:
                server = self._servers[which, mode] = self._start(which, mode)
            except StartFailed as failure:
                self._failed[which] = f"{which} does not start: {str(failure).splitlines()[-1]}"
                raise
        return server

    def _start(self, which: str, mode: str) -> Server:
        name = f"{which}-{mode}"
        directives = {"cluster_enabled": "yes"} if mode == "cluster" else {}
        if which == "ours":
            server = self._fleet.ours(name, **directives)
        else:
            server = self._fleet.peer(which, name, **directives)
        return own_all_slots(server) if mode == "cluster" else server


def split_command(text: str) -> list[str]:
    """The command line given to --server."""
    return shlex.split(text)
