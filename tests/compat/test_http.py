"""Requests in HTTP to the port of clients: ours and redis-server hang up before a body is taken for commands."""

from __future__ import annotations

import socket

import pytest

from tests.support.resp import pack
from tests.support.servers import Fleet, Server, have_oracle

# With what may be said before the connection ends: redis-server drops replies to earlier lines, too.
REQUESTS: list[tuple[bytes, bytes]] = [
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET pwned 1\r\n", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET pwned 1\r\n", b"-ERR wrong number of arguments for 'get' command\r\n"),
    (b"post x\r\nSET pwned 1\r\n", b""),
    (b"PING\r\nPOST / HTTP/1.1\r\n\r\nSET pwned 1\r\n", b"+PONG\r\n"),
    (pack(["POST"]) + pack(["SET", "pwned", "1"]), b""),
    (pack(["MULTI"]) + pack(["HoSt:", "x"]) + pack(["SET", "pwned", "1"]) + pack(["EXEC"]), b"+OK\r\n"),
]


def hangs_up(server: Server, request: bytes) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=10) as client:
        client.sendall(request)
        said = b""
        while data := client.recv(1000):
            said += data
        return said


@pytest.mark.parametrize(
    "which", ["ours", pytest.param("oracle", marks=pytest.mark.skipif(not have_oracle(), reason="no redis-server"))]
)
def test_the_body_of_a_request_is_not_run(fleet: Fleet, which: str) -> None:
    server: Server = getattr(fleet, which)()
    for request, before in REQUESTS:
        assert hangs_up(server, request) in (b"", before)
        assert server.call("EXISTS", "pwned") == 0
        assert "unknown command" not in server.call("INFO", "errorstats").decode()
    assert server.log_tail(100).count("Possible SECURITY ATTACK detected") == 1
    assert server.ask("EVAL", "return redis.call('post')", 0).is_error  # nobody's request: the client stays
    assert server.call("PING") == b"PONG"


def test_a_word_at_a_time_is_the_same(fleet: Fleet) -> None:
    server = fleet.ours()
    with socket.create_connection((server.host, server.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (b"PO", b"ST / HT", b"TP/1.1\r\n"):
            client.sendall(part)
        assert client.recv(1000) == b""
