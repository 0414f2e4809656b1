"""A load takes chosen slots of a file into a node that serves, and leaves all else as it is."""

from __future__ import annotations

import gc
import random

import pytest

from node import flags
from node.engine.keyspace.keyslot import slot_of
from node.engine.memory.alloc import mem_used
from node.persistence import loading
from node.persistence.rdb.snapshot import snapshot
from node.ports.steps import CannotLoad, at_once
from tests.support.embedded import Embedded, EmbeddedClient

HERE, ALSO, ELSEWHERE = slot_of(b"{a}"), slot_of(b"{b}"), slot_of(b"{c}")
NOW = 1_000_000


def only(*slots: int) -> bytes:
    chosen = bytearray(16384)
    for slot in slots:
        chosen[slot] = 1
    return bytes(chosen)


def file_of(node: Embedded) -> bytes:
    return b"".join(snapshot(node.core.space))


def filled(tag: str, count: int = 50) -> Embedded:
    """A node with keys of every type in the slots of a, b and c, which say where they come from."""
    node = Embedded(now_ms=NOW)
    client = node.client()
    for name in "abc":
        for number in range(count):
            client("SET", f"{{{name}}}{number}", f"{tag}{number}")
        client("SET", f"{{{name}}}brief", tag, "PX", "5000")
        client("RPUSH", f"{{{name}}}list", *[f"{tag}{number}" for number in range(300)])
        client("SADD", f"{{{name}}}set", *range(200))
        client("HSET", f"{{{name}}}hash", "f", tag, "g", tag)
        client("HPEXPIRE", f"{{{name}}}hash", "3000", "FIELDS", "1", "f")
        client("ZADD", f"{{{name}}}zset", "1", tag)
        client("XADD", f"{{{name}}}stream", "1-1", "f", tag)
    return node


def contents(node: Embedded, name: str, db: str = "0") -> dict[bytes, object]:
    """The keys of one tag with what they hold."""
    node.core.basics.set_state(flags.STATE_PROTECTED, False)  # DEBUG is for us
    client = node.client()
    client("SELECT", db)
    keys = sorted(client("KEYS", f"{{{name}}}*"))
    if not keys:
        return {}
    digests = client("DEBUG", "DIGEST-VALUE", *keys)
    return dict(zip(keys, zip(digests, (client("PEXPIRETIME", key) for key in keys), strict=True), strict=True))


@pytest.fixture
def node() -> Embedded:
    return filled("old")


@pytest.fixture
def other() -> Embedded:
    return filled("new", 70)


def test_the_keys_of_chosen_slots_take_the_place_of_what_is_there(node: Embedded, other: Embedded) -> None:
    before = {name: contents(node, name) for name in "abc"}
    size = len(node.core.space.dbs[0])
    loaded = at_once(node.core.loader.slots(file_of(other), only(HERE, ALSO)))
    assert contents(node, "a") == contents(other, "a") != before["a"]
    assert contents(node, "b") == contents(other, "b")
    assert contents(node, "c") == before["c"]
    assert loaded.keys == 2 * 76
    db = node.core.space.dbs[0]
    assert (len(db), db.slot_len(HERE), db.slot_len(ELSEWHERE)) == (size + 2 * 20, 76, 56)


def test_a_slot_of_which_the_file_has_nothing_is_empty_then(node: Embedded) -> None:
    at_once(node.core.loader.slots(file_of(Embedded(now_ms=NOW)), only(HERE)))
    assert contents(node, "a") == {}
    assert len(contents(node, "b")) == 56
    client = node.client()
    seen = {client("RANDOMKEY")[:3] for _ in range(200)}
    assert seen == {b"{b}", b"{c}"}


def test_an_empty_node_takes_them_in(other: Embedded) -> None:
    node = Embedded(now_ms=NOW)
    at_once(node.core.loader.slots(file_of(other), only(ALSO)))
    assert contents(node, "b") == contents(other, "b")
    assert node.client()("DBSIZE") == 76


def test_other_databases_go_along(node: Embedded, other: Embedded) -> None:
    for each, value in ((node, "old"), (other, "new")):
        client = each.client()
        client("SELECT", "5")
        client("SET", "{a}x", value)
        client("SET", "{c}x", value)
    at_once(node.core.loader.slots(file_of(other), only(HERE)))
    client = node.client()
    client("SELECT", "5")
    assert client("MGET", "{a}x", "{c}x") == [b"new", b"old"]


