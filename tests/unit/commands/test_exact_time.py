"""Microseconds where Redis shows them, and where time stands still."""

from __future__ import annotations

import re

import pytest

from tests.support.embedded import Embedded, EmbeddedClient

BEGAN_US = 1_000_000_123_457


@pytest.fixture
def node() -> Embedded:
    """Its clock goes on by 7 microseconds whenever somebody looks at it."""
    node = Embedded()
    now_us = BEGAN_US

    def look() -> int:
        nonlocal now_us
        now_us += 7
        return now_us

    node.clock.look = look
    return node


def microseconds(reply: list[bytes]) -> int:
    return int(reply[0]) * 1_000_000 + int(reply[1])


def test_time_goes_on_between_commands(node: Embedded) -> None:
    client = node.client()
    first, second = microseconds(client("TIME")), microseconds(client("TIME"))
    assert BEGAN_US < first < second


def in_a_script(client: EmbeddedClient) -> list[list[bytes]]:
    script = "local a = redis.call('TIME') redis.call('PING') return {a, redis.call('TIME')}"
    replies: list[list[bytes]] = client("EVAL", script, "0")
    return replies


def in_a_function(client: EmbeddedClient) -> list[list[bytes]]:
    body = "local a = redis.call('TIME') redis.call('PING') return {a, redis.call('TIME')}"
    client("FUNCTION", "LOAD", "REPLACE", f"#!lua name=l\nredis.register_function('f', function() {body} end)")
    replies: list[list[bytes]] = client("FCALL", "f", "0")
    return replies


def in_a_transaction(client: EmbeddedClient) -> list[list[bytes]]:
    for words in (["MULTI"], ["TIME"], ["SET", "k", "v"], ["EVAL", "return redis.call('TIME')", "0"], ["TIME"]):
        client(*words)
    first, _, within, last = client("EXEC")
    return [first, within, last]


@pytest.mark.parametrize("run", [in_a_script, in_a_function, in_a_transaction])
def test_time_stands_still_inside(node: Embedded, run: object) -> None:
    assert callable(run)
    client = node.client()
    times = {microseconds(reply) for reply in run(client)}
    assert len(times) == 1
    later = {microseconds(reply) for reply in run(client)}
    assert min(later) > max(times)
    assert microseconds(client("TIME")) > max(later)


def test_after_a_script_that_fails_time_goes_on(node: Embedded) -> None:
    client = node.client()
    client("EVAL", "redis.call('TIME') error('x')", "0")
    assert in_a_transaction(client)[0] < in_a_transaction(client)[0]


def test_monitor_shows_microseconds(node: Embedded) -> None:
    monitor = node.client()
    monitor("MONITOR")
    node.client()("PING")
    (shown,) = re.findall(r"(\d+\.\d{6}) \[0 ", str(monitor.take()))
    assert int(shown.replace(".", "")) - BEGAN_US in range(1, 1000)


def test_info_tells_the_time_in_microseconds(node: Embedded) -> None:
    (shown,) = re.findall(rb"server_time_usec:(\d+)", node.client()("INFO", "server"))
    assert int(shown) - BEGAN_US in range(1, 1000)
