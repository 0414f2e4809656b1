"""Clusters of three of our nodes and three of redis-server 7.0.15: each kind takes over from the other.

Every primary has a replica of the other kind, and of the two primaries that remain when one dies, one is ours and one
is redis-server: as a majority of three is two, both kinds have to vote for the new primary, whichever kind it is.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.drills.conftest import long_drill
from tests.support.drill import RECOVERY_S, Drill
from tests.support.peers import needs
from tests.support.servers import Fleet, Server

pytestmark = needs("redis")

ARRANGEMENTS = {
    "two of ours, one redis": ["ours", "redis", "ours", "redis", "ours", "redis"],
    "two redis, one of ours": ["redis", "ours", "redis", "ours", "redis", "ours"],
}


def assert_clean(server: Server) -> None:
    """What redis-cli thinks of the cluster."""
    command = ["redis-cli", "--cluster", "check", server.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[OK] All 16384 slots covered." in done.stdout
    assert "[ERR]" not in done.stdout, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout


@long_drill
@pytest.mark.parametrize("kinds", ARRANGEMENTS.values(), ids=ARRANGEMENTS.keys())
def test_each_kind_takes_over_from_the_other_by_votes_of_both(fleet: Fleet, kinds: list[str]) -> None:
    drill = Drill(fleet, kinds=kinds)
    for node in drill.nodes:
        assert_clean(node)
    killed_at: dict[int, float] = {}
    with drill.load() as history:
        for shard in (0, 1):
            old, new = drill.shards[shard]
            killed_at[shard] = drill.kill(old)
            taken = history.await_write(shard, killed_at[shard], RECOVERY_S, not_at=old.name)
            print(f"{new.name} took over from {old.name} after {taken.acked - killed_at[shard]:.2f} s")
            old.start()
            drill.await_health()
            for node in drill.nodes:
                assert_clean(node)
    for shard in killed_at:
        assert history.owners(shard) == [node.name for node in drill.shards[shard]]
    drill.check(history, unsafe={shard: (since, since) for shard, since in killed_at.items()})
