"""Marks of slots on their way when nodes die, restart, are replaced or forgotten: real processes, ours and Valkey's."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.support import peers
from tests.support.servers import Fleet, Server, form_cluster, wait_until

FAILOVER_S = 60.0
THEIRS, OURS = 100, 6000  # a slot of the first node, and one of the second, which has the marks


class Cluster:
    """Three primaries, the second of which, `marked`, has marks for two slots, both with the first as the other end."""

    def __init__(self, fleet: Fleet, kind: str, replicas: int = 0) -> None:
        command = fleet.ours_command if kind == "ours" else peers.command(kind)
        settings = {"cluster_enabled": "yes", "cluster_node_timeout": "1000", "repl_diskless_sync_delay": "0"}
        count = 3 * (1 + replicas)
        self.nodes = [fleet.prepare(command, f"{kind}-{at}", settings) for at in range(count)]
        fleet.start_together(*self.nodes)
        form_cluster(self.nodes[:3], self.nodes[3:])
        self.names = {node.id: f"n{at}" for at, node in enumerate(self.nodes)}
        self.marked = self.nodes[1]
        other = self.nodes[0].id
        self.marked.call("CLUSTER", "SETSLOT", THEIRS, "IMPORTING", other)
        self.marked.call("CLUSTER", "SETSLOT", OURS, "MIGRATING", other)

    def marks(self, node: Server) -> list[str]:
        """`100-<-n0`, as the node itself shows them."""
        line = next(line for line in node.call("CLUSTER", "NODES").decode().splitlines() if "myself" in line)
        shown = re.sub(r"[0-9a-f]{40}", lambda found: self.names[found[0]], line)
        return sorted(word.strip("[]") for word in shown.split() if word.startswith("["))

    def is_well(self, node: Server) -> bool:
        info = node.cluster_info()
        return (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", "16384")

    def await_all_well(self, nodes: Sequence[Server] = ()) -> None:
        for node in nodes or self.nodes:
            wait_until(lambda n=node: self.is_well(n), f"{node.name} sees all slots served", FAILOVER_S)


KINDS = pytest.mark.parametrize("kind", ["ours", "valkey"])


@KINDS
def test_the_other_end_dies_and_comes_back_as_a_replica(fleet: Fleet, kind: str) -> None:
    cluster = Cluster(fleet, kind, replicas=1)
    old, heir = cluster.nodes[0], cluster.nodes[3]
    old.kill()
    wait_until(lambda: heir.call("ROLE")[0] == b"master", "the replica has its place", FAILOVER_S)
    cluster.await_all_well(cluster.nodes[1:])
    wait_until(lambda: cluster.marks(cluster.marked) == ["100-<-n3", "6000->-n3"], "the marks follow", FAILOVER_S)
    old.start()
    wait_until(lambda: old.call("ROLE")[0] == b"slave", "it is a replica now", FAILOVER_S)
    cluster.await_all_well()
    assert cluster.marks(cluster.marked) == ["100-<-n3", "6000->-n3"]


@KINDS
def test_the_other_end_hands_over_by_a_manual_failover(fleet: Fleet, kind: str) -> None:
    cluster = Cluster(fleet, kind, replicas=1)
    heir = cluster.nodes[3]
    assert heir.call("CLUSTER", "FAILOVER") == b"OK"
    wait_until(lambda: heir.call("ROLE")[0] == b"master", "it has taken over", FAILOVER_S)
    wait_until(lambda: cluster.marks(cluster.marked) == ["100-<-n3", "6000->-n3"], "the marks follow", FAILOVER_S)
    cluster.await_all_well()


@KINDS
@pytest.mark.parametrize("restarted", [0, 1])
def test_a_restart_of_either_end_changes_nothing(fleet: Fleet, kind: str, restarted: int) -> None:
    cluster = Cluster(fleet, kind)
    wait_until(lambda: "[6000->-" in (cluster.marked.directory / "nodes.conf").read_text(), "the marks are on disk")
    cluster.nodes[restarted].kill()
    cluster.nodes[restarted].start()
    cluster.await_all_well()
    assert cluster.marks(cluster.marked) == ["100-<-n0", "6000->-n0"]


@KINDS
def test_a_third_node_takes_the_slot(fleet: Fleet, kind: str) -> None:
    cluster = Cluster(fleet, kind)
    source, marked, third = cluster.nodes
    source.call("CLUSTER", "SETSLOT", THEIRS, "MIGRATING", marked.id)
    third.call("CLUSTER", "SETSLOT", THEIRS, "IMPORTING", source.id)
    third.call("CLUSTER", "SETSLOT", THEIRS, "NODE", third.id)
    wait_until(lambda: cluster.marks(source) == [], "the old owner's mark is gone")
    wait_until(lambda: cluster.marks(marked) == ["6000->-n0"], "the mark of who waited for it is gone")
    cluster.await_all_well()


@KINDS
def test_forgetting_the_other_end_resetting_and_deleting_slots_end_marks(fleet: Fleet, kind: str) -> None:
    cluster = Cluster(fleet, kind)
    source, marked, third = cluster.nodes
    marked.call("CLUSTER", "DELSLOTS", THEIRS)
    assert cluster.marks(marked) == ["6000->-n0"]
    marked.call("CLUSTER", "SETSLOT", THEIRS + 1, "IMPORTING", source.id)
    marked.call("CLUSTER", "SETSLOT", OURS + 1, "MIGRATING", third.id)
    marked.call("CLUSTER", "FORGET", source.id)
    assert cluster.marks(marked) == ["6001->-n2"]
    marked.call("CLUSTER", "RESET")
    assert cluster.marks(marked) == []
