"""Words of a configuration line: splitting as redis.conf is split, and quoting so that splitting gives the word back.

A word may be bare, or end in one quoted part: "double" quotes know \\n \\r \\t \\a \\b \\xHH, 'single' quotes know
\\' only, and a closing quote is followed by a blank or by nothing. Directive values are text; bytes that are not UTF-8
survive as surrogate escapes, because passwords and paths may hold any byte.
"""

from __future__ import annotations

import re

# The quantifiers are possessive: an escape, once read as one, is never read again as a closing quote.
_WORD = re.compile(rb"""([^\s"']*+)(?:"((?:\\.|[^"\\])*+)"|'((?:\\'|[^'])*+)')?(?=\s|\Z)""", re.DOTALL)
_BLANK = re.compile(rb"\s*+")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_SHOWN = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x07: "\\a", 0x08: "\\b"}


class Unbalanced(ValueError):
    """A quote is not closed, or something other than a blank follows a closing quote."""


def to_bytes(text: str) -> bytes:
    """The bytes of a directive's text."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The text that directives keep of some bytes."""
    return data.decode("utf-8", "surrogateescape")


def split_words(line: str) -> list[str]:
    """The words of one line; raises Unbalanced."""
    data = to_bytes(line)
    words: list[str] = []
    at = 0
    while True:
        blank = _BLANK.match(data, at)
        assert blank is not None
        at = blank.end()
        if at == len(data):
            return words
        word = _WORD.match(data, at)
        if word is None:
            raise Unbalanced(line)
        bare, double, single = word.groups()
        tail = _ESCAPE.sub(_unescape, double) if double is not None else (single or b"").replace(b"\\'", b"'")
        words.append(to_text(bare + tail))
        at = word.end()


def _unescape(escape: re.Match[bytes]) -> bytes:
    code, char = escape.groups()
    return bytes([int(code, 16)]) if code is not None else _NAMED.get(char, char)


def quote(word: str) -> str:
    """The word in double quotes, every byte that is not printable ASCII escaped."""
    shown = (_SHOWN.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in to_bytes(word))
    return '"' + "".join(shown) + '"'
