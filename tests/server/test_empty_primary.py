"""A primary without files restarts before anybody misses it: its replicas keep their data, and one takes its place."""

from __future__ import annotations

import os
import signal

from tests.support.servers import Fleet, form_cluster, wait_until


def test_the_data_survives_in_the_replicas(fleet: Fleet) -> None:
    directives = {"cluster_enabled": "yes", "save": ""}
    primary, *replicas = (fleet.ours(name, **directives) for name in ("primary", "first", "second"))
    form_cluster([primary], replicas)
    for number in range(100):
        assert primary.ask("SET", f"key:{number}", "1").value == b"OK"
    wait_until(lambda: all(replica.call("DBSIZE") == 100 for replica in replicas), "the replicas have it all")
    for replica in replicas:
        os.kill(replica.pid, signal.SIGSTOP)
    primary.kill()
    primary.start()
    assert primary.call("DBSIZE") == 0
    assert str(primary.ask("GET", "key:1").value) == "CLUSTERDOWN The cluster is down"
    for replica in replicas:
        os.kill(replica.pid, signal.SIGCONT)
    wait_until(lambda: primary.call("ROLE")[0] == b"slave", "the primary has given way", 15)
    winner = next(replica for replica in replicas if replica.call("ROLE")[0] == b"master")
    assert winner.call("DBSIZE") == 100
    wait_until(lambda: primary.call("DBSIZE") == 100, "it has its data back", 15)
