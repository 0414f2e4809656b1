"""Scripts that take long: the loop has its turn meanwhile, and nobody sees half of what they do."""

from __future__ import annotations

import pytest

from node.config import Config
from tests.support.embedded import Embedded, EmbeddedClient

BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
LOOP = "while true do end"
LONG = "for i = 1, 3000000 do end"
THRESHOLD_MS = 100


class Stage:
    """A node whose clock goes on by a millisecond whenever somebody looks at it, and a host that counts the turns."""

    def __init__(self) -> None:
        config = Config()
        config.put("busy-reply-threshold", THRESHOLD_MS)
        self.node = Embedded(config=config, suspends=True)
        self.core = self.node.core
        self.node.clock.look = self._look_at_clock
        self.clock_us = 1_000_000_000
        self.caller, self.other = self.node.client(), self.node.client()

    def _look_at_clock(self) -> int:
        self.clock_us += 1000
        return self.clock_us

    @property
    def due(self) -> bool:
        """The script waits for its next slice."""
        return self.node.wake_ups.script_waits

    def turn(self) -> None:
        assert self.due
        self.node.wake_ups.script_waits = False
        self.core.scripts.go_on()

    def turns(self, most: int = 1000) -> int:
        """Let the script go on to its end; how many slices that took."""
        for taken in range(most):
            if not self.due:
                return taken
            self.turn()
        raise AssertionError("the script does not end")

    def until_busy(self) -> None:
        while not self.core.scripts.timed_out:
            self.turn()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def evaluate(client: EmbeddedClient, script: str) -> None:
    client.send("EVAL", script, "0")


def test_a_script_that_ends_at_once_is_never_suspended(stage: Stage) -> None:
    assert stage.caller("EVAL", "return 5", "0") == 5
    assert not stage.due


def test_a_long_script_gives_the_loop_its_turns_and_replies_at_its_end(stage: Stage) -> None:
    evaluate(stage.caller, f"{LONG} return 7")
    assert stage.caller.take() is None
    assert stage.turns() > 3
    assert stage.caller.take() == 7


def test_commands_of_a_script_are_where_it_may_be_suspended_too(stage: Stage) -> None:
    evaluate(stage.caller, "for i = 1, 100 do redis.call('INCR', 'n') end return redis.call('GET', 'n')")
    assert stage.turns() > 3
    assert stage.caller.take() == b"100"


def test_others_wait_and_then_see_all_of_it(stage: Stage) -> None:
    evaluate(stage.caller, f"redis.call('SET', 'a', 1) {LONG} redis.call('SET', 'a', 2)")
    stage.other.send("GET", "a")
    assert stage.other.take() is None
    stage.turns()
    assert stage.other.take() == b"2"


def test_idle_clients_are_sent_away_meanwhile(stage: Stage) -> None:
    stage.other("CONFIG", "SET", "timeout", "1")
    evaluate(stage.caller, f"{LONG} return 7")
    stage.node.advance(2000)
    assert stage.core.scripts.suspended
    assert set(stage.core.clients.by_id) == {stage.caller.session.id}  # who waits is not idle


def test_its_writes_are_one_unit_of_the_stream(stage: Stage) -> None:
    stage.node.replicate()
    evaluate(stage.caller, f"redis.call('SET', 'a', 1) {LONG} redis.call('SET', 'b', 2)")
    stage.turns()
    stage.other("PING")
    assert [argv[0].upper() for argv in stage.node.replicated] == [b"MULTI", b"SET", b"SET", b"EXEC"]


def test_time_stands_still_for_the_script(stage: Stage) -> None:
    stage.other("SET", "k", "v", "PX", "50")
    evaluate(stage.caller, f"{LONG} return redis.call('EXISTS', 'k')")
    stage.node.advance(100)
    stage.turns()
    assert stage.caller.take() == 1
    assert stage.other("EXISTS", "k") == 0


def test_who_waits_for_a_key_is_served_after_the_script(stage: Stage) -> None:
    stage.other.send("BLPOP", "q", "0")
    evaluate(stage.caller, f"redis.call('RPUSH', 'q', 'x') {LONG} redis.call('LPOP', 'q')")
    stage.turns()
    assert stage.other.take() is None
    stage.caller.take()
    stage.caller("RPUSH", "q", "y")
    assert stage.other.take() == [b"q", b"y"]


def test_after_the_threshold_others_are_told_busy(stage: Stage) -> None:
    evaluate(stage.caller, LOOP)
    stage.other.send("GET", "a")
    assert stage.other.take() is None
    stage.until_busy()
    assert str(stage.other.take()) == BUSY
    assert str(stage.other("PING")) == BUSY
    assert stage.other("MULTI") == b"OK"
    assert str(stage.other("GET", "a")) == BUSY
    assert stage.other("DISCARD") == b"OK"
    assert str(stage.other("SHUTDOWN")) == BUSY
    assert str(stage.other("FUNCTION", "KILL")) == BUSY


@pytest.mark.parametrize(
    "script",
    [
        LOOP,
        "while true do pcall(function() while true do end end) end",
        "while true do redis.pcall('GET', 'x') end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "coroutine.wrap(function() while true do end end)()",
        "local function f() return pcall(f) end while true do f() end",
    ],
)
def test_a_script_is_killed_wherever_it_is(stage: Stage, script: str) -> None:
    evaluate(stage.caller, script)
    stage.until_busy()
    assert stage.other("SCRIPT", "KILL") == b"OK"
    stage.turns()
    assert "ERR Script killed by user with SCRIPT KILL... script: " in str(stage.caller.take())
    assert stage.other("PING") == b"PONG"
    assert stage.caller("EVAL", "return 1", "0") == 1


def test_what_has_written_cannot_be_killed(stage: Stage) -> None:
    evaluate(stage.caller, "redis.call('SET', 'a', 1) for i = 1, 30000000 do end return 'done'")
    stage.until_busy()
    assert str(stage.other("SCRIPT", "KILL")).startswith("UNKILLABLE Sorry the script already executed write commands")
    stage.turns()
    assert stage.caller.take() == b"done"


def test_nothing_runs(stage: Stage) -> None:
    assert str(stage.other("SCRIPT", "KILL")) == "NOTBUSY No scripts in execution right now."


def test_a_script_in_a_transaction(stage: Stage) -> None:
    stage.node.replicate()
    for words in (["MULTI"], ["SET", "a", "1"], ["EVAL", LONG, "0"], ["INCR", "a"]):
        stage.caller(*words)
    stage.caller.send("EXEC")
    stage.other.send("GET", "a")
    stage.turns()
    assert stage.caller.take() == [b"OK", None, 2]
    assert stage.other.take() == b"2"
    stage.other("PING")
    assert [argv[0].upper() for argv in stage.node.replicated] == [b"MULTI", b"SET", b"INCR", b"EXEC"]


def test_the_caller_may_leave(stage: Stage) -> None:
    evaluate(stage.caller, f"{LONG} redis.call('SET', 'a', 1)")
    stage.core.clients.disconnect(stage.caller.session)
    stage.turns()
    assert stage.other("GET", "a") == b"1"


def test_another_data_set_ends_it(stage: Stage) -> None:
    evaluate(stage.caller, LOOP)
    stage.core.data_replaced()
    assert not stage.core.scripts.suspended
    assert "ended by the server" in str(stage.caller.take())
    assert stage.other("PING") == b"PONG"
