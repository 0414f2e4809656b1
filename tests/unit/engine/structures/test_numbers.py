"""Texts of numbers: what is one, and how one is written."""

import math
import random
import struct
from collections.abc import Iterator

import pytest

from node.engine.structures import numbers
from node.engine.structures.shortest import format_shortest

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@pytest.mark.parametrize("value", [0, 1, -1, 9, 10, 99, 100, 12345, -100, 10**18, INT64_MAX, INT64_MIN, INT64_MAX - 7])
def test_canonical_integers(value: int) -> None:
    assert numbers.parse_int64(b"%d" % value) == value


@pytest.mark.parametrize(
    "text",
    [
        b"", b"-", b"+1", b"-0", b"01", b"007", b" 1", b"1 ", b"1a", b"0x1", b"1.0", b"1e3", b"--1", b"1\0", b"1" * 40,
        b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"99999999999999999999",
    ],
)  # fmt: skip
def test_texts_that_are_no_integers(text: bytes) -> None:
    assert numbers.parse_int64(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"0", 0.0), (b"-0", -0.0), (b"1", 1.0), (b"+1", 1.0), (b"1.", 1.0), (b".5", 0.5), (b"-.5", -0.5),
        (b"3.14", 3.14), (b"1e3", 1000.0), (b"1E-3", 0.001), (b"0x10", 16.0), (b"0x1p-2", 0.25),
        (b"inf", math.inf), (b"+inf", math.inf), (b"-INF", -math.inf), (b"Infinity", math.inf),
        (b"-infinity", -math.inf),
        (b"123456789012345", 123456789012345.0), (b"1234567890123456789", 1234567890123456789.0),
        (b"0." + b"1" * 300, float("0." + "1" * 300)), (b"9" * 300, float("9" * 300)),
        (b"4.9406564584124654e-324", 5e-324), (b"1.7976931348623157e308", 1.7976931348623157e308),
    ],
)  # fmt: skip
def test_floats(text: bytes, value: float) -> None:
    parsed = numbers.parse_double(text)
    assert parsed is not None
    assert struct.pack("d", parsed) == struct.pack("d", value)  # the sign of zero as well


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"-", b"+", b".", b"-.", b" 1", b"1 ", b"\t1", b"1\0", b"nan", b"-nan", b"nan(1)", b"abc", b"1e",
        b"1.2.3", b"--1", b"1_0", b"1e400", b"-1e400", b"1e-400", b"infinit", b"1" * 300 + b"x",
    ],
)  # fmt: skip
def test_texts_that_are_no_floats(text: bytes) -> None:
    assert numbers.parse_double(text) is None


def test_short_decimals_round_as_strtod_does() -> None:
    rng = random.Random(1)
    for _ in range(20_000):
        digits = str(rng.randrange(10 ** rng.randint(1, 17)))
        point = rng.randint(0, len(digits))
        text = rng.choice(["", "-", "+"]) + digits[:point] + "." + digits[point:]
        assert numbers.parse_double(text.encode()) == float(text), text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"), (-0.0, b"-0"), (1.0, b"1"), (-1.5, b"-1.5"), (0.1, b"0.1"), (1e16, b"10000000000000000"),
        (1e18, b"1000000000000000000"), (2.0**62, b"4611686018427387904"), (2.0**62 + 1024, b"4611686018427389000"),
        (1.2345678901234567e19, b"12345678901234567000"), (1e20, b"1e+20"), (-1e21, b"-1e+21"),
        (1e-6, b"0.000001"), (1e-7, b"1e-7"), (0.000025, b"0.000025"), (0.00001234, b"1.234e-5"), (5e-324, b"5e-324"),
        (1.234e25, b"1.234e+25"), (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (math.inf, b"inf"), (-math.inf, b"-inf"), (math.nan, b"nan"),
        # What Redis' way of finding the digits does not make the shortest, or the closest.
        (-1.547182503134182e-78, b"-1.5471825031341819e-78"), (-1.651484200947297e116, b"-1.6514842009472968e+116"),
    ],
)  # fmt: skip
def test_doubles_are_written_as_redis_writes_them(value: float, text: bytes) -> None:
    assert numbers.format_double(value) == text


