"""MIGRATE between our node and a real redis-server 7.0, both ways: values of every type arrive as they were."""

from __future__ import annotations

import pytest

from tests.support.contents import contents
from tests.support.servers import Fleet, Server

KEYS = ("text", "number", "list", "long", "set", "ints", "zset", "hash", "stream", "mortal")


def fill(server: Server) -> None:
    server.call("SET", "text", "x" * 100_000)
    server.call("SET", "number", "12345")
    server.call("RPUSH", "list", "a", "b", "3")
    server.call("RPUSH", "long", *(f"element {i}" for i in range(3000)))
    server.call("SADD", "set", *(f"member {i}" for i in range(1000)))
    server.call("SADD", "ints", 1, 70000, -5)
    server.call("ZADD", "zset", *(word for i in range(500) for word in (i / 4, f"member {i}")))
    server.call("HSET", "hash", *(word for i in range(600) for word in (f"field {i}", f"value {i}")))
    server.call("XADD", "stream", "1-1", "f", "v")
    server.call("XGROUP", "CREATE", "stream", "g", "0")
    server.call("SET", "mortal", "v", "PX", "3600000")


@pytest.mark.parametrize("ours_first", [True, False], ids=["from ours", "to ours"])
def test_all_types_there_and_back(fleet: Fleet, ours_first: bool) -> None:
    here, there = fleet.ours(), fleet.oracle()
    if not ours_first:
        here, there = there, here
    fill(here)
    values = {key: here.call("DEBUG", "DIGEST-VALUE", key) for key in KEYS}
    whole = {key for key in contents(here, mortal_fields=False) if key != "libraries"}
    for source, target in ((here, there), (there, here)):
        assert source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *KEYS) == b"OK"
        assert source.call("DBSIZE") == 0
        assert {key for key in contents(target, mortal_fields=False) if key != "libraries"} == whole
        assert 3_500_000 < target.call("PTTL", "mortal") <= 3_600_000
        if target is here:
            assert {key: target.call("DEBUG", "DIGEST-VALUE", key) for key in KEYS} == values


def test_a_target_with_a_password(fleet: Fleet) -> None:
    here, there = fleet.ours(), fleet.oracle()
    here.call("SET", "k", "v")
    there.call("CONFIG", "SET", "requirepass", "secret")
    move = ("MIGRATE", "127.0.0.1", there.port, "k", 0, 1000)
    assert here.ask(*move).is_error
    assert here.ask(*move, "AUTH", "wrong").body.startswith(b"ERR Target instance replied with error: WRONGPASS")
    assert here.call("EXISTS", "k") == 1
    assert here.call(*move, "AUTH2", "default", "secret") == b"OK"
    assert here.call("EXISTS", "k") == 0
