"""Simulated clusters under faults: what must hold for every seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.sim.parameters import derive
from cluster.sim.world import run

LIST = Path(__file__).with_name("seeds.txt")
BLOCK = 20
BLOCKS = 10


def listed() -> list[str]:
    """The lines of the list, without their comments."""
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def options(line: str) -> dict[str, int]:
    """`17 shards=3 replicas=1: what was wrong` as arguments for `derive`."""
    seed, *rest = line.split(":")[0].split()
    return {"seed": int(seed), **{name: int(value) for name, value in (word.split("=") for word in rest)}}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_seeds(block: int) -> None:
    for seed in range(1 + block * BLOCK, 1 + (block + 1) * BLOCK):
        outcome = run(derive(seed))
        assert not outcome.problem, f"make sim SEEDS={seed}: {outcome.problem}"
        assert outcome.acked, f"seed {seed} proves nothing: no write was acknowledged"


@pytest.mark.parametrize("line", listed())
def test_seeds_that_once_failed(line: str) -> None:
    outcome = run(derive(**options(line)))
    assert not outcome.problem, f"{line}: {outcome.problem}"


def test_ninety_nodes() -> None:
    outcome = run(derive(1, shards=15, replicas=5, node_timeout_ms=5000, faults=2))
    assert not outcome.problem, outcome.problem


def test_a_seed_decides_everything() -> None:
    """The same trace in two processes in which sets have other orders; another seed gives another trace."""

    def digests(hash_seed: str) -> str:
        command = [sys.executable, "-m", "cluster.sim", "--seeds", "3-6", "--jobs", "1", "--digests"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return "\n".join(line for line in done.stdout.splitlines() if "digest" in line)

    first = digests("1")
    assert first == digests("2")
    assert len({line.split()[-1] for line in first.splitlines()}) == 4
