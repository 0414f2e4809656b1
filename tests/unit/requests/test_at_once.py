"""What no gate stops runs at once: the engine calls the handler, and node/requests/dispatch.py hears nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from node import flags
from node.config import Config
from tests.support.embedded import Embedded, EmbeddedClient


@pytest.fixture
def node() -> Embedded:
    return Embedded()


def ways(node: Embedded, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The commands that take the long way, as they come."""
    seen: list[bytes] = []
    execute = node.core.execute

    def noted(session: Any, argv: list[bytes]) -> None:
        seen.append(argv[0])
        execute(session, argv)

    monkeypatch.setattr(node.core, "execute", noted)
    return seen


@pytest.mark.parametrize(
    "state", [0, flags.STATE_READONLY, flags.STATE_FEW_REPLICAS, flags.STATE_PAUSED_WRITES, flags.STATE_MONITORED]
)
def test_reads_run_at_once_whatever_stops_writes(node: Embedded, state: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen = node.client(), ways(node, monkeypatch)
    node.core.basics.set_state(state, True)
    assert client("STRLEN", "k") == 0
    assert client("CLIENT", "ID") == client.session.id
    assert client("client", "id") == client.session.id
    assert client("GET", "k") is None
    assert seen == []


def test_writes_take_the_long_way_only_while_something_may_stop_them(
    node: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, seen = node.client(), ways(node, monkeypatch)
    assert client("SETRANGE", "k", "0", "v") == 1
    assert seen == []
    node.core.basics.set_state(flags.STATE_FEW_REPLICAS, True)
    assert str(client("SETRANGE", "k", "0", "v")).startswith("NOREPLICAS")
    assert seen == [b"SETRANGE"]


def test_what_is_wrong_takes_the_long_way(node: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen = node.client(), ways(node, monkeypatch)
    for words in (["STRLEN"], ["CLIENT"], ["CLIENT", "NOSUCH"], ["NOSUCH"], ["CLIENT", "x" * 100]):
        assert client(*words).startswith("ERR ")
    assert len(seen) == 5


def test_a_write_of_a_handler_is_in_the_stream_as_it_came(node: Embedded) -> None:
    node.replicate()
    client = node.client()
    client("SETRANGE", "k", "0", "v")
    client("STRLEN", "k")
    client("MULTI")
    client("SETRANGE", "k", "0", "w")
    client("APPEND", "k", "x")
    client("EXEC")
    client("PING")
    words = [b" ".join(argv).upper() for argv in node.replicated]
    assert words == [b"SETRANGE K 0 V", b"MULTI", b"SETRANGE K 0 W", b"APPEND K X", b"EXEC"]


def test_what_saves_the_data_is_no_write(node: Embedded) -> None:
    """It counts fewer changes than before, and would save, or load, wherever the stream is repeated."""
    node.replicate()
    client, space = node.client(), node.core.space

    def saves(session: Any, argv: list[bytes]) -> str:
        space.dirty = 0
        return "OK"

    client("SET", "k", "v")
    node.core.commands[b"save"].handler = saves
    assert client("SAVE") == b"OK"
    assert node.replicated == [[b"SET", b"k", b"v"]]


def test_monitors_see_commands_after_they_have_run(node: Embedded) -> None:
    monitor, client = node.client(), node.client()
    monitor("MONITOR")
    client("GET", "k")
    client("STRLEN", "k")
    client("CONFIG", "GET", "save")  # for administrators only
    seen = monitor.session.take_output().split(b"\r\n")
    assert [line.partition(b"] ")[2] for line in seen if line] == [b'"GET" "k"', b'"STRLEN" "k"']


def test_asking_holds_for_one_command(node: Embedded) -> None:
    client = node.client()
    client.session.flags |= flags.ASKING
    client("STRLEN", "k")
    assert not client.session.flags & flags.ASKING


def test_replies_are_silenced_as_clients_wish(node: Embedded) -> None:
    client = node.client()
    client.send("CLIENT", "REPLY", "SKIP")
    client.send("STRLEN", "k")
    assert client("ECHO", "heard") == b"heard"


def test_a_handler_is_counted_like_a_native_command(node: Embedded) -> None:
    client, strlen = node.client(), node.core.commands[b"strlen"]
    processed = node.core.engine.processed
    client("STRLEN", "k")
    client("LPUSH", "list", "x")
    assert str(client("STRLEN", "list")).startswith("WRONGTYPE")
    assert (strlen.calls, strlen.failed, strlen.rejected) == (2, 1, 0)
    assert node.core.engine.processed == processed + 3
    assert node.core.engine.error_stats == {b"WRONGTYPE": 1}


def test_a_renamed_command_has_lost_its_old_name() -> None:
    config = Config()
    config.renamed_commands = {"strlen": "length", "get": "fetch"}
    client: EmbeddedClient = Embedded(config=config).client()
    assert client("LENGTH", "k") == 0
    assert str(client("STRLEN", "k")).startswith("ERR unknown command")
    assert client("FETCH", "k") is None
    assert str(client("GET", "k")).startswith("ERR unknown command")


def test_the_engine_finds_the_keys_that_the_specification_finds(node: Embedded) -> None:
    """Where it looks by itself. What contradicts the specification has no keys there, and is asked about."""
    for command in node.core.all_commands():
        if command.first == 0:
            continue
        for argc in [command.arity] if command.arity > 0 else range(-command.arity, 12):
            found = command.spec.get_keys([b"1"] * argc)
            last = command.last if command.last > 0 else argc + command.last
            assert found in ([], list(range(command.first, last + 1, command.step))), (command.name, argc)


def test_commands_with_two_keys_run_at_once_in_a_cluster(node: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    client, engine = node.client(), node.core.engine
    engine.cluster = True
    engine.set_served(bytearray(b"\1" * 16384))
    seen = ways(node, monkeypatch)
    client("RPUSH", "{a}1", "x")
    assert client("LMOVE", "{a}1", "{a}2", "LEFT", "LEFT") == b"x"
    assert client("EVAL", "return 1", "2", "{a}1", "{a}2") == 1
    assert seen == []
