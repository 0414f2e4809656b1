"""Snapshots are of the moment they began, whatever commands do between their slices."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from cluster.agreement.slots import SLOTS
from node.commands.server.digest import of_key
from node.config import Config
from node.engine.durable.largevalue import set_large
from node.engine.durable.snapshot import Snapshot, set_part
from node.engine.keyspace.keyslot import slot_of
from node.engine.keyspace.table import Keyspace
from node.engine.memory.alloc import mem_used
from node.engine.types.hash import Hash
from node.engine.types.set import Set
from node.engine.types.stream import Stream
from node.engine.types.zset import ZSet
from node.persistence.rdb.load import load
from node.persistence.rdb.payload import dump_payload
from node.persistence.rdb.snapshot import write_head
from node.persistence.snapshots import Next
from tests.compat.grammar import Command, commands
from tests.compat.templates import GROUPS, KEYSPACE, POOLS
from tests.support.embedded import Embedded

Facts = dict[tuple[int, bytes], tuple[bytes, int | None]]

# What redis-server 7.0 has no commands for: fields that die.
MORTAL = {
    "(HEXPIRE|HPEXPIRE) <key> (1|3|100) [NX|XX|GT|LT] FIELDS 2 <field> <field>": "",
    "HPEXPIREAT <key> (1|1000010|1100000) FIELDS 1 <field>": "",
    "HPERSIST <key> FIELDS 2 <field> <field>": "",
    "HGETEX <key> (PX 2|EX 100|PERSIST) FIELDS 2 <field> <field>": "",
    "HSETEX <key> [FNX|FXX] [PX 2|EX 100|KEEPTTL] FIELDS 2 <field> <value> <field> <value>": "",
    "HGETDEL <key> FIELDS 2 <field> <field>": "",
}
WHOLE = {
    "FLUSHALL": "",
    "FLUSHDB ASYNC": "",
    "SWAPDB 0 1": "",
    "SWAPDB 2 1": "",
    "SELECT (0|1|2)": "",
    "MOVE <key> (0|1|2)": "",
    "COPY <key> <key> DB (0|1|2) REPLACE": "",
    "PEXPIRE <key> (1|3)": "",
}
DRAWN = {name: {**group, **KEYSPACE, **WHOLE} for name, group in GROUPS.items()}
DRAWN["hashes"] |= MORTAL
DRAWN["everything"] |= MORTAL


def facts(space: Keyspace) -> Facts:
    """What is in all databases, to be compared, what is dead but not deleted too: streams by their bytes, which hold
    groups and counters, and fields with their deaths."""
    found: Facts = {}
    space.show_dead = True
    for db in space.dbs:
        for key in db.keys():
            value = db.peek(key)
            content = dump_payload(value) if isinstance(value, Stream) else of_key(db, key)
            if isinstance(value, Hash):
                content += repr(sorted(value.deaths())).encode()
            found[db.index, key] = (content, db.expire_at(key))
    space.show_dead = False
    return found


def opened(space: Keyspace, slots: bytes | None = None) -> Snapshot:
    walk = Snapshot(space, slots)
    write_head(walk.writer, space)
    return walk


def loaded(data: bytes, now_ms: int, databases: int) -> Facts:
    again = Keyspace(databases)
    again.now_ms = now_ms
    load(again, data, keep_dead=True)
    return facts(again)


class Take:
    """A snapshot and what it should become."""

    def __init__(self, space: Keyspace) -> None:
        self.space = space
        self.expected = facts(space)
        self.now_ms = space.now_ms
        self.walk = opened(space)
        self.data = b""
        self.more = True

    def step(self, keys: int) -> None:
        if self.more:
            self.more = self.walk.step(max_keys=keys)
            self.data += b"".join(self.walk.take())

    def check(self) -> None:
        while self.more:
            self.step(3)
        assert loaded(self.data, self.now_ms, len(self.space.dbs)) == self.expected
        assert self.walk.keys_done == self.walk.keys_total


@pytest.fixture(params=["whole values", "values in parts"])
def parts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once as it is with small values, and once as if they were large."""
    if request.param == "values in parts":
        set_large(items=2, nodes=1, string=8)
        set_part(1)
    yield
    set_large()
    set_part()


