"""Simulated clusters under faults: what must hold for every seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.parameters import derive
from tests.simulator.world import run
from tests.support.fresh_seeds import COUNT, fresh_seeds, range_of

LIST = Path(__file__).with_name("seeds.txt")
BLOCKS = 10
"""Parts of the fresh range, for processes that test side by side. Their names do not tell the seeds: these differ."""


def listed() -> list[str]:
    """The lines of the list, without their comments."""
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def options(line: str) -> dict[str, int]:
    """`17 shards=3 replicas=1: what was wrong` as arguments for `derive`."""
    seed, *rest = line.split(":")[0].split()
    return {"seed": int(seed), **{name: int(value) for name, value in (word.split("=") for word in rest)}}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_fresh_seeds(block: int) -> None:
    fresh = fresh_seeds()
    print(fresh)
    for seed in fresh.seeds[block::BLOCKS]:
        outcome = run(derive(seed))
        assert not outcome.problem, f"make sim SEEDS={seed}: {outcome.problem} (of the {fresh})"
        assert outcome.acked, f"seed {seed} proves nothing: no write was acknowledged"


def test_the_fresh_range_is_that_of_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (range_of(letter * 40) for letter in "ab")
    assert len(one) == len(other) == COUNT
    assert not set(one) & set(other)
    fresh_seeds.cache_clear()
    monkeypatch.setenv("SIM_SEEDS", "417-480")
    assert (fresh_seeds().seeds, fresh_seeds().origin) == (range(417, 481), "SIM_SEEDS")
    fresh_seeds.cache_clear()
    monkeypatch.delenv("SIM_SEEDS")
    monkeypatch.setenv("PATH", "")  # no git
    assert "no git" in str(fresh_seeds())
    fresh_seeds.cache_clear()


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
        command = [sys.executable, "-m", "tests.simulator", "--seeds", "3-6", "--jobs", "1", "--digests"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return "\n".join(line for line in done.stdout.splitlines() if "digest" in line)

    first = digests("1")
    assert first == digests("2")
    assert len({line.split()[-1] for line in first.splitlines()}) == 4
