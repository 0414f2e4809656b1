"""The append-only file of a node on a disk that fails on purpose: what is written, when, and what is left of it."""

from __future__ import annotations

import errno
import re
from typing import Any

import pytest

from node.commands.server.digest import of_databases
from node.config import Config
from node.engine.durable.rdb import Malformed
from node.persistence.aof.appendonly import State
from node.persistence.aof.convert import Converter
from node.persistence.snapshots import Next
from node.ports.steps import CannotLoad
from tests.support.aof_disk import Died, MemoryDisk
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.resp import pack

FOLDER = "appendonlydir/appendonly.aof"
FULL = OSError(errno.EIO, "Input/output error")

WRITES = [
    "SET a 1", "SETEX b 100 x", "APPEND a 2", "RPUSH l x y z", "LPOP l", "HSET h f v g w",
    "HPEXPIRE h 500000 FIELDS 1 g", "SADD s 1 2 3", "SADD t x y",
    "ZADD z 1.5 m -inf n", "SELECT 3", "SET a other", "PEXPIRE a 100000", "SELECT 0", "MULTI", "INCR n", "INCR n",
    "EXEC", "XADD x 1-1 f v", "XADD x 2-1 f v", "XADD y 5-0 f v", "XDEL y 5-0", "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS x >", "XGROUP CREATECONSUMER x g idle", "XGROUP CREATE y h $", "SPOP s",
    "PFADD hll a b c",
]  # fmt: skip


class Node(Embedded):
    """A node that logs. `log_lines` are its messages."""

    def __init__(self, disk: MemoryDisk, **directives: object) -> None:
        config = Config()
        for name, value in {"appendonly": True, **directives}.items():
            config.put(name.replace("_", "-"), value)
        super().__init__(config=config, aof=disk)
        self.log_lines: list[str] = []
        self.core.log.sink, self.core.log.level = lambda mark, text: self.log_lines.append(text), "verbose"
        self.disk = disk

    def start(self) -> Node:
        for _ in self.core.aof_loading.steps():
            pass
        self.core.aof.open()
        return self

    def told(self) -> dict[str, Any]:
        """INFO persistence."""
        return dict(self.core.figures().fields("persistence"))

    def run(self, *lines: str) -> EmbeddedClient:
        """Commands of one client, one after the other."""
        client = self.client()
        for line in lines:
            client.send(*line.split())
        return client

    def turn(self) -> None:
        """What the socket driver does before it sends."""
        self.core.engine.before_replies()

    def snapshot(self) -> None:
        """Let the snapshots come to their end, and the disk with them."""
        while self.core.snapshots.step(1000) is not Next.NEVER:
            self.disk.work()
        self.disk.work()
        self.disk.work()

    @property
    def digest(self) -> str:
        return of_databases(self.core.space.dbs).hex()


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


def again(disk: MemoryDisk, **directives: object) -> Node:
    """The node that starts on what is left."""
    return Node(disk, **directives).start()


def last(disk: MemoryDisk, number: int = 1) -> bytes:
    return bytes(disk.files[f"{FOLDER}.{number}.incr.aof"])


# What is written, and when.


