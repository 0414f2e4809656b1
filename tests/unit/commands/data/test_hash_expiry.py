"""Fields of hashes that die: what clients see, what replicas get, what is announced."""

from __future__ import annotations

from typing import Any

import pytest

from node.commands.server.digest import of_databases
from node.engine.durable.largevalue import set_large
from node.engine.keyspace.table import Keyspace
from node.persistence.aof.commands import commands_for
from node.persistence.rdb.load import load
from node.persistence.rdb.snapshot import snapshot
from tests.support.embedded import Embedded, EmbeddedClient

NOW_MS = 1_000_000


@pytest.fixture
def node() -> Embedded:
    node = Embedded(now_ms=NOW_MS)
    node.core.space.active_expire = False
    return node


@pytest.fixture
def c(node: Embedded) -> EmbeddedClient:
    client = node.client()
    client("HSET", "h", "a", "1", "b", "2", "c", "3")
    return client


def ask(client: EmbeddedClient, line: str) -> Any:
    return client(*line.split())


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("HEXPIRE h 10 FIELDS 3 a b x", [1, 1, -2]),
        ("HEXPIRE none 10 FIELDS 2 a b", [-2, -2]),
        ("HEXPIRE h 0 FIELDS 1 a", [2]),
        ("HPEXPIREAT h 1 FIELDS 1 a", [2]),
        ("HEXPIRE h 10 XX FIELDS 1 a", [0]),
        ("HEXPIRE h 10 GT FIELDS 1 a", [0]),
        ("HEXPIRE h 10 LT FIELDS 1 a", [1]),
        ("HEXPIRE h 10 NX FIELDS 1 a", [1]),
        ("HTTL h FIELDS 2 a x", [-1, -2]),
        ("HPERSIST h FIELDS 2 a x", [-1, -2]),
        ("HGETDEL h FIELDS 2 a x", [b"1", None]),
        ("HGETEX h FIELDS 2 a x", [b"1", None]),
        ("HSETEX h FNX FIELDS 1 a 9", 0),
        ("HSETEX h FXX FIELDS 2 a 9 x 9", 0),
        ("HSETEX none FXX FIELDS 1 a 9", 0),
        ("HSETEX h FXX EX 5 FIELDS 1 a 9", 1),
    ],
)
def test_replies(c: EmbeddedClient, line: str, reply: Any) -> None:
    assert ask(c, line) == reply


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("HEXPIRE h -1 FIELDS 1 a", "invalid expire time, must be >= 0"),
        ("HEXPIRE h x FIELDS 1 a", "value is not an integer or out of range"),
        ("HEXPIRE h 70368744178 FIELDS 1 a", "invalid expire time in 'hexpire' command"),
        ("HPEXPIREAT h 70368744177664 FIELDS 1 a", "invalid expire time in 'hpexpireat' command"),
        ("HEXPIRE h 10 FIELDS 0 a", "Parameter `numFields` should be greater than 0"),
        ("HEXPIRE h 10 FIELDS 2 a", "The `numfields` parameter must match the number of arguments"),
        ("HEXPIRE h 10 BAD FIELDS 1 a", "Mandatory argument FIELDS is missing or not at the right position"),
        ("HTTL h FIELDS x a", "Number of fields must be a positive integer"),
        ("HTTL h FIELD 1 a", "Mandatory argument FIELDS is missing or not at the right position"),
        ("HSETEX h EX 1 PX 1 FIELDS 1 a 1", "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"),
        ("HSETEX h FNX FXX FIELDS 1 a 1", "Only one of FXX or FNX arguments can be specified"),
        ("HSETEX h WHAT FIELDS 1 a 1", "unknown argument: WHAT"),
        ("HSETEX h FIELDS 2 a 1", "wrong number of arguments for 'hsetex' command"),
        ("HGETEX h EX -1 FIELDS 1 a", "invalid expire time, must be >= 0"),
    ],
)
def test_errors(c: EmbeddedClient, line: str, error: str) -> None:
    assert ask(c, line) == f"ERR {error}"


