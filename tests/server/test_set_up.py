"""`scripts/up` on machines that lack something: one sentence that says what, before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT

BASICS = ("awk", "bash", "cat", "cksum", "cut", "df", "dirname", "basename", "grep", "head", "id", "ls", "mktemp")
BASICS += ("nproc", "rm", "tail", "env", "flock")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: a bare system with Python and gcc, from which a test takes something away."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*BASICS, "gcc", "as", "ld"):
        place = shutil.which(name)
        assert place, f"{name} is not installed"
        (folder / name).symlink_to(place)
    (folder / "python3").symlink_to(sys.executable)
    return folder


def set_up(machine: Path, **environment: str) -> list[str]:
    """What `scripts/up` says, which fails, with an environment that is not made yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SHARDIS_"))}
    done = subprocess.run(
        [str(ROOT / "scripts/up"), "--detach", "--dir", str(machine.parent / "cluster")],
        env={**clean, "PATH": str(machine), "SHARDIS_VENV": str(machine.parent / "venv"), "CC": "gcc", **environment},
        cwd=machine.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    # Another test may be at it in the same working tree.
    return [line for line in done.stderr.splitlines() if not line.startswith("Waiting for another script")]


def tool(machine: Path, name: str, body: str) -> None:
    (machine / name).unlink(missing_ok=True)
    (machine / name).write_text(f"#!/bin/bash\n{body}\n")
    (machine / name).chmod(0o755)


OLD_PYTHON = '[ "$1" = --version ] && echo Python 3.9.2 && exit; exit 1'
NO_VENV = f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"'
NO_HEADERS = f'case "$2" in *include*) echo /nowhere;; *) exec {sys.executable} "$@";; esac'
FULL_DISK = 'echo "Filesystem 1024-blocks Used Available"; echo "/dev/x 1000 900 2048 90% /"'
NO_LIBC = 'echo "/usr/include/features.h: error: stdio.h: No such file or directory" >&2; exit 1'

LACKING = [
    pytest.param("python3", None, "Python 3.11 or newer is needed and was not found: install", id="python"),
    pytest.param("python3", OLD_PYTHON, "was not found, only Python 3.9.2: install", id="new python"),
    pytest.param("python3", NO_VENV, "apt-get install python3-venv", id="venv"),
    pytest.param("python3", NO_HEADERS, "/nowhere/Python.h was not found", id="headers"),
    pytest.param("gcc", None, "'gcc' was not found (Debian, Ubuntu: apt-get install gcc", id="compiler"),
    pytest.param("gcc", NO_LIBC, "libc6-dev python3-dev): /usr/include/features.h: error: stdio.h", id="libc"),
    pytest.param("df", FULL_DISK, "2 MB are free", id="disk"),
]


@pytest.mark.parametrize(("name", "body", "sentence"), LACKING)
def test_what_is_missing_is_told_in_one_sentence(name: str, body: str | None, sentence: str, machine: Path) -> None:
    if body is None:
        (machine / name).unlink()
    else:
        tool(machine, name, body)
    said = set_up(machine)
    assert len(said) == 1, said
    assert said[0].startswith("up: ")
    assert sentence in said[0]
    assert not (machine.parent / "venv").exists()
    assert not (machine.parent / "cluster").exists()


def test_without_a_network_pip_is_not_quoted(machine: Path) -> None:
    """The second attempt finds the environment that the first one has made, and what an interruption left is mended."""
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    said = set_up(machine, **offline)
    assert said[-1].startswith("up: pip cannot reach the package index"), said
    shutil.rmtree(next((machine.parent / "venv").glob("lib/python*/site-packages/pip")))
    again = set_up(machine, **offline)
    assert [line.partition(" ")[0] for line in again] == ["Making", "Fetching", "up:"]


def test_a_folder_that_is_no_environment_is_left_alone(machine: Path) -> None:
    kept = machine.parent / "venv" / "letter.txt"
    kept.parent.mkdir()
    kept.write_text("dear")
    assert "is no virtual environment" in set_up(machine)[-1]
    assert kept.read_text() == "dear"
