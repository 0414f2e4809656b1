"""`timeout` against redis-server: which idle clients it ends, and whom it lets wait."""

from __future__ import annotations

import time

import pytest

from tests.support.peers import needs
from tests.support.servers import Fleet, Server, wait_until

IDLE = {"plain": ["PING"], "in MULTI": ["MULTI"], "watching": ["WATCH", "k"]}
WAITING = {
    "MONITOR": ["MONITOR"],
    "SUBSCRIBE": ["SUBSCRIBE", "c"],
    "PSUBSCRIBE": ["PSUBSCRIBE", "c"],
    "SSUBSCRIBE": ["SSUBSCRIBE", "c"],
    "BLPOP": ["BLPOP", "nothing", "0"],
    "BZPOPMIN": ["BZPOPMIN", "nothing", "0"],
    "XREAD": ["XREAD", "BLOCK", "0", "STREAMS", "nothing", "$"],
    "WAIT": ["WAIT", "1", "0"],
}


@pytest.mark.parametrize("which", ["ours", pytest.param("oracle", marks=needs("redis"))])
@pytest.mark.parametrize("proto", [2, 3])
def test_who_waits_for_others_is_not_idle(fleet: Fleet, which: str, proto: int) -> None:
    server: Server = getattr(fleet, which)()
    clients = {name: server.connect(proto) for name in (*IDLE, *WAITING)}
    for name, argv in (IDLE | WAITING).items():
        clients[name].send(*argv)
    server.call("CONFIG", "SET", "timeout", "1")

    def connected() -> int:
        return int(server.info("clients")["connected_clients"])

    wait_until(lambda: connected() == 1 + len(WAITING), "the idle ones are gone")
    time.sleep(1.5)  # and nobody else goes later
    assert connected() == 1 + len(WAITING)
    server.call("CONFIG", "SET", "timeout", "0")
    server.call("PUBLISH", "c", "hello")
    assert clients["SUBSCRIBE"].read().items[-1].value == 1
    assert clients["SUBSCRIBE"].read().items[-1].body == b"hello"


def test_a_wait_that_has_ended_was_no_idleness(fleet: Fleet) -> None:
    server = fleet.ours(timeout="1")
    with server.connect() as waiting:
        assert waiting.ask("BLPOP", "nothing", "2.05").null
        assert waiting.ask("PING").body == b"PONG"


def test_a_client_held_by_a_pause_is_not_idle(fleet: Fleet) -> None:
    server = fleet.ours(timeout="1")
    with server.connect() as paused:
        server.call("CLIENT", "PAUSE", "2500", "WRITE")
        paused.send("SET", "a", "1")
        until = time.monotonic() + 2.4
        while time.monotonic() < until:
            server.call("PING")
            time.sleep(0.1)
        assert paused.read().body == b"OK"


def test_a_slow_reader_is_not_idle(fleet: Fleet) -> None:
    """Who takes a long reply bit by bit is there, though it says nothing."""
    server = fleet.ours(timeout="1")
    server.call("SET", "big", "x" * 40_000_000)
    with server.connect() as slow:
        slow.send("GET", "big")
        left = 40_000_000 + len(b"$40000000\r\n\r\n")
        for _ in range(15):
            taken = 0
            while taken < 2_000_000:
                taken += len(slow.sock.recv(1 << 16))
            left -= taken
            time.sleep(0.15)
        while left:
            data = slow.sock.recv(1 << 18)
            assert data, f"disconnected with {left} bytes to come"
            left -= len(data)
