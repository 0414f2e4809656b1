"""The build of the engine: side by side, and readable when something is missing or does not compile."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from setuptools import Distribution

from tests.support.servers import ROOT


def build(folder: Path, modules: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Build a project that has our setup.py and these modules."""
    (folder / "node").mkdir()
    (folder / "node" / "__init__.py").touch()
    for name, source in modules.items():
        (folder / "node" / f"{name}.pyx").write_text(source)
    (folder / "setup.py").write_text((ROOT / "setup.py").read_text())
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env={**os.environ, "SHARDIS_JOBS": "2", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


WAITING_COMPILER = """#!/bin/sh
# Compiles only when another one has been started too, so that two that take turns both fail.
touch "$MEETING/$$"
for _ in $(seq 300); do
    [ "$(ls "$MEETING" | wc -l)" -ge 2 ] && exec gcc "$@"
    sleep 0.1
done
exit 1
"""


def test_modules_are_compiled_side_by_side(tmp_path: Path) -> None:
    meeting, compiler = tmp_path / "meeting", tmp_path / "waiting-cc"
    meeting.mkdir()
    compiler.write_text(WAITING_COMPILER)
    compiler.chmod(0o755)
    done = build(tmp_path, {"one": "x = 1\n", "two": "x = 2\n"}, CC=str(compiler), MEETING=str(meeting))
    assert done.returncode == 0, done.stdout
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "node").glob("*.so")) == ["one", "two"]


MISTAKES = [
    ('cdef extern from "no_such_header.h":\n    int nothing\nx = nothing\n', "no_such_header.h"),
    ("cdef int f():\n    return undeclared_thing\n", "undeclared_thing"),
]


@pytest.mark.parametrize(("source", "reason"), MISTAKES, ids=["C", "Cython"])
def test_a_module_that_does_not_compile_is_told_at_the_end(source: str, reason: str, tmp_path: Path) -> None:
    good = {f"good{n}": "x = 1\n" for n in range(3)}
    done = build(tmp_path, {**good, "broken": source})
    assert done.returncode != 0
    end = "\n".join(done.stdout.splitlines()[-25:])
    assert reason in end
    assert "broken" in end.splitlines()[-1]


@pytest.fixture
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_of_shardis", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_missing_tools_are_named_with_the_packages_that_bring_them(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe.refuse_what_is_missing()
    with monkeypatch.context() as changed:
        changed.setenv("CC", "no-such-compiler")
        with pytest.raises(SystemExit, match=r"'no-such-compiler'.*apt-get install gcc libc6-dev python3-dev"):
            recipe.refuse_what_is_missing()
    monkeypatch.setattr(recipe.sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(SystemExit, match=r"Python\.h.*python3-dev"):
        recipe.refuse_what_is_missing()


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_the_number_of_jobs(
    told: str, expected: int | None, recipe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARDIS_JOBS", told)
    assert recipe.jobs() == (expected or min(len(os.sched_getaffinity(0)), recipe.MOST_JOBS))


@pytest.mark.parametrize("in_place", [True, False])
def test_what_only_tests_use_is_compiled_in_place_alone(
    in_place: bool, recipe: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command = recipe.BuildEngine(Distribution({"name": "shardis", "ext_modules": recipe.extensions()}))
    command.inplace = in_place
    command.ensure_finalized()
    names = {each.name for each in command.extensions}
    assert {name for name in names if not name.startswith("node.")} == ({"tests.support.probe"} if in_place else set())
    assert "node.engine.session.session" in names


def test_a_wheel_has_nothing_that_an_earlier_build_has_left(tmp_path: Path) -> None:
    assert build(tmp_path, {"here": "x = 1\n"}).returncode == 0
    left = tmp_path / "build" / "wheel"
    for folder in [left, *(tmp_path / "build").glob("lib.*")]:
        (folder / "node").mkdir(parents=True, exist_ok=True)
        (folder / "node" / "gone.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\n[tool.setuptools]\npackages = ["node"]\n'
    )
    made = subprocess.run(
        [sys.executable, "setup.py", "-q", "bdist_wheel"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = [Path(name) for name in content.namelist()]
    assert {name.name.split(".")[0] for name in names if name.parts[0] == "node"} == {"__init__", "here"}
