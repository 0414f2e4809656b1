"""CPU per request and requests per second over redis-benchmark's tests.

Requests per second swing with the machine's load; the CPU that a server spends on a request hardly does, so that is the
figure to compare. The servers take turns within each round, so that drift of the machine hits both.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.measure.contest import Cores, cpu_us
from tests.support.servers import Server

# redis-benchmark's default run without mset, whose keys lie in different slots.
_TESTS = """
    ping_mbulk set get incr lpush rpush lpop rpop sadd hset spop zadd zpopmin
    lrange_100 lrange_300 lrange_500 lrange_600
"""
TESTS = tuple(_TESTS.split())
HEAVY = {"lrange_100": 4, "lrange_300": 10, "lrange_500": 15, "lrange_600": 20}
CLIENTS = 50
KEYS = 100_000


class BenchmarkFailed(Exception):
    """redis-benchmark did not finish: a server has answered with an error or ended."""


@dataclass(frozen=True)
class Figure:
    """One test on both servers: median CPU per request and requests per second."""

    test: str
    pipeline: int
    ours_us: float
    peer_us: float
    ours_per_s: float
    peer_per_s: float

    @property
    def ratio(self) -> float:
        return self.ours_us / self.peer_us if self.peer_us else float("inf")


def measure(
    ours: Server,
    peer: Server,
    cores: Cores,
    *,
    tests: Sequence[str],
    pipelines: Sequence[int],
    rounds: int,
    requests: int,
    progress: Callable[[str], None],
) -> list[Figure]:
    """Every test at every depth of pipelining."""
    figures = []
    for pipeline in pipelines:
        for test in tests:
            progress(f"CPU per request: {test} -P {pipeline}")
            count = max(10_000, requests * (4 if pipeline > 1 else 1) // HEAVY.get(test, 1))
            results: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
            for _ in range(rounds):
                results["ours"].append(_run(ours, cores, test, pipeline, count))
                results["peer"].append(_run(peer, cores, test, pipeline, count))
            medians = [statistics.median(each[i] for each in results[who]) for i in (0, 1) for who in ("ours", "peer")]
            figures.append(Figure(test, pipeline, *medians))
    return figures


def _run(server: Server, cores: Cores, test: str, pipeline: int, count: int) -> tuple[float, float]:
    """CPU in microseconds per request, and requests per second, of one run."""
    command = ["redis-benchmark", "-p", str(server.port), "-t", test, "-n", str(count), "-r", str(KEYS)]
    command += ["-c", str(CLIENTS), "-P", str(pipeline), "--csv"]
    before = cpu_us(server.pid)
    done = subprocess.run(cores.on_client(command), capture_output=True, text=True, timeout=600)
    rows = [row for row in csv.reader(done.stdout.splitlines()) if len(row) > 1 and row[0] != "test"]
    if done.returncode or not rows:
        what = (done.stderr or done.stdout).strip()[:300]
        raise BenchmarkFailed(f"{test} -P {pipeline} on {server.name}: {what}\n{server.log_tail(10)}")
    # The lrange tests first fill their list, with as many requests again.
    return (cpu_us(server.pid) - before) / (count * len(rows)), float(rows[-1][1])
