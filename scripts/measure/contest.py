"""The two servers of a comparison: each one node of a cluster with all slots, on a core apart from the clients'."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import Server, free_port, own_all_slots

DIRECTIVES = {"bind": "127.0.0.1", "save": "", "appendonly": "no", "cluster-enabled": "yes"}
DIRECTIVES |= {"enable-debug-command": "yes"}
PEER = ["redis-server"]


class Cores:
    """Which core is the servers' and which the clients'; none are pinned where there is one only."""

    def __init__(self) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.pinned = len(cores) > 1 and shutil.which("taskset") is not None
        self.server, self.client = cores[0], cores[-1]

    def on_server(self, command: Sequence[str]) -> list[str]:
        return self._pin(self.server, command)

    def on_client(self, command: Sequence[str]) -> list[str]:
        return self._pin(self.client, command)

    def _pin(self, core: int, command: Sequence[str]) -> list[str]:
        return ["taskset", "-c", str(core), *command] if self.pinned else list(command)


@contextmanager
def running(
    name: str, command: Sequence[str], cores: Cores, directives: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A fresh server that owns all slots, with further directives; ended and removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix=f"shardis-bench-{name}-"))
    server = Server(name, cores.on_server(command), free_port(), directory, DIRECTIVES | dict(directives or {}))
    try:
        yield own_all_slots(server.start())
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_us(pid: int) -> float:
    """User and system time of a process over all its threads, from the scheduler's account."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000
