"""A client becomes a replica: the handshake, the snapshot, the stream, acknowledgements, and the ways it ends."""

from __future__ import annotations

import re

import pytest

from node import flags
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.rdb import contents
from tests.support.resp import ErrorReply, parse_all


@pytest.fixture
def node() -> Embedded:
    return Embedded()


def receive_snapshot(replica: EmbeddedClient) -> dict[bytes, object]:
    """Take `$<length>` and the file out of what has come: the keys in it."""
    replica.unread += replica.session.take_output()
    head, _, rest = replica.unread.partition(b"\r\n")
    size = int(head.removeprefix(b"$"))
    replica.unread = rest[size:]
    return contents(rest[:size])


def stream(replica: EmbeddedClient) -> list[str]:
    frames, replica.unread = parse_all(replica.unread + replica.session.take_output())
    return [b" ".join(frame.value).decode() for frame in frames]


def attach(node: Embedded, port: int = 7000) -> EmbeddedClient:
    replica = node.client()
    assert replica("REPLCONF", "listening-port", port) == b"OK"
    assert replica("REPLCONF", "capa", "eof", "capa", "psync2") == b"OK"
    replica.send("PSYNC", "?", "-1")
    head, _, replica.unread = replica.unread.partition(b"\r\n")
    assert re.fullmatch(rb"\+FULLRESYNC [0-9a-f]{40} \d+", head)
    receive_snapshot(replica)
    return replica


def replication(node: Embedded) -> dict[str, str]:
    text = node.client()("INFO", "replication").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_the_data_first_and_then_every_write(node: Embedded) -> None:
    client, replica = node.client(), node.client()
    client("SET", "k", "v")
    replica.send("SYNC")
    assert receive_snapshot(replica) == {b"k": b"v"}
    assert stream(replica) == []
    client("SET", "l", "w")
    client("GET", "l")
    assert stream(replica) == ["SELECT 0", "SET l w"]


def test_how_far_a_replica_is(node: Embedded) -> None:
    replica = attach(node, 7001)
    node.client()("SET", "k", "v")
    offset = node.core.stream.offset
    assert offset == len(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert replication(node)["slave0"] == "ip=127.0.0.1,port=7001,state=online,offset=0,lag=0"
    replica.send("REPLCONF", "ACK", offset)
    node.advance(3000)
    assert replication(node)["slave0"] == f"ip=127.0.0.1,port=7001,state=online,offset={offset},lag=3"
    assert replication(node)["master_repl_offset"] == str(offset)
    assert node.client()("ROLE") == [b"master", offset, [[b"127.0.0.1", b"7001", b"%d" % offset]]]
    assert b" flags=S " in node.client()("CLIENT", "LIST")
    assert stream(replica) == ["SELECT 0", "SET k v"]  # an acknowledgement has no reply


def test_a_replica_is_pinged_and_given_up_when_it_is_silent(node: Embedded) -> None:
    replica, old = attach(node), node.client()
    old.send("SYNC")
    receive_snapshot(old)
    node.advance(10_000)
    assert stream(replica) == stream(old) == ["PING"]
    replica.send("REPLCONF", "ACK", 0)
    node.advance(60_000)
    assert replication(node)["connected_slaves"] == "2"
    node.advance(1_000)
    assert list(node.core.replicas.attached) == [old.session]  # which never says anything


def test_the_last_one_to_go_ends_the_work(node: Embedded) -> None:
    replica = attach(node)
    assert node.core.engine.propagating
    node.core.clients.disconnect(replica.session)
    assert not node.core.engine.propagating
    assert replication(node)["connected_slaves"] == "0"


def test_a_replica_that_asks_for_replies_is_disconnected(node: Embedded) -> None:
    replica = attach(node)
    replica.send("GET", "k")
    assert stream(replica) == []
    assert replica.session.flags & flags.CLOSE


def test_only_the_data(node: Embedded) -> None:
    """`redis-cli --rdb`: no stream follows."""
    client, tool = node.client(), node.client()
    client("SET", "k", "v")
    assert tool("REPLCONF", "rdb-only", "1") == b"OK"
    tool.send("SYNC")
    assert receive_snapshot(tool) == {b"k": b"v"}
    assert not node.core.engine.propagating
    assert tool.session.flags & flags.CLOSE


def test_writes_are_refused_while_too_few_replicas_are_in_reach(node: Embedded) -> None:
    client, other = node.client(), node.client()
    client("MULTI")
    client("SET", "k", "v")
    other("CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "5")
    error = "NOREPLICAS Not enough good replicas to write."
    assert client("SET", "k", "v") == error  # also marks the transaction
    assert other("SET", "k", "v") == error
    assert other("GET", "k") is None
    assert client("EXEC").startswith("EXECABORT")
    replica = attach(node)
    assert other("SET", "k", "v") == b"OK"
    node.advance(6_000)
    assert other("SET", "k", "v") == error
    assert replication(node)["min_slaves_good_slaves"] == "0"
    replica.send("REPLCONF", "ACK", "0")
    assert other("SET", "k", "v") == b"OK"
    other("CONFIG", "SET", "min-replicas-to-write", "0")
    node.core.clients.disconnect(replica.session)
    assert other("SET", "k", "v") == b"OK"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["REPLCONF", "listening-port"], "ERR syntax error"),
        (["REPLCONF", "listening-port", "x"], "ERR value is not an integer or out of range"),
        (["REPLCONF", "colour", "red"], "ERR Unrecognized REPLCONF option: colour"),
        (["PSYNC", "?", "x"], "ERR value is not an integer or out of range"),
    ],
)
def test_what_is_refused(node: Embedded, words: list[str], error: str) -> None:
    reply = node.client()(*words)
    assert isinstance(reply, ErrorReply)
    assert reply == error


def test_another_history_is_answered_with_everything(node: Embedded) -> None:
    replica = node.client()
    replica.send("PSYNC", "f" * 40, "17")
    assert replica.unread.startswith(b"+FULLRESYNC ")
    stats = node.client()("INFO", "stats").decode()
    assert "sync_full:1" in stats
    assert "sync_partial_err:1" in stats
