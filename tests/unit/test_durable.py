"""A file is replaced so that a crash leaves the old content or the new one, and what was told stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.aio import durable
from cluster.aio.durable import replace_file


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the system, in order; a flush says of what."""
    found: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(fd: int) -> None:
        found.append(f"flush {os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))}")
        fsync(fd)

    def recorded_replace(old: str, new: str) -> None:
        found.append(f"{os.path.basename(old)} -> {os.path.basename(new)}")
        replace(old, new)

    monkeypatch.setattr(durable.os, "fsync", recorded_fsync)
    monkeypatch.setattr(durable.os, "replace", recorded_replace)
    return found


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_end(tmp_path: Path, steps: list[str]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_file(path, [b"new ", b"text"], tmp_path / "draft")
    assert path.read_bytes() == b"new text"
    assert steps == ["flush draft", "draft -> file", f"flush {tmp_path.name}"]
    assert os.listdir(tmp_path) == ["file"]


def test_what_need_not_be_durable_is_not_flushed(tmp_path: Path, steps: list[str]) -> None:
    replace_file(tmp_path / "file", [b"text"], tmp_path / "draft", durable=False)
    assert steps == ["draft -> file"]


def test_a_name_without_a_folder_is_in_the_working_directory(
    tmp_path: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file("file", [b"text"], "draft")
    assert steps[-1] == f"flush {tmp_path.name}"


def test_who_cannot_write_leaves_what_was_there_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def failing():  # type: ignore[no-untyped-def]
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace_file(path, failing())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
