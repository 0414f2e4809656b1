"""SORT: weights, patterns, and what is stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded import Embedded, EmbeddedClient


@pytest.fixture
def client() -> EmbeddedClient:
    client = Embedded().client()
    for command in (
        "RPUSH list 3 1 2",
        "RPUSH words pear Apple fig",
        "SADD set 3 10 2",
        "ZADD zset 1 c 2 a 3 b",
        "MSET w_1 30 w_2 10 w_3 20 name_1 one name_3 three",
        "HSET h_1 weight 1 name uno",
        "HSET h_2 weight 3",
        "HSET h_3 weight 2",
        "RPUSH odd 1 x",
    ):
        client(*command.split())
    return client


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("SORT list", [b"1", b"2", b"3"]),
        ("SORT list DESC LIMIT 1 1", [b"2"]),
        ("SORT list LIMIT -5 2", [b"1", b"2"]),
        ("SORT list LIMIT 1 -7", [b"2", b"3"]),
        ("SORT list BY nosort", [b"3", b"1", b"2"]),
        ("SORT list BY nosort DESC LIMIT 0 2", [b"2", b"1"]),
        ("SORT words ALPHA", [b"Apple", b"fig", b"pear"]),
        ("SORT set ALPHA", [b"10", b"2", b"3"]),
        ("SORT zset BY nosort DESC", [b"b", b"a", b"c"]),
        ("SORT list BY w_*", [b"2", b"3", b"1"]),
        ("SORT list BY h_*->weight DESC", [b"2", b"3", b"1"]),
        ("SORT list BY name_* ALPHA", [b"2", b"1", b"3"]),
        ("SORT list BY missing_*", [b"1", b"2", b"3"]),
        ("SORT list GET # GET name_* GET h_*->name", [b"1", b"one", b"uno", b"2", None, None, b"3", b"three", None]),
        ("SORT list GET w_1", [None, None, None]),
        ("SORT list GET h_*", [None, None, None]),
        ("SORT_RO list ASC", [b"1", b"2", b"3"]),
        ("SORT_RO list STORE x", "ERR syntax error"),
        ("SORT odd", "ERR One or more scores can't be converted into double"),
        ("SORT w_1", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("SORT nothing", []),
    ],
)
def test_sort(client: EmbeddedClient, command: str, reply: Any) -> None:
    assert client(*command.split()) == reply


def test_store(client: EmbeddedClient) -> None:
    client("SET", "to", "x", "EX", "100")
    assert client("SORT", "list", "GET", "name_*", "STORE", "to") == 3
    assert client("LRANGE", "to", "0", "-1") == [b"one", b"", b"three"]
    assert client("TTL", "to") == -1
    assert client("SORT", "nothing", "STORE", "to") == 0
    assert client("EXISTS", "to") == 0


def test_a_set_is_stored_in_a_certain_order(client: EmbeddedClient) -> None:
    assert client("SORT", "set", "BY", "nosort", "STORE", "to") == 3
    assert client("LRANGE", "to", "0", "-1") == [b"10", b"2", b"3"]


def test_the_destination_may_be_the_source(client: EmbeddedClient) -> None:
    assert client("SORT", "list", "STORE", "list") == 3
    assert client("LRANGE", "list", "0", "-1") == [b"1", b"2", b"3"]
