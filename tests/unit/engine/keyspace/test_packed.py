"""Small collections are at rest without an object, and nobody who works with them notices."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from node.engine.keyspace.table import Db, Keyspace
from node.engine.memory.alloc import mem_used
from node.engine.types.hash import Hash
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from tests.support.embedded import Embedded
from tests.support.probe import form_of

START_MS = 1_700_000_000_000
AWAKE_A_TURN = 1000


@pytest.fixture
def space() -> Keyspace:
    space = Keyspace(2)
    space.now_ms = START_MS
    return space


@pytest.fixture
def db(space: Keyspace) -> Db:
    return space.dbs[0]


def hash_of(n: int) -> Hash:
    h = Hash()
    for i in range(n):
        h.set(b"f%d" % i, b"v")
    return h


def set_of(n: int) -> Set:
    s = Set()
    for i in range(n):
        s.add(b"m%d" % i)
    return s


def ints_of(n: int) -> Set:
    s = Set()
    for i in range(n):
        s.add(b"%d" % i)
    return s


def zset_of(n: int) -> ZSet:
    z = ZSet()
    for i in range(n):
        z.set(b"m%d" % i, float(i))
    return z


MAKERS: list[Callable[[int], Any]] = [hash_of, set_of, ints_of, zset_of]


def content(value: Any) -> Any:
    if isinstance(value, Hash):
        return dict(value.items())
    if isinstance(value, Set):
        return set(value.members())
    if isinstance(value, ZSet):
        return value.range(0, -1)
    return value


@pytest.mark.parametrize("make", MAKERS)
def test_a_small_collection_rests_when_nobody_holds_it(space: Keyspace, db: Db, make: Callable[[int], Any]) -> None:
    db.set(b"k", make(5))
    space.free_some(0)
    assert form_of(db, b"k") == "at rest"
    held = db.get(b"k")
    assert content(held) == content(make(5))
    for i in range(10):
        db.set(b"other%d" % i, make(3))
    space.free_some(0)
    assert form_of(db, b"k") == "awake"
    assert db.get(b"k") is held  # whoever changes one of them changes both
    del held
    space.free_some(0)
    assert form_of(db, b"k") == "at rest"
    assert db.encoding(b"k") == make(5).encoding
    assert content(db.take(b"k")[0]) == content(make(5))


@pytest.mark.parametrize("make", MAKERS)
def test_a_large_collection_keeps_its_object(space: Keyspace, db: Db, make: Callable[[int], Any]) -> None:
    db.set(b"k", make(2000))
    space.free_some(0)
    assert form_of(db, b"k") == "object"
    assert content(db.get(b"k")) == content(make(2000))


def test_one_that_grows_while_it_is_awake_keeps_it_too(space: Keyspace, db: Db) -> None:
    db.set(b"k", set_of(3))
    space.free_some(0)
    members = db.get_write(b"k")
    for i in range(1000):
        members.add(b"more%d" % i)
    del members
    space.free_some(0)
    assert form_of(db, b"k") == "object"
    assert len(db.get(b"k")) == 1003


def test_what_one_command_holds_is_put_to_rest_in_the_turns_that_follow(space: Keyspace, db: Db) -> None:
    keys = [b"%d" % i for i in range(3 * AWAKE_A_TURN)]
    for key in keys:
        db.set(key, hash_of(2))
    space.free_some(0)
    held = [db.get(key) for key in keys]
    assert {form_of(db, key) for key in keys} == {"awake"}
    del held
    for _ in range(3):
        space.free_some(0)
    assert {form_of(db, key) for key in keys} == {"at rest"}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_the_keys(space: Keyspace, seed: int) -> None:
    """Against a model: stored, changed, held, moved, expired, replaced, deleted, in any order."""
    chance = random.Random(seed)
    model: dict[tuple[int, bytes], Any] = {}
    held: list[Any] = []
    for _ in range(4000):
        at = chance.randrange(2)
        db, key, to = space.dbs[at], b"%d" % chance.randrange(40), b"%d" % chance.randrange(40)
        match chance.randrange(11):
            case 0 | 1:
                value = chance.choice(MAKERS)(chance.choice([1, 5, 20, 700]))
                db.set(key, value, keep_ttl=chance.random() < 0.5)
                model[at, key] = content(value)
                del value
            case 2:
                value = db.get_write(key)
                word = b"%d" % chance.randrange(1000) if chance.random() < 0.5 else b"word%d" % chance.randrange(99)
                match value:
                    case Hash():
                        value.set(word, b"1")
                    case Set():
                        value.add(word)
                    case ZSet():
                        value.set(word, 1.0)
                if value is not None and not isinstance(value, bytes):
                    model[at, key] = content(value)
                del value
            case 3:
                value = db.get(key)
                if value is not None and len(held) < 30:
                    held.append(value)
                del value
            case 4:
                held.clear()
            case 5:
                db.set_expire(key, chance.choice([None, START_MS + 10_000]))
            case 6:
                if db.rename(key, to) and key != to:
                    model[at, to] = model.pop((at, key))
            case 7:
                if db.copy(key, space.dbs[1 - at], to):
                    model[1 - at, to] = model[at, key]
            case 8:
                assert db.delete(key, lazy=chance.random() < 0.5) == (model.pop((at, key), None) is not None)
            case 9:
                db.set(key, b"text")
                model[at, key] = b"text"
            case 10:
                space.free_some(chance.choice([0, 10, 10_000]))
                if chance.random() < 0.02:
                    db.flush(lazy=True)
                    for each in [each for each in model if each[0] == at]:
                        del model[each]
                if chance.random() < 0.05:
                    space.swap(0, 1)
                    model = {(1 - index, name): value for (index, name), value in model.items()}
        assert content(db.peek(key)) == model.get((at, key))
    for (index, name), wanted in model.items():
        assert content(space.dbs[index].get(name)) == wanted
    assert sum(map(len, space.dbs)) == len(model)


def bytes_a_key(command: Callable[[int], tuple[str, ...]]) -> float:
    node = Embedded()
    client = node.client()
    client(*command(0))
    before = mem_used()
    for i in range(1, 20_001):
        client(*command(i))
    node.core.space.free_some(0)
    return (mem_used() - before) / 20_000


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        # The entry of 40 bytes, its share of a slot's table (up to 32 here: two keys a slot), and one block.
        (lambda i: ("SADD", f"tags:{i:011d}", *(f"tag{(i * 7 + n * 911) % 100_000:05d}" for n in range(5))), 140),
        (lambda i: ("SADD", f"tags:{i:011d}", *(str(i + n) for n in range(5))), 110),
        (lambda i: ("HSET", f"user:{i:011d}", "name", f"n{i:06d}", "age", "17", "plan", "pro"), 130),
        (lambda i: ("ZADD", f"rank:{i:011d}", "1", "one", "2", "two"), 110),
    ],
)
def test_what_a_small_collection_costs(command: Callable[[int], tuple[str, ...]], limit: int) -> None:
    assert bytes_a_key(command) < limit
