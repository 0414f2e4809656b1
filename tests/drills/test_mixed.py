"""Clusters of three of our nodes and three of Redis 7.0, Redis 8 or Valkey 9: each kind takes over from the other.

Every primary has a replica of the other kind, and of the two primaries that remain when one dies, one is ours and one
is the peer's: as a majority of three is two, both kinds have to vote for the new primary, whichever kind it is.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.drills.conftest import long_drill
from tests.support.drill import RECOVERY_S, Drill
from tests.support.peers import cli, needs
from tests.support.servers import Fleet, Server

both_arrangements = pytest.mark.parametrize("ours_first", [True, False], ids=["two of ours", "two of theirs"])
all_peers = pytest.mark.parametrize(
    "peer", [pytest.param(kind, marks=needs(kind)) for kind in ("redis", "redis-8", "valkey")]
)


def assert_clean(server: Server, peer: str) -> None:
    """What the peer's own tool thinks of the cluster."""
    command = [cli(peer), "--cluster", "check", server.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[OK] All 16384 slots covered." in done.stdout
    assert "[ERR]" not in done.stdout, done.stdout
    assert "[WARNING]" not in done.stdout, done.stdout


@long_drill
@all_peers
@both_arrangements
def test_each_kind_takes_over_from_the_other_by_votes_of_both(fleet: Fleet, peer: str, ours_first: bool) -> None:
    drill = Drill(fleet, kinds=(["ours", peer] if ours_first else [peer, "ours"]) * 3)
    for node in drill.nodes:
        assert_clean(node, peer)
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
                assert_clean(node, peer)
    for shard in killed_at:
        assert history.owners(shard) == [node.name for node in drill.shards[shard]]
    drill.check(history, unsafe={shard: (since, since) for shard, since in killed_at.items()})