def test_times_are_told_and_removed(node: Embedded, c: EmbeddedClient) -> None:
    ask(c, "HPEXPIRE h 1500 FIELDS 1 a")
    assert ask(c, "HTTL h FIELDS 1 a") == [2]
    assert ask(c, "HPTTL h FIELDS 1 a") == [1500]
    assert ask(c, "HEXPIRETIME h FIELDS 1 a") == [1002]
    assert ask(c, "HPEXPIRETIME h FIELDS 1 a") == [NOW_MS + 1500]
    assert ask(c, "HEXPIRE h 1 GT FIELDS 1 a") == [0]
    assert ask(c, "HEXPIRE h 2 GT FIELDS 1 a") == [1]
    assert ask(c, "HEXPIRE h 3 LT FIELDS 1 a") == [0]
    assert ask(c, "HPERSIST h FIELDS 1 a") == [1]
    assert ask(c, "HTTL h FIELDS 1 a") == [-1]
    for line, left in (
        ("HSET h a 5", -1),
        ("HINCRBY h a 5", 100),
        ("HINCRBYFLOAT h a 0.5", 100),
        ("HSETEX h KEEPTTL FIELDS 1 a 7", 100),
        ("HSETEX h FIELDS 1 a 7", -1),
        ("HGETEX h PERSIST FIELDS 1 a", -1),
        ("HGETEX h EX 50 FIELDS 1 a", 50),
    ):
        ask(c, "HSET h a 1")
        ask(c, "HEXPIRE h 100 FIELDS 1 a")
        ask(c, line)
        assert ask(c, "HTTL h FIELDS 1 a") == [left], line


READS = [
    ("HGET h a", None),
    ("HMGET h a b", [None, b"2"]),
    ("HEXISTS h a", 0),
    ("HSTRLEN h a", 0),
    ("HGETALL h", [b"b", b"2"]),
    ("HKEYS h", [b"b"]),
    ("HVALS h", [b"2"]),
    ("HRANDFIELD h", b"b"),
    ("HRANDFIELD h 5", [b"b"]),
    ("HRANDFIELD h -2", [b"b", b"b"]),
    ("HSCAN h 0", [b"0", [b"b", b"2"]]),
    ("HTTL h FIELDS 1 a", [-2]),
    ("HGETDEL h FIELDS 1 a", [None]),
    ("HPERSIST h FIELDS 1 a", [-2]),
    ("HSETNX h a 7", 1),
    ("HSET h a 7", 1),
    ("HINCRBY h a 7", 7),
    ("HDEL h a b", 1),
    ("SORT l BY nosort GET h->a", [None]),
]


@pytest.mark.parametrize(("line", "reply"), READS)
def test_a_dead_field_is_not_there(node: Embedded, c: EmbeddedClient, line: str, reply: Any) -> None:
    ask(c, "HDEL h c")
    ask(c, "RPUSH l x")
    ask(c, "HPEXPIRE h 10 FIELDS 1 a")
    node.core.space.now_ms += 10
    assert ask(c, "HGET h a") == b"1"
    node.core.space.now_ms += 1
    assert ask(c, line) == reply


@pytest.mark.parametrize(("line", "reply"), [each for each in READS if "HS" not in each[0] or "HSCAN" in each[0]][:12])
def test_where_deleting_is_not_ours_a_dead_field_is_hidden(
    node: Embedded, c: EmbeddedClient, line: str, reply: Any
) -> None:
    ask(c, "HDEL h c")
    ask(c, "HPEXPIRE h 10 FIELDS 1 a")
    node.core.space.now_ms += 11
    node.core.space.lazy_expire = False
    assert ask(c, line) == reply
    assert ask(c, "HLEN h") == 2
    node.core.space.lazy_expire = True
    assert ask(c, "HLEN h") == 1


def test_the_last_field_takes_the_key_with_it(node: Embedded, c: EmbeddedClient) -> None:
    ask(c, "HPEXPIRE h 10 FIELDS 3 a b c")
    node.core.space.now_ms += 11
    assert ask(c, "EXISTS h") == 0
    assert node.core.space.expired_fields == 3
    ask(c, "HSET g a 1")
    assert ask(c, "HEXPIRE g 0 FIELDS 1 a") == [2]
    assert ask(c, "EXISTS g") == 0
    ask(c, "HSET g a 1")
    ask(c, "HGETDEL g FIELDS 1 a")
    assert ask(c, "DBSIZE") == 0
    assert node.core.space.mortal_hashes == 0


