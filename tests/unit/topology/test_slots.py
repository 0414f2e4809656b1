"""Keys, hash tags, and sets of slots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.agreement import slots
from cluster.agreement.errors import ClusterError

some_slots = st.frozensets(st.integers(0, slots.SLOTS - 1), max_size=60)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"", 0),
        (b"123456789", 0x31C3 & 16383),
        (b"foo", 12182),
        (b"bar", 5061),
        (b"{foo}", 12182),
        (b"a{foo}b", 12182),
        (b"{foo}{bar}", 12182),
        (b"foo{}", slots.crc16(b"foo{}") & 16383),
        (b"{}foo", slots.crc16(b"{}foo") & 16383),
        (b"foo{", slots.crc16(b"foo{") & 16383),
        (b"}foo{bar", slots.crc16(b"}foo{bar") & 16383),
        (b"foo{{bar}}", slots.crc16(b"{bar") & 16383),
        (b"}{foo}", 12182),
        (b"\x00\xff", slots.crc16(b"\x00\xff") & 16383),
    ],
)
def test_key_slot(key, slot):
    assert slots.key_slot(key) == slot


@pytest.mark.parametrize("raw", [b"0", b"16383", b"77"])
def test_slot_arguments(raw):
    assert slots.parse_slot(raw) == int(raw)


@pytest.mark.parametrize("raw", [b"", b"-1", b"16384", b"01", b"+1", b" 1", b"1.0", b"x", b"9" * 30])
def test_what_is_no_slot_argument(raw):
    with pytest.raises(ClusterError) as error:
        slots.parse_slot(raw)
    assert error.value.text == "ERR Invalid or out of range slot"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([0], "0"),
        ([16383], "16383"),
        (range(16384), "0-16383"),
        ([0, 1, 2, 5, 7, 8], "0-2 5 7-8"),
        ([16382, 16383], "16382-16383"),
    ],
)
def test_ranges_text(numbers, text):
    made = slots.slot_set(numbers)
    assert slots.ranges_text(made) == text
    back = 0
    for word in text.split():
        back |= slots.parse_range(word)
    assert back == made


@pytest.mark.parametrize("text", ["", "x", "5-3", "0-16384", "-1", "1-2-3"])
def test_what_is_no_range(text):
    with pytest.raises(ValueError):
        slots.parse_range(text)


@given(some_slots)
def test_a_set_survives_every_form(numbers):
    made = slots.slot_set(numbers)
    assert list(slots.members(made)) == sorted(numbers)
    bitmap = slots.to_bitmap(made)
    assert slots.from_bitmap(bitmap) == made
    assert all(bitmap[n // 8] >> (n % 8) & 1 for n in numbers)
    assert sum(end - start + 1 for start, end in slots.ranges(made)) == len(numbers)
