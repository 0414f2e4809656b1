"""Valkey 9 and Redis 8 beside ours: files, payloads and replication both ways, with hashes whose fields die.

What two servers hold is compared key by key and field by field (tests/support/contents.py).
"""

from __future__ import annotations

import time

import pytest

from tests.compat.test_encodings_with_redis import FAR_MS, VALUES, groups
from tests.compat.test_replica_of_redis import caught_up, follow
from tests.support.contents import contents, differences, without
from tests.support.peers import needs
from tests.support.servers import Fleet, Server, wait_until

LIBRARY = "#!lua name=library\nredis.register_function('one', function() return 1 end)"
SOON_MS = 60

both_peers = pytest.mark.parametrize(
    "kind", [pytest.param("valkey", marks=needs("valkey")), pytest.param("redis-8", marks=needs("redis-8"))]
)


def build(server: Server) -> None:
    """Every type in every encoding, groups, libraries, several databases, hashes with fields that die."""
    with server.connect() as c:
        for commands in (*(made for _, made in VALUES.values()), groups()):
            for line in commands:
                c.call(*line)
        for n, key in enumerate(VALUES):
            if n % 3 == 0:
                c.call("PEXPIREAT", key, FAR_MS + n)
        c.call("SADD", "set:compact", "a", "b", "1", "22")
        for key, fields in (("mortal:few", 3), ("mortal:many", 5000)):
            c.call("HSET", key, *(word for n in range(fields) for word in (f"f{n}", f"v{n}")))
            for n in range(0, fields, 2):
                c.call("HPEXPIREAT", key, FAR_MS + n * n, "FIELDS", 1, f"f{n}")
        c.call("HSET", "mortal:long", "a", "x" * 3000, "b", "y")
        c.call("HPEXPIREAT", "mortal:long", FAR_MS, "FIELDS", 1, "a")
        c.call("PEXPIREAT", "mortal:few", FAR_MS)
        c.call("FUNCTION", "LOAD", "REPLACE", LIBRARY)
        c.call("SELECT", 7)
        c.call("SET", "elsewhere", "1", "PXAT", FAR_MS)
        c.call("HSET", "mortal:elsewhere", "f", "v")
        c.call("HPEXPIREAT", "mortal:elsewhere", FAR_MS, "FIELDS", 1, "f")


ONLY_IN_VALKEY = (
    "SET a 1",
    "SET a 2 IFEQ 1 EX 1000",
    "SET a 3 KEEPTTL IFEQ 2",
    "MSETEX 2 b 1 c 2 PX 1000000",
    "MSETEX 1 b 2 XX KEEPTTL",
    "DELIFEQ c 2",
)


def write(server: Server, more: tuple[str, ...] = ()) -> None:
    """What is done to hashes with fields that die, and to keys that die, in every way that both have; and `more`."""
    with server.connect() as c:
        for line in (
            *more,
            "HSET h a 1 b 2 c 3 d 4 e 5",
            "HEXPIRE h 1000 FIELDS 2 a b",
            "HPEXPIRE h 100000 NX FIELDS 2 b c",
            "HEXPIREAT h 4000000000 GT FIELDS 1 a",
            "HPERSIST h FIELDS 1 b",
            "HSETEX h EX 5000 FIELDS 2 f 6 g 7",
            "HSETEX h KEEPTTL FIELDS 1 f 66",
            "HSETEX h FNX PX 5000000 FIELDS 1 i 9",
            "HGETEX h PXAT 4000000000001 FIELDS 2 d g",
            "HGETEX h PERSIST FIELDS 1 d",
            "HGETDEL h FIELDS 1 e",
            "HINCRBY h a 5",
            "HSET h c 33",
            "HDEL mortal:many f0 f1 f2",
            "HEXPIRE mortal:many 0 FIELDS 1 f3",
            f"HSETEX whole PX {SOON_MS} FIELDS 2 a 1 b 2",
            "HSET part a 1 b 2 c 3",
            f"HPEXPIRE part {SOON_MS} FIELDS 2 a b",
            "RENAME mortal:few mortal:moved",
            "COPY mortal:long mortal:copied",
            f"SET short lived PX {SOON_MS}",
            "INCRBYFLOAT float 0.1",
            "ZADD scores 0.1 a 1e21 b",
            "ZINCRBY scores 0.2 a",
            "XADD stream:groups * same 1",
            "XREADGROUP GROUP first carl COUNT 3 STREAMS stream:groups >",
            "XAUTOCLAIM stream:groups first dora 0 100001-0 COUNT 5",
            "EVAL redis.call('SET','n',ARGV[1])redis.call('HPEXPIRE','h',9000,'FIELDS',1,'a') 0 1.5",
            "MULTI",
            "SPOP set:table 3",
            "HSETEX h PX 77777 FIELDS 1 m 1",
            "EXEC",
        ):
            reply = c.ask(*line.split(" "))
            assert not reply.is_error, (line, reply.raw)
    time.sleep(2 * SOON_MS / 1000)
    wait_until(lambda: server.call("EXISTS", "short", "whole") == 0, "the keys are dead")
    wait_until(lambda: server.call("HLEN", "part") == 1, "the fields are dead")


