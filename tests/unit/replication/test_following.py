"""A node becomes a replica and a primary again: what clients, waiting clients and dead keys notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node import flags
from node.engine.keyspace.table import Keyspace
from node.persistence.rdb.snapshot import snapshot
from node.ports.disk import NoDisk
from node.ports.primary import Events, Progress
from node.ports.steps import CannotLoad, Steps
from node.replication.following import Following
from tests.support.embedded import Embedded
from tests.support.resp import ErrorReply, pack

ID = "a" * 40


class Files(NoDisk):
    """The disk of a node whose only file is the one that its primary has sent."""

    def __init__(self, primary: Primary) -> None:
        self.primary = primary

    def map(self, name: str) -> bytes | None:
        return self.primary.file


class Primary:
    """The other end of the link of a node: what the node has sent, and what it hears."""

    node: Replica

    def __init__(self) -> None:
        self.heard = b""
        self.file = b""
        self.stated: list[int] = []  # our offset for the cluster, while we load

    @property
    def following(self) -> Following:
        return self.node.core.following

    # Host.

    def connect(self, host: str, port: int, events: Events) -> None:
        self.heard = b""

    def send(self, data: bytes) -> None:
        self.heard += data

    def close(self) -> None:
        pass

    def begin_file(self) -> None:
        self.file = b""

    def store_file(self, data: bytes) -> None:
        self.file += data

    def remove_file(self, name: str) -> None:
        self.removed.append(name)

    def finish_file(self, name: str) -> None:
        pass

    def drop_file(self) -> None:
        pass

    def load(self, steps: Steps[None], progress: Progress, done: Callable[[Exception | None, int], None]) -> None:
        try:
            for _ in steps:
                self.stated.append(self.following.stated_offset)
        except CannotLoad as error:
            done(error, self.node.now_ms)
        else:
            done(None, self.node.now_ms)

    def cancel_load(self) -> None:
        pass

    def read(self, on: bool) -> None:
        pass

    # The conversation.

    def say(self, data: bytes) -> None:
        self.following.carrier.received(data, self.node.now_ms)

    def write(self, *argv: str) -> None:
        self.say(pack(argv))

    def accept(self, answer: bytes = b"") -> None:
        """Take the replica in; with all data (none at all) unless told another answer."""
        self.following.carrier.connected_to(self.node.now_ms)
        self.say(b"+PONG\r\n" + b"+OK\r\n" * 3)
        empty = b"".join(snapshot(Keyspace()))
        self.say(answer or b"+FULLRESYNC %s 100\r\n$%d\r\n%s" % (ID.encode(), len(empty), empty))


class Replica(Embedded):
    """A node that can be connected with a primary."""

    def __init__(self) -> None:
        self.primary = Primary()
        self.primary.node = self
        super().__init__(primary=self.primary, disk=Files(self.primary))

    @property
    def now_ms(self) -> int:
        return self.core.space.now_ms


@pytest.fixture
def node() -> Replica:
    return Replica()


@pytest.fixture
def primary(node: Replica) -> Primary:
    assert node.client()("REPLICAOF", "there", "6379") == b"OK"
    node.primary.accept()
    return node.primary


IMPOSSIBLE = [b"9223372036854775807", b"9223372036854775808", b"9" * 5000, b"-2", b"1x", b"\xc2\xb2"]


@pytest.mark.parametrize("offset", IMPOSSIBLE)
def test_an_offset_that_cannot_be_one_gives_data_to_which_nothing_can_be_added_later(
    node: Replica, offset: bytes
) -> None:
    primary = node.primary
    node.client()("REPLICAOF", "there", "6379")
    file = b"".join(snapshot(node.core.space, {"repl-offset": offset, "ctime": b"9" * 400, "used-mem": b"9" * 400}))
    primary.accept(b"+FULLRESYNC %s %s\r\n$%d\r\n%s" % (ID.encode(), offset, len(file), file))
    primary.write("SET", "k", "v")
    assert node.client()("GET", "k") == b"v"
    assert not primary.following.lineage.resumable
    assert primary.following.connected


@pytest.mark.parametrize("size", [b"9223372036854775808", b"9" * 5000, b"\xc2\xb2", b""])
def test_a_size_that_cannot_be_one_ends_the_link(node: Replica, size: bytes) -> None:
    primary = node.primary
    node.client()("REPLICAOF", "there", "6379")
    primary.accept(b"+FULLRESYNC %s 100\r\n$%s\r\n" % (ID.encode(), size))
    assert not primary.following.connected
    assert node.client()("PING") == b"PONG"


@pytest.mark.parametrize("number", ["9223372036854775807", "9223372036854775808", "9" * 5000, "-9223372036854775809"])
def test_numbers_of_any_size_in_the_stream_end_no_node(node: Replica, primary: Primary, number: str) -> None:
    for request in (
        ["SELECT", number],
        ["REPLCONF", "GETACK", number],
        ["REPLCONF", "ACK", number],
        ["PEXPIREAT", "k", number],
        ["SET", "k", "v", "PXAT", number],
        ["INCRBY", "n", number],
        ["RESTORE", "r", number, "x"],
    ):
        primary.write(*request)
    primary.write("SELECT", "0")
    primary.write("SET", "k", "w")
    assert node.client()("GET", "k") == b"w"


def test_the_stream_is_carried_out_and_counted(node: Replica, primary: Primary) -> None:
    client = node.client()
    assert client("ROLE") == [b"slave", b"there", 6379, b"connected", 100]
    whole = pack(["SET", "k", "v"])
    primary.say(whole[:7])
    assert client("GET", "k") is None
    assert node.core.following.applier.read_offset == 107
    assert node.core.following.applied_offset == 100
    primary.say(whole[7:])
    assert client("GET", "k") == b"v"
    assert node.core.stream.offset == 100 + len(whole)
    assert node.core.history.id == ID


def test_a_transaction_counts_once_it_is_whole(node: Replica, primary: Primary) -> None:
    client = node.client()
    primary.write("MULTI")
    primary.write("SET", "k", "v")
    assert client("GET", "k") is None
    assert node.core.following.applied_offset == 100
    primary.write("EXEC")
    assert client("GET", "k") == b"v"
    parts = (["MULTI"], ["SET", "k", "v"], ["EXEC"])
    assert node.core.stream.offset == 100 + sum(len(pack(part)) for part in parts)


def test_while_other_data_takes_its_place_a_replica_states_no_offset(node: Replica, primary: Primary) -> None:
    primary.following.carrier.lost("reset", primary.node.now_ms)
    assert primary.following.stated_offset == 100
    primary.stated = []
    primary.accept()
    assert set(primary.stated) == {0}
    assert primary.following.stated_offset == 100


def test_it_goes_on_where_the_link_broke(node: Replica, primary: Primary) -> None:
    primary.write("SELECT", "3")
    primary.write("SET", "k", "v")
    primary.say(pack(["SET", "l", "w"])[:9])
    offset = node.core.stream.offset
    primary.following.carrier.lost("reset", primary.node.now_ms)
    primary.following.carrier.connected_to(primary.node.now_ms)
    primary.say(b"+PONG\r\n" + b"+OK\r\n" * 3)
    assert primary.heard.endswith(pack(["PSYNC", ID, str(offset + 1)]))
    primary.say(b"+CONTINUE\r\n" + pack(["SET", "l", "w"]))
    client = node.client()
    client("SELECT", "3")
    assert client("GET", "l") == b"w"


def test_what_stands_before_the_beginning_of_a_transaction_is_not_done_twice(node: Replica, primary: Primary) -> None:
    before, transaction = pack(["INCR", "n"]), pack(["MULTI"]) + pack(["INCR", "m"]) + pack(["EXEC"])
    primary.say(before + transaction[:25])
    assert node.core.stream.offset == 100 + len(before)
    primary.following.carrier.lost("reset", primary.node.now_ms)
    primary.following.carrier.connected_to(primary.node.now_ms)
    primary.say(b"+PONG\r\n" + b"+OK\r\n" * 3)
    assert primary.heard.endswith(pack(["PSYNC", ID, str(101 + len(before))]))
    primary.say(b"+CONTINUE\r\n" + transaction)
    client = node.client()
    assert (client("GET", "n"), client("GET", "m")) == (b"1", b"1")


def test_getack_says_how_far_it_is_without_the_question(node: Replica, primary: Primary) -> None:
    write = pack(["SET", "k", "v"])
    primary.heard = b""
    primary.say(write + pack(["REPLCONF", "GETACK", "*"]))
    assert primary.heard == pack(["REPLCONF", "ACK", str(100 + len(write))])


def test_clients_may_not_write_but_where_it_is_allowed(node: Replica, primary: Primary) -> None:
    client, other = node.client(), node.client()
    assert client("SET", "k", "v") == "READONLY You can't write against a read only replica."
    client("MULTI")
    assert isinstance(client("SET", "k", "v"), ErrorReply)
    assert client("EXEC").startswith("EXECABORT")
    other("CONFIG", "SET", "replica-read-only", "no")
    assert client("SET", "k", "v") == b"OK"


def test_a_transaction_that_was_queued_before_the_node_became_a_replica(node: Replica) -> None:
    client, other = node.client(), node.client()
    client("MULTI")
    client("SET", "k", "v")
    other("REPLICAOF", "there", "1")
    reply = client("EXEC")
    assert reply == "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica."


def test_dead_keys_stay_until_the_primary_deletes_them(node: Replica, primary: Primary) -> None:
    client = node.client()
    primary.write("SET", "k", "5", "PX", "100")
    node.advance(200)
    assert client("GET", "k") is None
    assert client("DBSIZE") == 1
    primary.write("INCR", "k")  # it was alive there when that was done
    primary.write("PERSIST", "k")
    assert client("GET", "k") == b"6"


def test_what_clients_have_written_runs_out_here(node: Replica, primary: Primary) -> None:
    client = node.client()
    client("CONFIG", "SET", "replica-read-only", "no")
    client("SET", "mine", "1", "PX", "100")
    primary.write("SET", "theirs", "1", "PX", "100")
    node.advance(200)
    node.advance(100)
    assert client("DBSIZE") == 1
    assert client("INCR", "theirs") == 1  # the dead one is not in the way of a write
    assert client("TTL", "theirs") == -1


def test_old_data_is_refused_where_that_is_asked_for(node: Replica, primary: Primary) -> None:
    client = node.client()
    client("CONFIG", "SET", "replica-serve-stale-data", "no")
    assert client("GET", "k") is None
    primary.following.carrier.lost("reset", primary.node.now_ms)
    assert client("GET", "k") == (
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    )
    assert client("PING") == "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    assert client("ROLE")[0] == b"slave"
    primary.accept()
    assert client("GET", "k") is None


def test_waiting_clients_are_sent_away(node: Replica) -> None:
    waiting = node.client()
    waiting.send("BLPOP", "q", "0")
    node.client()("REPLICAOF", "there", "1")
    assert waiting.take().startswith("UNBLOCKED force unblock from blocking operation, instance state changed")
    assert waiting.session.flags & flags.CLOSE


@pytest.mark.parametrize("command", [["SET", "k", "v"], ["SETRANGE", "k", "1", "v"]], ids=["native", "in Python"])
def test_min_acks_is_for_clients_of_a_primary(node: Replica, primary: Primary, command: list[str]) -> None:
    """What arrives over the link is acknowledged at once, though the node has a log of its own that hears of it."""
    node.core.stream.attach(lambda *_: None)
    assert node.client()("CONFIG", "SET", "min-acks", "1", "min-acks-timeout", "1000") == b"OK"
    primary.write(*command)
    node.advance(2_000)
    session = node.core.following.sessions.current
    assert session is not None
    assert not session.flags & flags.CLOSED
    assert node.core.stream.offset == 100 + len(pack(command))


def test_a_promoted_replica_keeps_its_data_and_the_name_of_its_past(node: Replica, primary: Primary) -> None:
    client = node.client()
    primary.write("SET", "k", "v")
    offset = node.core.stream.offset
    assert client("REPLICAOF", "no", "one") == b"OK"
    history = node.core.history
    assert (history.second_id, history.second_offset) == (ID, offset + 1)
    assert history.id != ID
    assert client("GET", "k") == b"v"
    assert client("SET", "k", "w") == b"OK"
    assert client("ROLE")[0] == b"master"


def test_a_primary_that_was_promoted_has_another_name(node: Replica, primary: Primary) -> None:
    primary.following.carrier.lost("reset", primary.node.now_ms)
    primary.accept(b"+CONTINUE %s\r\n" % (b"b" * 40))
    assert node.core.history.id == "b" * 40
    assert (node.core.history.second_id, node.core.history.second_offset) == (ID, 101)


def test_a_command_of_the_stream_that_fails_is_told(node: Replica, primary: Primary) -> None:
    primary.write("LPUSH", "l", "x")
    primary.write("INCR", "l")
    text = node.client()("INFO", "stats").decode()
    assert "unexpected_error_replies:1\r\n" in text


def test_a_stream_that_is_none_is_not_gone_on_with(node: Replica, primary: Primary) -> None:
    primary.say(b"*1\r\n!nonsense\r\n")
    primary.following.carrier.connected_to(primary.node.now_ms)
    primary.say(b"+PONG\r\n" + b"+OK\r\n" * 3)
    assert primary.heard.endswith(pack(["PSYNC", "?", "-1"]))


def test_the_link_is_a_client_that_can_be_killed(node: Replica, primary: Primary) -> None:
    client = node.client()
    assert b" flags=M " in client("CLIENT", "LIST", "TYPE", "master")
    assert client("CLIENT", "KILL", "TYPE", "master") == 1
    assert client("ROLE")[3] == b"connecting"
    assert client("CLIENT", "LIST", "TYPE", "master") == b""


def test_a_broken_snapshot_is_no_data(node: Replica, primary: Primary) -> None:
    primary.write("SET", "k", "v")
    primary.following.carrier.lost("reset", primary.node.now_ms)
    primary.accept(b"+FULLRESYNC %s 200\r\n$5\r\nREDIS" % ID.encode())
    assert node.client()("ROLE")[3] == b"connect"
