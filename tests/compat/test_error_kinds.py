"""INFO errorstats against Valkey: scripts may make up kinds of errors, and not more than so many are remembered."""

from __future__ import annotations

import pytest

from tests.support.peers import needs
from tests.support.servers import Fleet, Server


def start(fleet: Fleet, which: str) -> Server:
    return fleet.ours() if which == "ours" else fleet.peer("valkey")


@pytest.mark.parametrize("which", ["ours", pytest.param("valkey", marks=needs("valkey"))])
def test_kinds_of_errors_have_an_end(fleet: Fleet, which: str) -> None:
    server = start(fleet, which)
    for i in (*range(200), *[3] * 5, 199):
        server.ask("EVAL", "return redis.error_reply(ARGV[1])", 0, f"E{i} x")
    server.ask("NOSUCH")
    server.ask("LPUSH", "a", "b")
    server.ask("GET", "a")
    kinds = server.info("errorstats")
    assert len(kinds) == 131
    assert kinds["errorstat_E3"] == "count=6"
    assert kinds["errorstat_ERRORSTATS_OVERFLOW"] == "count=73"
    assert (kinds["errorstat_ERR"], kinds["errorstat_WRONGTYPE"]) == ("count=1", "count=1")
    assert server.info("stats")["total_error_replies"] == "208"
    server.call("CONFIG", "RESETSTAT")
    server.ask("EVAL", "return redis.error_reply(ARGV[1])", 0, "E199 x")
    server.ask("EVAL", "return redis.error_reply(ARGV[1])", 0, "E" * 40 + " x")
    assert server.info("errorstats") == {"errorstat_E199": "count=1", "errorstat_ERR": "count=1"}
