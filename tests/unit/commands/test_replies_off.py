"""CLIENT REPLY OFF and SKIP hold for replies that come later than their request, whatever makes them late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node import flags
from node.replication.following import FORCED
from node.requests.pause import NO_END, Reason
from tests.support.embedded import Embedded

LONG = "for i = 1, 3000000 do end return 'done'"
LIBRARY = f"#!lua name=l\nredis.register_function('f', function() {LONG} end)"


class Stage:
    """A node whose clock goes on whenever somebody looks at it, so that scripts are suspended."""

    def __init__(self) -> None:
        self.node = Embedded(suspends=True)
        self.core = self.node.core
        self.clock_us = 1_000_000_000
        self.node.clock.look = self._look_at_clock
        self.client, self.other = self.node.client(), self.node.client()

    def _look_at_clock(self) -> int:
        self.clock_us += 1000
        return self.clock_us

    def end_script(self) -> None:
        slices = 0
        while self.core.scripts.suspended:
            self.core.scripts.go_on()
            # What has been written so far is sent meanwhile.
            self.client.unread += self.client.session.take_output()
            slices += 1
        assert slices > 1

    def received(self) -> bytes:
        self.client.unread += self.client.session.take_output()
        return self.client.unread


def time_runs_out(stage: Stage) -> None:
    assert stage.client.session.blocked is not None
    stage.node.advance(10_000)


def push(stage: Stage) -> None:
    assert stage.client.session.blocked is not None
    stage.other("RPUSH", "k", "x")
    stage.other("ZADD", "z", "1", "x")
    stage.other("XADD", "s", "*", "f", "v")


def another_type(stage: Stage) -> None:
    stage.other("SET", "d", "x")
    stage.other("RPUSH", "k", "x")


def group_goes(stage: Stage) -> None:
    stage.other("DEL", "s")


def unblock(stage: Stage) -> None:
    assert stage.other("CLIENT", "UNBLOCK", stage.client.session.id) == 1


def unblock_with_error(stage: Stage) -> None:
    assert stage.other("CLIENT", "UNBLOCK", stage.client.session.id, "ERROR") == 1


def force(stage: Stage) -> None:
    stage.core.blocking.finish(stage.client.session.blocked, FORCED)
    stage.core.blocking.serve()


def script_ends(stage: Stage) -> None:
    stage.end_script()


def unpause(stage: Stage) -> None:
    stage.core.pause.end(Reason.FAILOVER)


Act = Callable[[Stage], None]

# What is sent before replies are switched off, the command whose reply comes later, and what makes it come.
LATE: list[tuple[list[list[str]], str, Act]] = [
    ([], "BLPOP k 1", time_runs_out),
    ([], "BLPOP k 0", push),
    ([], "BLPOP k 0", unblock),
    ([], "BLPOP k 0", unblock_with_error),
    ([], "BLPOP k 0", force),
    ([], "BRPOP k 0", push),
    ([], "BLMPOP 0 1 k LEFT", push),
    ([], "BLMOVE k d LEFT LEFT 0", push),
    ([], "BLMOVE k d LEFT LEFT 0", another_type),
    ([], "BRPOPLPUSH k d 0", push),
    ([], "BZPOPMIN z 0", push),
    ([], "BZPOPMAX z 0", push),
    ([], "BZMPOP 0 1 z MIN", push),
    ([], "XREAD BLOCK 1000 STREAMS s $", time_runs_out),
    ([], "XREAD BLOCK 0 STREAMS s $", push),
    ([["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]], "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", push),
    ([["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]], "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", group_goes),
    ([], "WAIT 1 1000", time_runs_out),
    ([], "WAITAOF 0 1 1000", time_runs_out),
    ([], f"EVAL {LONG.replace(' ', '_')} 0", script_ends),
    ([["FUNCTION", "LOAD", LIBRARY]], "FCALL f 0", script_ends),
    ([["MULTI"], ["PING"], ["EVAL", LONG, "0"], ["PING"]], "EXEC", script_ends),
]
HELD: list[tuple[list[list[str]], str]] = [
    ([], "SET a b"),
    ([], "NOSUCHCOMMAND a"),
    ([], "GET"),
    ([], "BLPOP k 1"),
    ([["MULTI"], ["INCR", "n"]], "EXEC"),
    ([], f"EVAL {LONG.replace(' ', '_')} 0"),
]


def send(stage: Stage, command: str) -> None:
    stage.client.send(*(word.replace("_", " ") if word.startswith("for") else word for word in command.split()))


def prepare(stage: Stage, before: list[list[str]]) -> None:
    for words in before:
        stage.client(*words)


def silence(stage: Stage, mode: str) -> None:
    if not stage.client.session.flags & flags.MULTI:
        stage.client.send("CLIENT", "REPLY", mode)
    elif mode == "OFF":  # the command would be queued
        stage.client.session.flags |= flags.REPLY_OFF
    else:
        stage.client.session.flags |= flags.REPLY_SKIP


def check_silence(stage: Stage, mode: str) -> None:
    """Nothing has come; from now on there are replies again."""
    assert stage.received() == b""
    if mode == "OFF":
        stage.client.send("CLIENT", "REPLY", "ON")
        assert stage.received() == b"+OK\r\n"
        stage.client.unread = b""
    assert stage.client("ECHO", "heard") == b"heard"


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
@pytest.mark.parametrize(("before", "command", "act"), LATE, ids=lambda value: getattr(value, "__name__", None))
def test_a_late_reply(mode: str, before: list[list[str]], command: str, act: Act) -> None:
    heard = Stage()
    prepare(heard, before)
    send(heard, command)
    act(heard)
    assert heard.received()  # there is a reply
    stage = Stage()
    prepare(stage, before)
    silence(stage, mode)
    send(stage, command)
    act(stage)
    check_silence(stage, mode)


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
@pytest.mark.parametrize(("before", "command"), HELD)
@pytest.mark.parametrize("by", ["pause", "script"])
def test_a_command_that_is_held_back(by: str, mode: str, before: list[list[str]], command: str) -> None:
    stage = Stage()
    prepare(stage, before)
    silence(stage, mode)
    if by == "pause":
        stage.core.pause.start(NO_END, all_commands=True, reason=Reason.FAILOVER)
    else:
        stage.other.send("EVAL", LONG, "0")
        assert stage.core.scripts.suspended
    send(stage, command)
    if by == "pause":
        stage.core.pause.end(Reason.FAILOVER)
    else:
        stage.end_script()
    if stage.core.scripts.suspended:
        stage.end_script()
    if stage.client.session.blocked is not None:
        stage.node.advance(2000)
    check_silence(stage, mode)


def test_a_pause_between_the_command_and_its_skip() -> None:
    stage = Stage()
    stage.core.pause.start(NO_END, all_commands=True, reason=Reason.FAILOVER)
    for words in (("CLIENT", "REPLY", "SKIP"), ("GET", "a"), ("ECHO", "heard")):
        stage.client.send(*words)
    unpause(stage)
    assert stage.client.take() == b"heard"


def test_messages_of_others_come_all_the_same_and_once() -> None:
    stage = Stage()
    stage.client("HELLO", "3")
    stage.client("SUBSCRIBE", "__keyspace@0__:k")
    stage.other("CONFIG", "SET", "notify-keyspace-events", "KEA")
    stage.client.send("CLIENT", "REPLY", "OFF")
    stage.client.send("BLPOP", "k", "0")
    push(stage)
    for event in (b"rpush", b"lpop", b"del"):
        assert stage.client.take() == [b"message", b"__keyspace@0__:k", event]
    assert stage.received() == b""


def test_a_monitor_that_wants_no_replies_is_shown_nothing() -> None:
    stage = Stage()
    stage.client("MONITOR")
    stage.client.send("CLIENT", "REPLY", "OFF")
    stage.other("PING")
    assert stage.received() == b""


def test_a_broken_request_is_not_answered_and_the_connection_closes() -> None:
    stage = Stage()
    stage.client.send("CLIENT", "REPLY", "OFF")
    assert stage.client.session.feed(b"*1\r\nX\r\n") == b""
    assert stage.client.session.flags & flags.CLOSE


def test_what_a_transaction_has_replied_before_it_switched_replies_off_stays() -> None:
    stage = Stage()
    for words in (("MULTI",), ("INCR", "n"), ("CLIENT", "REPLY", "OFF"), ("INCR", "n")):
        stage.client(*words)
    stage.client.send("EXEC")
    assert stage.received() == b"*3\r\n:1\r\n"
    assert stage.other("GET", "n") == b"2"
