"""What the stream of writes holds: units, databases, deletions of dead and evicted keys, and no more."""

from __future__ import annotations

import gc

import pytest

from node.engine.memory.alloc import mem_used
from tests.support.embedded import Embedded
from tests.support.resp import parse_all

# commands of one client, one after the other | what a replica is sent
CASES = [
    (["SET k v"], ["SELECT 0", "SET k v"]),
    (["SET k v", "SET l w"], ["SELECT 0", "SET k v", "SET l w"]),
    (["SELECT 3", "SET k v", "SELECT 0", "SET k v"], ["SELECT 3", "SET k v", "SELECT 0", "SET k v"]),
    (["GET k", "DEL k", "SREM s x", "LPUSHX l x", "PERSIST k"], []),
    (["SET k v", "APPEND k", "LPUSH k x"], ["SELECT 0", "SET k v"]),  # errors
    (["MULTI", "EXEC"], []),
    (["MULTI", "SET k v", "DISCARD"], []),
    (["MULTI", "GET k", "DEL k", "EXEC"], []),
    (["MULTI", "GET k", "SET k v", "EXEC"], ["SELECT 0", "SET k v"]),
    (["MULTI", "SET k 1", "GET k", "INCR k", "EXEC"], ["MULTI", "SELECT 0", "SET k 1", "INCR k", "EXEC"]),
    (
        ["MULTI", "SET k 1", "SELECT 2", "SET k 2", "EXEC", "SET k 3"],
        ["MULTI", "SELECT 0", "SET k 1", "SELECT 2", "SET k 2", "EXEC", "SET k 3"],
    ),
    (["MULTI", "SET k 1", "LPUSH k x", "INCR k", "EXEC"], ["MULTI", "SELECT 0", "SET k 1", "INCR k", "EXEC"]),
    (["PUBLISH c m"], ["SELECT 0", "PUBLISH c m"]),
    (["FLUSHALL", "FLUSHDB ASYNC"], ["SELECT 0", "FLUSHALL", "FLUSHDB ASYNC"]),
    (["PFADD h a", "PFCOUNT h", "PFCOUNT h"], ["SELECT 0", "PFADD h a", "PFCOUNT h"]),
    (["SWAPDB 0 1"], ["SELECT 0", "SWAPDB 0 1"]),
]


class Recorder:
    """A reader of the stream."""

    def __init__(self, node: Embedded) -> None:
        self.data = b""
        self.node = node
        node.core.stream.attach(self.take)

    def take(self, data: bytes) -> None:
        self.data += data

    @property
    def commands(self) -> list[str]:
        self.node.core.engine.before_replies()
        frames, rest = parse_all(self.data)
        assert rest == b""
        return [b" ".join(frame.value).decode() for frame in frames]


@pytest.fixture
def node() -> Embedded:
    gc.collect()  # what nodes of other tests still have is used memory of this process, too, until it is collected
    return Embedded()


@pytest.fixture
def stream(node: Embedded) -> Recorder:
    return Recorder(node)


@pytest.mark.parametrize(("typed", "sent"), CASES, ids=lambda lines: "; ".join(lines))
def test_commands(node: Embedded, stream: Recorder, typed: list[str], sent: list[str]) -> None:
    client = node.client()
    for line in typed:
        client(*line.split())
    assert stream.commands == sent
    assert node.core.stream.offset == len(stream.data)


def test_a_key_that_is_found_dead_is_deleted_together_with_what_found_it(node: Embedded, stream: Recorder) -> None:
    client = node.client()
    node.core.space.active_expire = False
    client("SET", "k", "1", "PX", "10")
    node.advance(11)
    client("INCR", "k")
    assert stream.commands[2:] == ["MULTI", "DEL k", "INCR k", "EXEC"]


@pytest.mark.parametrize("lazy", [False, True])
def test_reading_a_dead_key_deletes_it_on_replicas(node: Embedded, stream: Recorder, lazy: bool) -> None:
    client = node.client()
    client("CONFIG", "SET", "lazyfree-lazy-expire", "yes" if lazy else "no")
    client("SET", "k", "1", "PX", "10")
    node.advance(11)
    assert client("GET", "k") is None
    assert stream.commands[2:] == ["UNLINK k" if lazy else "DEL k"]


def test_keys_found_dead_on_a_walk_go_one_by_one(node: Embedded, stream: Recorder) -> None:
    client = node.client()
    for key in ("a", "b", "c", "d"):
        client("SET", key, "1", "PX", "10")
    node.advance(11)
    client("SCAN", "0", "COUNT", "100")
    assert sorted(stream.commands[5:]) == ["DEL a", "DEL b", "DEL c", "DEL d"]
    client("SET", "e", "1", "PX", "10")
    client("SET", "f", "1", "PX", "10")
    node.advance(11)
    node.core.space.expire_some(10_000)
    assert sorted(stream.commands[11:]) == ["DEL e", "DEL f"]


def test_what_is_evicted_is_deleted_before_the_command_that_needs_the_room(node: Embedded, stream: Recorder) -> None:
    client = node.client()
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    for key in ("a", "b", "c"):
        client("SET", key, "x" * 2_000_000)
    client("CONFIG", "SET", "maxmemory", str(mem_used() - 1_000_000))
    client("SET", "k", "v")
    sent = stream.commands
    evicted = [line for line in sent if line.startswith("DEL ")]
    assert evicted
    assert sent[-1] == "SET k v"
    assert "MULTI" not in sent


def test_each_client_that_waited_is_a_unit(node: Embedded, stream: Recorder) -> None:
    first, second, other = node.client(), node.client(), node.client()
    first.send("BLMPOP", "0", "1", "l", "LEFT", "COUNT", "2")
    second.send("BLMOVE", "l", "m", "LEFT", "RIGHT", "0")
    other("RPUSH", "l", "a", "b", "c")
    assert first.take() == [b"l", [b"a", b"b"]]
    assert stream.commands == ["SELECT 0", "RPUSH l a b c", "LPOP l 2", "LMOVE l m LEFT RIGHT"]


def test_a_reader_that_comes_later_begins_with_a_database(node: Embedded, stream: Recorder) -> None:
    client = node.client()
    client("SET", "k", "1")
    late = Recorder(node)
    client("SET", "k", "2")
    assert late.commands == ["SELECT 0", "SET k 2"]
    assert stream.commands == ["SELECT 0", "SET k 1", "SELECT 0", "SET k 2"]


def test_nothing_is_collected_while_nobody_reads(node: Embedded) -> None:
    client = node.client()
    stream = Recorder(node)
    node.core.stream.detach(stream.take)
    client("SET", "k", "v", "EX", "10")
    assert not node.core.engine.propagating
    assert node.core.stream.offset == 0
    assert client.session.effects is None