@pytest.mark.parametrize("group", DRAWN)
@settings(deadline=None)
@given(data=st.data())
def test_random_commands_between_the_slices(data: st.DataObject, parts: None, group: str) -> None:
    seed = data.draw(st.integers(0, 1 << 30))
    script: list[Command] = data.draw(st.lists(commands(DRAWN[group], POOLS), min_size=10, max_size=60))
    starts = data.draw(st.sets(st.integers(0, len(script) - 1), min_size=1, max_size=3))
    keys = data.draw(st.integers(0, 5))
    expires = data.draw(st.booleans())
    node = Embedded(seed=seed, config=small_limits())
    client = node.client()
    takes: list[Take] = []
    for number, command in enumerate(script):
        if number in starts:
            takes.append(Take(node.core.space))
        note(f"{number}: {command.words!r}")
        client.send(*command.words)
        client.take()
        node.advance(1)
        if expires:
            node.core.space.expire_some(1000)
            node.core.space.expire_fields(1)
        for take in takes:
            take.step(keys)
    for take in takes:
        take.check()
    assert node.core.space.unsaved_below == 0


def small_limits() -> Config:
    """With limits that make collections of a few elements change their form."""
    config = Config()
    limits = {
        "hash-max-listpack-entries": "4",
        "zset-max-listpack-entries": "4",
        "set-max-intset-entries": "3",
        "list-max-listpack-size": "3",
        "stream-node-max-entries": "3",
    }
    config.set(list(limits.items()), loading=True)
    return config


@pytest.fixture(autouse=True)
def usual_limits() -> Iterator[None]:
    yield
    Embedded(config=Config())  # which sets them for the process


def space_of(keys: int, databases: int = 1) -> Keyspace:
    space = Keyspace(databases)
    for number in range(keys):
        for db in space.dbs:
            db.set(b"key:%d" % number, b"value")
    return space


def test_a_table_that_grows_and_shrinks_meanwhile() -> None:
    """All keys in one slot, so that its table is large and resized in steps."""
    rng = random.Random(7)
    space = Keyspace(1)
    db = space.dbs[0]
    for number in range(5000):
        db.set(b"{t}%d" % number, b"%d" % number)
    take = Take(space)
    keys = [b"{t}%d" % number for number in range(5000)]
    rng.shuffle(keys)
    for number, key in enumerate(keys[:4900]):
        db.delete(key)
        if number % 3 == 0:
            take.step(rng.choice([0, 1, 2]))
    for number in range(20000):
        db.set(b"{t}new%d" % number, b"new")
        if number % 50 == 0:
            take.step(1)
    take.check()
    assert take.walk.keys_early > 0


def hash_of(count: int) -> Hash:
    value = Hash()
    for number in range(count):
        value.set(b"%d" % number, b"value:%d" % number)
    return value


def set_of(count: int) -> Set:
    value = Set()
    for number in range(count):
        value.add(b"member:%d" % number)
    return value


def zset_of(count: int) -> ZSet:
    value = ZSet()
    for number in range(count):
        value.set(b"%d" % number, number * 7919 % 1009)
    return value


def change(value: Hash | Set | ZSet, rng: random.Random, growing: bool) -> None:
    """Add, change or remove an element."""
    number = rng.randrange(20_000 if growing else 4000)
    if isinstance(value, Hash):
        value.set(b"%d" % number, b"new") if growing else value.delete(b"%d" % number)
    elif isinstance(value, Set):
        value.add(b"member:%d" % number) if growing else value.remove(b"member:%d" % number)
    elif growing:
        value.set(b"%d" % number, rng.randrange(1009))
    elif rng.random() < 0.9:
        value.remove(b"%d" % number)
    else:
        start = rng.randrange(len(value))
        value.remove_range_by_rank(start, start + 5)


@pytest.mark.parametrize("make", [hash_of, set_of, zset_of])
@pytest.mark.parametrize("growing", [True, False])
@pytest.mark.parametrize("walked", [0, 1, 60])
def test_a_large_collection_that_changes_while_it_is_written(
    make: Callable[[int], Hash | Set | ZSet], growing: bool, walked: int
) -> None:
    """Its table is resized meanwhile, up or down; two snapshots stand at different places in it."""
    rng = random.Random(walked)
    space = Keyspace(1)
    db = space.dbs[0]
    db.set(b"large", make(4000))
    db.set(b"small", b"1")
    set_part(200)
    try:
        takes = [Take(space)]
        for _ in range(walked):
            takes[0].step(1)
        for number in range(20_000):
            value = db.get_write(b"large")
            if len(value) > 10:
                change(value, rng, growing)
            db.set(b"small", b"%d" % number)
            if number == 500:
                takes.append(Take(space))
            if number % 100 == 0:
                for take in takes:
                    take.step(rng.choice([0, 1, 3]))
        for take in takes:
            take.check()
    finally:
        set_part()


