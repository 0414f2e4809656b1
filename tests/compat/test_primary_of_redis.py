"""Our node as the primary of redis-server: all data, the stream, a broken link, WAIT."""

from __future__ import annotations

import pytest

from tests.compat.test_replica_of_redis import caught_up, follow
from tests.compat.test_snapshots_with_redis import digest, fill
from tests.support.peers import needs
from tests.support.servers import Fleet, wait_until

pytestmark = needs("redis")


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_all_data_then_the_stream_then_a_broken_link(fleet: Fleet, diskless: str) -> None:
    ours = fleet.ours(repl_diskless_sync=diskless, repl_diskless_sync_delay="0")
    redis = fleet.oracle()
    fill(ours, seed=31, count=120)
    follow(redis, ours)
    caught_up(redis, ours)
    assert digest(ours) == digest(redis)
    fill(ours, seed=32, count=120)
    caught_up(redis, ours)
    assert digest(ours) == digest(redis)

    assert ours.call("CLIENT", "KILL", "TYPE", "replica") == 1
    fill(ours, seed=33, count=40)
    wait_until(lambda: redis.info("replication")["master_link_status"] == "up", "the link is whole again")
    caught_up(redis, ours)
    assert digest(ours) == digest(redis)
    assert ours.info("stats")["sync_full"] == "1"
    assert ours.info("stats")["sync_partial_ok"] == "1"
    assert "Successful partial resynchronization with master." in redis.log.read_text()
    assert "Partial resynchronization request from" in ours.log.read_text()

    ours.call("SET", "k", "v")
    assert ours.call("WAIT", "1", "5000") == 1
