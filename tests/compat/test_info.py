"""What exporters read: INFO, MEMORY STATS and CLIENT LIST have the fields of redis-server's, in every section."""

from __future__ import annotations

import pytest

from tests.support.peers import needs
from tests.support.servers import Fleet, Server, own_all_slots, wait_until


def sections(server: Server) -> dict[str, list[str]]:
    """The fields of each section of INFO."""
    found: dict[str, list[str]] = {}
    section: list[str] = []
    for line in server.call("INFO", "everything").decode().splitlines():
        if line.startswith("# "):
            section = found.setdefault(line[2:], [])
        elif ":" in line:
            section.append(line.split(":")[0])
    return found


def client_fields(server: Server) -> list[str]:
    return [pair.split("=")[0] for pair in server.call("CLIENT", "INFO").decode().split()]


@needs("redis")
@pytest.mark.parametrize("cluster", ["no", "yes"])
def test_every_field_of_info(fleet: Fleet, cluster: str) -> None:
    ours, redis = fleet.ours(cluster_enabled=cluster), fleet.oracle(cluster_enabled=cluster)
    for server in (ours, redis):
        if cluster == "yes":
            own_all_slots(server)
        server.call("SET", "k", "v")
        server.ask("GET")
    mine, theirs = sections(ours), sections(redis)
    counted = {"Commandstats", "Latencystats"}  # as many as commands were sent
    assert theirs.keys() == mine.keys()
    for section, fields in theirs.items():
        if section not in counted:
            assert [field for field in mine[section] if field in fields] == fields, section


@needs("valkey")
def test_the_fields_that_7_2_has_added(fleet: Fleet) -> None:
    ours, valkey = fleet.ours(), fleet.peer("valkey")
    mine, theirs = sections(ours), sections(valkey)
    wanted = {
        "Server": {"listener0"},
        "Clients": set(theirs["Clients"]),
        "Stats": {field for field in theirs["Stats"] if "eventloop" in field or field.startswith("acl_access_denied_")}
        - {"acl_access_denied_tls_cert", "acl_access_denied_db"},  # newer
    }
    for section, fields in wanted.items():
        assert fields <= set(theirs[section]) & set(mine[section]), section
    assert set(client_fields(valkey)) - set(client_fields(ours)) == {"capa"}
    assert mine["Clients"] == theirs["Clients"]


@needs("redis")
def test_the_fields_of_memory_stats_and_of_a_client(fleet: Fleet) -> None:
    ours, redis = fleet.ours(), fleet.oracle()
    assert set(ours.call("MEMORY", "STATS")[::2]) >= set(redis.call("MEMORY", "STATS")[::2])
    fields = client_fields(redis)
    assert client_fields(ours)[: len(fields)] == fields  # what is newer follows


def test_what_the_allocator_tells_makes_sense(fleet: Fleet) -> None:
    server = fleet.ours()
    before = server.info("memory")
    server.call("DEBUG", "POPULATE", "100000", "key", "100")
    server.call("SET", "huge", b"x" * (8 << 20))
    full = server.info("memory")
    grown = int(full["used_memory"]) - int(before["used_memory"])
    for field in ("allocator_allocated", "allocator_active", "allocator_resident"):
        assert int(full[field]) - int(before[field]) > 0.9 * grown, field
    assert int(full["allocator_allocated"]) <= int(full["allocator_active"]) <= int(full["allocator_resident"])
    assert int(full["allocator_frag_bytes"]) == int(full["allocator_active"]) - int(full["allocator_allocated"])
    server.call("FLUSHALL")
    few = int(full["allocator_allocated"]) - 0.6 * grown
    wait_until(lambda: int(server.info("memory")["allocator_allocated"]) < few, "what was freed is no longer allocated")


def test_the_loop_and_the_clients_are_counted(fleet: Fleet) -> None:
    server = fleet.ours()
    before = server.info("stats")
    with server.connect() as connection:
        for _ in range(50):
            connection.call("PING")
        connection.call("WATCH", "a", "b")
        connection.call("CLIENT", "PAUSE", "10000", "WRITE")
        found = server.info("clients")
        assert (found["watching_clients"], found["total_watched_keys"]) == ("1", "2")
        assert (found["paused_reason"], found["paused_actions"]) == ("client_pause", "write")
        assert 0 < int(found["paused_timeout_milliseconds"]) <= 10000
        connection.call("CLIENT", "UNPAUSE")
    after = server.info("stats")
    # One turn of the loop may serve many requests that come one after the other.
    assert int(after["eventloop_cycles"]) > int(before["eventloop_cycles"])
    assert int(after["eventloop_duration_sum"]) >= int(after["eventloop_duration_cmd_sum"]) > 0
