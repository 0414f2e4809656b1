"""The cluster configuration file on disk."""

import os

import pytest

from cluster.aio.nodesfile import ConfigInUse, NodesFile


@pytest.fixture
def file(tmp_path):
    file = NodesFile(tmp_path / "nodes.conf")
    yield file
    file.close()


@pytest.mark.parametrize("durable", [True, False])
def test_it_is_replaced_whole(file, durable):
    assert file.open() == ""
    file.write("one\n", durable)
    reader = file.path.open()
    file.write("two\n", durable)
    assert reader.read() == "one\n"  # whoever reads the old one sees it whole
    assert file.path.read_text() == "two\n"
    reader.close()
    assert [path.name for path in file.path.parent.iterdir()] == ["nodes.conf"]


def test_it_stays_locked_through_replacements(file):
    file.open()
    for text in ("", "one\n", "two\n"):
        if text:
            file.write(text, False)
        with pytest.raises(ConfigInUse, match=r"nodes\.conf is already used"):
            NodesFile(file.path).open()
    file.close()
    other = NodesFile(file.path)
    assert other.open() == "two\n"
    other.close()


def test_a_write_that_fails_leaves_the_old_text_and_the_lock(file, monkeypatch):
    file.open()
    file.write("one\n", True)

    def full(fd):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        file.write("two\n", True)
    assert file.path.read_text() == "one\n"
    assert [path.name for path in file.path.parent.iterdir()] == ["nodes.conf"]
    with pytest.raises(ConfigInUse):
        NodesFile(file.path).open()


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        NodesFile(tmp_path / "missing" / "nodes.conf").open()
