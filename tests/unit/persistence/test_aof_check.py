"""What check-aof says of files, and what it does to them."""

from __future__ import annotations

import errno

import pytest

from node.persistence.aof.check import AofCheck
from node.persistence.aof.scan import scan
from tests.support.resp import pack
from tests.unit.persistence.test_rdb_file import NOW_MS, file_of, filled

SET = pack(["SET", "foo", "hello"])
MULTI, EXEC = pack(["MULTI"]), pack(["EXEC"])
MANIFEST = b"file a.1.base.aof seq 1 type b\nfile a.1.incr.aof seq 1 type i\n"

SCANS = [
    (b"", 0, ""),
    (SET, len(SET), ""),
    (SET[:-1], 0, "Expected to read 7 bytes, got 6 bytes"),
    (SET + b"!!!", len(SET), "Expected prefix '*', got: '!'"),
    (SET + b"*3\r\n$3\r\nSE", len(SET), "Expected to read 5 bytes, got 2 bytes"),
    (SET + b"*3\r", len(SET), ""),
    (SET + b"*3\r\n#3\r\n", len(SET), "Expected prefix '$', got: '#'"),
    (SET + b"*x\r\n", len(SET), "Expected a number behind '*'"),
    (b"*1\r\n$4\r\nPINGxx", 0, "Expected \\r\\n, got: 7878"),
    (SET + MULTI + SET, len(SET), "Reached EOF before reading EXEC for MULTI"),
    (MULTI + SET + EXEC, len(MULTI + SET + EXEC), ""),
    (MULTI + MULTI, 0, "Unexpected MULTI"),
    (SET + EXEC, len(SET), "Unexpected EXEC"),
    (b"#TS:12\r\n" + SET, len(SET) + 8, ""),
    (b"#" + b"x" * 200, 0, "Expected a line, got something longer"),
]


class Desk:
    """Files in memory and a person who answers: check.World."""

    def __init__(self, files: dict[str, bytes], answer: bool = True) -> None:
        self.now_ms = NOW_MS
        self.files = files
        self.answer = answer
        self.said: list[str] = []

    def map(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.files[path]

    def truncate(self, path: str, size: int) -> None:
        self.files[path] = self.files[path][:size]

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirmed(self) -> bool:
        return self.answer


@pytest.mark.parametrize(("data", "good", "problem"), SCANS)
def test_scan(data: bytes, good: int, problem: str) -> None:
    verdict = scan(data)
    assert verdict.good == good
    assert verdict.problem.partition(": ")[2] == problem


def test_every_cut_of_a_file() -> None:
    whole = SET + MULTI + SET + EXEC + SET
    ends = [0, len(SET), len(SET + MULTI + SET + EXEC), len(whole)]
    for cut in range(len(whole) + 1):
        assert scan(whole[:cut]).good == max(end for end in ends if end <= cut)


@pytest.mark.parametrize("base", [SET, file_of(filled(keys=20)), file_of(filled(keys=20)) + SET])
def test_sound_files(base: bytes) -> None:
    desk = Desk({"d/a.manifest": MANIFEST, "d/a.1.base.aof": base, "d/a.1.incr.aof": SET})
    assert AofCheck(desk).run("d/a.manifest")
    form = "RESP" if base == SET else "RDB"
    assert desk.said[:2] == ["Start checking Multi Part AOF", f"Start to check BASE AOF ({form} format)."]
    wanted = ["BASE AOF a.1.base.aof is valid", "Start to check INCR files.", "INCR AOF a.1.incr.aof is valid"]
    assert [line for line in desk.said if "valid" in line or "INCR files" in line][:3] == wanted
    assert desk.said[-1] == "All AOF files and manifest are valid"


def test_a_single_file_is_mended_if_its_owner_agrees() -> None:
    desk = Desk({"x.aof": SET + b"!!!"}, answer=False)
    assert not AofCheck(desk).run("x.aof")
    assert f"size={len(SET) + 3}, ok_up_to={len(SET)}, ok_up_to_line=8, diff=3" in desk.said[2]
    assert desk.said[-1] == "AOF x.aof is not valid. Use the --fix option to try fixing it."
    assert not AofCheck(desk, fix=True).run("x.aof")
    assert desk.said[-1] == "Aborting..."
    assert desk.files["x.aof"] == SET + b"!!!"
    desk.answer = True
    assert AofCheck(desk, fix=True).run("x.aof")
    assert desk.said[-1] == "Successfully truncated AOF x.aof"
    assert desk.files["x.aof"] == SET


def test_only_the_last_file_is_cut() -> None:
    files = {"a.manifest": MANIFEST, "a.1.base.aof": SET + MULTI, "a.1.incr.aof": SET}
    desk = Desk(dict(files))
    assert not AofCheck(desk, fix=True).run("a.manifest")
    assert desk.said[-1] == "Failed to truncate AOF a.1.base.aof because it is not the last file"
    assert desk.files == files


def test_cut_to_a_time() -> None:
    timed = b"".join(b"#TS:%d\r\n" % second + SET for second in (10, 11, 12))
    each = len(SET) + 8
    desk = Desk({"x.aof": timed})
    assert AofCheck(desk, until_s=12).run("x.aof")
    assert "Truncate nothing in AOF x.aof to timestamp 12" in desk.said
    assert AofCheck(desk, until_s=11).run("x.aof")
    assert desk.files["x.aof"] == timed[: 2 * each]
    assert not AofCheck(desk, until_s=9).run("x.aof")
    assert "has nothing before timestamp 9, aborting..." in desk.said[-1]
    assert desk.files["x.aof"] == timed[: 2 * each]


def test_broken_manifests_and_snapshots() -> None:
    desk = Desk({"a.manifest": b"file a seq 1 type x\n"})
    assert not AofCheck(desk).run("a.manifest")
    assert desk.said[-1] == "Unknown AOF file type"
    desk = Desk({"x.aof": file_of(filled(keys=20))[:-20]})
    assert not AofCheck(desk).run("x.aof")
    assert desk.said[-1] == "RDB preamble of AOF file is not sane, aborting."
    with pytest.raises(FileNotFoundError):
        AofCheck(Desk({"a.manifest": MANIFEST})).run("a.manifest")

@pytest.mark.parametrize("before", [b"", b"#TS:1\r\n", file_of(filled(keys=2))])
def test_data_that_looks_like_a_manifest_makes_none(before: bytes) -> None:
    """A value may well begin with `file`, at the beginning of a line."""
    log = before + b"*3\r\n$3\r\nSET\r\n$4\r\nfile\r\n$24\r\nfile appendonly seq 1\nfi\r\n"
    desk = Desk({"x.aof": log})
    assert AofCheck(desk).run("x.aof")
    assert desk.said[0] == "Start checking Old-Style AOF"
