"""A node that the system gives no more memory: who has asked for too much is told, or disconnected; nobody hangs."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.resp import CLOSED, Connection
from tests.support.servers import Fleet, Server

MIB = 1 << 20
FITS = b"x" * (100 * MIB)
"""Fits once, and not a second time."""
ROOM = 150 * MIB


@pytest.fixture
def node(fleet: Fleet) -> Iterator[Server]:
    server = fleet.ours(save="")
    server.call("SET", "k", "v")
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[0])
    resource.prlimit(server.pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, resource.RLIM_INFINITY))
    yield server
    assert server.call("GET", "k") == b"v"


def error_of(client: Connection, *words: bytes) -> str:
    frame = client.ask(*words)
    assert frame.is_error
    return frame.raw.decode()


def is_disconnected(client: Connection, *data: bytes) -> bool:
    """At some point of sending this, or after it, perhaps with an error."""
    try:
        for each in data:
            client.send_raw(each)
        while client.read() is not CLOSED:
            pass
    except OSError as error:
        return not isinstance(error, TimeoutError)
    return True


WORDS = [[b"PUBLISH", b"c", FITS], [b"EVAL", b"return 1", b"0", FITS], [b"NOSUCHCOMMAND", FITS]]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0].decode())
def test_a_request_that_cannot_be_copied_is_an_error(node: Server, words: list[bytes]) -> None:
    with node.connect(timeout_s=60) as client:
        assert "MemoryError" in error_of(client, *words)
        assert client.call("PING") == b"PONG"


def test_a_transaction_that_lacks_a_command_does_not_run(node: Server) -> None:
    with node.connect(timeout_s=60) as client:
        client.call("MULTI")
        client.call("SET", "k", "other")
        assert "MemoryError" in error_of(client, b"SET", b"k2", FITS)
        assert error_of(client, b"EXEC").startswith("-EXECABORT")


def test_a_request_that_cannot_be_buffered_costs_its_client_the_connection(node: Server) -> None:
    with node.connect(timeout_s=60) as client:
        assert is_disconnected(client, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\n", *[b"x" * MIB] * 400)


def test_more_arguments_than_there_is_room_for(node: Server) -> None:
    with node.connect(timeout_s=60) as client:
        assert is_disconnected(client, b"*12000000\r\n$3\r\nDEL\r\n", b"$1\r\nx\r\n" * 11_999_999)
