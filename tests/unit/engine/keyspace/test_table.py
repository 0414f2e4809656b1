"""The keyspace against a model: a Python dict with a clock."""

import random

import pytest

from node.engine.keyspace.keyslot import slot_of
from node.engine.keyspace.table import Db, Keyspace
from node.engine.types.hash import Hash
from node.engine.types.set import Set
from node.engine.types.zset import ZSet

START_MS = 1_700_000_000_000

VALUES = [b"", b"x", b"12", b"-7", b"012", b"9223372036854775807", b"9223372036854775808", b"v" * 16, b"w" * 44,
          b"w" * 45, b"y" * 256, b"z" * 257, b"q" * 5000]  # fmt: skip


@pytest.fixture
def space() -> Keyspace:
    space = Keyspace(2)
    space.now_ms = START_MS
    return space


@pytest.fixture
def db(space: Keyspace) -> Db:
    return space.dbs[0]


def set_of(n: int) -> Set:
    s = Set()
    for i in range(n):
        s.add(b"member %d" % i)
    return s


class Model:
    """What the database should hold."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.values: dict[bytes, bytes] = {}
        self.expires: dict[bytes, int] = {}

    def drop_dead(self) -> None:
        for key, at_ms in list(self.expires.items()):
            if self.now_ms > at_ms:
                self.drop(key)

    def drop(self, key: bytes) -> bool:
        self.expires.pop(key, None)
        return self.values.pop(key, None) is not None


@pytest.mark.parametrize("seed", range(12))
def test_random_commands_agree_with_a_dict(space, db, seed):
    chance = random.Random(seed)
    model = Model()
    tag = b"{t}" if seed % 2 else b""  # all keys in one slot, or all over
    universe = [b"%s%d%s" % (tag, i, b"k" * (i % 40)) for i in range(chance.choice([5, 100, 2000]))]
    for _ in range(8000):
        key = chance.choice(universe)
        other = chance.choice(universe)
        match chance.randrange(12):
            case 0 | 1 | 2:
                value, keep = chance.choice(VALUES), chance.random() < 0.5
                db.set(key, value, keep_ttl=keep)
                model.values[key] = value
                if not keep:
                    model.expires.pop(key, None)
            case 3:
                assert db.delete(key, lazy=chance.random() < 0.5) == model.drop(key)
            case 4:
                at_ms = chance.choice([None, model.now_ms + chance.randrange(1000)])
                assert db.set_expire(key, at_ms) == (key in model.values)
                if key in model.values:
                    model.expires.pop(key, None)
                    if at_ms is not None:
                        model.expires[key] = at_ms
            case 5:
                model.now_ms += chance.randrange(20)
                space.now_ms = model.now_ms
                model.drop_dead()
            case 6:
                assert db.rename(key, other) == (key in model.values)
                if key in model.values and key != other:
                    value, expires = model.values[key], model.expires.get(key)
                    model.drop(key)
                    model.drop(other)
                    model.values[other] = value
                    if expires is not None:
                        model.expires[other] = expires
            case 7:
                tail = chance.choice(VALUES)
                model.values[key] = model.values.get(key, b"") + tail
                assert db.append(key, tail) == len(model.values[key])
                if len(model.values[key]) > 20_000:
                    db.delete(key)
                    model.drop(key)
            case 8:
                size = chance.choice([0, 1, 30, 256, 300, 3000])
                view = db.grow(key, size)
                model.values[key] = model.values.get(key, b"").ljust(size, b"\0")
                assert view == model.values[key]
                if size:
                    view[size - 1] = 33
                    model.values[key] = model.values[key][: size - 1] + b"!" + model.values[key][size:]
            case 9:
                taken = db.take(key)
                if key in model.values:
                    assert taken == (model.values[key], model.expires.get(key))
                    model.drop(key)
                else:
                    assert taken is None
            case _:
                assert db.get(key) == model.values.get(key)
                assert db.view(key) == model.values.get(key)
                assert db.strlen(key) == (len(model.values[key]) if key in model.values else None)
                assert db.expire_at(key) == model.expires.get(key)
    keys = db.keys()
    assert sorted(keys) == sorted(model.values)
    assert {key: db.peek(key) for key in keys} == model.values
    for key in universe:
        db.exists(key)  # the dead go when they are touched
    assert len(db) == len(model.values)
    assert db.volatile_keys == len(model.expires)
    by_slot: dict[int, int] = {}
    for key in model.values:
        by_slot[slot_of(key)] = by_slot.get(slot_of(key), 0) + 1
    assert all(db.slot_len(slot) == n and len(db.slot_keys(slot, -1)) == n for slot, n in by_slot.items())


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"12345", "int"),
        (b"-9223372036854775808", "int"),
        (b"9223372036854775808", "embstr"),
        (b"+1", "embstr"),
        (b"01", "embstr"),
        (b"", "embstr"),
        (b"x" * 44, "embstr"),
        (b"x" * 45, "raw"),
        (b"x" * 300, "raw"),
    ],
)
def test_string_encodings_bear_redis_names(db, value, encoding):
    db.set(b"k", value)
    assert (db.type_of(b"k"), db.encoding(b"k"), db.get(b"k")) == ("string", encoding, value)
    db.append(b"k", b"")
    assert db.encoding(b"k") == "raw"
    db.set(b"k", value)
    assert db.encoding(b"k") == encoding


def test_collections_are_kept_as_they_are(db):
    for key, value, kind in [(b"h", Hash(), "hash"), (b"s", Set(), "set"), (b"z", ZSet(), "zset")]:
        db.set(key, value)
        assert db.get(key) is value
        assert db.type_of(key) == kind
        assert db.view(key) is None
        assert db.strlen(key) is None
        db.set(key, value)  # in its own place
        assert db.get_write(key) is value
    with pytest.raises(TypeError):
        db.set(b"k", [1])


def test_a_taken_collection_moves_to_another_database(space, db):
    h = Hash()
    h.set(b"f", b"v")
    db.set(b"h", h)
    db.set_expire(b"h", START_MS + 10)
    value, at_ms = db.take(b"h")
    space.dbs[1].set(b"h", value)
    assert at_ms == START_MS + 10
    assert space.dbs[1].get(b"h") is h
    assert h.get(b"f") == b"v"
    assert len(db) == db.volatile_keys == 0


def test_swapped_databases_exchange_everything(space, db):
    other = space.dbs[1]
    db.set(b"a", b"1")
    db.set_expire(b"a", START_MS + 50)
    other.set(b"b", b"2")
    space.swap(0, 1)
    assert (db.keys(), other.keys()) == ([b"b"], [b"a"])
    assert (db.volatile_keys, other.volatile_keys) == (0, 1)
    space.now_ms += 51
    assert other.get(b"a") is None


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_a_dead_key_goes_when_touched_and_is_told(space, db):
    told = []
    space.on_expired = lambda d, key: told.append((d.index, key))
    db.set(b"k", b"v")
    db.set_expire(b"k", START_MS + 10)
    space.now_ms = START_MS + 10
    assert db.get(b"k") == b"v"  # as in Redis, it lives through its last millisecond
    space.now_ms += 1
    assert db.get(b"k") is None
    assert told == [(0, b"k")]
    assert (len(db), space.expired, space.hits, space.misses) == (0, 1, 1, 1)


MEETINGS = {
    "write": lambda db: db.get_write(b"k"),
    "delete": lambda db: db.delete(b"k"),
    "set": lambda db: db.set(b"k", b"new"),
    "append": lambda db: db.append(b"k", b"new"),
    "take": lambda db: db.take(b"k"),
    "random": lambda db: db.random_key(),
    "scan": lambda db: db.scan(0, 100),
    "rename": lambda db: db.rename(b"k", b"other"),
}


@pytest.mark.parametrize("act", MEETINGS.values(), ids=MEETINGS.keys())
def test_every_way_of_meeting_a_dead_key_tells_once(space, db, act):
    told = []
    space.on_expired = lambda d, key: told.append(key)
    db.set(b"k", b"v")
    db.set_expire(b"k", START_MS)
    space.now_ms += 1
    act(db)
    assert told == [b"k"]
    assert db.expire_at(b"k") is None


def test_a_replica_hides_the_dead_and_keeps_them(space, db):
    db.set(b"k", b"v")
    db.set_expire(b"k", START_MS)
    space.lazy_expire = False
    space.now_ms += 1
    assert db.get(b"k") is None
    assert db.scan(0, 10)[1] == db.keys() == []
    assert len(db) == 1
    assert db.random_key() == b"k"  # nothing but the dead: better than hanging
    assert not space.expire_some(1000)
    space.show_dead = True
    assert db.get(b"k") == b"v"


def test_a_pause_hides_the_dead_and_keeps_them(space, db):
    db.set(b"k", b"v")
    db.set_expire(b"k", START_MS)
    space.paused = True
    space.now_ms += 1
    assert db.get(b"k") is None
    assert not space.expire_some(1000)
    assert len(db) == 1
    space.paused = False
    space.expire_some(1000)
    assert len(db) == 0


def test_the_active_cycle_finds_a_few_dead_among_many_living(space, db):
    for i in range(2000):
        db.set(b"living %d" % i, b"v")
    for i in range(5):
        db.set(b"dead %d" % i, b"v")
        db.set_expire(b"dead %d" % i, START_MS)
    space.dbs[1].set(b"dead too", b"v")
    space.dbs[1].set_expire(b"dead too", START_MS)
    space.now_ms += 1
    for _ in range(20):
        space.expire_some(1000)
    assert (len(db), len(space.dbs[1]), space.expired) == (2000, 0, 6)


@pytest.mark.parametrize("tag", [b"", b"{one slot}"])
def test_many_keys_dying_at_once_are_gone_after_a_bounded_number_of_slices(space, db, tag):
    told = []
    space.on_expired = lambda d, key: told.append(key)
    for i in range(20_000):
        db.set(b"%s%d" % (tag, i), b"v")
        if i % 2:
            db.set_expire(b"%s%d" % (tag, i), START_MS + 5000)
    assert not space.expire_some(1000)
    assert db.avg_ttl == 5000
    space.now_ms += 5001
    slices = 0
    largest = 0
    while db.volatile_keys:
        before = len(told)
        again = space.expire_some(1000)
        largest = max(largest, len(told) - before)
        slices += 1
        assert again or not db.volatile_keys
    assert slices <= 60
    assert largest <= 400  # a slice stays a slice
    assert len(db) == 10_000
    assert len(told) == len(set(told)) == 10_000
    assert space.expired_stale_perc > 70
    assert space.expire_capped >= slices - 2
    assert not space.expire_some(1000)


# -- access clock ------------------------------------------------------------------------------------------------------


def test_idle_time_counts_from_the_last_access(space, db):
    db.set(b"k", b"v")
    space.now_ms += 100_000
    assert db.idle_s(b"k") == 100
    db.peek(b"k")
    db.exists(b"k")
    db.type_of(b"k")
    assert db.idle_s(b"k") == 100
    space.no_touch = True
    db.get(b"k")
    assert db.idle_s(b"k") == 100
    space.no_touch = False
    db.get(b"k")
    assert db.idle_s(b"k") == 0
    db.set_idle(b"k", 1000)
    assert db.idle_s(b"k") == 1000
    space.now_ms += (1 << 24) * 1000 - 1_000_000  # the clock wraps
    assert db.idle_s(b"k") == 0


def test_frequency_grows_with_the_logarithm_of_uses_and_decays(space, db):
    space.lfu = True
    db.set(b"k", b"v")
    assert db.freq(b"k") == 5
    for _ in range(20_000):
        db.get(b"k")
    grown = db.freq(b"k")
    assert 30 < grown < 110  # about 63 for a factor of 10
    space.now_ms += 10 * 60_000
    assert db.freq(b"k") == grown - 10
    space.lfu_decay_time = 0
    assert db.freq(b"k") == grown
    db.set(b"k", b"new")
    assert db.freq(b"k") in (grown, grown + 1)
    db.set_freq(b"k", 200)
    assert db.freq(b"k") == 200


# -- walking -----------------------------------------------------------------------------------------------------------


def scan_all(db: Db, count: int, between=lambda: None, only_slot: int = -1) -> list[bytes]:
    cursor, found = 0, []
    while True:
        cursor, keys = db.scan(cursor, count, only_slot)
        assert 0 <= cursor < 1 << 64
        found += keys
        if cursor == 0:
            return found
        between()


@pytest.mark.parametrize("count", [1, 10, 1000])
@pytest.mark.parametrize("n", [0, 1, 7, 500, 5000])
def test_a_scan_returns_each_key_once(db, n, count):
    for i in range(n):
        db.set(b"%d" % i, b"v")
    assert sorted(scan_all(db, count)) == sorted(b"%d" % i for i in range(n))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tag", [b"", b"{t}"])
def test_a_scan_misses_no_key_that_stays(db, seed, tag):
    chance = random.Random(seed)
    stay = {b"%sstay %d" % (tag, i) for i in range(200)}
    for key in stay:
        db.set(key, b"v")
    for i in range(4000):
        db.set(b"%sgo %d" % (tag, i), b"v")
    growing = seed % 2
    fresh = 4000

    def change() -> None:
        nonlocal fresh
        for _ in range(chance.randrange(60)):
            if growing:
                db.set(b"%sgo %d" % (tag, fresh), b"v")
                fresh += fresh < 30_000
            else:
                db.delete(b"%sgo %d" % (tag, chance.randrange(4000)))

    assert stay <= set(scan_all(db, 10, change))


def test_a_scan_of_one_slot_stays_in_it(db):
    for i in range(300):
        db.set(b"{a}%d" % i, b"v")
        db.set(b"%d" % i, b"v")
    slot = slot_of(b"{a}")
    assert sorted(scan_all(db, 10, only_slot=slot)) == sorted(db.slot_keys(slot, -1))
    assert db.slot_len(slot) >= 300
    assert len(db.slot_keys(slot, 7)) == 7
    assert scan_all(db, 10, only_slot=(slot + 1) % 16384) == db.slot_keys((slot + 1) % 16384, -1)


@pytest.mark.parametrize("cursor", [1, 16383, 1 << 14, 0xFFFF_FFFF_FFFF_FFFF, 12345678901234])
def test_an_invented_cursor_is_harmless(db, cursor):
    for i in range(100):
        db.set(b"%d" % i, b"v")
    for _ in range(20_000):
        cursor, _keys = db.scan(cursor, 10)
        if cursor == 0:
            return
    pytest.fail("the scan never ends")


def test_random_keys_are_uniform_over_slots_of_any_size(db):
    keys = [b"{big}%d" % i for i in range(50)] + [b"%d" % i for i in range(50)]
    for key in keys:
        db.set(key, b"v")
    seen = dict.fromkeys(keys, 0)
    for _ in range(20_000):
        seen[db.random_key()] += 1
    assert min(seen.values()) > 120  # 200 expected each
    assert max(seen.values()) < 300
