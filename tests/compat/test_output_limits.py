"""client-output-buffer-limit against redis-server: who is disconnected, and that no limit locks everybody out."""

from __future__ import annotations

import time

import pytest

from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, have_oracle, wait_until

OURS_AND_ORACLE = [
    "ours",
    pytest.param("oracle", marks=pytest.mark.skipif(not have_oracle(), reason="no redis-server")),
]


@pytest.fixture(params=OURS_AND_ORACLE)
def server(request: pytest.FixtureRequest, fleet: Fleet) -> Server:
    server: Server = getattr(fleet, request.param)()
    for size in (10_000, 40_000):
        server.call("SET", f"v{size}", "x" * size)
    return server


def limit(server: Server, text: str) -> None:
    server.call("CONFIG", "SET", "client-output-buffer-limit", text)


def is_served(client: Connection, *argv: str) -> bool:
    return client.ask(*argv).kind in (b"$", b"+")


def test_the_smallest_limit_locks_nobody_out(server: Server) -> None:
    limit(server, "normal 1 2 3")
    with server.connect() as client:
        assert is_served(client, "PING")
        assert is_served(client, "GET", "v10000")
        assert not is_served(client, "GET", "v40000")
    with server.connect() as client:
        assert client.ask("CONFIG", "GET", "client-output-buffer-limit").items[1].body.startswith(b"normal 1 2 3 ")
    limit(server, "normal 0 0 0")
    with server.connect() as client:
        assert is_served(client, "GET", "v40000")


def test_the_limit_of_a_class_concerns_nobody_else(server: Server) -> None:
    limit(server, "pubsub 1 0 0")
    with server.connect() as client, server.connect() as subscriber:
        assert is_served(client, "GET", "v40000")
        subscriber.ask("SUBSCRIBE", "c")
        server.call("PUBLISH", "c", "x" * 10_000)
        assert subscriber.read().items[2].body == b"x" * 10_000
        server.call("PUBLISH", "c", "x" * 40_000)
        assert subscriber.read_to_end() == b""
    wait_until(lambda: server.info("clients")["connected_clients"] == "1", "the subscriber is gone")


def test_a_soft_limit_may_be_passed_for_a_while(server: Server) -> None:
    limit(server, "normal 0 100000 1")
    with server.connect() as slow:
        request = [b"GET", b"v40000"]
        for _ in range(400):  # more than the sockets take
            slow.send(*request)
        time.sleep(0.2)
        assert server.info("clients")["connected_clients"] == "2"
        wait_until(lambda: server.info("clients")["connected_clients"] == "1", "it was over its limit too long")
