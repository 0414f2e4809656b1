"""The checksum of RDB files and DUMP payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.durable.crc64 import crc64


def bit_by_bit(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE9C6D914C4B8D9CA), (bytes(100), 0)],
)
def test_known_checksums(data: bytes, crc: int) -> None:
    assert crc64(data) == crc


@given(st.binary(max_size=100), st.integers(0, 100))
def test_eight_bytes_at_a_time_equal_one_bit_at_a_time(data: bytes, cut: int) -> None:
    assert crc64(data) == bit_by_bit(data)
    assert crc64(data[cut:], crc64(data[:cut])) == crc64(data)
