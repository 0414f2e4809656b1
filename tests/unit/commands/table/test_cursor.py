"""Reading arguments: what is accepted, and the text of each refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from node.commands.table.cursor import FLAG, Cursor
from node.replies import CommandError

SYNTAX = "ERR syntax error"
NOT_INTEGER = "ERR value is not an integer or out of range"
NOT_FLOAT = "ERR value is not a valid float"


def cursor(text: str) -> Cursor:
    return Cursor([b"command", *text.encode().split()])


def outcome(action: Callable[[], Any]) -> Any:
    """The value, or the text of the error."""
    try:
        return action()
    except CommandError as error:
        return error.text.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", NOT_INTEGER),
        ("", SYNTAX),
        ("+1", NOT_INTEGER),
        ("01", NOT_INTEGER),
        ("-0", NOT_INTEGER),
        ("1.0", NOT_INTEGER),
        ("1_0", NOT_INTEGER),
    ],
)
def test_take_int(text: str, expected: object) -> None:
    assert outcome(cursor(text).take_int) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 9, 7),
        (0, 2**63 - 1, 7),
        (8, 9, "ERR value is out of range, value must between 8 and 9"),
        (0, 6, "ERR value is out of range, value must between 0 and 6"),
    ],
)
def test_bounds(low: int, high: int, expected: object) -> None:
    assert outcome(lambda: cursor("7").take_int(low, high)) == expected


def test_a_negative_number_where_only_positive_ones_make_sense() -> None:
    assert outcome(lambda: cursor("-7").take_int(0)) == "ERR value is out of range, must be positive"
    assert outcome(lambda: cursor("x").take_int(0, error=CommandError("ERR mine"))) == "ERR mine"
    assert outcome(lambda: cursor("-7").take_int(0, error=CommandError("ERR mine"))) == "ERR mine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("-inf", float("-inf")),
        ("+5", 5.0),
        ("1e3", 1000.0),
        ("0x10", 16.0),
        ("nan", NOT_FLOAT),
        ("1e999", NOT_FLOAT),
        ("1_0", NOT_FLOAT),
        ("x", NOT_FLOAT),
        ("", SYNTAX),
    ],
)
def test_take_float(text: str, expected: object) -> None:
    assert outcome(cursor(text).take_float) == expected


def test_taking_in_order() -> None:
    args = cursor("a b c d e")
    assert args.peek() == b"a"
    assert (args.take(), args.take_word(), args.accept(b"X"), args.accept(b"C")) == (b"a", b"B", False, True)
    assert args.left == 2
    assert args.take_rest() == [b"d", b"e"]
    assert args.peek() is None
    assert outcome(args.take) == SYNTAX
    assert outcome(lambda: args.take_many(1)) == SYNTAX


OPTION_CASES = [
    ("", {}),
    ("nx", {"NX": True}),
    ("COUNT 5 NX", {"COUNT": 5, "NX": True}),
    ("count 5 count 6", {"COUNT": 6}),
    ("limit 1 2", {"LIMIT": (1, 2)}),
    ("count", SYNTAX),
    ("count x", NOT_INTEGER),
    ("limit 1", SYNTAX),
    ("other", SYNTAX),
    ("nx surplus", SYNTAX),
]


@pytest.mark.parametrize(("text", "expected"), OPTION_CASES)
def test_options(text: str, expected: object) -> None:
    def read() -> dict[str, Any]:
        return cursor(text).options(NX=FLAG, COUNT=Cursor.take_int, LIMIT=lambda c: (c.take_int(), c.take_int()))

    assert outcome(read) == expected


def test_options_that_exclude_each_other() -> None:
    both = cursor("nx xx").options(NX=FLAG, XX=FLAG)
    assert outcome(lambda: both.exclusive("NX", "XX")) == SYNTAX
    one = cursor("xx").options(NX=FLAG, XX=FLAG)
    assert one.exclusive("NX", "XX") == "XX"
    assert one.exclusive("NX") is None
    assert one["NX"] is None


def test_what_is_left_is_refused() -> None:
    args = cursor("a")
    assert outcome(args.end) == SYNTAX
    args.take()
    args.end()
