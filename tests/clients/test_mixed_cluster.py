"""One of our nodes and one redis-server 7.0.15 in the same cluster: they see each other, and redirect to each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.cluster import RedisCluster

from tests.support.peers import needs
from tests.support.resp import Frame
from tests.support.servers import Fleet, Server, wait_until

pytestmark = needs("redis")


@pytest.fixture(scope="module")
def mixed(session_fleet: Fleet) -> Iterator[tuple[Server, Server]]:
    """Ours owns the lower half of the slots, redis-server the upper half."""
    ours = session_fleet.ours("mixed-ours", cluster_enabled="yes", cluster_node_timeout="2000")
    redis = session_fleet.oracle("mixed-redis", cluster_enabled="yes", cluster_node_timeout="2000")
    ours.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    redis.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
    yield ours, redis
    session_fleet.end(ours, redis)


def both_serve(mixed: tuple[Server, Server]) -> bool:
    infos = [server.cluster_info() for server in mixed]
    return all(i["cluster_state"] == "ok" and i["cluster_known_nodes"] == "2" for i in infos)


@pytest.fixture(scope="module", params=["ours meets redis", "redis meets ours"])
def joined(mixed: tuple[Server, Server], request: pytest.FixtureRequest) -> tuple[Server, Server]:
    """Introduced from either side; before the second time, each forgets the other."""
    ours, redis = mixed
    if both_serve(mixed):
        ids = ours.id, redis.id
        ours.call("CLUSTER", "FORGET", ids[1])
        redis.call("CLUSTER", "FORGET", ids[0])
    first, second = mixed if request.param == "ours meets redis" else (redis, ours)
    first.call("CLUSTER", "MEET", "127.0.0.1", second.port)
    wait_until(lambda: both_serve(mixed), "both know each other and all slots", timeout_s=90)
    return mixed


def slots(frame: Frame) -> list[tuple[int, int, int]]:
    return sorted((entry[0], entry[1], entry[2][1]) for entry in frame.value)


def test_they_agree_about_the_slots(joined: tuple[Server, Server]) -> None:
    ours, redis = joined
    expected = [(0, 8191, ours.port), (8192, 16383, redis.port)]
    assert slots(ours.ask("CLUSTER", "SLOTS")) == slots(redis.ask("CLUSTER", "SLOTS")) == expected


def test_they_redirect_to_each_other(joined: tuple[Server, Server]) -> None:
    ours, redis = joined
    assert ours.ask("SET", "foo", "bar").value == f"MOVED 12182 {redis.address}"
    assert redis.ask("SET", "hello", "world").value == f"MOVED 866 {ours.address}"
    assert redis.call("SET", "foo", "bar") == b"OK"
    assert ours.call("SET", "hello", "world") == b"OK"


def test_their_views_name_the_same_nodes(joined: tuple[Server, Server]) -> None:
    def facts(server: Server) -> set[tuple[str, ...]]:
        """Id, address, flags without `myself`, epoch, link and slots of every node."""
        rows = (line.split(" ") for line in server.call("CLUSTER", "NODES").decode().splitlines())
        return {(r[0], r[1], r[2].replace("myself,", ""), r[6], r[7], *r[8:]) for r in rows}

    wait_until(lambda: facts(joined[0]) == facts(joined[1]), "the views agree")


def test_a_cluster_client_uses_both(joined: tuple[Server, Server]) -> None:
    with RedisCluster(host="127.0.0.1", port=joined[0].port) as client:
        for i in range(100):
            client.set(f"key:{i}", i)
        assert [client.get(f"key:{i}") for i in range(100)] == [str(i).encode() for i in range(100)]
    sizes = [server.call("DBSIZE") for server in joined]
    assert min(sizes) > 20


def test_messages_cross_the_bus(joined: tuple[Server, Server]) -> None:
    for here, there in (joined, joined[::-1]):
        with here.connect() as listener:
            listener.call("SUBSCRIBE", "news")
            there.call("PUBLISH", "news", "hello")
            assert listener.read().value == [b"message", b"news", b"hello"]


def test_a_slot_changes_hands_between_them(joined: tuple[Server, Server]) -> None:
    """`hello` (slot 866) goes from ours to redis-server with its key, dumped here and restored there, and back."""
    joined[0].call("SET", "hello", "world")
    for source, target in (joined, joined[::-1]):
        target.call("CLUSTER", "SETSLOT", 866, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", 866, "MIGRATING", target.id)
        assert source.ask("GET", "{hello}gone").value == f"ASK 866 {target.address}"
        payload = source.call("DUMP", "hello")
        assert target.ask("RESTORE-ASKING", "hello", 0, payload).body == b"OK"
        source.call("DEL", "hello")
        for node in (target, source):
            node.call("CLUSTER", "SETSLOT", 866, "NODE", target.id)
        assert target.call("GET", "hello") == b"world"
        wait_until(lambda s=source, t=target: s.ask("GET", "hello").value == f"MOVED 866 {t.address}", "it has moved")