def test_until_the_file_is_whole_the_old_is_served(node: Embedded, other: Embedded) -> None:
    node.client()("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    client = node.client()
    steps = node.core.loader.slots(file_of(other), only(HERE, ALSO))
    count = 0
    for _ in steps:
        assert client("GET", "{a}1") == b"old1"
        assert client("SET", "{a}written", str(count)) == b"OK"
        count += 1
    assert count > 5
    assert client("GET", "{a}1") == b"new1"
    assert client("EXISTS", "{a}written") == 0


BROKEN = {
    "cut": lambda data: data[: len(data) * 2 // 3],
    "without its end": lambda data: data[:-9],
    "with another sum": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "with a byte changed": lambda data: data[:500] + bytes([data[500] ^ 255]) + data[501:],
    "followed by something": lambda data: data + b"x",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_changes_nothing(node: Embedded, other: Embedded, how: str) -> None:
    before = {name: contents(node, name) for name in "abc"}
    with pytest.raises(CannotLoad):
        at_once(node.core.loader.slots(BROKEN[how](file_of(other)), only(HERE, ALSO)))
    assert {name: contents(node, name) for name in "abc"} == before


def test_a_load_that_is_given_up_changes_nothing(node: Embedded, other: Embedded) -> None:
    before = {name: contents(node, name) for name in "abc"}
    node.client()("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    steps = node.core.loader.slots(file_of(other), only(HERE))
    next(steps)
    next(steps)
    steps.close()
    assert {name: contents(node, name) for name in "abc"} == before


def test_keys_that_have_run_out_meanwhile_are_left_out(node: Embedded, other: Embedded) -> None:
    data = file_of(other)
    node.core.space.now_ms += 10_000
    loaded = at_once(node.core.loader.slots(data, only(HERE)))
    assert loaded.dead == 1
    assert node.client()("EXISTS", "{a}brief") == 0


def test_what_was_loaded_runs_out_in_its_time(node: Embedded, other: Embedded) -> None:
    at_once(node.core.loader.slots(file_of(other), only(HERE)))
    node.core.expire_some(NOW + 4_000, 100_000, 1)
    client = node.client()
    assert [client("HKEYS", f"{{{name}}}hash") for name in "abc"] == [[b"g"]] * 3
    assert node.core.space.mortal_hashes == 0
    node.core.expire_some(NOW + 6_000, 100_000, 1)
    assert [client("EXISTS", f"{{{name}}}brief") for name in "abc"] == [0, 0, 0]
    assert b"expires=0" in client("INFO", "keyspace")


def test_hashes_with_fields_that_die_are_known_by_their_slots(node: Embedded) -> None:
    assert node.core.space.mortal_hashes == 3
    at_once(node.core.loader.slots(file_of(Embedded(now_ms=NOW)), only(HERE, ALSO)))
    assert node.core.space.mortal_hashes == 1


def saved(node: Embedded, snapshots: list[list[bytes]]) -> list[Embedded]:
    """Nodes that have loaded what these consumers got."""
    loaded = []
    for pieces in snapshots:
        node_of_snapshot = Embedded(now_ms=NOW)
        at_once(node_of_snapshot.core.loader.rdb(b"".join(pieces)))
        loaded.append(node_of_snapshot)
    return loaded


class Consumer:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = False

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def ready(self) -> bool:
        return True

    def done(self) -> None:
        self.ended = True

    def failed(self, reason: str) -> None:
        raise AssertionError(reason)


@pytest.mark.parametrize("seed", range(12))
def test_a_snapshot_under_way_is_of_its_moment(
    node: Embedded, other: Embedded, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it began: before the load, within it, or just before the slots change places."""
    rng = random.Random(seed)
    monkeypatch.setattr(loading, "KEYS_A_STEP", 20)
    for each in (node, other):
        each.client()("SADD", "{a}large", *range(rng.choice((10, 5_000))))
    node.client()("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    data = file_of(other)
    consumers: list[Consumer] = []
    moments: list[dict[str, dict[bytes, object]]] = []
    begins = {rng.randrange(60) for _ in range(4)}
    client = node.client()

    def begin() -> None:
        moments.append({name: contents(node, name) for name in "abc"})
        consumers.append(Consumer())
        node.core.snapshots.start(consumers[-1])

    for count, _ in enumerate(node.core.loader.slots(data, only(HERE, ALSO))):
        if count in begins:
            begin()
        assert count < 1000
        for handle in node.core.snapshots.handles:
            handle.walk.step(-1, rng.randrange(8))  # some keys of its way
        client("SET", f"{{{rng.choice('abc')}}}{rng.randrange(40)}", f"between{count}")
    begin()
    client("SET", "{a}1", "after")
    while node.core.snapshots.handles:
        node.core.snapshots.step(10_000)
    assert all(each.ended for each in consumers)
    for copy, moment in zip(saved(node, [each.pieces for each in consumers]), moments, strict=True):
        assert {name: contents(copy, name) for name in "abc"} == moment


def test_watchers_and_waiting_clients_hear_of_it(node: Embedded, other: Embedded) -> None:
    def watching(key: str) -> EmbeddedClient:
        client = node.client()
        client("WATCH", key)
        client("MULTI")
        client("PING")
        return client

    here, elsewhere, waiting, in_vain = watching("{a}1"), watching("{c}1"), node.client(), node.client()
    node.client()("DEL", "{a}list", "{c}list")
    waiting.send("BLPOP", "{a}list", "0")
    in_vain.send("BLPOP", "{c}list", "0")
    at_once(node.core.loader.slots(file_of(other), only(HERE)))
    assert here("EXEC") is None
    assert elsewhere("EXEC") == [b"PONG"]
    assert waiting.take() == [b"{a}list", b"new0"]
    assert in_vain.take() is None


def test_what_was_replaced_is_freed(node: Embedded, other: Embedded) -> None:
    data = file_of(other)
    at_once(node.core.loader.slots(data, only(HERE, ALSO)))
    while node.core.space.free_some(100_000):
        pass
    gc.collect()
    used = mem_used()
    for _ in range(3):
        at_once(node.core.loader.slots(data, only(HERE, ALSO)))
        while node.core.space.free_some(100_000):
            pass
    gc.collect()
    assert mem_used() <= used + 4096


def test_slots_are_named_by_as_many_bytes_as_there_are(node: Embedded, other: Embedded) -> None:
    with pytest.raises(ValueError, match="one byte for each slot"):
        at_once(node.core.loader.slots(file_of(other), bytes(16)))
