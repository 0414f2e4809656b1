"""LZF: the parse of Redis' library, and no crash on hostile input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.durable.lzf import compress, decompress

# The compressed part of what DUMP of redis-server says.
FROM_REDIS = [
    (b"a" * 30, "016161e011000161 61"),
    (b"a" * 25, "016161e00c0001 6161"),
    (b"abc" * 10, "0361626361e00f02016263"),
    (b"0123456789" * 10, "0a3031323334353637383930e04e09013839"),
    (b"x" * 1000, "017878e0ff00e0ff00e0ff00e0c300017878"),
    (
        b"shardis " * 4 + b"cluster " * 3 + b"shardis cluster",
        "08736861726469732073e00e0706636c7573746572e00807c02f601f016572",
    ),
]


@pytest.mark.parametrize(("plain", "packed"), FROM_REDIS)
def test_the_runs_are_those_of_redis(plain: bytes, packed: str) -> None:
    assert compress(plain) == bytes.fromhex(packed.replace(" ", ""))
    assert decompress(bytes.fromhex(packed.replace(" ", "")), len(plain)) == plain


@pytest.mark.parametrize("plain", [b"", b"abcd", b"aaaaa", bytes(range(256))])
def test_what_does_not_shrink_is_left_alone(plain: bytes) -> None:
    assert compress(plain) is None


def test_one_call_does_not_see_what_another_left() -> None:
    text = b"the same beginning, " * 3
    first = compress(text)
    compress(text[5:] + text)
    assert compress(text) == first


@given(st.binary(max_size=3000) | st.lists(st.sampled_from([b"ab", b"node", b"\x00" * 9, b"xyz"])).map(b"".join))
def test_there_and_back(plain: bytes) -> None:
    packed = compress(plain)
    if packed is not None:
        assert len(packed) <= len(plain) - 4
        assert decompress(packed, len(plain)) == plain


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"", 1),
        (b"\x00a", 0),
        (b"\x00a", 2),  # shorter than promised
        (b"\x01ab", 1),  # longer than promised
        (b"\x05ab", 6),  # literals cut off
        (b"\x20\x00", 3),  # refers to before the start
        (b"\x00a\x20\x01", 4),
        (b"\x00a\x20", 4),  # no offset
        (b"\x00a\xe0", 12),  # no length
        (b"\x00a\xe0\x05", 15),
        (b"\x00a", 2**62),  # no memory is reserved for a lie
    ],
)
def test_malformed_input_gives_none(packed: bytes, size: int) -> None:
    assert decompress(packed, size) is None


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_any_input_is_survived(packed: bytes, size: int) -> None:
    plain = decompress(packed, size)
    assert plain is None or len(plain) == size