def test_every_write_is_in_the_file_before_its_reply_is_sent(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.run("SET k v", "GET k", "SELECT 2", "INCR n")
    assert last(disk) == pack(["SELECT", "0"]) + pack(["SET", "k", "v"]) + pack(["SELECT", "2"]) + pack(["INCR", "n"])


@pytest.mark.parametrize("preamble", [True, False])
def test_all_types_come_back(disk: MemoryDisk, preamble: bool) -> None:
    node = Node(disk, aof_use_rdb_preamble=preamble, appendfsync="always").start()
    node.run(*WRITES)
    disk.crash()
    second = again(disk, aof_use_rdb_preamble=preamble)
    assert second.digest == node.digest
    second.run("BGREWRITEAOF", "SET later 1")
    second.snapshot()
    third = again(disk)
    assert third.digest == second.digest
    assert third.run("HPEXPIRETIME h FIELDS 2 f g").take() == [-1, 1_500_000]
    if preamble:  # RDB of 7.0 has no room for when a consumer was active last: it comes back as when it was seen.
        node.core.space.dbs[0].get(b"x").group(b"g").consumer(b"idle").active_ms = 1_000_000
    groups = third.run("XINFO STREAM x FULL").take()
    assert groups == node.run("XINFO STREAM x FULL").take()
    assert third.run("XINFO STREAM y").take() == node.run("XINFO STREAM y").take()


@pytest.mark.parametrize(("policy", "kept"), [("always", b"2"), ("everysec", None), ("no", None)])
def test_a_machine_that_dies_keeps_what_was_flushed(disk: MemoryDisk, policy: str, kept: bytes | None) -> None:
    Node(disk, appendfsync=policy).start().run("INCR n", "INCR n")
    disk.crash()
    assert again(disk).run("GET n").take() == kept


def test_always_flushes_once_for_all_clients_of_a_turn(disk: MemoryDisk) -> None:
    node = Node(disk, appendfsync="always").start()
    before = disk.syncs
    clients = [node.client() for _ in range(5)]
    for client in clients:
        client.session.input(pack(["INCR", "n"]))
    node.turn()
    assert disk.syncs == before + 1


def test_everysec_flushes_in_the_background_once_a_second(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.advance(1000)
    node.run("INCR n")
    disk.work()
    node.run("INCR n")
    node.advance(100)
    disk.work()
    assert disk.durable[f"{FOLDER}.1.incr.aof"].count(b"INCR") == 1
    node.advance(1000)  # nothing is written any more, and still the last second is flushed
    disk.work()
    assert disk.durable[f"{FOLDER}.1.incr.aof"].count(b"INCR") == 2


def test_a_write_waits_for_a_flush_that_is_under_way_but_not_for_ever(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.advance(1000)
    node.run("INCR n")  # begins a flush, which does not end
    node.run("INCR n")
    assert last(disk).count(b"INCR") == 1
    assert int(node.told()["aof_buffer_length"]) > 0
    node.advance(1900)
    assert last(disk).count(b"INCR") == 1
    node.advance(200)
    assert last(disk).count(b"INCR") == 2
    assert node.told()["aof_delayed_fsync"] == 1


def test_no_flush_during_a_rewrite_if_so_configured(disk: MemoryDisk) -> None:
    node = Node(disk, appendfsync="always", no_appendfsync_on_rewrite=True).start()
    node.run("SET k v", "BGREWRITEAOF")
    before = disk.syncs
    node.run("INCR n")
    assert disk.syncs == before
    node.snapshot()
    node.run("INCR n")
    assert disk.syncs > before


def test_times(disk: MemoryDisk) -> None:
    node = Node(disk, aof_timestamp_enabled=True, appendfsync="no").start()
    node.run("INCR n", "INCR n")
    node.advance(1000)
    node.run("INCR n")
    assert re.findall(rb"#TS:\d+|INCR", last(disk)) == [b"#TS:1000", b"INCR", b"INCR", b"#TS:1001", b"INCR"]
    assert again(disk).run("GET n").take() == b"3"


def test_waitaof_waits_for_the_disk(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.advance(1000)
    client = node.run("INCR n", "INCR n")
    client.take(), client.take()
    other = node.client()
    assert other("WAITAOF", "1", "0", "0") == [1, 0]  # it has written nothing
    client.send("WAITAOF", "1", "0", "0")
    assert client.take() is None
    disk.work()  # the first of the two: the other was written while it was flushed
    node.advance(100)
    assert client.take() is None
    node.advance(1000)
    disk.work()
    assert client.take() == [1, 0]
    assert client("WAITAOF", "1", "1", "5") is None
    node.advance(10)
    assert client.take() == [1, 0]


def test_waitaof_where_it_makes_no_sense(disk: MemoryDisk) -> None:
    node = Node(disk, appendonly=False)
    off = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
    assert str(node.run("WAITAOF 1 0 0").take()) == off
    assert "value must between 0 and 1" in str(node.run("WAITAOF 2 0 0").take())
    assert "must be positive" in str(node.run("WAITAOF 0 -1 0").take())
    assert "timeout is negative" in str(node.run("WAITAOF 0 0 -1").take())
    assert node.run("WAITAOF 0 0 0").take() == [0, 0]


# Rewriting.


def test_what_is_written_during_a_rewrite_is_in_its_increment(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.run("SET k 1", "INCR k")
    assert node.run("BGREWRITEAOF").take() == b"Background append only file rewriting started"
    assert "already in progress" in str(node.run("BGREWRITEAOF").take())
    node.run("INCR k")
    node.snapshot()
    assert sorted(disk.files) == [f"{FOLDER}.2.base.rdb", f"{FOLDER}.2.incr.aof", f"{FOLDER}.manifest"]
    assert again(disk).run("GET k").take() == b"3"


def test_a_rewrite_that_is_cut_short_loses_nothing(disk: MemoryDisk) -> None:
    node = Node(disk, appendfsync="always").start()
    node.run("SET k 1", "BGREWRITEAOF", "INCR k")
    disk.crash()
    second = again(disk)
    assert second.run("GET k").take() == b"2"
    assert [part.name for part in second.core.aof.parts.manifest.parts][1:] == [
        "appendonly.aof.1.incr.aof",
        "appendonly.aof.2.incr.aof",
    ]


def test_failing_rewrites_hold_back(disk: MemoryDisk) -> None:
    node = Node(disk, auto_aof_rewrite_percentage=1, auto_aof_rewrite_min_size=1).start()
    node.run("SET k v")
    for _ in range(10):
        node.advance(100)
        if node.core.aof.rewriting:
            disk.room = 0
            node.snapshot()
            disk.room = 1 << 40
    told = node.told()
    assert (told["aof_rewrites"], told["aof_rewrites_consecutive_failures"]) == (3, 3)
    assert told["aof_last_bgrewrite_status"] == "err"
    assert sum("triggered the limit, will retry in 1 minutes" in line for line in node.log_lines) == 1
    node.advance(60_000)
    assert node.core.aof.rewriting
    node.snapshot()
    assert node.told()["aof_rewrites_consecutive_failures"] == 0


def test_growth_starts_a_rewrite(disk: MemoryDisk) -> None:
    node = Node(disk, auto_aof_rewrite_min_size=1000).start()
    node.run("SET k " + "x" * 500)
    node.advance(100)
    assert not node.core.aof.rewriting
    node.run("SET k " + "y" * 500)
    node.advance(100)
    assert node.core.aof.rewriting
    node.snapshot()
    node.advance(100)
    assert not node.core.aof.rewriting


# On and off.


def test_switched_on_it_begins_with_a_rewrite(disk: MemoryDisk) -> None:
    node = Node(disk, appendonly=False)
    node.core.aof_loading.look()
    node.run("SET before 1", "CONFIG SET appendonly yes", "SET during 1")
    assert node.core.aof.state is State.WAITING
    assert f"{FOLDER}.manifest" not in disk.files
    node.snapshot()
    node.run("SET after 1")
    assert node.core.aof.state is State.ON
    assert sorted(disk.files) == [f"{FOLDER}.1.base.rdb", f"{FOLDER}.1.incr.aof", f"{FOLDER}.manifest"]
    assert again(disk).digest == node.digest
    node.run("CONFIG SET appendonly no", "SET unlogged 1")
    assert again(disk).run("EXISTS unlogged").take() == 0


def test_a_first_rewrite_that_fails_leaves_nothing_and_is_tried_again(disk: MemoryDisk) -> None:
    node = Node(disk, appendonly=False)
    node.run("SET before 1", "CONFIG SET appendonly yes", "SET during 1")
    disk.room = 0
    node.snapshot()
    disk.room = 1 << 40
    assert disk.files == {}
    node.run("SET lost? 1")
    node.advance(100)
    node.snapshot()
    assert again(disk).digest == node.digest


def test_a_disk_that_takes_nothing_refuses_to_be_switched_on(disk: MemoryDisk) -> None:
    node = Node(disk, appendonly=False)
    disk.broken = FULL
    reply = node.run("CONFIG SET appendonly yes").take()
    assert "Unable to turn on AOF. Check server logs." in str(reply)
    assert node.core.aof.state is State.OFF
    assert node.run("CONFIG GET appendonly").take() == [b"appendonly", b"no"]


# The disk fails.


def test_a_full_disk_refuses_writes_until_there_is_room(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.run("SET k 1")
    whole = last(disk)
    disk.room = 10
    node.run("SET k 22222222222222222222222")
    assert last(disk) == whole  # what fitted is taken back
    misconf = "MISCONF Errors writing to the AOF file: No space left on device"
    assert misconf in str(node.run("SET k 3").take())
    assert misconf in str(node.run("PING").take())
    assert node.run("GET k").take() == b"22222222222222222222222"
    assert node.told()["aof_last_write_status"] == "err"
    disk.room = 1 << 40
    node.advance(1000)
    disk.work()
    assert node.run("SET l 4").take() == b"OK"
    assert again(disk).digest == node.digest
    assert "AOF write error looks solved, Redis can write again." in node.log_lines


def test_what_waits_for_the_disk_is_not_in_a_base_too(disk: MemoryDisk) -> None:
    """No rewrite begins before it is written: the increment behind the new base would add it again, to database 0."""
    node = Node(disk).start()
    node.run("SELECT 5", "APPEND n short")
    disk.room = 10
    node.run("SELECT 5", "APPEND n " + "x" * 1000)
    disk.room = 500  # enough for a manifest and a base
    assert "Can't execute an AOF background rewriting" in str(node.run("BGREWRITEAOF").take())
    assert "Can't rewrite append only file in background: No space left on device" in node.log_lines
    disk.room = 1 << 40
    node.advance(1000)
    assert node.run("BGREWRITEAOF").take() == b"Background append only file rewriting started"
    node.snapshot()
    assert again(disk).digest == node.digest
    assert again(disk).core.space.dbs[5].get(b"n") == b"short" + b"x" * 1000


def test_what_cannot_be_taken_back_is_gone_on_with(disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(disk).start()

    def truncate(path: str, size: int) -> None:
        raise FULL

    monkeypatch.setattr(disk, "truncate", truncate)
    disk.room = 10
    node.run("SET k 1")
    disk.room = 1 << 40
    node.advance(1000)
    assert last(disk) == pack(["SELECT", "0"]) + pack(["SET", "k", "1"])


@pytest.mark.parametrize("what", ["broken", "sync_broken"])
def test_under_always_the_node_ends_rather_than_promise(disk: MemoryDisk, what: str) -> None:
    node = Node(disk, appendfsync="always").start()
    setattr(disk, what, FULL)
    with pytest.raises(Died):
        node.run("SET k v")
    assert "Exiting..." in node.log_lines[-1]


def test_a_flush_that_fails_refuses_writes(disk: MemoryDisk) -> None:
    node = Node(disk).start()
    node.advance(1000)
    disk.sync_broken = FULL
    node.run("SET k v")
    disk.work()
    node.advance(100)
    assert "MISCONF Errors writing to the AOF file: Input/output error" in str(node.run("SET k w").take())
    disk.sync_broken = None
    node.advance(1000)
    disk.work()
    node.advance(100)
    assert node.run("SET k w").take() == b"OK"


# Loading.


def logged(disk: MemoryDisk, data: bytes) -> MemoryDisk:
    disk.files[f"{FOLDER}.manifest"] = bytearray(b"file appendonly.aof.1.incr.aof seq 1 type i\n")
    disk.files[f"{FOLDER}.1.incr.aof"] = bytearray(data)
    return disk


SET = pack(["SET", "k", "v"])
MULTI = pack(["MULTI"])


def test_a_file_may_end_anywhere(disk: MemoryDisk) -> None:
    whole = SET + MULTI + pack(["SET", "l", "w"]) + pack(["EXEC"]) + b"#TS:12\r\n" + SET
    ends = [len(SET), len(whole) - len(SET) - 8, len(whole) - len(SET), len(whole)]
    for cut in range(1, len(whole) + 1):
        good = max([end for end in ends if end <= cut], default=0)
        node = again(logged(disk, whole[:cut]))
        assert len(last(disk)) == good, cut
        assert node.run("EXISTS k l").take() == (good > 0) + (good > len(SET))


@pytest.mark.parametrize("tail", [SET[:-1], MULTI + SET])
def test_a_cut_file_is_refused_if_so_configured(disk: MemoryDisk, tail: bytes) -> None:
    with pytest.raises(CannotLoad, match="Unexpected end of file reading the append only file"):
        again(logged(disk, SET + tail), aof_load_truncated=False)
    assert last(disk) == SET + tail


def test_only_the_last_file_may_be_cut(disk: MemoryDisk) -> None:
    logged(disk, SET[:-1])
    disk.files[f"{FOLDER}.manifest"] += b"file appendonly.aof.2.incr.aof seq 2 type i\n"
    disk.files[f"{FOLDER}.2.incr.aof"] = bytearray(SET)
    with pytest.raises(CannotLoad, match="the truncated file is not the last file"):
        again(disk)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (SET + b"!!!" + SET, "Bad file format reading the append only file"),
        (SET + b"SET k v\r\n", "Bad file format"),
        (b"*0\r\n", "Bad file format"),
        (b"*1\r\n+OK\r\n", "Bad file format"),
        (SET + pack(["BLA", "k"]) + SET, "Unknown command 'BLA' reading the append only file"),
        (b"REDIS0010" + b"\xff" * 8, "Unrecoverable error reading the append only file"),
    ],
)
def test_what_is_no_command_is_refused(disk: MemoryDisk, data: bytes, why: str) -> None:
    with pytest.raises(CannotLoad, match=why):
        again(logged(disk, data))
    assert last(disk) == data


def test_a_missing_file_is_named(disk: MemoryDisk) -> None:
    logged(disk, SET)
    del disk.files[f"{FOLDER}.1.incr.aof"]
    with pytest.raises(CannotLoad, match=r"appendonly\.aof\.1\.incr\.aof .*No such file or directory"):
        again(disk)


def test_keys_whose_time_is_over_live_until_all_is_loaded(disk: MemoryDisk) -> None:
    lines = ["RPUSH l x", "PEXPIREAT l 1000", "RPUSH l y", "RPUSH m x", "PEXPIREAT m 1000", "RPUSH m y", "PERSIST m"]
    node = again(logged(disk, b"".join(pack(line.split()) for line in lines)))
    assert node.run("LLEN l").take() == 0
    assert node.run("LRANGE m 0 -1").take() == [b"x", b"y"]


def test_no_gate_stops_what_is_loaded(disk: MemoryDisk) -> None:
    node = again(logged(disk, pack(["SELECT", "1"]) + SET), requirepass="secret", maxmemory=1, min_replicas_to_write=3)
    assert len(node.core.space.dbs[1]) == 1


def test_errors_of_the_file_are_told_and_those_of_clients_are_not(disk: MemoryDisk) -> None:
    commands = b"".join(pack(["SET", f"k{n}", "v" * 1000]) for n in range(200))
    node = Node(logged(disk, commands + pack(["LPUSH", "k1", "x"])))
    for _ in node.core.aof_loading.steps():
        node.run("NOSUCHCOMMAND")
    assert [line for line in node.log_lines if "ended with an error" in line] == [
        "1 commands of appendonly.aof.1.incr.aof ended with an error"
    ]


@pytest.mark.parametrize("preamble", [b"", b"snapshot"])
def test_an_old_single_file_becomes_the_base(disk: MemoryDisk, preamble: bytes) -> None:
    if preamble:
        other = Node(MemoryDisk())
        other.run("SET snapshot 1")
        preamble = b"".join(other.core.saving.pieces())
    disk.files["appendonly.aof"] = bytearray(preamble + SET)
    node = again(disk)
    assert disk.read(f"{FOLDER}.manifest") == (
        b"file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    )
    assert "appendonly.aof" not in disk.files
    assert node.run("EXISTS k snapshot").take() == 1 + bool(preamble)


def test_a_snapshot_becomes_the_same_commands_however_it_is_cut() -> None:
    node = Node(MemoryDisk(), appendonly=False)
    node.run(*WRITES, "RPUSH long " + "word " * 200)
    data = b"".join(node.core.saving.pieces())
    whole = Converter()
    commands = whole.feed(data) + whole.finish()
    assert commands
    words = sorted(commands.split(b"\r\n"))  # members come in the order of their table, which is another each time
    for step in (1, 7, 1000):
        crumbs = Converter()
        out = b"".join(crumbs.feed(data[i : i + step]) for i in range(0, len(data), step)) + crumbs.finish()
        assert sorted(out.split(b"\r\n")) == words
    cut = Converter()
    cut.feed(data[:-9])
    with pytest.raises(Malformed):
        cut.finish()
