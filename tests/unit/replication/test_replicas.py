"""A client becomes a replica: the handshake, the snapshot, the stream, acknowledgements, and the ways it ends."""

from __future__ import annotations

import re

import pytest

from node import flags
from node.config import Config
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.rdb import contents
from tests.support.resp import ErrorReply, parse_all


@pytest.fixture
def node() -> Embedded:
    config = Config()
    config.put("repl-diskless-sync-delay", 0)
    return Embedded(config=config)


def receive(replica: EmbeddedClient) -> None:
    """Let the snapshot come, slice by slice."""
    replica.unread += replica.session.take_output()
    while replica.node.core.snapshots.handles or not replica.session.reader or replica.session.output_bytes:
        replica.node.core.snapshots.step(10_000)
        replica.unread += replica.session.take_output()
        if replica.session.flags & flags.CLOSE:
            replica.unread += replica.session.take_output()
            return
    while data := replica.session.take_output():
        replica.unread += data


def receive_snapshot(replica: EmbeddedClient) -> dict[bytes, object]:
    """Take the file out of what has come, `$<length>` or `$EOF:<mark>` before it: the keys in it."""
    receive(replica)
    head, _, rest = replica.unread.lstrip(b"\n").partition(b"\r\n")
    if head.startswith(b"$EOF:"):
        mark = head.removeprefix(b"$EOF:")
        assert len(mark) == 40
        data, _, replica.unread = rest.partition(mark)
    else:
        size = int(head.removeprefix(b"$"))
        data, replica.unread = rest[:size], rest[size:]
    return contents(data)


def stream(replica: EmbeddedClient) -> list[str]:
    replica.node.core.engine.before_replies()
    frames, replica.unread = parse_all(replica.unread + replica.session.take_output())
    return [b" ".join(frame.value).decode() for frame in frames]


def attach(node: Embedded, port: int = 7000) -> EmbeddedClient:
    replica = node.client()
    assert replica("REPLCONF", "listening-port", port) == b"OK"
    assert replica("REPLCONF", "capa", "eof", "capa", "psync2") == b"OK"
    replica.send("PSYNC", "?", "-1")
    receive(replica)
    head, _, replica.unread = replica.unread.partition(b"\r\n")
    assert re.fullmatch(rb"\+FULLRESYNC [0-9a-f]{40} \d+", head)
    receive_snapshot(replica)
    replica.send("REPLCONF", "ACK", 0)
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


def test_a_primary_without_a_lease_adds_nothing_to_its_stream(node: Embedded) -> None:
    """What it added would not be in its successor's, and cost it a full synchronisation when it comes back."""
    replica = attach(node)
    node.core.engine.set_lease(-1)
    node.core.stream.ask_for_acknowledgement()
    node.advance(10_000)
    assert stream(replica) == []
    node.core.engine.set_lease(None)
    node.advance(10_000)
    assert stream(replica) == ["PING"]


def test_the_last_one_to_go_ends_the_work_after_a_while(node: Embedded) -> None:
    replica = attach(node)
    name = node.core.history.id
    node.client()("CONFIG", "SET", "repl-backlog-ttl", "60")
    node.core.clients.disconnect(replica.session)
    node.advance(60_000)
    assert node.core.engine.propagating
    assert replication(node)["repl_backlog_active"] == "1"
    node.advance(1_000)
    assert not node.core.engine.propagating
    told = replication(node)
    assert (told["connected_slaves"], told["repl_backlog_active"]) == ("0", "0")
    assert told["master_replid"] != name


def test_a_replica_that_returns_goes_on_where_it_was(node: Embedded) -> None:
    client, replica = node.client(), attach(node)
    client("SET", "a", "1")
    assert stream(replica) == ["SELECT 0", "SET a 1"]
    name, offset = node.core.history.id, node.core.stream.offset
    node.core.clients.disconnect(replica.session)
    client("SET", "b", "2")
    back = node.client()
    assert back("REPLCONF", "capa", "psync2") == b"OK"
    back.send("PSYNC", name, offset + 1)
    head, _, back.unread = back.unread.partition(b"\r\n")
    assert head == b"+CONTINUE " + name.encode()
    assert stream(back) == ["SET b 2"]
    assert replication(node)["slave0"].startswith("ip=127.0.0.1,port=0,state=online,")
    assert "sync_partial_ok:1" in node.client()("INFO", "stats").decode()


