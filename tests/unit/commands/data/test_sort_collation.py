"""SORT ALPHA in another order than that of the bytes (locale-collate)."""

from __future__ import annotations

from tests.support.embedded import Embedded


def test_what_is_shown_is_collated_and_what_is_stored_is_not() -> None:
    node = Embedded()
    client = node.client()
    client("RPUSH", "l", "b", "B", "a", "A")
    assert client("SORT", "l", "ALPHA") == [b"A", b"B", b"a", b"b"]
    node.core.collate = lambda text: (text.lower(), text)
    assert client("SORT", "l", "ALPHA") == [b"A", b"a", b"B", b"b"]
    assert client("SORT", "l", "ALPHA", "DESC") == [b"b", b"B", b"a", b"A"]
    for element, weight in zip("bBaA", "ZyXw", strict=True):
        client("SET", f"w{element}", weight)
    assert client("SORT", "l", "ALPHA", "BY", "w*") == [b"A", b"a", b"B", b"b"]
    client("SORT", "l", "ALPHA", "STORE", "stored")
    assert client("LRANGE", "stored", 0, -1) == [b"A", b"B", b"a", b"b"]
