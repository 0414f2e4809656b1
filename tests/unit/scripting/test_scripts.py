"""What scripts leave behind: in the stream, in the figures, on a replica, when memory is short.

What they reply is compared in tests/compat.
"""

from __future__ import annotations

from typing import Any

import pytest

from node import flags
from node.config import Config
from tests.support.embedded import Embedded, EmbeddedClient


@pytest.fixture
def node() -> Embedded:
    node = Embedded()
    node.replicate()
    return node


@pytest.fixture
def client(node: Embedded) -> EmbeddedClient:
    return node.client()


def evaluate(client: EmbeddedClient, script: str, *words: str) -> Any:
    return client("EVAL", script, "0", *words)


def test_one_write_is_replicated_as_itself(node: Embedded, client: EmbeddedClient) -> None:
    evaluate(client, "return redis.call('SET', 'a', 1)")
    assert node.replicated == [[b"SET", b"a", b"1"]]


def test_several_writes_are_one_transaction(node: Embedded, client: EmbeddedClient) -> None:
    evaluate(client, "redis.call('SET', 'a', 1) redis.call('GET', 'a') redis.call('INCR', 'a')")
    assert node.replicated == [[b"MULTI"], [b"SET", b"a", b"1"], [b"INCR", b"a"], [b"EXEC"]]


def test_reads_are_not_replicated(node: Embedded, client: EmbeddedClient) -> None:
    evaluate(client, "return redis.call('GET', 'a')")
    assert node.replicated == []


def test_what_was_written_before_an_error_is_replicated(node: Embedded, client: EmbeddedClient) -> None:
    evaluate(client, "redis.call('SET', 'a', 1) error('stop')")
    assert node.replicated == [[b"SET", b"a", b"1"]]


def test_what_is_random_is_replicated_as_its_effect(node: Embedded, client: EmbeddedClient) -> None:
    client("SADD", "s", "x")
    evaluate(client, "return redis.call('SPOP', 's')")
    assert node.replicated[1:] in ([[b"SREM", b"s", b"x"]], [[b"DEL", b"s"]])


def test_a_script_may_keep_its_writes_from_replicas(node: Embedded, client: EmbeddedClient) -> None:
    evaluate(client, "redis.set_repl(redis.REPL_NONE) redis.call('SET', 'a', 1) redis.set_repl(redis.REPL_ALL)")
    assert node.replicated == []
    assert client("GET", "a") == b"1"
    evaluate(client, "redis.call('SET', 'b', 1)")
    assert node.replicated == [[b"SET", b"b", b"1"]]


def test_its_commands_are_shown_to_monitors_after_it(node: Embedded, client: EmbeddedClient) -> None:
    monitor = node.client()
    monitor("MONITOR")
    evaluate(client, "redis.call('SET', 'a', 1)")
    first, second = monitor.session.take_output().decode().splitlines()
    assert '"EVAL"' in first
    assert second.endswith('[0 lua] "SET" "a" "1"')


def test_watchers_hear_of_its_writes(node: Embedded, client: EmbeddedClient) -> None:
    other = node.client()
    other("WATCH", "a")
    evaluate(client, "redis.call('SET', 'a', 1)")
    other("MULTI")
    assert other("EXEC") is None


def test_a_replica_lets_scripts_read_only(node: Embedded, client: EmbeddedClient) -> None:
    node.core.basics.set_state(flags.STATE_READONLY, True)
    assert str(evaluate(client, "return redis.call('SET', 'a', 1)")).startswith("READONLY You can't write")
    assert evaluate(client, "return redis.call('GET', 'a')") is None
    assert str(evaluate(client, "#!lua\nreturn 1")).startswith("READONLY You can't write")
    assert evaluate(client, "#!lua flags=no-writes\nreturn 1") == 1


def test_without_enough_replicas_scripts_do_not_write(node: Embedded, client: EmbeddedClient) -> None:
    node.core.basics.set_state(flags.STATE_FEW_REPLICAS, True)
    assert str(evaluate(client, "return redis.call('SET', 'a', 1)")).startswith("NOREPLICAS")
    assert str(evaluate(client, "#!lua\nreturn 1")).startswith("NOREPLICAS")
    assert evaluate(client, "return redis.call('GET', 'a')") is None


def test_without_memory_scripts_add_nothing() -> None:
    config = Config()
    config.put("maxmemory", 1)
    client = Embedded(config=config).client()
    assert str(evaluate(client, "return redis.call('SET', 'a', 1)")).startswith("OOM command not allowed")
    assert evaluate(client, "return redis.call('DEL', 'a')") == 0
    assert str(evaluate(client, "#!lua\nreturn 1")).startswith("OOM ")
    assert evaluate(client, "#!lua flags=allow-oom\nreturn redis.call('SET', 'a', 1)") == b"OK"


def test_what_has_written_goes_on_without_memory(node: Embedded, client: EmbeddedClient) -> None:
    node.core.config.put("maxmemory", 1)
    node.core.apply_maxmemory()
    assert evaluate(client, "redis.call('DEL', 'a') return redis.call('SET', 'a', 1)") == b"OK"


def test_figures(node: Embedded, client: EmbeddedClient) -> None:
    def figure(name: str) -> int:
        lines = client("INFO", "memory").decode().splitlines()
        return int(next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:")))

    assert figure("used_memory_lua") == 0, "no script yet: no interpreter"
    evaluate(client, "return 1")
    assert figure("number_of_cached_scripts") == 1
    assert figure("used_memory_lua") > 0
    client("SCRIPT", "FLUSH")
    assert figure("number_of_cached_scripts") == 0


def test_a_command_of_many_words(client: EmbeddedClient) -> None:
    script = "local t = {} for i = 1, 7990 do t[i] = i end return redis.call('RPUSH', 'l', unpack(t))"
    assert evaluate(client, script) == 7990
    assert client("LINDEX", "l", "-1") == b"7990"


def test_a_bug_of_ours_is_told_to_the_script(
    client: EmbeddedClient, node: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("node.scripting.running.Run.admit", broken)
    assert "internal error: ZeroDivisionError" in str(evaluate(client, "return redis.call('GET', 'a')"))
    assert evaluate(client, "return {pcall(redis.call, 'GET', 'a')}")[0] is None
