"""A limit of open files below maxclients: fewer clients, who are told so, and files left for the node itself."""

from __future__ import annotations

import ctypes
import os
import resource
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.aio.filelimit import clients_among
from tests.support.resp import Connection
from tests.support.servers import OURS, Fleet, Server, StartFailed, free_port, wait_until

PR_CAPBSET_DROP = CAP_SYS_RESOURCE = 24


def with_limit(fleet: Fleet, files: int, **directives: str) -> Server:
    """A node under `ulimit -n`, which may not raise it, even where the tests run as root."""

    def enter() -> None:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    server = fleet.prepare(OURS, "ours", directives)
    server.enter = enter
    fleet.start_together(server)
    return server


@contextmanager
def crowd(server: Server, size: int) -> Iterator[list[bytes]]:
    """So many clients at once; what each was told first."""
    clients = [server.connect() for _ in range(size)]
    told = []
    for client in clients:
        client.send("PING")
        told.append(client.read().raw)
    yield told
    for client in clients:
        client.close()


def test_more_clients_than_files(fleet: Fleet) -> None:
    admin = free_port()
    server = with_limit(fleet, 200, appendonly="yes", **{"admin-port": str(admin)})
    assert "maxclients has been reduced to 152 to compensate for low ulimit" in server.log_tail()
    assert server.call("CONFIG", "GET", "maxclients")[1] == b"152"
    with crowd(server, 250) as told:
        assert told.count(b"+PONG\r\n") == 151
        assert told.count(b"-ERR max number of clients reached\r\n") == 99
        # What the node has kept for itself is enough for all that it does.
        server.call("SET", "a", "1")
        server.call("BGSAVE")
        wait_until(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot is saved")
        server.call("BGREWRITEAOF")
        wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the log is rewritten")
        facts = server.info("persistence")
        assert (facts["rdb_last_bgsave_status"], facts["aof_last_bgrewrite_status"]) == ("ok", "ok")
        for _ in range(3):
            assert urllib.request.urlopen(f"http://127.0.0.1:{admin}/livez", timeout=10).status == 200
        assert server.info("stats")["rejected_connections"] == "99"
    wait_until(lambda: server.info("clients")["connected_clients"] == "1", "they are gone")
    assert server.connect().ask("PING").body == b"PONG"


def test_probes_take_only_so_many(fleet: Fleet) -> None:
    admin = free_port()
    server = with_limit(fleet, 200, **{"admin-port": str(admin)})
    probes = [Connection(admin) for _ in range(40)]
    open_files = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert open_files < 50
    for probe in probes:
        probe.close()
    get = lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/livez", timeout=10).status  # noqa: E731
    wait_until(lambda: _succeeds(get), "there is room for a probe again")


def _succeeds(attempt: object) -> bool:
    try:
        return attempt() == 200  # type: ignore[operator]
    except OSError:
        return False


def test_a_cluster_keeps_files_for_its_links(fleet: Fleet) -> None:
    one = with_limit(fleet, 120, cluster_enabled="yes")
    assert one.call("CONFIG", "GET", "maxclients")[1] == b"60"
    with crowd(one, 70) as told:
        assert told.count(b"+PONG\r\n") == 59
        other = fleet.ours(cluster_enabled="yes")
        other.call("CLUSTER", "MEET", one.host, one.port)
        for each in (one, other):
            wait_until(lambda s=each: s.cluster_info()["cluster_known_nodes"] == "2", "they meet", 20)
            wait_until(lambda s=each: b"disconnected" not in s.call("CLUSTER", "NODES"), "both ways", 20)
    wait_until(lambda: one.info("clients")["connected_clients"] == "1", "the crowd is gone")
    links = wait_until(lambda: int(one.info("clients")["cluster_connections"]), "its links are counted")
    with crowd(one, 60) as told:
        assert told.count(b"-ERR max number of clients + cluster connections reached\r\n") == 1 + links


def test_no_file_at_all_costs_no_core(fleet: Fleet) -> None:
    """The limit falls while the node runs: who comes is told so, and the loop does not turn in vain."""
    server = with_limit(fleet, 200)
    connected = server.connect()
    open_files = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_files, 200))
    late = [server.connect(timeout_s=5) for _ in range(5)]
    for client in late:
        assert client.read().raw == b"-ERR max number of clients reached\r\n"
    before = cpu_s(server)
    for _ in range(200):
        assert connected.ask("PING").body == b"PONG"
    assert cpu_s(server) - before < 1
    # Not even the file that is kept back for this may be opened again.
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, 200))
    waiting = [server.connect(timeout_s=20) for _ in range(3)]
    wait_until(lambda: _cpu_share(server) < 0.5, "the node is at rest though somebody waits", 10, every_s=0)
    assert connected.ask("PING").body == b"PONG"
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (200, 200))
    assert waiting[-1].ask("PING").body == b"PONG"
    assert server.log_tail(1000).count("Cannot accept a connection") < 10


def cpu_s(server: Server) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_share(server: Server) -> float:
    before, started = cpu_s(server), time.monotonic()
    time.sleep(0.5)
    return (cpu_s(server) - before) / (time.monotonic() - started)


def test_too_few_files_to_start(fleet: Fleet) -> None:
    with pytest.raises(StartFailed, match="'ulimit -n' of 30 is not enough"):
        with_limit(fleet, 30)


def test_config_set_asks_the_system_too(fleet: Fleet) -> None:
    server = with_limit(fleet, 200)
    assert server.call("CONFIG", "SET", "maxclients", 100) == b"OK"
    refused = server.ask("CONFIG", "SET", "maxclients", 1000)
    assert b"not able to handle the specified number of clients, try with 168" in refused.body
    assert server.call("CONFIG", "GET", "maxclients")[1] == b"100"


@pytest.mark.parametrize(
    ("files", "own", "clients"), [(1000, 32, 968), (1000, 232, 768), (200, 232, 100), (40, 232, 8)]
)
def test_how_many_clients_there_is_room_for(files: int, own: int, clients: int) -> None:
    assert clients_among(files, own) == clients