def test_a_history_under_another_name_cannot_be_gone_on_from(node: Embedded) -> None:
    config = node.core.config
    config.put("enable-debug-command", "yes")
    replica = attach(node)
    name, offset = node.core.history.id, node.core.stream.offset
    assert node.client()("DEBUG", "CHANGE-REPL-ID") == b"OK"
    node.core.clients.disconnect(replica.session)
    back = node.client()
    back.send("PSYNC", name, offset + 1)
    receive(back)
    assert back.unread.startswith(b"+FULLRESYNC " + node.core.history.id.encode())


@pytest.mark.parametrize("ahead", [-1_000_000, 2])
def test_what_the_backlog_does_not_hold_cannot_be_gone_on_from(node: Embedded, ahead: int) -> None:
    client, replica = node.client(), attach(node)
    client("CONFIG", "SET", "repl-backlog-size", "16384")
    for _ in range(100):
        client("SET", "k", "x" * 10_000)
        stream(replica)
    assert 0 < int(replication(node)["repl_backlog_histlen"]) < 16384 * 3
    back = node.client()
    back.send("PSYNC", node.core.history.id, max(1, node.core.stream.offset + ahead))
    receive(back)
    assert back.unread.startswith(b"+FULLRESYNC")


def test_replicas_that_ask_in_time_share_a_snapshot(node: Embedded) -> None:
    node.client()("SET", "k", "v")
    node.client()("CONFIG", "SET", "repl-diskless-sync-delay", "2")
    first, second = node.client(), node.client()
    for replica in (first, second):
        replica.send("REPLCONF", "capa", "eof")
        replica.take()
        replica.send("PSYNC", "?", "-1")
        assert replication(node)["slave0"].startswith("ip=127.0.0.1,port=0,state=wait_bgsave,")
        node.advance(1_000)
    assert len(node.core.snapshots.handles) == 1
    node.client()("SET", "l", "written meanwhile")
    for replica in (first, second):
        receive(replica)
        replica.unread = replica.unread.lstrip(b"\n").partition(b"\r\n")[2]
        assert receive_snapshot(replica) == {b"k": b"v"}
        assert stream(replica) == []  # it has to say first that it has read the snapshot
        replica.send("REPLCONF", "ACK", "0")
        assert stream(replica) == ["SELECT 0", "SET l written meanwhile"]


def test_each_replica_gets_the_form_of_snapshot_that_it_reads(node: Embedded) -> None:
    """Those that ask in time and read the same form share one."""
    logged: list[str] = []
    node.core.log.sink = lambda mark, text: logged.append(text)
    node.client()("CONFIG", "SET", "repl-diskless-sync-delay", "2")
    told = {
        b"REDIS0010": [],
        b"REDIS0011": ["capa", "rdb-channel-repl"],
        b"VALKEY080": ["version", "9.1.2"],
    }
    replicas = [(magic, node.client()) for magic in (*told, *reversed(told))]
    for magic, replica in replicas:
        assert replica("REPLCONF", "capa", "eof", *told[magic]) == b"OK"
        replica.send("PSYNC", "?", "-1")
    node.advance(2_000)
    for magic, replica in replicas:
        receive(replica)
        assert magic in replica.unread
    assert sum("Starting BGSAVE for SYNC" in line for line in logged) == len(told)


def test_a_snapshot_that_nobody_waits_for_is_given_up(node: Embedded) -> None:
    for _ in range(2):
        replica = node.client()
        replica.send("REPLCONF", "capa", "eof")
        replica.send("PSYNC", "?", "-1")
        assert node.core.replicas.sync.active
        node.core.clients.disconnect(replica.session)
        assert not node.core.replicas.sync.active
        assert not node.core.snapshots.handles


def test_waiting_for_replicas(node: Embedded) -> None:
    client, replica = node.client(), attach(node)
    assert client("WAIT", "0", "1000") == 1
    client("SET", "k", "v")
    client.send("WAIT", "1", "1000")
    assert client.take() is None
    assert stream(replica) == ["SELECT 0", "SET k v", "REPLCONF GETACK *"]
    replica.send("REPLCONF", "ACK", node.core.stream.offset)
    assert client.take() == 1
    client("SET", "k", "w")
    client.send("WAIT", "2", "1000")
    node.advance(1_001)
    assert client.take() == 0