def test_what_replicas_get(node: Embedded, c: EmbeddedClient) -> None:
    ask(c, "HSET g x 1")
    node.replicate()
    for line in (
        "HEXPIRE h 10 FIELDS 2 a x",
        "HPERSIST h FIELDS 2 a b",
        "HEXPIRE h 0 FIELDS 1 c",
        "HGETEX h PX 5 FIELDS 1 a",
        "HSETEX h EX 1 FIELDS 1 b 7",
        "HGETDEL h FIELDS 1 b",
        "HEXPIRE none 10 FIELDS 1 a",
    ):
        ask(c, line)
    node.core.space.now_ms += 6
    assert ask(c, "HLEN h") == 0
    assert [b" ".join(each).decode() for each in node.replicated if each[0] not in (b"MULTI", b"EXEC")] == [
        f"HPEXPIREAT h {NOW_MS + 10_000} FIELDS 1 a",
        "HPERSIST h FIELDS 1 a",
        "HDEL h c",
        f"HPEXPIREAT h {NOW_MS + 5} FIELDS 1 a",
        "HSETEX h FIELDS 1 b 7",
        f"HPEXPIREAT h {NOW_MS + 1000} FIELDS 1 b",
        "HDEL h b",
        "HDEL h a",
    ]


def test_what_is_announced(node: Embedded, c: EmbeddedClient) -> None:
    ask(c, "CONFIG SET notify-keyspace-events KEA")
    ear = node.client()
    ear("PSUBSCRIBE", "__keyspace@0__:h")
    ask(c, "HPEXPIRE h 5 FIELDS 2 a b")
    ask(c, "HPERSIST h FIELDS 1 a")
    node.core.space.now_ms += 6
    ask(c, "HGETALL h")
    ask(c, "HEXPIRE h 0 FIELDS 1 a")
    ask(c, "HGETDEL h FIELDS 1 c")
    heard = []
    while (message := ear.take()) is not None:
        heard.append(message[3].decode())
    assert heard == ["hexpire", "hpersist", "hexpired", "hdel", "hdel", "del"]


def test_they_go_by_themselves(node: Embedded, c: EmbeddedClient) -> None:
    space = node.core.space
    for number in range(50):
        c("HSET", f"h{number}", "a", "1", "b", "2")
        c("HPEXPIRE", f"h{number}", str(number + 1), "FIELDS", "1", "a")
    assert space.mortal_hashes == 50
    space.now_ms += 26
    assert space.expire_fields(10)
    assert space.expired_fields == 10
    assert not space.expire_fields(100)
    assert (space.expired_fields, space.mortal_hashes) == (25, 25)
    ask(c, "HDEL h30 a")
    space.now_ms += 100
    space.expire_fields(100)
    assert (space.expired_fields, space.mortal_hashes) == (49, 0)


def test_they_move_with_their_hash(node: Embedded, c: EmbeddedClient) -> None:
    ask(c, "HPEXPIRE h 50 FIELDS 1 a")
    ask(c, "COPY h copy")
    ask(c, "RENAME h other")
    payload = ask(c, "DUMP other")
    c("RESTORE", "restored", "0", payload)
    ask(c, "MOVE copy 1")
    ask(c, "SELECT 1")
    assert ask(c, "HPTTL copy FIELDS 2 a b") == [50, -1]
    ask(c, "SELECT 0")
    for key in ("other", "restored"):
        assert ask(c, f"HPTTL {key} FIELDS 2 a b") == [50, -1]
        assert ask(c, f"OBJECT ENCODING {key}") == b"listpackex"
    assert node.core.space.mortal_hashes == 3
    node.core.space.now_ms += 51
    assert ask(c, "HGET restored a") is None
    ask(c, "SET other text")
    ask(c, "FLUSHALL")
    assert node.core.space.mortal_hashes == 0


