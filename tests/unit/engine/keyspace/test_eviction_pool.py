"""Candidates for eviction: the right kind of key under each policy, and mostly the best ones."""

import pytest

from node.engine.keyspace.table import Keyspace

START_MS = 1_700_000_000_000
MEASURES = ["lru", "lfu", "random"]
POLICIES = [f"{whose}-{measure}" for whose in ("allkeys", "volatile") for measure in MEASURES] + ["volatile-ttl"]


@pytest.fixture
def space() -> Keyspace:
    space = Keyspace(4)
    space.now_ms = START_MS
    return space


@pytest.mark.parametrize("policy", POLICIES)
def test_an_empty_keyspace_has_no_candidate(space, policy):
    assert space.evict_candidate(policy, 5) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_volatile_policies_leave_other_keys_alone(space, policy):
    db = space.dbs[2]
    for i in range(500):
        db.set(b"%d" % i, b"v")
    db.set_expire(b"77", START_MS + 10_000)
    candidate = space.evict_candidate(policy, 5)
    if policy.startswith("volatile"):
        assert candidate == (db, b"77")
        db.set_expire(b"77", None)
        assert space.evict_candidate(policy, 5) is None
    else:
        assert candidate[0] is db
        assert candidate[1] in db


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("tag", [b"", b"{t}"])
def test_evicting_on_and_on_empties_the_keyspace(space, policy, tag):
    for db in space.dbs[:2]:
        for i in range(300):
            db.set(b"%s%d" % (tag, i), b"v")
            db.set_expire(b"%s%d" % (tag, i), START_MS + 10_000 + i)
    for _ in range(600):
        db, key = space.evict_candidate(policy, 5)
        assert db.delete(key)
    assert space.evict_candidate(policy, 5) is None


@pytest.mark.parametrize(("policy", "lfu"), [("allkeys-lru", False), ("volatile-lru", False), ("allkeys-lfu", True),
                                             ("volatile-lfu", True), ("volatile-ttl", False)])  # fmt: skip
def test_the_better_half_survives(space, policy, lfu):
    """Half of the keys are what the policy should spare; evicting a third of all must rarely touch them."""
    space.lfu = lfu
    db = space.dbs[0]
    for i in range(3000):
        key = b"%d" % i
        db.set(key, b"v")
        good = i % 2
        db.set_expire(key, START_MS + (100_000_000 if good else 50_000_000) + i)
        if lfu:
            db.set_freq(key, 100 if good else 10)
        else:
            db.set_idle(key, 10 if good else 1000)
    lost = 0
    for _ in range(1000):
        _, key = space.evict_candidate(policy, 5)
        lost += int(key) % 2
        db.delete(key)
    assert lost < 60


def test_a_new_policy_starts_with_an_empty_pool(space):
    db = space.dbs[0]
    for i in range(100):
        db.set(b"%d" % i, b"v")
    space.evict_candidate("allkeys-lru", 10)
    db.set_expire(b"5", START_MS + 1000)
    assert space.evict_candidate("volatile-ttl", 10) == (db, b"5")
