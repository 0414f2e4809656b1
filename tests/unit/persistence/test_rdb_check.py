"""What check-rdb says of a file."""

from __future__ import annotations

from node.persistence.rdb.check import Check
from tests.unit.persistence.test_rdb_file import NOW_MS, file_of, filled, keyspace


def report(data: bytes, later_ms: int = 0) -> tuple[bool, list[str]]:
    check = Check(data, "x.rdb", NOW_MS + later_ms)
    lines = list(check.lines())
    return check.sound, lines


def test_a_sound_file() -> None:
    space = filled(keys=50)
    data = file_of(space)
    sound, lines = report(data)
    assert sound
    assert lines[:2] == ["[offset 0] Checking RDB file x.rdb", "[offset 26] AUX FIELD redis-ver = '7.2.4'"]
    expires = sum(db.volatile_keys for db in space.dbs)
    assert lines[-5:] == [
        f"[offset {len(data)}] Checksum OK",
        f"[offset {len(data)}] \\o/ RDB looks OK! \\o/",
        "[info] 50 keys read",
        f"[info] {expires} expires",
        "[info] 0 already expired",
    ]
    assert sum("Selecting DB ID" in line for line in lines) == 3
    assert report(data, later_ms=10**10)[1][-1] == f"[info] {expires} already expired"


def test_a_broken_file() -> None:
    space = keyspace()
    space.dbs[0].set(b"mykey", b"value " * 100)
    data = file_of(space, compress=False)
    sound, lines = report(data[:-200])
    assert not sound
    at = next(index for index, line in enumerate(lines) if line == "--- RDB ERROR DETECTED ---")
    assert "ends too early" in lines[at + 1]
    assert lines[at + 2 : at + 5] == [
        "[additional info] Reading key mykey",
        "[additional info] Reading type 0",
        "[info] 0 keys read",
    ]
    assert not report(b"hello")[0]
