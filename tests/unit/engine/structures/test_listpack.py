"""The listpack: byte for byte what Redis writes, a list in every operation, and closed to hostile payloads."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.structures.listpack import pack, unpack
from tests.support.probe import ListpackProbe


def entry(body: bytes, back: bytes) -> bytes:
    return body + back


# value -> the bytes of its entry: encoding and data, then the length of those, to be read backwards.
ENTRIES: list[tuple[bytes, bytes]] = [
    # 7 bits, unsigned
    (b"0", entry(b"\x00", b"\x01")),
    (b"1", entry(b"\x01", b"\x01")),
    (b"127", entry(b"\x7f", b"\x01")),
    # 13 bits, signed
    (b"128", entry(b"\xc0\x80", b"\x02")),
    (b"-1", entry(b"\xdf\xff", b"\x02")),
    (b"4095", entry(b"\xcf\xff", b"\x02")),
    (b"-4096", entry(b"\xd0\x00", b"\x02")),
    # 16 bits
    (b"4096", entry(b"\xf1\x00\x10", b"\x03")),
    (b"-4097", entry(b"\xf1\xff\xef", b"\x03")),
    (b"32767", entry(b"\xf1\xff\x7f", b"\x03")),
    (b"-32768", entry(b"\xf1\x00\x80", b"\x03")),
    # 24 bits
    (b"32768", entry(b"\xf2\x00\x80\x00", b"\x04")),
    (b"-8388608", entry(b"\xf2\x00\x00\x80", b"\x04")),
    (b"8388607", entry(b"\xf2\xff\xff\x7f", b"\x04")),
    # 32 bits
    (b"8388608", entry(b"\xf3\x00\x00\x80\x00", b"\x05")),
    (b"-2147483648", entry(b"\xf3\x00\x00\x00\x80", b"\x05")),
    (b"2147483647", entry(b"\xf3\xff\xff\xff\x7f", b"\x05")),
    # 64 bits
    (b"2147483648", entry(b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00", b"\x09")),
    (b"9223372036854775807", entry(b"\xf4" + b"\xff" * 7 + b"\x7f", b"\x09")),
    (b"-9223372036854775808", entry(b"\xf4" + b"\x00" * 7 + b"\x80", b"\x09")),
    # what looks like a number but isn't the canonical form of one stays a string
    (b"", entry(b"\x80", b"\x01")),
    (b"-", entry(b"\x81-", b"\x02")),
    (b"-0", entry(b"\x82-0", b"\x03")),
    (b"+1", entry(b"\x82+1", b"\x03")),
    (b"007", entry(b"\x83007", b"\x04")),
    (b"1 ", entry(b"\x821 ", b"\x03")),
    (b"1.5", entry(b"\x831.5", b"\x04")),
    (b"9223372036854775808", entry(b"\x939223372036854775808", b"\x14")),
    (b"-9223372036854775809", entry(b"\x94-9223372036854775809", b"\x15")),
    (b"99999999999999999999", entry(b"\x9499999999999999999999", b"\x15")),
    # strings: 6-bit, 12-bit and 32-bit lengths; the steps of the backward length
    (b"x" * 63, entry(b"\xbf" + b"x" * 63, b"\x40")),
    (b"x" * 64, entry(b"\xe0\x40" + b"x" * 64, b"\x42")),
    (b"x" * 125, entry(b"\xe0\x7d" + b"x" * 125, b"\x7f")),
    (b"x" * 126, entry(b"\xe0\x7e" + b"x" * 126, b"\x01\x80")),
    (b"x" * 4095, entry(b"\xef\xff" + b"x" * 4095, b"\x20\x81")),
    (b"x" * 4096, entry(b"\xf0\x00\x10\x00\x00" + b"x" * 4096, b"\x20\x85")),
    (b"x" * 16377, entry(b"\xf0\xf9\x3f\x00\x00" + b"x" * 16377, b"\x7f\xfe")),
    (b"x" * 16378, entry(b"\xf0\xfa\x3f\x00\x00" + b"x" * 16378, b"\x00\xff\xff")),
]


def whole(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return (len(body) + 7).to_bytes(4, "little") + len(entries).to_bytes(2, "little") + body + b"\xff"


@pytest.mark.parametrize(("value", "coded"), ENTRIES, ids=lambda v: repr(v[:24]))
def test_an_entry_has_redis_bytes_in_both_directions(value: bytes, coded: bytes) -> None:
    assert pack([value]) == whole(coded)
    assert unpack(whole(coded)) == [value]
    assert ListpackProbe(whole(coded)).find(value) == 0


def test_all_entries_in_one_block() -> None:
    values = [value for value, _ in ENTRIES]
    assert pack(values) == whole(*(coded for _, coded in ENTRIES))
    lp = ListpackProbe(whole(*(coded for _, coded in ENTRIES)))
    assert [lp[i] for i in range(len(lp))] == values
    assert [lp[-i] for i in range(1, len(lp) + 1)] == values[::-1]
    assert [lp.find(value) for value in values] == list(range(len(values)))


def test_the_empty_listpack() -> None:
    assert pack([]) == bytes.fromhex("070000000000ff")
    assert unpack(pack([])) == []
    with pytest.raises(IndexError):
        ListpackProbe()[0]


@pytest.mark.parametrize(
    ("coded", "value"),
    [
        (b"\xf4\x05" + bytes(7) + b"\x09", b"5"),
        (b"\xf1\xff\xff\x03", b"-1"),
        (b"\x8212\x03", b"12"),
        (b"\xe0\x01a\x03", b"a"),
        (b"\xf0\x02\x00\x00\x00-3\x07", b"-3"),
    ],
)
def test_forms_longer_than_needed_are_read_and_found(coded: bytes, value: bytes) -> None:
    lp = ListpackProbe(whole(coded))
    assert lp[0] == value
    assert lp.find(value) == 0
    assert lp.equals(0, value)
    assert not lp.equals(0, value + b"0")


def test_integers_are_stored_as_integers() -> None:
    lp = ListpackProbe(pack([b"12", b"012", b"-5000"]))
    assert [lp.integer(i) for i in range(3)] == [12, None, -5000]
    lp.append_int(-(2**63))
    assert lp[3] == b"-9223372036854775808"
    assert bytes(lp) == pack([b"12", b"012", b"-5000", b"-9223372036854775808"])


def test_find_skips() -> None:
    lp = ListpackProbe(pack([b"f", b"v", b"v", b"f", b"7", b"8"]))
    assert lp.find(b"v", skip=1) == 2
    assert lp.find(b"f", skip=1) == 0
    assert lp.find(b"7", skip=1) == 4
    assert lp.find(b"8", skip=1) == -1
    assert lp.find(b"v", start=2) == 2
    assert lp.find(b"f", start=-5) == 3


def test_the_count_saturates_and_comes_back() -> None:
    lp = ListpackProbe()
    for i in range(65534):
        lp.append_int(i)
    assert bytes(lp)[4:6] == b"\xfe\xff"
    lp.append(b"x")
    lp.append(b"y")
    assert bytes(lp)[4:6] == b"\xff\xff"
    assert len(lp) == 65536
    assert [lp[i] for i in (-1, 65535, -65536)] == [b"y", b"y", b"0"]
    assert len(unpack(bytes(lp))) == 65536
    lp.delete(0, 10)
    assert len(lp) == 65526
    assert bytes(lp)[4:6] == (65526).to_bytes(2, "little")


def value_pool(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return b"%d" % rng.randrange(-200, 200)
    if kind == 1:
        return b"%d" % rng.randrange(-(2 ** rng.randrange(1, 64)), 2 ** rng.randrange(1, 64))
    if kind == 2:
        return b"m%d" % rng.randrange(10)
    if kind == 3:
        return rng.randbytes(rng.choice([0, 5, 62, 63, 64, 124, 125, 126, 127]))
    if kind == 4:
        return rng.randbytes(rng.choice([200, 4094, 4095, 4096]))
    return b"same"


@pytest.mark.parametrize("seed", range(8))
def test_it_behaves_like_a_list(seed: int) -> None:
    rng = random.Random(seed)
    lp, model = ListpackProbe(), list[bytes]()
    for _ in range(1500):
        value = value_pool(rng)
        index = rng.randrange(len(model)) if model else 0
        what = rng.randrange(8) if model else rng.randrange(2)
        if what == 0:
            lp.append(value)
            model.append(value)
        elif what == 1:
            lp.prepend(value)
            model.insert(0, value)
        elif what == 2:
            after = rng.random() < 0.5
            assert lp.insert(index - (len(model) if rng.random() < 0.5 else 0), value, after) == index + after
            model.insert(index + after, value)
        elif what == 3:
            assert lp.replace(index, value) == index
            model[index] = value
        elif what == 4:
            count = rng.choice([1, 1, 2, 5, 1000])
            del model[index : index + count]
            assert lp.delete(index, count) == (index if index < len(model) else -1)
        elif what == 5:
            wanted = rng.choice([value, model[index]])
            assert lp.find(wanted) == (model.index(wanted) if wanted in model else -1)
        elif what == 6:
            skip = rng.randrange(3)
            expected = [i for i in range(index, len(model), skip + 1) if model[i] == value]
            assert lp.find(value, skip, index) == (expected[0] if expected else -1)
        else:
            assert lp[index] == lp[index - len(model)] == model[index]
            assert lp.equals(index, model[index])
        assert len(lp) == len(model)
    assert unpack(bytes(lp)) == model
    assert bytes(lp) == pack(model)


# --- Hostile payloads ----------------------------------------------------------------------------------------------

GOOD = pack([b"field", b"12345", b"", b"x" * 100, b"-77", b"x" * 5000])

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a header without a terminator": b"\x06\x00\x00\x00\x00\x00",
    "a total that is too small": b"\x06\x00\x00\x00\x00\x00\xff",
    "a total that is too large": b"\xff\x00\x00\x00\x00\x00\xff",
    "no terminator": whole(b"\x01\x01")[:-1] + b"\x01",
    "a terminator in the middle": whole(b"\xff\x01"),
    "a count that is too large": b"\x09\x00\x00\x00\x02\x00\x01\x01\xff",
    "a count that is too small": b"\x09\x00\x00\x00\x00\x00\x01\x01\xff",
    "an encoding that does not exist": whole(b"\xf5\x01"),
    "a string that leaves the block": whole(b"\xbf\x01"),
    "a long string that leaves the block": whole(b"\xf0\xff\xff\xff\xff\x01"),
    "a long string whose length wraps": whole(b"\xf0\xf6\xff\xff\xff\x01"),
    "a length cut off": whole(b"\xf0\x01\x01"),
    "a 12-bit length cut off": whole(b"\xe1"),
    "an integer cut off": whole(b"\xf4\x00\x00"),
    "a backward length that lies": whole(b"\x01\x02"),
    "a backward length that points before the block": whole(b"\x01\x7f"),
    "a backward length without an end": whole(b"\x84abcd\xff"),
    "a backward length in more bytes than needed": whole(b"\xe0\x7d" + b"x" * 125 + b"\x00\xff"),
    "trailing bytes": GOOD + b"\x00",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_payload_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a listpack"):
        unpack(data)
    with pytest.raises(ValueError, match="not a listpack"):
        ListpackProbe(data)


def test_every_truncation_is_refused() -> None:
    for n in range(len(GOOD)):
        with pytest.raises(ValueError):
            unpack(GOOD[:n])


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_payload_is_refused_or_walks_safely_both_ways(damage: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for place, byte in damage:
        data[place] = byte
    try:
        values = unpack(bytes(data))
    except ValueError:
        return
    lp = ListpackProbe(bytes(data))
    assert [lp[-i] for i in range(len(values), 0, -1)] == values
    assert all(lp.find(value) == values.index(value) for value in values)


@given(st.binary(max_size=60))
def test_noise_is_refused_or_walks_safely(noise: bytes) -> None:
    for count in (b"\x01\x00", b"\xff\xff"):
        data = (len(noise) + 7).to_bytes(4, "little") + count + noise + b"\xff"
        try:
            values = unpack(data)
        except ValueError:
            continue
        lp = ListpackProbe(data)
        assert [lp[-i] for i in range(len(values), 0, -1)] == values