def same_after_stream(replica: Server, primary: Server) -> None:
    caught_up(replica, primary)
    found, expected = (without(contents(server), b"seen-time", b"active-time") for server in (replica, primary))
    assert differences(found, expected) == []


@both_peers
def test_their_file_is_loaded(fleet: Fleet, kind: str) -> None:
    theirs, ours = fleet.peer(kind), fleet.ours()
    build(theirs)
    theirs.call("SAVE")
    ours.kill()
    (ours.directory / "dump.rdb").write_bytes((theirs.directory / "dump.rdb").read_bytes())
    ours.start()
    assert differences(contents(ours), contents(theirs)) == []


@both_peers
def test_our_file_is_loaded_by_them(fleet: Fleet, kind: str) -> None:
    """Hashes with fields that die are written as Redis does in files: Valkey cannot read those."""
    theirs, ours = fleet.peer(kind), fleet.ours()
    build(ours)
    if kind == "valkey":
        ours.call("DEL", "mortal:few", "mortal:many", "mortal:long")
        with ours.connect() as connection:
            connection.call("SELECT", 7)
            connection.call("DEL", "mortal:elsewhere")
    ours.call("SAVE")
    theirs.kill()
    (theirs.directory / "dump.rdb").write_bytes((ours.directory / "dump.rdb").read_bytes())
    theirs.start()
    found, expected = (without(contents(server), b"active-time") for server in (theirs, ours))
    assert differences(found, expected) == []


@both_peers
def test_their_payloads_are_restored(fleet: Fleet, kind: str) -> None:
    theirs, ours = fleet.peer(kind), fleet.ours()
    build(theirs)
    expected = contents(theirs)
    with theirs.connect() as source, ours.connect() as target:
        for key, (_, at_ms, _) in ((key, each) for key, each in expected.items() if key != "libraries"):
            for connection in (source, target):
                connection.call("SELECT", key[0])
            payload = source.call("DUMP", key[1])
            assert target.call("RESTORE", key[1], max(at_ms, 0), payload, "ABSTTL") == b"OK"
        target.call("FUNCTION", "RESTORE", source.call("FUNCTION", "DUMP"))
    assert differences(contents(ours), expected) == []


@both_peers
@pytest.mark.parametrize("ours_first", [True, False], ids=["our primary", "their primary"])
@pytest.mark.parametrize("way", ["one channel", "through a file", "own channel for the snapshot"])
def test_replication(fleet: Fleet, kind: str, ours_first: bool, way: str) -> None:
    """All data, then the stream, then a broken link, then a replica that is made a primary."""
    directives = {"repl_diskless_sync_delay": "0", "repl_diskless_sync": "no" if way == "through a file" else "yes"}
    own_channel = {"valkey": "dual_channel_replication_enabled", "redis-8": "repl_rdb_channel"}[kind]
    extra = {own_channel: "yes"} if way.startswith("own") else {}
    theirs, ours = fleet.peer(kind, **directives, **extra), fleet.ours(**directives)
    primary, replica = (ours, theirs) if ours_first else (theirs, ours)
    build(primary)
    follow(replica, primary)
    caught_up(replica, primary)
    assert differences(contents(replica), contents(primary)) == []

    write(primary, ONLY_IN_VALKEY if kind == "valkey" else ())
    same_after_stream(replica, primary)

    primary.call("CLIENT", "KILL", "TYPE", "replica")
    primary.call("HSETEX", "after", "EX", 1000, "FIELDS", 1, "f", "v")
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is whole again")
    same_after_stream(replica, primary)
    assert primary.info("stats")["sync_full"] == "1"
    assert primary.info("stats")["sync_partial_ok"] == "1"
    assert replica.info("stats")["unexpected_error_replies"] == "0"

    replica.call("REPLICAOF", "NO", "ONE")
    replica.call("HSET", "after", "g", "w")
    follow(primary, replica)
    same_after_stream(primary, replica)
    assert replica.info("stats")["sync_partial_ok"] == "1"


@needs("valkey", "redis-8", "redis")
def test_replicas_of_all_kinds_at_once(fleet: Fleet) -> None:
    """Each gets the snapshot that it understands, though all ask at the same time."""
    ours = fleet.ours(repl_diskless_sync_delay="1")
    replicas = [fleet.peer("valkey"), fleet.peer("redis-8"), fleet.ours("replica"), fleet.peer("valkey", "second")]
    build(ours)
    for replica in replicas:
        replica.call("REPLICAOF", "127.0.0.1", ours.port)
    for replica in replicas:
        wait_until(lambda r=replica: r.info("replication")["master_link_status"] == "up", f"{replica.name}", 30)
        caught_up(replica, ours)
        assert differences(contents(replica), contents(ours)) == [], replica.name
