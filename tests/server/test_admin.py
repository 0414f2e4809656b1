"""HTTP of a node: probes and metrics, and that they cost nothing until they are asked for."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import Fleet, Server, StartFailed, free_port, own_all_slots, wait_until


def node_with_http(fleet: Fleet, **directives: str) -> tuple[Server, int]:
    port = free_port()
    return fleet.ours(**{"admin-port": str(port)}, **directives), port


def get(port: int, page: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """/metrics, parsed as Prometheus parses it: (name, labels) -> value."""
    status, text = get(port, "/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_node_is_alive_before_it_is_ready(fleet: Fleet) -> None:
    server, port = node_with_http(fleet, **{"cluster-enabled": "yes"})
    assert get(port, "/livez") == (200, "ok\n")
    assert get(port, "/readyz") == (503, "cluster_state is fail\n")
    own_all_slots(server)
    assert get(port, "/readyz") == (200, "ok\n")


def test_metrics_tell_what_info_tells(fleet: Fleet) -> None:
    server, port = node_with_http(fleet)
    for i in range(5):
        server.call("SET", f"key:{i}", "value")
    server.call("GET", "key:0")
    server.call("GET", "no such key")
    server.ask("LPUSH", "key:1", "not a list")
    metrics = scrape(port)
    nothing: frozenset[tuple[str, str]] = frozenset()
    assert metrics["shardis_keys", frozenset({("db", "0")})] == 5
    assert metrics["shardis_keyspace_lookups_total", frozenset({("outcome", "hit")})] == 1
    assert metrics["shardis_keyspace_lookups_total", frozenset({("outcome", "miss")})] == 1
    assert metrics["shardis_error_replies_total", frozenset({("code", "WRONGTYPE")})] == 1
    assert metrics["shardis_command_seconds_count", frozenset({("command", "set")})] == 5
    assert metrics["shardis_resident_memory_bytes", nothing] > 1 << 20
    assert metrics["shardis_memory_used_bytes", nothing] > 0
    assert ("shardis_cluster_ok", nothing) not in metrics


def test_a_replica_is_ready_while_it_follows_its_primary(fleet: Fleet) -> None:
    primary = fleet.ours()
    _, port = node_with_http(fleet, replicaof=f"127.0.0.1 {primary.port}")
    wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the replica is in sync")
    assert scrape(port)["shardis_primary_link_up", frozenset()] == 1
    primary.kill()
    wait_until(lambda: get(port, "/readyz") == (503, "the link to the primary is down\n"), "the replica has noticed")
    assert get(port, "/livez") == (200, "ok\n")


def test_an_unknown_page_is_not_found_and_the_index_names_the_pages(fleet: Fleet) -> None:
    _, port = node_with_http(fleet)
    assert get(port, "/nothing")[0] == 404
    assert "/metrics" in get(port, "/")[1]


def test_a_node_that_nobody_watches_has_no_http_library_in_memory(fleet: Fleet) -> None:
    server, port = node_with_http(fleet)
    mapped = Path(f"/proc/{server.pid}/maps")
    assert "aiohttp" not in mapped.read_text()
    get(port, "/livez")
    assert "aiohttp" in mapped.read_text()


def test_a_port_that_is_taken_is_an_error_that_names_it(fleet: Fleet) -> None:
    first, port = node_with_http(fleet)
    second = fleet.ours()
    second.kill()
    second.directives = {"admin-port": str(port)}
    with pytest.raises(StartFailed, match=f"admin-port {port}"):
        second.start()
    assert first.alive()


BAD_REQUESTS = [
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"PING\r\n",
]


def test_requests_that_are_none_are_refused_without_a_noise(fleet: Fleet) -> None:
    server, port = node_with_http(fleet, loglevel="verbose")
    for request in BAD_REQUESTS:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request)
            assert client.recv(1000).split(b" ", 2)[1] in (b"400", b"405"), request
    assert get(port, "/livez") == (200, "ok\n")
    log = server.log_tail(1000)
    assert "Traceback" not in log
    assert "Admin HTTP: Error handling request from 127.0.0.1" in log
