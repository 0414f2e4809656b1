"""Requests: whole, cut anywhere, byte by byte, followed by more; and what Redis calls a protocol error."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from node.engine.session.framer import split_requests
from tests.support.embedded import Embedded
from tests.support.resp import pack

REQUESTS: list[tuple[bytes, list[bytes]]] = [
    (b"*1\r\n$4\r\nPING\r\n", [b"PING"]),
    (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", [b"ECHO", b""]),
    (b"*2\r\n$4\r\nECHO\r\n$5\r\na\r\nb\0\r\n", [b"ECHO", b"a\r\nb\0"]),
    (b"*2\r\n$4\r\nECHO\r\n$123\r\n" + b"x" * 123 + b"\r\n", [b"ECHO", b"x" * 123]),
    (b"*0\r\n", []),
    (b"*-1\r\n", []),
    (b"\r\n", []),
    (b"PING\r\n", [b"PING"]),
    (b"  ECHO   hi  \n", [b"ECHO", b"hi"]),
    (b'ECHO "a b\\n\\x41\\"" \r\n', [b"ECHO", b'a b\nA"']),
    (b"ECHO 'a \\' b\\n'\r\n", [b"ECHO", b"a ' b\\n"]),
    (b'ECHO ""\r\n', [b"ECHO", b""]),
]

ERRORS: list[tuple[bytes, str]] = [
    (b"*x\r\n", "invalid multibulk length"),
    (b"*99999999999\r\n", "invalid multibulk length"),
    (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
    (b"*1\r\n$x\r\n", "invalid bulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$600000000\r\n", "invalid bulk length"),
    (b'ECHO "a\r\n', "unbalanced quotes in request"),
    (b'ECHO "a"b\r\n', "unbalanced quotes in request"),
    (b"ECHO 'a\r\n", "unbalanced quotes in request"),
    (b"x" * 70_000, "too big inline request"),
    (b"*" + b"1" * 70_000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
]


@pytest.fixture(scope="module", autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    """The nodes made here are cycles: collected now, and not while a later test counts memory."""
    yield
    gc.collect()


@pytest.mark.parametrize(("data", "argv"), REQUESTS, ids=lambda value: repr(value)[:30])
def test_a_whole_request(data: bytes, argv: list[bytes]) -> None:
    assert split_requests(data) == ([argv], len(data))


@pytest.mark.parametrize(("data", "argv"), REQUESTS, ids=lambda value: repr(value)[:30])
def test_a_request_is_used_up_only_when_it_is_whole(data: bytes, argv: list[bytes]) -> None:
    for cut in range(len(data)):
        assert split_requests(data[:cut]) == ([], 0)
    assert split_requests(data + data + b"*1\r\n$4\r\nPI") == ([argv, argv], 2 * len(data))


@pytest.mark.parametrize(("data", "text"), ERRORS, ids=lambda value: repr(value)[:30])
def test_protocol_errors(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match="^" + text.replace("$", r"\$") + "$"):
        split_requests(data)


def test_a_session_takes_its_input_byte_by_byte() -> None:
    data = b"".join(pack(words) for words in (("SET", "k", "v" * 300), ("GET", "k"), ("ECHO", "\r\n")))
    session = Embedded().client().session
    replies = b"".join(session.feed(data[i : i + 1]) for i in range(len(data)))
    assert replies == b"+OK\r\n$300\r\n" + b"v" * 300 + b"\r\n$2\r\n\r\n\r\n"


def test_a_protocol_error_ends_the_conversation() -> None:
    session = Embedded().client().session
    assert session.feed(b"*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n*1\r\n$4\r\nPING\r\n") == (
        b"+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"
    )


def test_before_auth_requests_are_held_to_small_sizes() -> None:
    node = Embedded()
    node.core.config.set([("requirepass", "secret")])
    session = node.client().session
    assert session.feed(pack(("GET", "k"))) == b"-NOAUTH Authentication required.\r\n"
    assert session.feed(b"*11\r\n") == b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    session = node.client().session
    assert session.feed(b"*1\r\n$16385\r\n") == b"-ERR Protocol error: unauthenticated bulk length\r\n"
