"""`locale-collate`: in whose order SORT ALPHA compares, as the C library knows it."""

from __future__ import annotations

import locale
from collections.abc import Callable
from typing import Any

from node.config import BadValue

BYTE_ORDER = {"C", "POSIX"}


def collation(name: str) -> Callable[[bytes], Any] | None:
    """A key to sort by; None: as the bytes are. An empty name stands for what the environment says. BadValue."""
    try:
        used = locale.setlocale(locale.LC_COLLATE, name)
    except (locale.Error, ValueError):
        if name:
            raise BadValue("Invalid locale name") from None
        used = locale.setlocale(locale.LC_COLLATE, "C")
    return None if used.partition(".")[0] in BYTE_ORDER else _key


def _key(text: bytes) -> tuple[str, bytes]:
    readable = text.partition(b"\0")[0].decode("utf-8", "replace")
    return locale.strxfrm(readable), text
