"""Whole files: written and read back, byte by byte the known ones; a broken one is refused with its offset."""

from __future__ import annotations

import random
import re

import pytest

from node.commands.server.digest import of_databases
from node.engine.durable.rdb import Malformed
from node.engine.durable.snapshot import PIECE_BYTES
from node.engine.keyspace.table import Keyspace
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from node.persistence.rdb.load import load
from node.persistence.rdb.snapshot import snapshot

NOW_MS = 1_700_000_000_000


def keyspace(databases: int = 4) -> Keyspace:
    space = Keyspace(databases)
    space.now_ms = NOW_MS
    return space


def filled(seed: int = 1, keys: int = 300) -> Keyspace:
    """Values of all types, small and large, some with an expiry, in several databases."""
    rng = random.Random(seed)
    space = keyspace()
    for number in range(keys):
        key = b"key:%d" % number
        db = space.dbs[rng.choice([0, 0, 1, 3])]
        words = [rng.randbytes(rng.choice([1, 8, 90])) for _ in range(rng.choice([1, 5, 200]))]
        match number % 5:
            case 0:
                db.set(key, rng.choice([b"12", b"-7000000000", b"text " * 50, words[0], b""]))
            case 1:
                items = List()
                for word in words:
                    items.push(word, False)
                db.set(key, items)
            case 2:
                members = Set()
                for word in words:
                    members.add(rng.choice([word, b"%d" % rng.randrange(10**9)]))
                db.set(key, members)
            case 3:
                fields = Hash()
                for word in words:
                    fields.set(word, word[::-1])
                db.set(key, fields)
            case _:
                scored = ZSet()
                for word in words:
                    scored.set(word, rng.choice([rng.uniform(-9, 9), float("inf"), 3.0]))
                db.set(key, scored)
        if rng.random() < 0.3:
            db.set_expire(key, NOW_MS + rng.randrange(1, 10**9))
    return space


def file_of(space: Keyspace, **options: object) -> bytes:
    return b"".join(snapshot(space, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"compress": False}, {"checksum": False}, {"policy": "allkeys-lru"}])
def test_what_is_written_is_read_back(options: dict[str, object]) -> None:
    space, again = filled(), keyspace()
    assert load(again, file_of(space, **options)).loaded == sum(map(len, space.dbs))
    assert of_databases(again.dbs) == of_databases(space.dbs)
    for db, copy in zip(space.dbs, again.dbs, strict=True):
        assert {key: db.expire_at(key) for key in db.keys()} == {key: copy.expire_at(key) for key in copy.keys()}


def test_it_comes_in_pieces() -> None:
    space = keyspace()
    for number in range(3000):
        space.dbs[0].set(b"%d" % number, random.Random(number).randbytes(100))
    pieces = list(snapshot(space))
    assert len(pieces) >= 4
    assert max(map(len, pieces)) < 2 * PIECE_BYTES


def test_the_bytes_are_those_of_redis() -> None:
    space = keyspace()
    space.dbs[2].set(b"key", b"value")
    space.dbs[2].set_expire(b"key", NOW_MS + 5000)
    data = file_of(space, policy="volatile-lfu")
    assert data.startswith(b"REDIS0010\xfa\x09redis-ver")
    body = data[data.index(b"\xfe\x02\xfb") :]  # the facts before it may have a byte like the first
    assert (
        body[:-8]
        == (
            b"\xfe\x02\xfb\x01\x01"  # database 2, one key, one with an expiry
            b"\xfc"
            + (NOW_MS + 5000).to_bytes(8, "little")
            + b"\xf9"
            + bytes([space.dbs[2].freq(b"key") or 0])
            + b"\x00"
            b"\x03key\x05value\xff"
        )
    )


def test_access_times_are_kept() -> None:
    space, again = keyspace(), keyspace()
    space.dbs[0].set(b"k", b"v")
    space.dbs[0].set_idle(b"k", 1234)
    load(again, file_of(space, policy="allkeys-lru"))
    assert again.dbs[0].idle_s(b"k") == 1234
    for each in (space, again):
        each.lfu = True
    space.dbs[0].set_freq(b"k", 77)
    again.dbs[0].delete(b"k")
    load(again, file_of(space, policy="allkeys-lfu"))
    assert again.dbs[0].freq(b"k") == 77


def test_dead_keys_are_written_and_dropped_by_a_primary_that_loads_them() -> None:
    space = keyspace()
    space.dbs[0].set(b"dead", b"v")
    space.dbs[0].set_expire(b"dead", NOW_MS + 10)
    data = file_of(space)
    for later_ms, keep, expected in ((10, False, 1), (11, False, 0), (11, True, 1)):
        again = keyspace()
        again.now_ms = NOW_MS + later_ms
        reading = load(again, data, keep_dead=keep)
        assert (reading.loaded, reading.dead) == (expected, 1 - expected)
    space.now_ms += 11
    assert load(keyspace(), file_of(space)).loaded == 1


def test_a_file_that_is_cut_off_is_refused() -> None:
    data = file_of(filled(keys=10), checksum=False)
    for end in range(len(data)):
        with pytest.raises(Malformed, match="at byte"):
            load(keyspace(), data[:end], check=False)


def test_a_byte_that_changed_is_noticed_before_anything_is_loaded() -> None:
    data = file_of(filled(keys=20))
    rng = random.Random(5)
    for _ in range(200):
        at = rng.randrange(9, len(data))
        broken = bytearray(data)
        broken[at] ^= 1 << rng.randrange(8)
        space = keyspace()
        with pytest.raises(Malformed):
            load(space, bytes(broken))
        assert not any(map(len, space.dbs))


HEADER = b"REDIS0010"
END = b"\xff" + bytes(8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an RDB file"),
        (b"REDIS", "not an RDB file"),
        (b"RODIS0010" + END, "not an RDB file"),
        (b"REDIS00x0" + END, "not an RDB file"),
        (b"REDIS0099" + END, "Can't handle RDB format version 99"),
        (HEADER + END + b"more", "something follows the end"),
        (HEADER + b"\x63\x01k" + END, "unknown kind of value: 99"),
        (HEADER + b"\xff" + b"\x01" * 8, "Wrong RDB checksum expected: (101010101010101)"),
        (HEADER + b"\xf6\x01x" + END, "functions in the form of a release candidate"),
        (HEADER + b"\xf7\x01\x02\x01\x09" + END, "data of the module 'AAAAAAAAA' of an unknown kind: 9"),
        (HEADER + b"\xf7\x01\x05" + END, "data of the module 'AAAAAAAAA' that does not say when it belongs"),
        (HEADER + b"\x07\x01k\x81\xbd\xe9\x2d\x1d\xb1\xec\xd8\x01" + END, "a value of the module"),
        (HEADER + b"\xf3\x01x" + END, "slots whose import had not ended"),
        (b"VALKEY079" + END, "Can't handle RDB format version 79"),
        (HEADER + b"\xfe\x07\x00\x01k\x01v" + END, "the file has a database 7, here are only 4"),
        (HEADER + 2 * b"\x00\x01k\x01v" + END, "the key b'k' is there twice"),
    ],
)
def test_why_a_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=re.escape(reason)):
        load(keyspace(), data)


def test_files_of_old_versions() -> None:
    """Before version 5 nothing follows the end; expiries were in seconds."""
    space = keyspace()
    data = b"REDIS0003\xfe\x00\xfd" + (2_000_000_000).to_bytes(4, "little") + b"\x00\x01k\x01v\xff"
    assert load(space, data).loaded == 1
    assert space.dbs[0].expire_at(b"k") == 2_000_000_000_000
