"""Damaged requests over real sockets: the server answers, or says what is wrong and hangs up; it never falls over.

Each round is one connection: bytes out, then the writing side is shut, and the server must close in turn, having sent
nothing but whole RESP frames. An input that broke something is added to the seeds.
"""

from __future__ import annotations

import random
import socket

import pytest

from tests.fuzz.mutation import mutate, rounds
from tests.support.resp import BadReply, Connection, Frame, NeedMore, pack, parse
from tests.support.servers import Pair, Server

SEEDS = [
    b"PING\r\n",
    b"SET k \"quoted \\x41 \\n\" \r\nGET 'k'\r\n",
    b"\r\n\r\nECHO hi\n",
    b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
    pack(["SET", "k", "v", "EX", "10"]) + pack(["GET", "k"]),
    pack(["MSET", *(f"{{t}}{i}" for i in range(40))]),
    pack(["HSET", "h", "f", b"\x00\r\n$5\r\n", "g", ""]) + pack(["HGETALL", "h"]),
    pack(["ZADD", "z", "1.5", "m", "inf", "n"]) + pack(["ZRANGE", "z", "0", "-1", "WITHSCORES"]),
    pack(["EVAL", "return 1", "0"]),
    pack(["MULTI"]) + pack(["LPUSH", "l", "a", "b"]) + pack(["EXEC"]),
    pack(["SUBSCRIBE", "c", "d"]) + pack(["PING"]) + pack(["UNSUBSCRIBE"]),
    pack(["HELLO", "3"]) + pack(["HGETALL", "h"]) + pack(["CLIENT", "INFO"]),
    pack(["BITFIELD", "b", "SET", "u8", "#5", "200", "INCRBY", "i5", "100", "1"]),
    pack(["SETRANGE", "s", "100", "x" * 300]) + pack(["GETRANGE", "s", "-5", "-1"]),
    pack(["SCAN", "0", "MATCH", "*", "COUNT", "10"]) + pack(["OBJECT", "ENCODING", "k"]),
    pack(["RESTORE", "{t}r", "0", b"\x00\x01v\n\x00\x98\x1f\xe2\x9dl\xab\xd5\xea", "REPLACE"]),
    pack(["GEOADD", "g", "13.36", "38.11", "p"]) + pack(["COMMAND", "GETKEYS", "SORT", "a", "STORE", "b"]),
    pack(["SET", "big", b"x" * 70000]) + pack(["APPEND", "big", b"y" * 100]),
    b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 50,
]

# Each is answered exactly as redis-server answers it, the closing of the connection included.
MALFORMED = [
    b"*1\r\n:1\r\n",
    b"*2\r\n$3\r\nGET\r\nk\r\n",
    b"*x\r\n",
    b"*1048577\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*-5\r\nPING\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$4\r\nPINGxxPING\r\n",
    b"*" + b"1" * 70000,
    b"*1\r\n$" + b"1" * 70000,
    b"x" * 70000,
    b'GET "unbalanced\r\n',
    b"GET 'unbalanced\r\n",
    b'GET "a"b\r\n',
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n+x\r\n",
    b"PING\r\n*1\r\n-4\r\n",
    b"+OK\r\n",
    b"$4\r\nPING\r\n",
]


def frames_of(data: bytes) -> list[Frame]:
    """All of `data` as frames; a broken one is an AssertionError."""
    frames, at = [], 0
    while at < len(data):
        try:
            frame, at = parse(data, at)
        except (BadReply, ValueError) as error:
            raise AssertionError(f"not RESP at byte {at}: {error}") from None
        except NeedMore:
            raise AssertionError(f"a frame is cut short at byte {at} of {len(data)}: {data[at : at + 80]!r}") from None
        frames.append(frame)
    return frames


def converse(server: Server, data: bytes, chunks: random.Random | None = None) -> bytes:
    """Send, shut the writing side, and read until the server hangs up."""
    with Connection(server.port, timeout_s=10) as connection:
        try:
            at = 0
            while at < len(data):
                size = chunks.choice((1, 2, 7, 100, len(data))) if chunks and len(data) < 5000 else len(data)
                connection.send_raw(data[at : at + size])
                at += size
            connection.sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass  # the server has already hung up on us: what it said can still be read
        return connection.read_to_end()


def harmless(data: bytes) -> bool:
    """A mutation must not happen to spell what stops or freezes the server on purpose."""
    upper = data.upper()
    return not any(word in upper for word in (b"SHUTDOWN", b"DEBUG", b"BLPOP", b"PAUSE"))


@pytest.mark.parametrize("seed", range(8))
def test_damaged_requests_never_bring_the_server_down(seed: int, pair: Pair) -> None:
    server = pair.ours("standalone")
    rng = random.Random(seed)
    for number in range(rounds(40)):
        data = mutate(rng, SEEDS)
        if not harmless(data):
            continue
        _survives(server, data, f"seed {seed}, round {number}", rng)
    server.call("FLUSHALL")


def test_noise(pair: Pair) -> None:
    rng = random.Random(5)
    for number in range(rounds(60)):
        _survives(pair.ours("standalone"), rng.randbytes(rng.choice((1, 3, 20, 300, 5000))), f"noise {number}", rng)


def _survives(server: Server, data: bytes, what: str, rng: random.Random) -> None:
    try:
        answer = converse(server, data, rng)
    except TimeoutError:
        raise AssertionError(f"{what}: the server neither answered nor hung up on {data[:500]!r}") from None
    assert server.alive(), f"{what}: the server ended on {data[:2000]!r}\n{server.log_tail()}"
    try:
        frames_of(answer)
    except AssertionError as error:
        # Output that had to wait may be cut off when the peer has already left; what came must still be a beginning.
        if "cut short" not in str(error):
            raise AssertionError(f"{what}: {error}; sent {data[:500]!r}") from None


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: repr(data[:24]))
def test_protocol_errors_read_like_redis(data: bytes, pair: Pair) -> None:
    """Followed by a PING, which is answered only by a server that has not hung up."""
    answers = []
    for server in (pair.ours("standalone"), pair.oracle("standalone")):
        with Connection(server.port, timeout_s=0.3) as connection:
            connection.send_raw(data)
            try:
                answers.append(connection.read_to_end())
            except TimeoutError:
                answers.append(bytes(connection.buffer) + b"(still open)")
    assert answers[0] == answers[1]
