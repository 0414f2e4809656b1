"""What a client finds that connects as soon as a cluster has been formed, before anybody has written anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.cluster import RedisCluster

from cluster.operator.aio.launcher import Launcher
from cluster.operator.local import Wish
from tests.server.test_local_cluster import OURS, port_range
from tests.support.resp import Connection
from tests.support.servers import ROOT


def test_it_finds_the_replicas_of_a_new_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    launcher = Launcher(str(tmp_path / "cluster"), OURS, say=lambda text: None)
    ports = launcher.up(Wish(shards=3, replicas=1, port=port_range(6))).ports
    try:
        with RedisCluster(host="127.0.0.1", port=ports[0]) as client:
            found = {node.port: node.server_type for node in client.get_nodes()}
            assert sorted(found) == list(ports)
            assert list(found.values()).count("replica") == 3
        for port in ports:
            with Connection(port) as connection:
                slots = connection.ask("CLUSTER", "SLOTS").value
                assert [len(nodes) for _, _, *nodes in slots] == [2, 2, 2], f"what {port} shows"
    finally:
        launcher.down()
