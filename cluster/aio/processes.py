"""Processes of nodes on this machine: start, recognise, stop. Every process is known by its id and its start time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster.local import HOST, NODE_CONF, NODE_LOG, ProcessRecord

# `-P` keeps the working directory out of the import path: a folder there may be called `node`.
NODE_COMMAND = (sys.executable, "-P", "-m", "node")
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02


def exec_node(arguments: Sequence[str]) -> None:
    """Become a node; returns only by raising OSError."""
    os.execv(NODE_COMMAND[0], [*NODE_COMMAND, *arguments])


def exec_tool(name: str, arguments: Sequence[str]) -> None:
    """Become one of the tools that belong to the node's package; returns only by raising OSError."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", f"node.aio.{name}", *arguments])


def start_node(command: Sequence[str], directory: Path) -> subprocess.Popen[bytes]:
    """Start the node whose configuration is in this folder, in a session of its own, logging beside it."""
    with open(directory / NODE_LOG, "ab") as log:
        return subprocess.Popen(
            [*command, str(directory / NODE_CONF)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,
        )


def record_of(port: int, process: subprocess.Popen[bytes]) -> ProcessRecord:
    """What tells this process from every other one, now and later."""
    return ProcessRecord(port, process.pid, start_time(process.pid) or 0)


def start_time(pid: int) -> int | None:
    """When a process started, in the kernel's ticks since boot; None if there is none (or only its ended shell)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name in brackets may hold blanks and brackets; the fields behind it are numbers.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def is_running(record: ProcessRecord) -> bool:
    """Whether the recorded process runs still; another one with its id is not it."""
    return start_time(record.pid) == record.started


def stop(records: Iterable[ProcessRecord], timeout_s: float = STOP_TIMEOUT_S) -> list[ProcessRecord]:
    """Ask the processes to end and wait until they have; those that do not in time are killed and returned."""
    left = [record for record in records if _send(record, signal.SIGTERM)]
    deadline = time.monotonic() + timeout_s
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [record for record in left if is_running(record)]
    for record in left:
        _send(record, signal.SIGKILL)
    while any(is_running(record) for record in left):
        time.sleep(POLL_S)
    return left


def _send(record: ProcessRecord, number: signal.Signals) -> bool:
    """Whether the signal was sent: only ever to the very process that was recorded."""
    if not is_running(record):
        return False
    try:
        os.kill(record.pid, number)
    except ProcessLookupError:
        return False
    return True


def is_port_free(port: int) -> bool:
    """Whether a server could listen on the port now (connections that linger do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