def test_replies_wait_for_acknowledgements(node: Embedded) -> None:
    client, replica = node.client(), attach(node)
    assert client("CONFIG", "SET", "min-acks", "1") == b"OK"
    client.send("SET", "k", "v")
    client.send("GET", "k")
    assert client.take() is None
    assert stream(replica)[-1] == "REPLCONF GETACK *"
    assert node.client()("GET", "k") == b"v"
    replica.send("REPLCONF", "ACK", node.core.stream.offset)
    assert (client.take(), client.take()) == (b"OK", b"v")
    client.send("INCR", "n")
    node.advance(4_000)
    replica.send("REPLCONF", "ACK", "1")
    node.advance(2_000)
    assert client.session.flags & flags.CLOSED
    node.core.clients.disconnect(replica.session)
    assert node.client()("SET", "k", "w").startswith("NOREPLICAS")


def test_replies_stay_back_while_the_lease_has_run_out(node: Embedded) -> None:
    """A successor may have been elected without the write before the replica acknowledged it."""
    client, replica = node.client(), attach(node)
    client("CONFIG", "SET", "min-acks", "1")
    client.send("SET", "k", "v")
    node.core.engine.set_lease(-1)
    replica.send("REPLCONF", "ACK", node.core.stream.offset)
    node.advance(100)
    assert client.take() is None
    node.core.engine.set_lease(10_000)
    node.advance(100)
    assert client.take() == b"OK"


def test_who_waits_for_acknowledgements_gets_none_from_a_node_that_becomes_a_replica(node: Embedded) -> None:
    """Nor does it ask for any: a replica's stream holds its primary's bytes alone."""
    client = node.client()
    attach(node)
    client("CONFIG", "SET", "min-acks", "1")
    client.send("SET", "k", "v")
    offset = node.core.stream.offset
    node.core.engine.wants_acks = True
    assert node.client()("REPLICAOF", "there", "1") == b"OK"
    assert client.session.flags & flags.CLOSED
    node.core.engine.before_replies()
    assert node.core.stream.offset == offset


@pytest.mark.parametrize(
    ("asks", "touches_keys"), [("PING", False), ("GET k", True), ("SET k v", True), ("SLOWLOG GET", False)]
)
def test_a_replica_that_asks_for_replies_is_disconnected(node: Embedded, asks: str, touches_keys: bool) -> None:
    log: list[str] = []
    node.core.log.sink = lambda mark, text: log.append(text)
    replica = attach(node)
    replica.send(*asks.split())
    assert stream(replica) == []
    assert replica.session.flags & flags.CLOSE
    name = asks.lower().replace(" k", "").replace(" v", "").replace(" ", "|")
    assert f"Replica generated a reply to command '{name}', disconnecting it: id={replica.session.id}" == log[-1]
    assert any("Replica can't interact with the keyspace" in line for line in log) is touches_keys


def test_a_place_in_the_stream_that_is_no_number_is_refused(node: Embedded) -> None:
    log: list[str] = []
    node.core.log.sink = lambda mark, text: log.append(text)
    assert str(node.client()("PSYNC", "?", "x")) == "ERR value is not an integer or out of range"
    assert log == ["Replica 127.0.0.1:<unknown-replica-port> asks for synchronization but with a wrong offset"]


def test_only_the_data(node: Embedded) -> None:
    """`redis-cli --rdb`: no stream follows."""
    client, tool = node.client(), node.client()
    client("SET", "k", "v")
    assert tool("REPLCONF", "rdb-only", "1") == b"OK"
    tool.send("SYNC")
    assert receive_snapshot(tool) == {b"k": b"v"}
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
        (["REPLCONF", "version", "9.x"], "ERR Unrecognized version format: 9.x"),
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
    receive(replica)
    assert replica.unread.startswith(b"+FULLRESYNC ")
    stats = node.client()("INFO", "stats").decode()
    assert "sync_full:1" in stats
    assert "sync_partial_err:1" in stats


def test_a_sixth_replica_is_served_and_warned_of(node: Embedded) -> None:
    warnings: list[str] = []
    node.core.log.sink = lambda mark, text: warnings.append(text) if mark == "#" else None
    for port in range(7000, 7005):
        attach(node, port)
    assert warnings == []
    attach(node, 7005)
    assert replication(node)["connected_slaves"] == "6"
    assert any("6 replicas are attached: more than 5 slow a primary down" in each for each in warnings)
