"""What the SCAN family shares: cursors and options."""

import pytest

from node.commands.data.scan import scan_cursor, scan_options
from node.replies import CommandError


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        (b"0", 0),
        (b"", 0),
        (b"17", 17),
        (b"+17", 17),
        (b"0017", 17),
        (b"-1", 2**64 - 1),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", None),
        (b"x", None),
        (b"1x", None),
        (b" 1", None),
        (b"1 ", None),
        (b"-", None),
        (b"0x10", None),
        (b"1.0", None),
    ],
)
def test_a_cursor_is_what_strtoul_makes_of_it(text: bytes, cursor: int | None) -> None:
    if cursor is not None:
        assert scan_cursor(text) == cursor
    else:
        with pytest.raises(CommandError, match="ERR invalid cursor"):
            scan_cursor(text)


def test_options_of_a_scan() -> None:
    options = scan_options([b"SCAN", b"0", b"match", b"a*", b"COUNT", b"7", b"Type", b"ZSet"], 2, b"TYPE")
    assert (options.count, options.type) == (7, "zset")
    assert [text for text in (b"a", b"abc", b"b") if options.wants(text)] == [b"a", b"abc"]
    assert scan_options([b"SCAN", b"0"], 2).wants(b"anything")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([b"COUNT", b"0"], "ERR syntax error"),
        ([b"COUNT", b"-1"], "ERR syntax error"),
        ([b"COUNT", b"x"], "ERR value is not an integer or out of range"),
        ([b"COUNT"], "ERR syntax error"),
        ([b"MATCH"], "ERR syntax error"),
        ([b"TYPE", b"string"], "ERR syntax error"),
        ([b"BOGUS", b"1"], "ERR syntax error"),
    ],
)
def test_options_are_refused(words: list[bytes], error: str) -> None:
    with pytest.raises(CommandError, match=error):
        scan_options([b"SSCAN", b"key", b"0", *words], 3)
