"""The same bytes however they travel: in crumbs, in heaps, in one huge value, to a client that does not read.

The stories send a few small commands at a time. Here the same requests come to both servers in awkward shapes, and the
whole stream of answers must be the same.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from tests.support.resp import Connection, pack
from tests.support.servers import Pair, Server

MIXED = [
    pack(["SET", "k", b"\x00binary\r\n$5\r\n"]),
    b"GET k\r\n",
    b"  set   k2  'quoted \\' value'  \r\n",
    pack(["RPUSH", "l", *"abcdefgh"]),
    pack(["LRANGE", "l", 0, -1]),
    b"\r\n",
    b"*0\r\n",
    pack(["HSET", "h", "f", ""]),
    pack(["HGETALL", "h"]),
    b'ECHO "\\x41\\t\\"end"\r\n',
    pack(["NO-SUCH-COMMAND", "a"]),
    pack(["INCR", "k"]),
    pack(["ZADD", "z", 1.5, "m"]),
    pack(["ZRANGE", "z", 0, -1, "WITHSCORES"]),
    b"PING\n",
]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def both(pair: Pair, request: pytest.FixtureRequest) -> Callable[[Callable[[Connection], bytes]], None]:
    """Runs a conversation with both servers and compares everything that was answered."""

    def compare(talk: Callable[[Connection], bytes]) -> None:
        answers = [
            _answers(server, request.param, talk) for server in (pair.ours("standalone"), pair.oracle("standalone"))
        ]
        if answers[0] != answers[1]:
            at = next((i for i, (a, b) in enumerate(zip(*answers, strict=False)) if a != b), min(map(len, answers)))
            here = [answer[max(0, at - 60) : at + 100] for answer in answers]
            lengths = [len(answer) for answer in answers]
            pytest.fail(f"the answers differ at byte {at} of {lengths}: {here[0]!r} and {here[1]!r}")

    return compare


def _answers(server: Server, proto: int, talk: Callable[[Connection], bytes]) -> bytes:
    server.call("FLUSHALL")
    with server.connect(proto, timeout_s=30) as connection:
        return talk(connection)


def until_bye(connection: Connection) -> bytes:
    """All answers up to that of a last ECHO."""
    connection.send("ECHO", "good-bye")
    parts = []
    while True:
        frame = connection.read()
        parts.append(frame.raw)
        if frame.body == b"good-bye" or not frame.kind:
            return b"".join(parts)


def test_byte_by_byte(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        for byte in b"".join(MIXED):
            connection.send_raw(bytes([byte]))
        return until_bye(connection)

    both(talk)


@pytest.mark.parametrize("seed", range(4))
def test_cut_anywhere(seed: int, both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        rng = random.Random(seed)
        stream = b"".join(rng.choice(MIXED) for _ in range(300))
        while stream:
            size = rng.choice((1, 3, 17, 100, 1000))
            connection.send_raw(stream[:size])
            stream = stream[size:]
        return until_bye(connection)

    both(talk)


def test_many_in_one_packet(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        connection.send_raw(b"".join(pack(["INCR", f"n{i % 7}"]) for i in range(20_000)))
        return until_bye(connection)

    both(talk)


def test_values_of_megabytes(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        big = random.Random(1).randbytes(5_000_000)
        connection.send("SET", "big", big)
        connection.send("APPEND", "big", big[:1_000_000])
        connection.send("GETRANGE", "big", 4_999_990, 5_000_010)
        connection.send("SETRANGE", "big", 7_000_000, "end")
        connection.send("GET", "big")
        connection.send("RPUSH", "l", big, "small", big[:70_000])
        connection.send("LRANGE", "l", 0, -1)
        connection.send("HSET", "h", big[:100_000], big[:100_000])
        connection.send("HGETALL", "h")
        return until_bye(connection)

    both(talk)


def test_a_client_that_reads_late(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    """Forty megabytes wait for the client; the server goes on serving others meanwhile."""

    def talk(connection: Connection) -> bytes:
        connection.call("SET", "big", b"x" * 1_000_000)
        requests = pack(["GET", "big"]) * 40
        sender = threading.Thread(target=connection.send_raw, args=(requests,))
        sender.start()
        with Connection(connection.sock.getpeername()[1]) as other:
            assert other.ask("PING").body == b"PONG"
        sender.join()
        return until_bye(connection)

    both(talk)


def test_a_command_with_many_arguments(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        words = [f"m{i}" for i in range(50_000)]
        connection.send("SADD", "s", *words)
        connection.send("SCARD", "s")
        connection.send("SMISMEMBER", "s", *words[::2], "no")
        connection.send("RPUSH", "l", *words)
        connection.send("LRANGE", "l", 0, -1)
        connection.send("DEL", *words)
        return until_bye(connection)

    both(talk)


def test_nested_replies(both: Callable[[Callable[[Connection], bytes]], None]) -> None:
    def talk(connection: Connection) -> bytes:
        connection.send("MULTI")
        for i in range(500):
            connection.send("HSET", f"h{i % 10}", i, i)
            connection.send("HGETALL", f"h{i % 10}")
        connection.send("EXEC")
        return until_bye(connection)

    both(talk)