@pytest.mark.parametrize("walked", [0, 1, 20])
def test_a_large_collection_whose_key_goes_while_it_is_written(walked: int) -> None:
    gc.collect()
    before = mem_used()
    space = Keyspace(1)
    for make in (hash_of, set_of, zset_of):
        space.dbs[0].set(make.__name__.encode(), make(4000))
    take = Take(space)
    for _ in range(walked):
        take.step(1)
    assert space.dbs[0].rename(b"hash_of", b"renamed")
    space.dbs[0].delete(b"set_of", lazy=True)
    space.dbs[0].set(b"zset_of", b"overwritten")
    while space.free_some(100):
        pass
    take.check()
    space.dbs[0].flush()
    while space.free_some(1000):
        pass
    del take, space
    gc.collect()
    assert mem_used() == before


def test_chosen_slots_only() -> None:
    space = space_of(500, databases=2)
    chosen = bytes(slot % 3 == 0 for slot in range(SLOTS))
    expected = {each: fact for each, fact in facts(space).items() if chosen[slot_of(each[1])]}
    walk = opened(space, chosen)
    for db in space.dbs:
        for number in range(0, 500, 2):
            db.set(b"key:%d" % number, b"changed")
    assert not walk.step()
    assert loaded(b"".join(walk.take()), space.now_ms, 2) == expected
    assert walk.keys_total == walk.keys_done == len(expected)


def test_flushed_databases_are_freed_when_the_last_snapshot_is_through() -> None:
    space = space_of(2000)
    first, second = Take(space), Take(space)
    space.dbs[0].flush()
    assert space.lazyfree_pending == 0
    first.check()
    assert space.lazyfree_pending == 0
    second.walk.cancel()
    assert space.lazyfree_pending > 0
    while space.free_some(1000):
        pass
    assert space.unsaved_below == 0


def test_a_snapshot_that_is_dropped_in_the_middle_leaves_nothing() -> None:
    gc.collect()
    before = mem_used()
    space = space_of(2000)
    walk = opened(space)
    walk.step(max_keys=10)
    space.dbs[0].flush()
    del walk, space
    gc.collect()
    assert mem_used() == before


class Sink:
    """A consumer that is ready as often as it is told."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.data = b""
        self.room = room
        self.end = ""

    def write(self, piece: bytes) -> None:
        self.room -= 1
        self.data += piece

    def ready(self) -> bool:
        return self.room > 0

    def done(self) -> None:
        self.end = "done"

    def failed(self, reason: str) -> None:
        self.end = reason


def node_of(keys: int) -> Embedded:
    node = Embedded()
    for number in range(keys):
        node.core.space.dbs[0].set(b"key:%d" % number, random.Random(number).randbytes(200))
    return node


def test_a_consumer_that_is_not_ready_stops_the_walk() -> None:
    node, sink = node_of(2000), Sink(room=1)
    snapshots = node.core.snapshots
    expected = facts(node.core.space)
    handle = snapshots.start(sink, aux={"repl-id": "abc", "aof-base": 1})
    while snapshots.step(1000) is Next.AT_ONCE:
        pass
    assert snapshots.step(1000) is Next.SOON
    assert 0 < handle.keys_done < handle.keys_total == 2000
    node.client()("FLUSHALL")
    sink.room = 1 << 30
    while snapshots.step(1000) is not Next.NEVER:
        pass
    assert sink.end == "done"
    assert snapshots.handles == []
    assert loaded(sink.data, node.core.space.now_ms, 16) == expected
    assert b"\xfa\x07repl-id\x03abc" in sink.data
    assert b"\xfa\x08aof-base\xc0\x01" in sink.data


def test_who_cancels_hears_nothing_and_who_is_abandoned_hears_why() -> None:
    node, one, other = node_of(100), Sink(), Sink()
    snapshots = node.core.snapshots
    handle = snapshots.start(one)
    snapshots.start(other)
    handle.cancel()
    snapshots.abandon("the data is replaced")
    assert (one.end, other.end) == ("", "the data is replaced")
    assert snapshots.step(1000) is Next.NEVER
    assert node.core.space.unsaved_below == 0


def test_a_delay_after_each_key() -> None:
    node, sink = node_of(100), Sink()
    node.client()("CONFIG", "SET", "rdb-key-save-delay", "1000")
    snapshots = node.core.snapshots
    handle = snapshots.start(sink)
    assert snapshots.step(1000) is Next.SOON
    assert handle.keys_done == 0
    node.advance(10)
    snapshots.step(1000)
    assert handle.keys_done == 10
    node.advance(1000)
    while snapshots.step(1000) is not Next.NEVER:
        pass
    assert sink.end == "done"
