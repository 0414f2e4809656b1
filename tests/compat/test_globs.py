"""Patterns drawn at random match the same keys as in redis-server, whatever they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.servers import Pair

TEXTS = st.lists(
    st.sampled_from([b"a", b"b", b"c", b"]", b"-", b"\\", b"^", b"*", b"\x01", b"\x80", b"\xff"]), max_size=6
)
PIECES = [
    b"*",
    b"?",
    b"a",
    b"b",
    b"[",
    b"]",
    b"^",
    b"-",
    b"\\",
    b"[ab]",
    b"[^a]",
    b"[a-c]",
    b"[c-a]",
    b"\x80",
    b"\xff",
    b"\x01",
]
PATTERNS = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)


@given(st.lists(TEXTS.map(b"".join), min_size=1, max_size=6), st.lists(PATTERNS, min_size=1, max_size=8))
def test_the_same_keys_match(pair: Pair, texts: list[bytes], patterns: list[bytes]) -> None:
    found = []
    for server in (pair.ours("standalone"), pair.oracle("standalone")):
        with server.connect() as connection:
            connection.send("FLUSHALL")
            for text in texts:
                connection.send("SET", text, "v")
            for pattern in patterns:
                connection.send("KEYS", pattern)
                connection.send("SCAN", "0", "MATCH", pattern, "COUNT", "1000")
            for _ in range(1 + len(texts)):
                connection.read()
            found.append([])
            for _ in patterns:
                keys, scanned = connection.read().value, connection.read().value[1]
                found[-1].append((sorted(keys), sorted(scanned)))
    ours, theirs = found
    for pattern, one, other in zip(patterns, ours, theirs, strict=True):
        assert one == other, pattern
