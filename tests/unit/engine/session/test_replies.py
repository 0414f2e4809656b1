"""Reply values in both protocols, byte by byte; the test client's parser reads back what the writer wrote."""

from __future__ import annotations

from typing import Any

import pytest

from node.engine.session.wire import render
from node.replies import (
    NO_REPLY,
    NULL_ARRAY,
    Attributed,
    BigNumber,
    CommandError,
    Push,
    Raw,
    ReplySet,
    Verbatim,
)
from tests.support.resp import parse

CASES: list[tuple[Any, bytes, bytes]] = [
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (NO_REPLY, b"", b""),
    ("OK", b"+OK\r\n", b"+OK\r\n"),
    ("two\r\nlines", b"+two  lines\r\n", b"+two  lines\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-7, b":-7\r\n", b":-7\r\n"),
    (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (b"x" * 12, b"$12\r\nxxxxxxxxxxxx\r\n", b"$12\r\nxxxxxxxxxxxx\r\n"),
    (b"x" * 1000, b"$1000\r\n" + b"x" * 1000 + b"\r\n", b"$1000\r\n" + b"x" * 1000 + b"\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (float("inf"), b"$3\r\ninf\r\n", b",inf\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([1, [b"a", None]], b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n", b"*2\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n"),
    ({b"k": 1}, b"*2\r\n$1\r\nk\r\n:1\r\n", b"%1\r\n$1\r\nk\r\n:1\r\n"),
    (ReplySet([1]), b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
    (Push([b"m"]), b"*1\r\n$1\r\nm\r\n", b">1\r\n$1\r\nm\r\n"),
    (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    (BigNumber(10**30), b"$31\r\n1" + b"0" * 30 + b"\r\n", b"(1" + b"0" * 30 + b"\r\n"),
    (CommandError("ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (Raw(b"+RAW\r\n"), b"+RAW\r\n", b"+RAW\r\n"),
    (Attributed({b"a": 1}, b"v"), b"$1\r\nv\r\n", b"|1\r\n$1\r\na\r\n:1\r\n$1\r\nv\r\n"),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES, ids=lambda value: repr(value)[:30])
def test_replies_in_both_protocols(value: Any, resp2: bytes, resp3: bytes) -> None:
    assert render(value, 2) == resp2
    assert render(value, 3) == resp3


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES, ids=lambda value: repr(value)[:30])
def test_a_reader_finds_the_end_of_each_reply(value: Any, resp2: bytes, resp3: bytes) -> None:
    for data in (resp2, resp3):
        if data:
            _, end = parse(data + b"+next\r\n")
            if isinstance(value, Attributed) and data is resp3:
                # An attribute is a frame of its own before the value.
                end += parse(data[end:] + b"+next\r\n")[1]
            assert end == len(data)


def test_a_value_without_a_reply_is_our_own_bug() -> None:
    with pytest.raises(TypeError, match="no RESP form for object"):
        render(object())
