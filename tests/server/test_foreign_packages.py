"""The commands beside packages of the user's that are called as ours are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT, free_port

COMMANDS = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a module, a package and a folder called as our packages are; each ends who imports it."""
    for name in ("node.py", "cluster/__init__.py", "cluster/cli.py", "gossip/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the module of the user was imported')\n")
    return tmp_path


def run(project: Path, *command: str, pythonpath: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=project,
        env={**clean, "PYTHONPATH": pythonpath} if pythonpath else clean,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("pythonpath", ["", ".", "/nowhere:{project}:"], ids=["cwd", "relative", "among others"])
@pytest.mark.parametrize(
    "command",
    [
        [str(COMMANDS / "shardis"), "--version"],
        [str(COMMANDS / "shardis"), "node", "--version"],
        [str(COMMANDS / "shardis-server"), "--version"],
        [sys.executable, "-m", "shardis", "--version"],
        [str(COMMANDS / "shardis"), "check-rdb", "gossip/notes.txt"],
    ],
    ids=["shardis", "node", "server", "-m shardis", "check-rdb"],
)
def test_every_command_finds_our_packages(command: list[str], pythonpath: str, project: Path) -> None:
    done = run(project, *command, pythonpath=pythonpath.format(project=project))
    assert "imported" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "hardis" in done.stdout or "RDB" in done.stdout + done.stderr


def test_a_cluster_lives_in_such_a_folder(project: Path) -> None:
    port = free_port()
    shape = ("--shards", "1", "--replicas", "0", "--port", str(port))
    up = run(project, str(COMMANDS / "shardis"), "up", "--detach", *shape, pythonpath=str(project))
    try:
        assert up.returncode == 0, up.stderr
        status = run(project, str(COMMANDS / "shardis"), "status", pythonpath=str(project))
        assert status.returncode == 0, status.stderr
    finally:
        down = run(project, str(COMMANDS / "shardis"), "down", pythonpath=str(project))
    assert down.stdout == "Stopped 1 node.\n"


@pytest.mark.parametrize("entry", ["main", "server"])
def test_what_cannot_be_left_out_is_named(entry: str, project: Path) -> None:
    """Something installed, for example, which stands in the search path for other reasons."""
    script = f"import sys, shardis; sys.path.insert(0, {str(project)!r}); shardis.{entry}()"
    done = run(ROOT, sys.executable, "-c", script)
    assert done.returncode == 1
    assert f"another package called 'cluster' hides the one of shardis: {project}/cluster" in done.stderr
    assert done.stderr.count("\n") == 1
