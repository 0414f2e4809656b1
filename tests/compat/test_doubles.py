"""How doubles are written, wherever one is: drawn ones, against Valkey 9, which writes them as Redis 7.2 does."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Sequence

import pytest

from tests.support.resp import Connection, Frame, Word, pack
from tests.support.servers import Pair

BATCH = 500
SHAPES = {
    "any bits": lambda rng: struct.unpack("d", rng.randbytes(8))[0],
    "of any size": lambda rng: rng.uniform(-1, 1) * 10 ** rng.randint(-12, 25),
    "short decimals": lambda rng: round(rng.uniform(-1000, 1000), rng.randint(0, 6)),
    "around powers of two": lambda rng: math.ldexp(rng.choice([1, 1 - 2**-53, 1 + 2**-52]), rng.randint(-1074, 1023)),
    "around powers of ten": lambda rng: float(f"{rng.choice([1, 1.5, 9.999999999999999])}e{rng.randint(-320, 307)}"),
    "integers": lambda rng: float(rng.randint(-(2**64), 2**64)),
}
"""Each is drawn from as often as the others."""


def drawn(shape: str, count: int, together: int) -> Iterator[list[bytes]]:
    """Texts of finite doubles, with all the digits that one needs, so many at a time."""
    rng = random.Random(shape)
    texts: list[bytes] = []
    while count:
        value = SHAPES[shape](rng)
        if math.isfinite(value):
            count -= 1
            texts.append(b"%.17g" % value)
        if len(texts) == together:
            yield texts
            texts = []


def answers(connection: Connection, commands: Sequence[tuple[Word, ...]]) -> list[Frame]:
    connection.send_raw(b"".join(map(pack, commands)))
    return [connection.read() for _ in commands]


def compare(pair: Pair, proto: int, scripts: Iterator[list[tuple[Word, ...]]]) -> int:
    """Ask both sides the same; the count of replies that were the same."""
    compared = 0
    with pair.ours("standalone").connect(proto) as ours, pair.oracle("standalone", "valkey").connect(proto) as valkey:
        for both in (ours, valkey):
            both.call("FLUSHALL")
        for commands in scripts:
            mine, theirs = answers(ours, commands), answers(valkey, commands)
            for command, one, other in zip(commands, mine, theirs, strict=True):
                assert one.raw == other.raw, f"{command}: ours {one.raw!r}, valkey {other.raw!r}"
            compared += len(commands)
    return compared


@pytest.mark.parametrize("proto", [2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_scores(shape: str, proto: int, pair: Pair) -> None:
    def scripts() -> Iterator[list[tuple[Word, ...]]]:
        for texts in drawn(shape, 4000, BATCH):
            members = [part for at, text in enumerate(texts) for part in (text, b"m%d" % at)]
            yield [
                *[("ZADD", b"{z}%d" % at, text, "m") for at, text in enumerate(texts)],
                *[("ZSCORE", b"{z}%d" % at, "m") for at in range(len(texts))],
                *[("DEBUG", "DIGEST-VALUE", b"{z}%d" % at) for at in range(len(texts))],
                ("ZADD", "{z}all", *members),
                ("ZRANGE", "{z}all", 0, -1, "WITHSCORES"),
                ("ZMSCORE", "{z}all", *[b"m%d" % at for at in range(len(texts))]),
                ("DEBUG", "DIGEST-VALUE", "{z}all"),
                ("FLUSHALL",),
            ]

    assert compare(pair, proto, scripts()) > 12_000


def test_sums_scans_and_stored_bytes(pair: Pair) -> None:
    def scripts() -> Iterator[list[tuple[Word, ...]]]:
        for shape in SHAPES:
            for texts in drawn(shape, 1000, 2):
                first, second = texts
                yield [
                    ("ZADD", "z", first, "m"),
                    ("ZINCRBY", "z", second, "m"),
                    ("ZSCAN", "z", 0),
                    ("ZADD", "z", "INCR", first, "m"),
                    ("ZPOPMIN", "z"),
                    ("CONFIG", "SET", "zset-max-listpack-entries", 0),
                    ("ZADD", "z", first, "m"),
                    ("ZSCAN", "z", 0),
                    ("ZPOPMAX", "z", 1),
                    ("CONFIG", "SET", "zset-max-listpack-entries", 128),
                ]

    assert compare(pair, 2, scripts()) == 30_000


def test_scores_in_payloads(pair: Pair) -> None:
    """A compact sorted set holds the texts of its scores."""
    ours, valkey = pair.ours("standalone"), pair.oracle("standalone", "valkey")
    for shape in SHAPES:
        for texts in drawn(shape, 500, 20):
            payloads = []
            for server in (ours, valkey):
                server.call("DEL", "z")
                server.call("ZADD", "z", *[part for at, text in enumerate(texts) for part in (text, b"m%d" % at)])
                payloads.append(server.call("DUMP", "z")[:-10])
            assert payloads[0] == payloads[1]


def test_numbers_of_scripts(pair: Pair) -> None:
    def scripts() -> Iterator[list[tuple[Word, ...]]]:
        for shape in SHAPES:
            for texts in drawn(shape, 2000, BATCH):
                yield [("EVAL", "return {double=tonumber(ARGV[1])}", 0, text) for text in texts]
                yield [("EVAL", "return redis.call('ECHO', tonumber(ARGV[1]))", 0, text) for text in texts]

    special = ["1/0", "-1/0", "0/0", "-(0/0)", "-0", "0", "2^62", "-2^62", "2^62+1024", "1e15", "1e17", "1e21", "3.0"]
    odd = [("EVAL", f"return redis.call('ECHO', {number})", 0) for number in special]
    odd += [("EVAL", f"return {{double={number}}}", 0) for number in special]
    assert compare(pair, 3, scripts()) == 24_000
    assert compare(pair, 2, iter([odd])) == compare(pair, 3, iter([odd])) == 26


@pytest.mark.parametrize("proto", [2, 3])
def test_floats_in_strings_hashes_and_places(proto: int, pair: Pair) -> None:
    """These are not written in the shortest form: sums are long doubles, and distances have four decimals."""

    def scripts() -> Iterator[list[tuple[Word, ...]]]:
        rng = random.Random(3)
        for shape in ("of any size", "short decimals", "integers"):
            for texts in drawn(shape, 1000, 2):
                first, second = texts
                places = [b"%.6f" % rng.uniform(*range) for range in ((-180, 180), (-85, 85)) * 2]
                yield [
                    ("SET", "s", first),
                    ("INCRBYFLOAT", "s", second),
                    ("GET", "s"),
                    ("HSET", "h", "f", first),
                    ("HINCRBYFLOAT", "h", "f", second),
                    ("HGET", "h", "f"),
                    ("DEL", "g"),
                    ("GEOADD", "g", *places[:2], "a", *places[2:], "b"),
                    ("GEODIST", "g", "a", "b"),
                    ("GEOPOS", "g", "a", "b"),
                    ("ZSCORE", "g", "a"),
                    ("GEOSEARCH", "g", "FROMMEMBER", "a", "BYRADIUS", 9000, "km", "WITHDIST", "WITHCOORD", "ASC"),
                ]

    assert compare(pair, proto, scripts()) == 18_000
