"""Commands for keys of any type, where several databases or the expiry are concerned."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded import Embedded, EmbeddedClient

VALUES: list[tuple[list[str], list[str], list[str]]] = [
    (["SET", "k", "123"], ["GET"], ["SET", "c", "x"]),
    (["SET", "k", "v" * 100], ["GET"], ["APPEND", "c", "x"]),
    (["RPUSH", "k", "a", "b"], ["LRANGE", "0", "-1"], ["LPOP", "c"]),
    (["HSET", "k", "f", "v"], ["HGETALL"], ["HSET", "c", "f", "w"]),
    (["SADD", "k", "1", "2"], ["SMEMBERS"], ["SADD", "c", "x"]),
    (["ZADD", "k", "1", "a"], ["ZRANGE", "0", "-1"], ["ZREM", "c", "a"]),
]


def read(client: EmbeddedClient, reader: list[str], key: str) -> Any:
    return client(reader[0], key, *reader[1:])


@pytest.mark.parametrize(("make", "reader", "change"), VALUES)
@pytest.mark.parametrize("db", ["0", "3"])
def test_a_copy_is_a_value_of_its_own(make: list[str], reader: list[str], change: list[str], db: str) -> None:
    client = Embedded().client()
    client(*make)
    client("PEXPIRE", "k", "5000")
    before = read(client, reader, "k")
    encoding = client("OBJECT", "ENCODING", "k")
    assert client("COPY", "k", "c", "DB", db) == 1
    assert client("COPY", "k", "c", "DB", db) == 0
    client("SELECT", db)
    assert read(client, reader, "c") == before
    assert client("OBJECT", "ENCODING", "c") == encoding
    assert client("PTTL", "c") == 5000
    client(*change)
    client("SELECT", "0")
    assert read(client, reader, "k") == before


def test_a_copy_of_a_grown_string_stays_raw() -> None:
    client = Embedded().client()
    client("SET", "k", "1")
    client("APPEND", "k", "2")
    client("COPY", "k", "c")
    assert client("GET", "c") == b"12"
    assert client("OBJECT", "ENCODING", "c") == client("OBJECT", "ENCODING", "k") == b"raw"


def test_copy_replaces() -> None:
    client = Embedded().client()
    client("RPUSH", "c", "old")
    client("SET", "k", "new")
    assert client("COPY", "k", "c", "REPLACE") == 1
    assert client("GET", "c") == b"new"
    assert client("PTTL", "c") == -1


def test_move_takes_the_expiry_along() -> None:
    client = Embedded().client()
    client("HSET", "k", "f", "v")
    client("PEXPIRE", "k", "5000")
    assert client("MOVE", "k", "1") == 1
    assert client("EXISTS", "k") == 0
    client("SELECT", "1")
    assert (client("HGET", "k", "f"), client("PTTL", "k")) == (b"v", 5000)
    assert client("MOVE", "nothing", "0") == 0


def test_a_dead_key_is_absent() -> None:
    node = Embedded()
    client = node.client()
    for key in ("a", "b", "c", "d"):
        client("SET", key, "v", "PX", "10")
    node.advance(11)
    assert client("DEL", "a") == 0
    assert client("UNLINK", "b") == 0
    assert client("RENAMENX", "c", "x") == "ERR no such key"
    assert client("COPY", "d", "x") == 0
    assert client("KEYS", "*") == []
    assert client("RANDOMKEY") is None
