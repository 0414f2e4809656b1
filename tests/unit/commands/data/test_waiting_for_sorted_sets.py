"""BZPOPMIN, BZPOPMAX and BZMPOP: who is served, and with what."""

from __future__ import annotations

import pytest

from tests.support.embedded import Embedded


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("BZPOPMIN z 0", [b"z", b"a", b"1"]),
        ("BZPOPMAX y z 0", [b"z", b"b", b"2"]),
        ("BZMPOP 0 2 y z MIN", [b"z", [[b"a", b"1"]]]),
        ("BZMPOP 0 1 z MAX COUNT 9", [b"z", [[b"b", b"2"], [b"a", b"1"]]]),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_pops(command: str, reply: object, waits: bool) -> None:
    node = Embedded()
    a, b = node.client(), node.client()
    add = ("ZADD", "z", "1", "a", "2", "b")
    if waits:
        a.send(*command.split())
        assert a.take() is None
        b(*add)
    else:
        b(*add)
        a.send(*command.split())
    assert a.take() == reply


def test_first_come_first_served() -> None:
    node = Embedded()
    a, b, c = node.client(), node.client(), node.client()
    a.send("BZPOPMIN", "z", "0")
    b.send("BZPOPMIN", "z", "0")
    c("ZADD", "z", "1", "one")
    assert (a.take(), b.take()) == ([b"z", b"one", b"1"], None)
    c("ZADD", "z", "2", "two")
    assert b.take() == [b"z", b"two", b"2"]


def test_another_kind_of_value_does_not_wake() -> None:
    node = Embedded()
    a, b = node.client(), node.client()
    a.send("BZPOPMIN", "z", "1")
    b("RPUSH", "z", "x")
    assert a.take() is None
    assert node.core.blocking.count == 1
    node.advance(1001)
    assert node.core.blocking.count == 0


def test_a_value_under_a_new_name_wakes() -> None:
    node = Embedded()
    a, b = node.client(), node.client()
    a.send("BZPOPMAX", "z", "0")
    b("ZADD", "y", "1", "m")
    assert a.take() is None
    b("RENAME", "y", "z")
    assert a.take() == [b"z", b"m", b"1"]
    assert b("EXISTS", "z") == 0
