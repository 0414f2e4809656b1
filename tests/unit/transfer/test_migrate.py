"""MIGRATE of a node whose targets say what the test has them say."""

from __future__ import annotations

from typing import Any

import pytest

from node import flags
from node.config import Config
from node.persistence.rdb.payload import dump_payload
from tests.support.embedded import Embedded
from tests.support.resp import ErrorReply
from tests.support.targets import ScriptedTargets

READING = "IOERR error or timeout reading to target instance"
WRITING = "IOERR error or timeout writing to target instance"
CONNECTING = "IOERR error or timeout connecting to the client"


class World:
    """A node, clients, and targets. `ask` sends a MIGRATE whose client waits."""

    def __init__(self, **directives: str) -> None:
        config = Config()
        config.set([(name.replace("_", "-"), value) for name, value in directives.items()])
        self.targets = ScriptedTargets()
        self.node = Embedded(config=config, targets=self.targets)
        self.targets.now_ms = lambda: self.node.core.space.now_ms
        self.node.replicate()
        self.client, self.other = self.node.client(), self.node.client()
        self.other("SET", "a", "1")
        self.other("SET", "b", "2")
        self.replicated.clear()

    def ask(self, *words: Any) -> None:
        assert self.client("MIGRATE", "there", "7000", *words) is None

    def connect(self) -> None:
        self.targets.last.connect()
        self.targets.last.take()

    def answer(self, data: bytes) -> Any:
        self.targets.last.answer(data)
        return self.client.take()

    @property
    def replicated(self) -> list[list[bytes]]:
        """What replicas have been sent since this was emptied."""
        self.node.core.engine.before_replies()
        return self.node.replicated

    @property
    def held(self) -> bool:
        """Whether anything stands still."""
        core = self.node.core
        states = core.engine.states & (flags.STATE_KEYS_HELD | flags.STATE_OPEN_KEYS_HELD)
        assert bool(states) == bool(len(core.held_keys)) == bool(core.engine.hooks & flags.HOOK_HELD)
        return bool(states)


@pytest.fixture
def world() -> World:
    return World()


def text(reply: Any) -> str:
    assert isinstance(reply, ErrorReply), reply
    return str(reply)


# -- one key


def test_a_key_moves(world: World) -> None:
    world.ask("a", "0", "1000")
    assert (world.targets.last.host, world.targets.last.port) == ("there", 7000)
    world.connect()
    payload = dump_payload(b"1")
    assert world.targets.last.requests() == [[b"SELECT", b"0"], [b"RESTORE", b"a", b"0", payload]]
    assert world.answer(b"+OK\r\n") is None
    assert world.held
    assert world.answer(b"+OK\r\n") == b"OK"
    assert not world.held
    assert world.other("EXISTS", "a") == 0
    assert world.replicated == [[b"DEL", b"a"]]


