"""CLUSTER NODES as values, when nodes agree, and the report made from both."""

from __future__ import annotations

from cluster.operator.status import Answers, Replication, build, memory_shown, parse_info, rows
from cluster.operator.topology import agreed, parse_nodes, parse_shards, slots_text

A, B, C = "a" * 40, "b" * 40, "c" * 40
NODES = f"""\
{A} 127.0.0.1:7000@17000,host-a myself,master - 0 0 1 connected 0-8190 8191 [93->-{B}] [77-<-{B}]
{B} 127.0.0.1:7001@17001 master - 0 1700000000000 2 connected 8192-16383
{C} ::1:7002@17002,,tls-port=0,shard-id={A} slave {A} 0 1700000000000 1 connected
"""
OK = Answers(keys=2, memory_bytes=2048, cluster_state="ok")


def test_a_line_of_cluster_nodes_is_read() -> None:
    first, second, third = parse_nodes(NODES)
    assert first.address == ("127.0.0.1", 7000)
    assert first.hostname == "host-a"
    assert first.slots == ((0, 8190), (8191, 8191))
    assert first.open_slots == (f"[93->-{B}]", f"[77-<-{B}]")
    assert (first.is_primary, first.slot_count, first.epoch) == (True, 8192, 1)
    assert second.connected
    assert not second.hostname
    assert third.address == ("::1", 7002)
    assert (third.is_primary, third.primary_id, third.slots) == (False, A, ())
    assert slots_text(first.slots) == "0-8190 8191"


def view(text: str = NODES) -> list:
    return parse_nodes(text)


def test_nodes_agree_when_their_views_do_and_every_slot_has_an_owner() -> None:
    assert agreed([view(), view(), view()])
    assert not agreed([view(), view()]), "a node is missing"
    assert not agreed([view(), view(), view(NODES.replace("8192-16383", "8192-16382"))])
    for change in (("8192-16383", "8192-16382"), ("master - 0 17", "master,fail? - 0 17"), ("slave", "handshake")):
        other = NODES.replace(*change)
        assert not agreed([view(other)] * 3), change


def test_the_report_groups_replicas_with_their_primary() -> None:
    found = build(parse_nodes(NODES), {A: OK, B: OK, C: OK})
    assert found.is_healthy
    assert [[node.view.id for node in shard.nodes] for shard in found.shards] == [[A, C], [B]]
    assert rows(found)[0] == ("1", "127.0.0.1:7000", "primary", "8192 (0-8190 8191)", "2", "2.0 KiB", "", "ok")
    assert rows(found)[1] == ("", "::1:7002", "replica", "", "2", "2.0 KiB", "", "ok")
    shown = found.to_dict()
    assert (shown["healthy"], shown["slots_served"], shown["keys"]) == (True, 16384, 4)
    assert [node["role"] for node in shown["shards"][0]["nodes"]] == ["primary", "replica"]


def test_a_primary_that_was_replaced_and_is_down_is_no_shard_of_its_own() -> None:
    text = NODES.replace(f"slave {A} 0 1700000000000 1 connected", "master,fail - 0 0 1 disconnected")
    shards = [["slots", [0, 8191], "nodes", [["id", A, "port", 7000], ["id", C]]], ["slots", [], "nodes", [["id", B]]]]
    named = parse_shards(shards)
    assert named == {A: A, C: A, B: B}
    found = build(parse_nodes(text), {A: OK, B: OK, C: Answers(problem="refused")}, named)
    assert [[node.view.id for node in shard.nodes] for shard in found.shards] == [[A, C], [B]]
    assert rows(found)[1] == ("", "::1:7002", "former primary", "", "", "", "", "failed")
    assert not found.is_healthy
    unknown = build(parse_nodes(text), {A: OK, B: OK, C: Answers(problem="refused")})
    assert [[node.view.id for node in shard.nodes] for shard in unknown.shards] == [[A], [B], [C]]


def test_the_worst_that_is_known_of_a_node_is_its_state() -> None:
    def state(flags: str = "master", answers: Answers = OK) -> str:
        nodes = parse_nodes(f"{B} 127.0.0.1:7001@17001 {flags} - 0 0 2 connected 0-16383\n")
        found = build(nodes, {B: answers})
        assert found.is_healthy == (found.shards[0].primary.state == "ok")
        return found.shards[0].primary.state

    assert state() == "ok"
    assert state("master,fail", Answers(problem="refused")) == "failed"
    assert state("master,fail?") == "suspected"
    assert state("handshake") == "joining"
    assert state(answers=Answers(problem="refused")) == "unreachable"
    assert state(answers=Answers(cluster_state="fail")) == "fail"
    assert build(parse_nodes(NODES), {A: OK}).shards[1].primary.state == "unreachable"


def test_small_parsers() -> None:
    assert parse_info("# Memory\r\nused_memory:5\r\nname:a:b\r\n") == {"used_memory": "5", "name": "a:b"}
    assert [memory_shown(size) for size in (0, 1023, 1024, 3 << 20, 5 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]


PRIMARY_INFO = """\
# Replication
role:master
slave0:ip=127.0.0.1,port=7002,state=online,offset=100,lag=1
master_repl_offset:150
"""
REPLICA_INFO = """\
role:slave
master_link_status:up
master_last_io_seconds_ago:3
slave_repl_offset:120
"""


def status_of_shard(primary: str = PRIMARY_INFO, replica: str = REPLICA_INFO):
    def answers(info: str) -> Answers:
        return Answers(cluster_state="ok", replication=Replication.parse(parse_info(info)))

    return build(parse_nodes(NODES), {A: answers(primary), B: OK, C: answers(replica)})


def test_the_lag_of_a_replica_is_told_in_bytes_and_seconds() -> None:
    found = status_of_shard()
    assert [row[6:] for row in rows(found)] == [("", "ok"), ("30 B 1 s", "ok"), ("", "ok")]
    told = found.to_dict()["shards"][0]["nodes"]
    assert [node["replication"] for node in told] == [None, {"link_up": True, "lag_bytes": 30, "lag_s": 1}]
    ahead = status_of_shard(PRIMARY_INFO.replace("150", "110").replace("slave0", "other"))
    assert rows(ahead)[1][6] == "0 B 3 s"


def test_a_replica_without_its_link_is_not_healthy() -> None:
    found = status_of_shard(replica=REPLICA_INFO.replace("up", "down").replace(":3", ":-1"))
    assert [row[6:] for row in rows(found)][1] == ("link down", "syncing")
    assert not found.is_healthy
