"""Strings as bits, against the same work done on Python's big integers."""

import random

import pytest

from node.engine.types.bits import bitop, bitpos, getfield, popcount, setfield


def text(buf: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in buf)


BUFFERS = {
    "empty": b"",
    "one byte": b"\xa5",
    "foobar": b"foobar",
    "zeros": bytes(100),
    "ones": b"\xff" * 100,
    "ones, then a zero": b"\xff" * 70 + b"\xfe" + b"\xff" * 9,
    "zeros, then a one": bytes(70) + b"\x01" + bytes(9),
    "noise": random.Random(1).randbytes(600),
}


@pytest.mark.parametrize("buf", BUFFERS.values(), ids=BUFFERS.keys())
def test_ranges_are_counted_and_searched(buf: bytes) -> None:
    rng, bits = random.Random(2), text(buf)
    ranges = [(0, len(bits) - 1), (0, 0), (len(bits), len(bits) + 5), (5, 3)]
    ranges += [tuple(sorted((rng.randrange(len(bits) + 9), rng.randrange(len(bits) + 9)))) for _ in range(400)]
    for start, end in ranges:
        if end < 0:
            continue
        assert popcount(buf, start, end) == bits[start : end + 1].count("1")
        for bit in (0, 1):
            assert bitpos(buf, bit, start, end) == (bits.find(str(bit), start, end + 1) if start <= end else -1)


def test_known_answers() -> None:
    assert popcount(b"foobar", 0, 47) == 26
    assert popcount(b"foobar", 5, 30) == 17
    assert bitpos(b"\xff\xf0\x00", 0, 0, 23) == 12
    assert bitpos(b"\x00\xff\xf0", 1, 16, 23) == 16
    assert bitpos(b"\x00\xff\xf0", 1, 7, 15) == 8


def test_a_long_run_of_ones_is_counted_without_a_carry() -> None:
    for n in (247, 248, 249, 8 * 31, 8 * 31 + 7, 100_000):
        assert popcount(b"\xff" * n, 0, 8 * n - 1) == 8 * n
        assert popcount(bytearray(b"\xff" * n), 3, 8 * n - 4) == 8 * n - 6


@pytest.mark.parametrize("seed", range(20))
def test_bitop(seed: int) -> None:
    rng = random.Random(seed)
    strings = [rng.randbytes(rng.choice([0, 1, 7, 8, 9, 31, 100])) for _ in range(rng.randrange(1, 5))]
    longest = max(map(len, strings))
    numbers = [int.from_bytes(s.ljust(longest, b"\0"), "big") for s in strings]
    expected = {"AND": numbers[0], "OR": numbers[0], "XOR": numbers[0]}
    for n in numbers[1:]:
        expected = {"AND": expected["AND"] & n, "OR": expected["OR"] | n, "XOR": expected["XOR"] ^ n}
    for op, number in expected.items():
        assert bitop(op, strings) == number.to_bytes(longest, "big")
    assert bitop("NOT", strings[:1]) == bytes(255 - byte for byte in strings[0])


@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 16, 31, 32, 33, 63, 64])
def test_fields(bits: int) -> None:
    rng = random.Random(bits)
    buf = bytearray(rng.randbytes(40))
    for _ in range(200):
        offset = rng.randrange(8 * len(buf) - bits + 1)
        value = rng.randrange(-(2**64), 2**64)
        kept = text(buf)
        setfield(buf, offset, bits, value)
        field = value % 2**bits
        assert text(buf) == kept[:offset] + f"{field:0{bits}b}" + kept[offset + bits :]
        assert getfield(buf, offset, bits, False) == field
        assert getfield(buf, offset, bits, True) == (field - 2**bits if field >> (bits - 1) else field)


def test_a_field_beyond_the_buffer_reads_zeros_and_cannot_be_written() -> None:
    assert getfield(b"\xff", 4, 8, False) == 0xF0
    assert getfield(b"\xff", 4, 8, True) == -16
    assert getfield(b"", 2**32, 64, False) == 0
    with pytest.raises(IndexError):
        setfield(bytearray(1), 4, 8, 0)
    with pytest.raises((BufferError, TypeError)):
        setfield(b"\x00", 0, 8, 1)
