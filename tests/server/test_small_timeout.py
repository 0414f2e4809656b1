"""The shortest node timeout that can be configured must not keep a cluster from serving."""

from __future__ import annotations

from tests.support.servers import Fleet, form_cluster, wait_until


def test_a_cluster_with_a_node_timeout_of_one_millisecond_serves(fleet: Fleet) -> None:
    servers = [fleet.ours(cluster_enabled="yes", cluster_node_timeout="1") for _ in range(3)]
    form_cluster(servers, [])
    wait_until(lambda: all(each.cluster_info()["cluster_state"] == "ok" for each in servers), "all serve", timeout_s=30)
    assert servers[0].call("CONFIG", "GET", "cluster-node-timeout")[1] == b"1"
