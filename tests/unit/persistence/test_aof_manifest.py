"""The manifest of the append-only files: text and values both ways, and what a rewrite makes of it."""

from __future__ import annotations

import pytest

from node.persistence.aof.manifest import BadManifest, Manifest, Part, parse

BASE = Part("appendonly.aof.2.base.rdb", 2, "b")
OLD = Part("appendonly.aof.1.incr.aof", 1, "h")
THIRD = Part("appendonly.aof.3.incr.aof", 3, "i")

GOOD = [
    (
        b"file appendonly.aof.2.base.rdb seq 2 type b\n"
        b"file appendonly.aof.1.incr.aof seq 1 type h\n"
        b"file appendonly.aof.3.incr.aof seq 3 type i\n",
        Manifest(BASE, (OLD,), (THIRD,), 2, 3),
    ),
    (b"file appendonly.aof.3.incr.aof seq 3 type i\n", Manifest(None, (), (THIRD,), 0, 3)),
    (b'file " a \\nb.base.aof" seq 1 type b\n', Manifest(Part(" a \nb.base.aof", 1, "b"), base_seq=1)),
    (b'file "it\'s.incr.aof" seq 1 type i\n', Manifest(increments=(Part("it's.incr.aof", 1, "i"),), increment_seq=1)),
]

READ_ONLY = [
    (b"# a remark\n", Manifest()),
    (b"FILE a SEQ 1 TYPE base\n", Manifest(Part("a", 1, "b"), base_seq=1)),
    (b"  file a seq 1 type b colour blue\r\n", Manifest(Part("a", 1, "b"), base_seq=1)),
    (b"type i seq 7 file a\n", Manifest(increments=(Part("a", 7, "i"),), increment_seq=7)),
]

MALFORMED = "Invalid AOF manifest file format"
BAD = [
    (b"", "Found an empty AOF manifest", 0),
    (b"\n", MALFORMED, 1),
    (b"file a seq 1 type i\n\nfile b seq 2 type i\n", MALFORMED, 2),
    (b"filx a seq 1 type b\n", MALFORMED, 1),
    (b"file a type i\n", MALFORMED, 1),
    (b"file a seq 1 type i more\n", MALFORMED, 1),
    (b"file a seq 0 type i\n", MALFORMED, 1),
    (b"file a seq x type i\n", MALFORMED, 1),
    (b'file "a seq 1 type i\n', MALFORMED, 1),
    (b"file a seq 1 type x\n", "Unknown AOF file type", 1),
    (b"file ../a seq 1 type b\n", "File can't be a path, just a filename", 1),
    (b"file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information", 2),
    (b"file b seq 2 type i\nfile a seq 1 type i\n", "Found a non-monotonic sequence number", 2),
    (b"file a seq 1 type i\nfile b seq 1 type i\n", "Found a non-monotonic sequence number", 2),
    (b"file a seq 1 type i", "The AOF manifest file contains too long line", 0),
    (b"file " + b"a" * 1024 + b" seq 1 type i\n", "The AOF manifest file contains too long line", 0),
]


@pytest.mark.parametrize(("text", "manifest"), GOOD, ids=repr)
def test_text_and_value(text: bytes, manifest: Manifest) -> None:
    assert parse(text) == manifest
    assert manifest.text() == text


@pytest.mark.parametrize(("text", "manifest"), READ_ONLY, ids=repr)
def test_what_others_may_have_written(text: bytes, manifest: Manifest) -> None:
    assert parse(text) == manifest


@pytest.mark.parametrize(("text", "why", "line"), BAD, ids=lambda value: repr(value)[:40])
def test_what_is_none(text: bytes, why: str, line: int) -> None:
    with pytest.raises(BadManifest) as caught:
        parse(text)
    assert str(caught.value) == why
    assert caught.value.number == line


def names(manifest: Manifest) -> list[str]:
    return [line.split(" ")[1] + line[-1] for line in manifest.text().decode().splitlines()]


def test_a_life() -> None:
    manifest = Manifest().with_new_base("log", "rdb").with_new_increment("log")
    assert names(manifest) == ["log.1.base.rdbb", "log.1.incr.aofi"]
    failed = manifest.with_new_increment("log").with_new_increment("log")
    assert names(failed) == ["log.1.base.rdbb", "log.1.incr.aofi", "log.2.incr.aofi", "log.3.incr.aofi"]
    rewritten = failed.with_new_base("log", "aof").rewritten(keep_last=True)
    assert names(rewritten) == [
        "log.2.base.aofb",
        "log.1.incr.aofh",
        "log.2.incr.aofh",
        "log.1.base.rdbh",
        "log.3.incr.aofi",
    ]
    assert [part.name for part in rewritten.parts] == ["log.2.base.aof", "log.3.incr.aof"]
    clean = rewritten.without_history()
    assert names(clean) == ["log.2.base.aofb", "log.3.incr.aofi"]
    assert names(clean.with_new_increment("log"))[-1] == "log.4.incr.aofi"


def test_a_rewrite_while_nothing_is_logged_leaves_no_increment() -> None:
    manifest = Manifest().with_new_base("log", "rdb").with_new_increment("log").with_new_base("log", "rdb")
    assert names(manifest.rewritten(keep_last=False).without_history()) == ["log.2.base.rdbb"]