def test_files_keep_them(node: Embedded, c: EmbeddedClient) -> None:
    space = node.core.space
    for number in range(600):
        c("HSET", "big", f"f{number}", "v")
    data = b"".join(node.core.saving.pieces())
    assert data.startswith(b"REDIS0010"), "what Redis 7.0 reads, as long as it can be"
    c("HPEXPIRE", "big", "100", "FIELDS", "2", "f7", "f8")
    ask(c, "HPEXPIRE h 200 FIELDS 3 a b c")
    data = b"".join(node.core.saving.pieces())
    assert data.startswith(b"REDIS0012")
    again = Keyspace()
    again.now_ms = space.now_ms
    load(again, data)
    assert of_databases(again.dbs) == of_databases(space.dbs)
    assert again.dbs[0].get(b"big").deaths() == space.dbs[0].get(b"big").deaths()
    assert again.mortal_hashes == 2
    for later_ms, keys, left in ((101, 2, 598), (201, 1, 598)):
        again.now_ms = NOW_MS + later_ms
        load(again, data)
        assert len(again.dbs[0]) == keys
        assert len(again.dbs[0].get(b"big")) == left
    again.now_ms = NOW_MS + 500
    load(again, data, keep_dead=True)
    assert len(again.dbs[0]) == 2


@pytest.mark.parametrize("change", ["HPERSIST big FIELDS 1 f7", "HEXPIRE big 500 FIELDS 1 f9", "HDEL big f7", "time"])
def test_a_large_one_in_a_snapshot_is_that_of_its_beginning(node: Embedded, c: EmbeddedClient, change: str) -> None:
    space = node.core.space
    for number in range(400):
        c("HSET", "big", f"f{number}", "v" * 50)
    c("HPEXPIRE", "big", "100", "FIELDS", "2", "f7", "f8")
    before = of_databases(space.dbs)
    set_large(items=10)
    try:
        pieces = snapshot(space)
        data = next(pieces)
        if change == "time":
            space.now_ms += 101
            assert ask(c, "HLEN big") == 398
        else:
            ask(c, change)
        data += b"".join(pieces)
    finally:
        set_large()
    again = Keyspace()
    again.now_ms = NOW_MS
    load(again, data)
    assert of_databases(again.dbs) == before
    assert [field for field, _ in again.dbs[0].get(b"big").deaths()] == [b"f7", b"f8"]


def test_as_commands(node: Embedded, c: EmbeddedClient) -> None:
    """What a log of writes holds makes the same hash again, however late it is read."""
    ask(c, "HPEXPIRE h 50 FIELDS 2 a b")
    other = Embedded(now_ms=NOW_MS + 60)
    other.core.space.show_dead = True
    reader = other.client()
    for argv in commands_for(b"h", node.core.space.dbs[0].get(b"h"), None):
        reader(*argv)
    assert ask(reader, "HPEXPIRETIME h FIELDS 3 a b c") == [NOW_MS + 50, NOW_MS + 50, -1]
    other.core.space.show_dead = False
    assert ask(reader, "HGETALL h") == [b"c", b"3"]


def test_forms_of_others(node: Embedded, c: EmbeddedClient) -> None:
    from node.engine.durable.rdb import Writer
    from node.engine.structures.listpack import pack

    first = (NOW_MS + 5).to_bytes(8, "little")
    w = Writer()
    for kind, key in ((25, b"small"), (24, b"large")):
        w.byte(kind)
        w.string(key)
        w.raw(first)
        if kind == 25:
            w.string(pack([b"a", b"1", b"%d" % (NOW_MS + 5), b"b", b"2", b"0"]))
        else:
            w.length(2)
            for after, field, value in ((1, b"a", b"1"), (0, b"b", b"2")):
                w.length(after)
                w.string(field)
                w.string(value)
    space = Keyspace()
    space.now_ms = NOW_MS
    load(space, b"REDIS0012" + w.take() + b"\xff" + bytes(8))
    w.byte(22)
    w.string(b"valkey")
    w.length(2)
    for field, value, at in ((b"a", b"1", first), (b"b", b"2", b"\xff" * 8)):
        w.string(field)
        w.string(value)
        w.raw(at)
    other = Keyspace()
    other.now_ms = NOW_MS
    load(other, b"VALKEY080" + w.take() + b"\xff" + bytes(8))
    for found in (space.dbs[0].get(b"small"), space.dbs[0].get(b"large"), other.dbs[0].get(b"valkey")):
        assert dict(found.items()) == {b"a": b"1", b"b": b"2"}
        assert found.deaths() == [(b"a", NOW_MS + 5)]