def test_answers_may_come_in_any_pieces(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    for byte in b"+OK\r\n+OK\r":
        assert world.answer(bytes([byte])) is None
    assert world.answer(b"\n") == b"OK"


def test_what_is_not_there_is_not_moved(world: World) -> None:
    assert world.client("MIGRATE", "there", "7000", "c", "0", "1000") == b"NOKEY"
    assert world.client("MIGRATE", "there", "7000", "", "0", "1000", "KEYS", "c", "d") == b"NOKEY"
    assert not world.targets.made
    assert not world.held


def test_the_time_to_live_goes_along(world: World) -> None:
    world.other("PEXPIRE", "a", "5000")
    world.node.advance(2000)
    world.ask("a", "3", "1000")
    world.connect()
    select, restore = world.targets.last.requests()
    assert select == [b"SELECT", b"3"]
    assert restore[:3] == [b"RESTORE", b"a", b"3000"]


def test_a_key_that_runs_out_before_it_is_sent_is_left_out(world: World) -> None:
    world.other("PEXPIRE", "a", "500")
    world.ask("", "0", "10000", "KEYS", "a", "b")
    world.node.advance(600)
    world.connect()
    assert [each[:2] for each in world.targets.last.requests()] == [[b"SELECT", b"0"], [b"RESTORE", b"b"]]
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.replicated[-1] == [b"DEL", b"b"]


def test_a_key_that_runs_out_on_its_way_has_moved(world: World) -> None:
    world.other("PEXPIRE", "a", "500")
    world.ask("a", "0", "10000")
    world.connect()
    world.node.advance(600)
    assert world.other("GET", "a") is None
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"


def test_if_all_keys_are_gone_before_they_are_sent_nothing_is_to_be_done(world: World) -> None:
    world.ask("a", "0", "1000")
    world.other("FLUSHALL")
    world.connect()
    assert world.answer(b"+OK\r\n") == b"OK"
    assert not world.held


def test_replace_and_copy(world: World) -> None:
    world.ask("a", "0", "1000", "COPY", "REPLACE")
    world.connect()
    assert world.targets.last.requests()[1][-1] == b"REPLACE"
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.other("GET", "a") == b"1"
    assert world.replicated == []


def test_keyspace_notifications_tell_of_it() -> None:
    world = World(notify_keyspace_events="KEA")
    listener = world.node.client()
    listener("PSUBSCRIBE", "__keyevent@0__:*")
    world.ask("a", "0", "1000")
    world.connect()
    assert listener.take() is None
    world.answer(b"+OK\r\n+OK\r\n")
    assert listener.take() == [b"pmessage", b"__keyevent@0__:*", b"__keyevent@0__:del", b"a"]


# -- logging in


@pytest.mark.parametrize(
    ("words", "login"), [(("AUTH", "pw"), [b"AUTH", b"pw"]), (("AUTH2", "me", "pw"), [b"AUTH", b"me", b"pw"])]
)
def test_logging_in(world: World, words: tuple[str, ...], login: list[bytes]) -> None:
    world.ask("a", "0", "1000", *words)
    world.connect()
    assert world.targets.last.requests()[:2] == [login, [b"SELECT", b"0"]]
    assert world.answer(b"+OK\r\n+OK\r\n+OK\r\n") == b"OK"


def test_if_that_is_refused_nothing_has_arrived(world: World) -> None:
    world.ask("a", "0", "1000", "AUTH", "pw")
    world.connect()
    reply = world.answer(b"-WRONGPASS no\r\n+OK\r\n+OK\r\n")
    assert text(reply) == "ERR Target instance replied with error: WRONGPASS no"
    assert world.other("EXISTS", "a") == 1
    assert not world.held


def test_nor_if_the_database_is_refused(world: World) -> None:
    world.ask("a", "99", "1000")
    world.connect()
    reply = world.answer(b"-ERR DB index is out of range\r\n+OK\r\n")
    assert text(reply) == "ERR Target instance replied with error: ERR DB index is out of range"
    assert world.other("EXISTS", "a") == 1


def test_what_one_user_has_opened_is_not_for_another(world: World) -> None:
    world.ask("a", "0", "1000", "AUTH", "pw")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n+OK\r\n")
    world.ask("b", "0", "1000")
    assert len(world.targets.made) == 2


# -- many keys


def test_those_that_were_taken_are_deleted_and_the_first_error_is_told(world: World) -> None:
    world.other("SET", "c", "3")
    world.replicated.clear()
    world.ask("", "0", "1000", "KEYS", "a", "b", "c")
    world.connect()
    reply = world.answer(b"+OK\r\n+OK\r\n-BUSYKEY taken\r\n+OK\r\n")
    assert text(reply) == "ERR Target instance replied with error: BUSYKEY taken"
    assert world.other("EXISTS", "a", "b", "c") == 1
    assert world.replicated == [[b"DEL", b"a", b"c"]]


def test_what_was_taken_before_the_connection_was_lost_is_deleted(world: World) -> None:
    world.ask("", "0", "1000", "KEYS", "a", "b")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.targets.last.lose()
    assert text(world.client.take()) == READING
    assert len(world.targets.made) == 1
    assert world.replicated == [[b"DEL", b"a"]]
    assert not world.held


def test_large_values_go_one_after_another() -> None:
    world = World(rdbcompression="no")
    for key in ("a", "b"):
        world.other("SET", key, "x" * 100_000)
    world.ask("", "0", "1000", "KEYS", "a", "b")
    world.targets.last.connect()
    assert world.targets.last.names() == [b"SELECT", b"RESTORE"]
    world.targets.last.take()
    assert world.targets.last.names() == [b"RESTORE"]
    world.targets.last.take()
    assert world.answer(b"+OK\r\n+OK\r\n+OK\r\n") == b"OK"


# -- connections


def test_a_connection_is_kept_and_chooses_the_database_once(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.ask("b", "0", "1000")
    assert len(world.targets.made) == 1
    assert world.targets.last.names() == [b"SELECT", b"RESTORE", b"RESTORE"]
    assert world.answer(b"+OK\r\n") == b"OK"
    assert dict(world.node.core.figures().fields("stats"))["migrate_cached_sockets"] == 1


def test_after_an_error_the_database_is_chosen_again(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n-BUSYKEY\r\n")
    world.targets.last.requests()
    world.ask("b", "0", "1000")
    assert world.targets.last.names() == [b"SELECT", b"RESTORE"]


def test_it_is_closed_after_ten_seconds(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.node.advance(10_000)
    assert not world.targets.last.closed
    world.node.advance(1)
    assert world.targets.last.closed
    assert world.node.core.transfers.targets.count == 0


def test_no_more_than_64_are_kept(world: World) -> None:
    for number in range(66):
        assert world.client("MIGRATE", f"h{number}", "1", "b", "0", "1000", "COPY") is None
        world.connect()
        assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert [each.closed for each in world.targets.made] == [True, True] + [False] * 64


def test_one_that_was_closed_at_the_other_end_is_replaced_once(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.ask("b", "0", "1000")
    world.targets.last.lose()
    assert len(world.targets.made) == 2
    world.connect()
    assert world.targets.last.names() == [b"SELECT", b"RESTORE"]
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.other("EXISTS", "b") == 0


def test_but_not_twice(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.targets.last.lose()
    world.connect()
    world.targets.last.lose()
    assert text(world.client.take()) == READING
    assert len(world.targets.made) == 2
    assert not world.held
    assert world.other("EXISTS", "a") == 1


def test_an_idle_connection_that_is_lost_is_forgotten(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.targets.last.lose()
    assert world.node.core.transfers.targets.count == 0


def test_one_that_says_what_nobody_asked_is_closed(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.answer(b"+OK\r\n+OK\r\n")
    world.targets.last.answer(b"+OK\r\n")
    assert world.targets.last.closed


def test_two_at_a_time_have_a_connection_each(world: World) -> None:
    world.ask("a", "0", "1000")
    assert world.other("MIGRATE", "there", "7000", "b", "0", "1000") is None
    assert len(world.targets.made) == 2


def test_nobody_can_be_connected_with(world: World) -> None:
    world.ask("a", "0", "1000")
    world.targets.last.lose()
    assert text(world.client.take()) == CONNECTING
    assert len(world.targets.made) == 1
    assert not world.held


# -- time


@pytest.mark.parametrize(
    ("so_far", "error"),
    [
        (lambda target: None, CONNECTING),
        (lambda target: target.connect(), WRITING),
        (lambda target: (target.connect(), target.take()), READING),
    ],
)
def test_time_runs_out(world: World, so_far: Any, error: str) -> None:
    world.ask("a", "0", "700")
    so_far(world.targets.last)
    world.node.core.end_waits(world.node.core.space.now_ms + 699)
    assert world.client.take() is None
    assert world.node.core.end_waits(world.node.core.space.now_ms + 1) is None
    assert text(world.client.take()) == error
    assert world.targets.last.closed
    assert not world.held
    assert world.other("EXISTS", "a") == 1
    assert world.replicated == []


def test_it_is_for_each_step(world: World) -> None:
    world.ask("a", "0", "700")
    world.node.advance(600)
    world.connect()
    world.node.advance(600)
    assert world.answer(b"+OK\r\n") is None
    world.node.advance(600)
    assert world.answer(b"+OK\r\n") == b"OK"


def test_a_second_where_the_client_gives_none(world: World) -> None:
    world.ask("a", "0", "0")
    world.node.advance(999)
    assert world.client.take() is None
    world.node.advance(1)
    assert text(world.client.take()) == CONNECTING


def test_the_last_answer_after_the_time_is_not_heard(world: World) -> None:
    world.ask("a", "0", "700")
    world.connect()
    world.node.advance(700)
    assert text(world.client.take()) == READING
    assert world.targets.last.closed


# -- the keys stand still


def test_writes_wait_and_reads_go_on(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("GET", "a") == b"1"
    assert world.other("SET", "c", "3") == b"OK"
    assert world.other("APPEND", "a", "x") is None
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.other.take() == 1  # it is a new key


def test_those_that_waited_write_to_a_key_that_stays(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("APPEND", "a", "x") is None
    world.node.advance(1000)
    assert text(world.client.take()) == READING
    assert world.other.take() == 2
    assert world.other("GET", "a") == b"1x"


def test_transactions_and_scripts_wait_before_they_begin(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    scripter = world.node.client()
    world.other("MULTI")
    world.other("SET", "c", "3")
    world.other("INCR", "a")
    assert world.other("EXEC") is None
    assert scripter("EVAL", "redis.call('set', 'd', 1) return redis.call('incr', KEYS[1])", "1", "a") is None
    assert world.client is not None
    assert world.node.client()("EXISTS", "c", "d") == 0
    world.answer(b"+OK\r\n-BUSYKEY\r\n")
    assert world.other.take() == [b"OK", 2]
    assert scripter.take() == 3


def test_reads_in_transactions_and_scripts_do_not_wait(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.other("MULTI")
    world.other("GET", "a")
    assert world.other("EXEC") == [b"1"]
    assert world.other("EVAL_RO", "return redis.call('get', KEYS[1])", "1", "a") == b"1"


def test_a_second_migrate_of_the_same_key_waits(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("MIGRATE", "elsewhere", "1", "", "0", "1000", "KEYS", "b", "a") is None
    assert len(world.targets.made) == 1
    world.answer(b"+OK\r\n+OK\r\n")
    assert world.targets.last.host == "elsewhere"
    world.connect()
    assert [each[1] for each in world.targets.last.requests()] == [b"0", b"b"]


def test_the_same_name_in_another_database_is_another_key(world: World) -> None:
    world.ask("a", "0", "1000")
    world.other("SELECT", "1")
    assert world.other("SET", "a", "x") == b"OK"


def test_a_script_that_does_not_name_its_keys_keeps_them_here(world: World) -> None:
    world.ask("", "0", "1000", "KEYS", "a", "b")
    world.connect()
    assert world.other("EVAL", "return redis.call('incr', 'a')", "0") == 2
    world.replicated.clear()
    reply = world.answer(b"+OK\r\n+OK\r\n+OK\r\n")
    assert text(reply) == "TRYAGAIN Keys changed while they were on their way, and stay here"
    assert world.other("GET", "a") == b"2"
    assert world.replicated == [[b"DEL", b"b"]]


def test_a_change_before_the_key_was_sent_is_sent_with_it(world: World) -> None:
    world.ask("a", "0", "1000")
    world.other("EVAL", "return redis.call('incr', 'a')", "0")
    world.connect()
    assert world.targets.last.requests()[1][3] == dump_payload(b"2")
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"


def test_what_is_flushed_meanwhile_is_gone(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("FLUSHALL") == b"OK"
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.other("DBSIZE") == 0


def test_databases_that_change_places_keep_their_keys(world: World) -> None:
    world.other("SELECT", "1")
    world.other("SET", "a", "of 1")
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("SWAPDB", "0", "1") == b"OK"
    assert text(world.answer(b"+OK\r\n+OK\r\n")).startswith("TRYAGAIN")
    assert world.other("GET", "a") == b"1"


# -- the client, and the node


def test_a_client_that_leaves_changes_nothing(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("CLIENT", "KILL", "ID", str(world.client.session.id)) == 1
    assert world.held
    world.targets.last.answer(b"+OK\r\n+OK\r\n")
    assert world.other("EXISTS", "a") == 0
    assert world.replicated == [[b"DEL", b"a"]]
    assert not world.held


def test_a_client_that_is_unblocked_waits_for_something_else(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("CLIENT", "UNBLOCK", str(world.client.session.id), "ERROR") == 1
    assert text(world.client.take()).startswith("UNBLOCKED")
    assert world.client("BLPOP", "q", "0") is None
    world.targets.last.answer(b"+OK\r\n+OK\r\n")
    assert world.client.take() is None
    assert world.other("EXISTS", "a") == 0


def test_the_next_request_of_the_client_waits_too(world: World) -> None:
    world.ask("a", "0", "1000")
    assert world.client("PING") is None
    world.connect()
    assert world.answer(b"+OK\r\n+OK\r\n") == b"OK"
    assert world.client.take() == b"PONG"


def test_keys_are_deleted_only_when_writes_may_go_on(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    world.other("CLIENT", "PAUSE", "5000", "WRITE")
    assert world.answer(b"+OK\r\n+OK\r\n") is None
    assert world.other("EXISTS", "a") == 1
    assert world.replicated == []
    world.node.advance(4000)
    assert world.client.take() is None
    world.node.advance(1000)
    assert world.client.take() == b"OK"
    assert world.other("EXISTS", "a") == 0


def test_a_node_that_becomes_a_replica_gives_it_up(world: World) -> None:
    world.ask("a", "0", "1000")
    world.connect()
    assert world.other("INCR", "a") is None
    assert world.node.client()("REPLICAOF", "127.0.0.1", "1") == b"OK"
    assert text(world.client.take()).startswith("UNBLOCKED")
    assert world.targets.last.closed
    assert not world.held
    world.node.advance(100)
    assert text(world.other.take()).startswith("READONLY")
    assert world.other("GET", "a") == b"1"


def test_in_transactions_and_scripts_it_is_refused(world: World) -> None:
    refusal = "ERR MIGRATE has to wait for another server, which transactions and scripts cannot"
    world.client("MULTI")
    world.client("MIGRATE", "there", "7000", "a", "0", "1000")
    world.client("MIGRATE", "there", "7000", "c", "0", "1000")
    replies = world.client("EXEC")
    assert (text(replies[0]), replies[1]) == (refusal, b"NOKEY")
    reply = world.client("EVAL", "return redis.call('migrate', 'there', '7000', KEYS[1], '0', '1000')", "1", "a")
    assert text(reply).startswith(refusal)
    assert not world.targets.made
    assert not world.held


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("a", "0", "1000", "KEYS"), "ERR When using MIGRATE KEYS option, the key argument must be set to the empty"),
        (("a", "0", "1000", "AUTH"), "ERR syntax error"),
        (("a", "0", "1000", "AUTH2", "u"), "ERR syntax error"),
        (("a", "0", "1000", "MOVE"), "ERR syntax error"),
        (("a", "0", "x"), "ERR value is not an integer or out of range"),
        (("a", "x", "0"), "ERR value is not an integer or out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, words: tuple[str, ...], error: str) -> None:
    assert text(world.client("MIGRATE", "there", "7000", *words)).startswith(error)
    assert not world.held


def test_a_fault_of_ours_lets_the_keys_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> bytes:
        raise MemoryError

    world.ask("a", "0", "1000")
    monkeypatch.setattr("node.transfer.transfers.dump_payload", fails)
    world.connect()
    assert text(world.client.take()).startswith("ERR internal error")
    assert world.targets.last.closed
    assert not world.held
