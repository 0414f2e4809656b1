"""Libraries of functions: how they travel, and that a bad one leaves what was there."""

from __future__ import annotations

import pytest

from node.config import Config
from node.persistence.rdb.payload import dump_functions, load_functions
from node.replies import CommandError
from node.scripting.functions import library_name
from node.steps import CannotLoad, at_once
from tests.support.embedded import Embedded, EmbeddedClient

LIBRARY = "#!lua name=lib\nredis.register_function('f', function(keys, args) return redis.call('INCR', keys[1]) end)"
OTHER = "#!lua name=other\nredis.register_function('g', function() return 'g' end)"
CLASHING = "#!lua name=third\nredis.register_function('F', function() return 'third' end)"


@pytest.fixture
def node() -> Embedded:
    node = Embedded()
    node.replicate()
    return node


@pytest.fixture
def client(node: Embedded) -> EmbeddedClient:
    return node.client()


def test_libraries_are_replicated_and_calls_are_not(node: Embedded, client: EmbeddedClient) -> None:
    client("FUNCTION", "LOAD", LIBRARY)
    client("FCALL", "f", "1", "n")
    client("FUNCTION", "DELETE", "lib")
    assert node.replicated == [
        [b"FUNCTION", b"LOAD", LIBRARY.encode()],
        [b"INCR", b"n"],
        [b"FUNCTION", b"DELETE", b"lib"],
    ]


def test_what_was_refused_is_not_replicated(node: Embedded, client: EmbeddedClient) -> None:
    client("FUNCTION", "LOAD", "#!lua name=lib\nerror('no')")
    assert node.replicated == []


def test_a_snapshot_carries_them(client: EmbeddedClient, node: Embedded) -> None:
    client("FUNCTION", "LOAD", LIBRARY)
    data = b"".join(node.core.saving.pieces())
    fresh = Embedded()
    at_once(fresh.core.loader.rdb(data))
    assert fresh.client()("FCALL", "f", "1", "n") == 1


def test_a_snapshot_with_a_bad_library_changes_nothing(client: EmbeddedClient, node: Embedded) -> None:
    client("FUNCTION", "LOAD", LIBRARY)
    client("SET", "k", "new")
    node.core.snapshots.functions = lambda: [b"#!lua name=bad\nerror('no')"]
    data = b"".join(node.core.saving.pieces())
    fresh = Embedded()
    fresh.client()("SET", "k", "old")
    fresh.client()("FUNCTION", "LOAD", OTHER)
    with pytest.raises(CannotLoad, match="a library of functions cannot be loaded"):
        at_once(fresh.core.loader.rdb(data))
    assert fresh.client()("GET", "k") == b"old"
    assert fresh.client()("FCALL", "g", "0") == b"g"


def test_a_library_that_cannot_replace_leaves_the_old_one(client: EmbeddedClient) -> None:
    client("FUNCTION", "LOAD", LIBRARY)
    client("FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nerror('no')")
    assert client("FCALL", "f", "1", "n") == 1


def test_names_of_functions_clash_whatever_their_case(client: EmbeddedClient) -> None:
    client("FUNCTION", "LOAD", LIBRARY)
    assert str(client("FUNCTION", "LOAD", CLASHING)) == "ERR Function F already exists"


def test_restore_is_all_or_nothing(client: EmbeddedClient) -> None:
    client("FUNCTION", "LOAD", OTHER)
    client("FUNCTION", "LOAD", LIBRARY)
    payload = client("FUNCTION", "DUMP")
    client("FUNCTION", "FLUSH")
    client("FUNCTION", "LOAD", CLASHING)
    assert str(client("FUNCTION", "RESTORE", payload)) == "ERR Function f already exists"
    assert len(client("FUNCTION", "LIST")) == 1
    assert client("FUNCTION", "RESTORE", payload, "FLUSH") == b"OK"
    assert client("FCALL", "f", "1", "n") == 1


def test_payloads_come_back() -> None:
    codes = [LIBRARY.encode(), OTHER.encode()]
    assert load_functions(dump_functions(codes)) == codes
    assert load_functions(dump_functions(codes, compress=False)) == codes


def test_a_library_that_does_not_end_is_stopped() -> None:
    node = Embedded(config=Config())
    clock = iter(range(0, 10**9, 20_000))
    node.clock.look = lambda: next(clock)
    text = node.client()("FUNCTION", "LOAD", "#!lua name=lib\nwhile true do end")
    assert str(text) == "ERR Error registering functions: ERR FUNCTION LOAD timeout"


@pytest.mark.parametrize(
    ("first_line", "name"),
    [(b"#!lua name=a", b"a"), (b"#!LUA NAME=a_1", b"a_1"), (b'#!lua name="b"', b"b")],
)
def test_first_lines(first_line: bytes, name: bytes) -> None:
    assert library_name(first_line + b"\nreturn") == name


@pytest.mark.parametrize(
    "code", [b"", b"#!lua name=a", b"#!lua\n", b"#!lua name=a-b\n", b"#!js name=a\n", b"#!lua x=1\n"]
)
def test_bad_first_lines(code: bytes) -> None:
    with pytest.raises(CommandError):
        library_name(code)
