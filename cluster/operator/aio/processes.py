"""Processes of nodes on this machine: start, recognise, stop. Every process is known by its id and its start time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cluster.operator.local import NODE_CONF, NODE_LOG, ProcessRecord
from cluster.packages import own_places

# `-P` keeps the working directory out of the import path: a folder there may be called `node`.
NODE_COMMAND = (sys.executable, "-P", "-m", "node")
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02
PROC = Path("/proc")
HOME = Path(__file__).resolve().parents[3]
"""The folder that our packages lie in."""


def exec_node(arguments: Sequence[str]) -> None:
    """Become a node; returns only by raising OSError."""
    os.execve(NODE_COMMAND[0], [*NODE_COMMAND, *arguments], isolated())


def exec_tool(module: str, arguments: Sequence[str]) -> None:
    """Become one of the tools that belong to the node's package; returns only by raising OSError."""
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *arguments], isolated())


def isolated(environment: Mapping[str, str] = os.environ, home: str = str(HOME)) -> dict[str, str]:
    """The environment of a child: nothing in PYTHONPATH is called `node`, `cluster` or `gossip` as ours are."""
    places = own_places(environment.get("PYTHONPATH", ""), home, os.path.realpath)
    kept = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    return {**kept, "PYTHONPATH": os.pathsep.join(places)} if places else kept


def start_node(command: Sequence[str], directory: Path) -> subprocess.Popen[bytes]:
    """Start the node whose configuration is in this folder, in a session of its own, logging beside it."""
    with open(directory / NODE_LOG, "ab") as log:
        return subprocess.Popen(
            [*command, str(directory / NODE_CONF)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=isolated(),
            start_new_session=True,
        )


def record_of(port: int, process: subprocess.Popen[bytes]) -> ProcessRecord:
    """What tells this process from every other one, now and later."""
    return ProcessRecord(port, process.pid, start_time(process.pid) or 0)


def start_time(pid: int) -> int | None:
    """When a process started, in the kernel's ticks since boot; None if there is none (or only its ended shell).

    A process that was killed has its sockets and files until its last thread has ended, though its first one is gone.
    """
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        threads = len(os.listdir(PROC / str(pid) / "task"))
    except OSError:
        return None
    # The name in brackets may hold blanks and brackets; the fields behind it are numbers.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" and threads < 2 else started


def is_running(record: ProcessRecord) -> bool:
    """Whether the recorded process runs still; another one with its id is not it."""
    return start_time(record.pid) == record.started


def stop(records: Iterable[ProcessRecord], timeout_s: float = STOP_TIMEOUT_S) -> list[ProcessRecord]:
    """Ask the processes to end and wait until they have; those that do not in time are killed and returned.

    A process of another user, whom we may not signal, is left as it is.
    """
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
    except (ProcessLookupError, PermissionError):
        return False
    return True


def holder(port: int, locked: Path) -> ProcessRecord | None:
    """The process that keeps this file locked and works in its folder: the node of that folder, whoever started it."""
    while True:
        try:
            wanted = locked.stat()
            locks = (PROC / "locks").read_text(encoding="ascii", errors="replace")
            found = _holder(port, locked.parent, wanted, locks)
            if found or _is_unchanged(wanted, locked.stat()):
                return found
        except OSError:
            return None
        # A node replaces its file, and locks the new one, each time that something in it changes: look again.


def _is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """A file system may give the number of a file that was replaced to the next one: the time of the change tells."""
    return os.path.samestat(before, after) and before.st_ctime_ns == after.st_ctime_ns


def _holder(port: int, folder: Path, wanted: os.stat_result, locks: str) -> ProcessRecord | None:
    # 1: FLOCK  ADVISORY  WRITE 1100 fe:00:5556614 0 EOF (the device is not always the one that stat tells)
    for fields in map(str.split, locks.splitlines()):
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(wanted.st_ino):
            pid = int(fields[4])
            started = start_time(pid)
            if started is not None and _has_open(pid, wanted) and _works_in(pid, folder):
                return ProcessRecord(port, pid, started)
    return None


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    try:
        return any(os.path.samestat(entry.stat(), wanted) for entry in (PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return os.path.samefile(PROC / str(pid) / "cwd", folder)
    except OSError:
        return False