def drawn_doubles(count: int) -> Iterator[float]:
    rng = random.Random(2)
    for _ in range(count):
        value: float = rng.choice(
            [
                rng.uniform(-1, 1),
                float(rng.randint(-(2**64), 2**64)),
                round(rng.uniform(-1000, 1000), rng.randint(0, 6)),
                math.ldexp(rng.choice([1, 1 - 2**-53, 1 + 2**-52]), rng.randint(-1074, 1023)),
                struct.unpack("d", rng.randbytes(8))[0],
            ]
        )
        if not math.isnan(value):
            yield value


def digits(text: str) -> str:
    return text.split("e")[0].replace(".", "").strip("-0")


def test_drawn_doubles_read_back_from_the_fewest_digits() -> None:
    """`repr` writes the fewest; what Redis writes has at most seventeen, and seldom more than that."""
    longer = count = 0
    for value in drawn_doubles(40_000):
        text = numbers.format_double(value)
        assert float(text) == value
        assert len(digits(text.decode())) <= 19  # an integer is written in full
        assert len(text) <= 25
        if abs(value) > 2.0**62 or not value.is_integer():
            count += 1
            longer += len(digits(text.decode())) > len(digits(repr(value)))
            assert len(digits(text.decode())) <= 17
    assert longer < count / 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"), (-0.0, b"0"), (3.0, b"3"), (1e17, b"100000000000000000"), (-1e18, b"-1000000000000000000"),
        (0.1, b"0.1"), (1e19, b"1e+19"), (2.0**62, b"4611686018427387904"), (math.inf, b"inf"), (-math.inf, b"-inf"),
    ],
)  # fmt: skip
def test_scores_are_written_as_integers_where_possible(value: float, text: bytes) -> None:
    assert numbers.format_score(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, b"0"), (-0.0, b"-0"), (3.0, b"3"), (1e7, b"10000000"), (1e17, b"1e+17"), (0.1, b"0.1")]
)
def test_digests_write_large_integers_with_an_exponent(value: float, text: bytes) -> None:
    assert format_shortest(value) == text


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (b"1.5", (1.5, False)), (b"(1.5", (1.5, True)), (b"-inf", (-math.inf, False)), (b"(+inf", (math.inf, True)),
        (b"", (0.0, False)), (b"(", (0.0, True)), (b" 1", (1.0, False)), (b"1e400", (math.inf, False)),
        (b"nan", None), (b"1 ", None), (b"[1", None), (b"((1", None), (b"x", None),
    ],
)  # fmt: skip
def test_bounds_of_score_ranges(text: bytes, bound: tuple[float, bool] | None) -> None:
    assert numbers.parse_bound(text) == bound


@pytest.mark.parametrize(
    ("value", "increment", "total"),
    [
        (b"10.50", b"0.1", b"10.6"), (b"3", b"-3", b"0"), (b"0", b"-0.000000000000000001", b"0"),
        (b"5.0e3", b"2.0e2", b"5200"),
        (b"0.1", b"0.2", b"0.3"), (b"1", b"0.00000000000000001", b"1.00000000000000001"), (b"-1.5", b"0", b"-1.5"),
        (b"9223372036854775807", b"1", b"9223372036854775808"), (b"0x10", b"1", b"17"), (b"100", b"0", b"100"),
    ],
)  # fmt: skip
def test_adding_floats_as_long_doubles(value: bytes, increment: bytes, total: bytes) -> None:
    assert numbers.add_float(value, increment) == total


def test_large_sums_are_written_in_full() -> None:
    assert numbers.add_float(b"0x1p8000", b"0") == b"%d" % 2**8000


@pytest.mark.parametrize("text", [b"", b" 1", b"1 ", b"abc", b"nan", b"1\0", b"1" * 5200, b"1e5000", b"1e-5000"])
def test_adding_what_is_no_float(text: bytes) -> None:
    assert numbers.float_kind(text) is None
    with pytest.raises(ValueError):
        numbers.add_float(text, b"1")
    with pytest.raises(ValueError):
        numbers.add_float(b"1", text)


def test_adding_beyond_the_range() -> None:
    assert numbers.float_kind(b"-inf") == "infinite"
    assert numbers.float_kind(b"1e4000") == "finite"
    for value, increment in [(b"inf", b"1"), (b"1", b"-inf"), (b"inf", b"-inf"), (b"1.1e4932", b"1.1e4932")]:
        with pytest.raises(OverflowError):
            numbers.add_float(value, increment)
