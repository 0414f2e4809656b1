"""Which seeds of the simulator this run of the tests takes: a range that nobody has run before.

Seeds that have been run, and whose failures were mended, measure nothing any more. So the range is drawn from the hash
of the commit: every commit has its own, everybody who tests the commit has the same, and a failure can be replayed.
SIM_SEEDS=417-480 (or one seed) is taken instead. Without git there is no commit, and the range is always the same.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

COUNT = 200
FIRST = 10_000_000
"""Below are those that people name by hand."""
RANGES = 1_000_000
ROOT = Path(__file__).resolve().parents[2]


class Fresh(NamedTuple):
    """The range, and where it comes from."""

    seeds: range
    origin: str

    def __str__(self) -> str:
        return f"simulator seeds {self.seeds[0]}-{self.seeds[-1]} ({self.origin})"


@cache
def fresh_seeds() -> Fresh:
    """What the environment says, else what the commit stands for."""
    given = os.environ.get("SIM_SEEDS", "")
    if given:
        first, _, last = given.partition("-")
        return Fresh(range(int(first), int(last or first) + 1), "SIM_SEEDS")
    commit = head_commit()
    if not commit:
        return Fresh(range_of("0"), "no git here, so that they are the same each time: set SIM_SEEDS for others")
    return Fresh(range_of(commit), f"of commit {commit[:12]}")


def range_of(commit: str) -> range:
    """The seeds that a commit stands for."""
    first = FIRST + int(commit, 16) % RANGES * COUNT
    return range(first, first + COUNT)


def head_commit() -> str:
    """The hash of the commit that is checked out; empty if that cannot be found out."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
