"""What the keyspace occupies, and that all of it comes back: at once for small things, in slices for large ones."""

import gc
import os
import random
from pathlib import Path

import pytest

from node.engine.keyspace.table import Keyspace
from node.engine.memory.alloc import mem_used
from node.engine.types.hash import Hash
from node.engine.types.zset import ZSet

START_MS = 1_700_000_000_000


def new_space() -> Keyspace:
    space = Keyspace(16)
    space.now_ms = START_MS
    return space


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def free_all(space: Keyspace) -> int:
    slices = 1
    while space.free_some(1000):
        slices += 1
    return slices


def settled() -> int:
    """What is in use once keyspaces that were dropped are gone: they and their databases refer to each other."""
    gc.collect()
    return mem_used()


def big_zset(n: int) -> ZSet:
    z = ZSet()
    for i in range(n):
        z.set(b"member %d" % i, float(i))
    return z


def test_an_idle_keyspace_occupies_nothing():
    before = settled()
    space = new_space()
    assert settled() == before
    assert space.dbs[3].scan(0, 10) == (0, [])


def test_a_million_small_keys_take_less_than_75_bytes_each():
    before = settled()
    space = new_space()
    db = space.dbs[0]
    for i in range(1_000_000):
        db.set(b"key:%012d" % i, b"x%015d" % i)
    assert len(db) == 1_000_000
    assert (mem_used() - before) / 1_000_000 < 68
    full = resident()
    assert db.flush(lazy=True) == 1_000_000
    assert len(db) == 0
    assert 990_000 < space.lazyfree_pending < 1_000_000
    assert free_all(space) > 900  # slices, not one long stop
    assert (space.lazyfree_pending, space.lazyfreed) == (0, 1_000_000)
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # which keeps freed memory in quarantine
        assert full - resident() > 50_000_000
    assert settled() == before


def test_a_flush_counts_each_key_once_however_large():
    space = new_space()
    db = space.dbs[0]
    for i in range(20):
        db.set(b"%d" % i, big_zset(1000))
    db.flush(lazy=True)
    free_all(space)
    assert (space.lazyfree_pending, space.lazyfreed) == (0, 20)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("end", ["delete", "flush", "drop"])
def test_nothing_leaks(seed, end):
    chance = random.Random(seed)
    before = settled()
    space = new_space()
    db = space.dbs[0]

    def value():
        kind = chance.randrange(6)
        if kind == 0:
            h = Hash()
            for i in range(chance.choice([1, 10, 200])):
                h.set(b"f%d" % i, b"v" * chance.randrange(90))
            return h
        if kind == 1:
            return big_zset(chance.choice([1, 70, 300]))
        return chance.choice([b"17", b"x" * chance.randrange(300), b"y" * chance.randrange(100_000)])

    for _ in range(3000):
        key = b"%d" % chance.randrange(300)
        match chance.randrange(7):
            case 0 | 1:
                db.set(key, value(), keep_ttl=chance.random() < 0.5)
            case 2:
                db.set_expire(key, chance.choice([None, START_MS + chance.randrange(100)]))
            case 3:
                db.rename(key, b"%d" % chance.randrange(300))
            case 4:
                if db.type_of(key) == "string":
                    db.append(key, b"z" * chance.randrange(300))
            case 5:
                db.delete(key, lazy=chance.random() < 0.5)
            case 6:
                taken = db.take(key)
                if taken:
                    space.dbs[1].set(key, taken[0])
                del taken
    if end == "delete":
        for db in space.dbs:
            keys = db.keys()
            for key in keys:
                db.delete(key)
    elif end == "flush":
        space.flush()
    else:
        del space, db
        assert settled() == before
        return
    free_all(space)
    assert not any(map(len, space.dbs))
    del space, db
    assert settled() == before


def test_a_large_collection_is_freed_in_slices():
    before = settled()
    space = new_space()
    db = space.dbs[0]
    db.set(b"z", big_zset(50_000))
    used = mem_used()
    assert db.delete(b"z", lazy=True)
    assert db.get(b"z") is None
    assert space.lazyfree_pending == 1
    assert mem_used() > before + (used - before) // 2
    assert free_all(space) > 20
    assert (space.lazyfree_pending, space.lazyfreed) == (0, 1)
    del db, space
    assert settled() == before


def test_a_small_collection_and_a_flush_of_few_keys_are_freed_at_once():
    before = settled()
    space = new_space()
    db = space.dbs[0]
    for i in range(200):
        db.set(b"%d" % i, b"v" * 100)
    db.set(b"z", big_zset(64))
    db.flush()
    assert space.lazyfree_pending == space.lazyfreed == 0
    assert mem_used() == before


def test_a_collection_that_somebody_still_reads_is_left_alone():
    space = new_space()
    db = space.dbs[0]
    z = big_zset(5000)
    db.set(b"z", z)
    db.delete(b"z")
    free_all(space)
    assert len(z.range(0, -1)) == 5000


def test_a_long_string_is_freed_in_slices():
    before = settled()
    space = new_space()
    db = space.dbs[0]
    db.grow(b"s", 64 << 20)
    assert mem_used() - before > 64 << 20
    db.delete(b"s")
    assert space.lazyfree_pending == 1
    assert free_all(space) > 5
    del db, space
    assert settled() == before


def test_a_jump_to_half_a_gigabyte_writes_next_to_nothing():
    space = new_space()
    db = space.dbs[0]
    db.set(b"s", b"start")
    view = db.grow(b"s", 512 << 20)
    assert (len(view), bytes(view[:6]), bytes(view[-4:])) == (512 << 20, b"start\0", bytes(4))
    view[-1] = 1
    assert db.view(b"s")[(512 << 20) - 1] == 1


def test_memory_of_a_key_counts_what_hangs_on_it():
    space = new_space()
    db = space.dbs[0]
    assert db.memory_of(b"k") is None
    db.set(b"k", b"v")
    assert 24 <= db.memory_of(b"k") <= 100
    db.set(b"k", b"v" * 10_000)
    assert 10_000 < db.memory_of(b"k") < 10_300
    z = big_zset(1000)
    db.set(b"k", z)
    assert z.memory() < db.memory_of(b"k") < z.memory() + 200
