"""DEBUG: what suites look at that no other command shows."""

from __future__ import annotations

import pytest

from node.config import Config
from tests.support.embedded import Embedded


@pytest.fixture
def node() -> Embedded:
    config = Config()
    config.put("enable-debug-command", "yes")
    return Embedded(config=config)


def test_a_dead_key_that_a_replica_keeps_is_still_an_object(node: Embedded) -> None:
    client = node.client()
    client("SET", "k", "1", "PX", "100")
    node.core.space.lazy_expire = False
    node.advance(101)
    assert client("EXISTS", "k") == 0
    assert b"encoding:int" in client("DEBUG", "OBJECT", "k")
    assert client("EXISTS", "k") == 0
    assert str(client("DEBUG", "OBJECT", "missing")) == "ERR no such key"


def test_replicas_can_be_sent_what_never_happened(node: Embedded) -> None:
    node.replicate()
    assert node.client()("DEBUG", "REPLICATE", "nonsense", "x") == b"OK"
    node.core.engine.before_replies()
    assert node.replicated == [[b"nonsense", b"x"]]


def test_ticks_can_be_stopped(node: Embedded) -> None:
    client = node.client()
    assert client("DEBUG", "PAUSE-CRON", "1") == b"OK"
    assert node.core.cron_paused
    client("DEBUG", "PAUSE-CRON", "0")
    assert not node.core.cron_paused


def test_the_nodes_of_a_quicklist(node: Embedded) -> None:
    client = node.client()
    client("RPUSH", "l", *("x" * 3000 for _ in range(3)))
    told = client("DEBUG", "OBJECT", "l").decode()
    assert "encoding:quicklist" in told
    assert told.endswith(" ql_nodes:2 ql_avg_node:1.50 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:9026")
    client("LTRIM", "l", "0", "0")
    assert b"ql_nodes" not in client("DEBUG", "OBJECT", "l")
