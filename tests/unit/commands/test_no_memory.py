"""Where memory runs out on a request's way: one answer, nothing half done that others do not hear of."""

from __future__ import annotations

from typing import Any

import pytest

from node import flags
from tests.support.embedded import Embedded, Stopped

FAILED = "ERR internal error: MemoryError"


def fail(*_: Any, **__: Any) -> Any:
    raise MemoryError


@pytest.fixture
def node() -> Embedded:
    return Embedded()


def reply_of(node: Embedded, *words: str) -> str:
    """The one reply of a client that goes on afterwards."""
    client = node.client()
    client.send(*words)
    reply = client.take()
    assert client.unread == b""
    assert client("ECHO", "heard") == b"heard"
    return str(reply)


def test_gates(node: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.core, "execute", fail)
    client = node.client()
    client.send("NOSUCHCOMMAND")
    assert str(client.take()).startswith(FAILED)
    monkeypatch.undo()
    assert client("PING") == b"PONG"


def test_a_slow_write_that_cannot_be_noted_is_done_all_the_same(
    node: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.client()("CONFIG", "SET", "slowlog-log-slower-than", "0")
    node.replicate()
    monkeypatch.setattr(node.core, "slow_command", fail)
    assert reply_of(node, "SET", "k", "v") == "b'OK'"
    node.core.engine.before_replies()
    assert node.replicated == [[b"SET", b"k", b"v"]]


@pytest.mark.parametrize("words", [["SET", "k", "v"], ["SETRANGE", "k", "0", "v"], ["SPOP", "s"]])
@pytest.mark.parametrize("what", ["_record", "_send"])
def test_a_write_that_cannot_be_recorded_ends_the_node(
    node: Embedded, monkeypatch: pytest.MonkeyPatch, what: str, words: list[str]
) -> None:
    node.client()("SADD", "s", "a", "b")
    node.replicate()
    node.core.stream.journal.unit_open = True  # as after a key that was found expired
    monkeypatch.setattr(node.core.stream, what, fail)
    with pytest.raises(Stopped):
        node.client()(*words)


def test_after_a_command_there_is_one_reply(node: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.core.blocking, "serve", fail)
    node.core.engine.ready = True
    client = node.client()
    client.send("SET", "k", "v")
    assert str(client.take()).startswith(FAILED)
    monkeypatch.undo()
    node.core.engine.ready = False
    assert client.unread == b""
    assert client("GET", "k") == b"v"


def test_a_reply_that_fails_half_way_is_only_an_error(node: Embedded) -> None:
    class Bad:
        pass

    node.core.commands[b"time"].handler = lambda s, argv: [1, 2, Bad()]
    assert "internal error" in reply_of(node, "TIME")
    client = node.client()
    for words in ("MULTI", "ECHO a", "TIME", "ECHO b"):
        client(*words.split())
    first, failed, last = client("EXEC")
    assert (first, last) == (b"a", b"b")
    assert "internal error" in str(failed)


def test_a_wait_that_fails_when_it_is_tried_again_ends(node: Embedded) -> None:
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "k", "0")
    waiting.session.blocked.resume = fail
    assert other("RPUSH", "k", "x") == 1
    assert str(waiting.take()).startswith(FAILED)
    assert not waiting.session.flags & flags.BLOCKED
    assert waiting("ECHO", "heard") == b"heard"


@pytest.mark.parametrize("flag", [flags.PRIMARY, flags.LOG])
def test_the_stream_of_the_primary_must_not_be_lost(node: Embedded, flag: int) -> None:
    node.core.commands[b"setrange"].handler = fail
    client = node.client()
    client.session.flags |= flag
    with pytest.raises(Stopped):
        client.send("SETRANGE", "k", "0", "v")
