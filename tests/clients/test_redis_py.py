"""redis-py's cluster client against three of our nodes, as an application uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, ResponseError

from tests.support.servers import Server, wait_until

KEYS = [f"key:{i}" for i in range(300)]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(trio: list[Server], request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    with RedisCluster(host="127.0.0.1", port=trio[0].port, protocol=request.param) as client:
        yield client


def test_it_finds_all_nodes_from_one(client: RedisCluster, trio: list[Server]) -> None:
    assert {node.port for node in client.get_primaries()} == {node.port for node in trio}
    assert client.get_node_from_key("foo").port == trio[2].port


def test_what_is_written_anywhere_is_read_back(client: RedisCluster, trio: list[Server]) -> None:
    for key in KEYS:
        assert client.set(key, f"value of {key}")
    assert all(client.get(key) == f"value of {key}".encode() for key in KEYS)
    sizes = [node.call("DBSIZE") for node in trio]
    assert sum(sizes) == len(KEYS)
    assert min(sizes) > 50, "every node serves its share"


def test_the_types_of_an_application(client: RedisCluster) -> None:
    client.hset("user:1", mapping={"name": "ada", "visits": 3})
    assert client.hincrby("user:1", "visits", 2) == 5
    assert client.hgetall("user:1") == {b"name": b"ada", b"visits": b"5"}
    client.zadd("board", {"ada": 10, "bob": 7.5})
    assert client.zrange("board", 0, -1, withscores=True) in (
        [(b"bob", 7.5), (b"ada", 10.0)],
        [[b"bob", 7.5], [b"ada", 10.0]],
    )
    client.rpush("queue", "a", "b", "c")
    assert client.lpop("queue", 2) == [b"a", b"b"]
    client.sadd("tags", "x", "y")
    assert set(client.smembers("tags")) == {b"x", b"y"}
    assert client.set("lock", "me", nx=True, ex=30)
    assert client.set("lock", "you", nx=True, ex=30) is None
    assert 28 <= client.ttl("lock") <= 30
    client.geoadd("places", (13.361389, 38.115556, "Palermo"))
    assert client.geosearch("places", longitude=13, latitude=38, radius=100, unit="km") == [b"Palermo"]
    client.pfadd("seen", *range(100))
    assert 95 <= client.pfcount("seen") <= 105
    assert client.object("encoding", "user:1") == b"listpack"


def test_pipelines_over_all_nodes(client: RedisCluster) -> None:
    with client.pipeline() as pipe:
        for key in KEYS:
            pipe.set(key, key)
        assert pipe.execute() == [True] * len(KEYS)
        for key in KEYS:
            pipe.get(key)
        assert pipe.execute() == [key.encode() for key in KEYS]


def test_an_error_in_a_pipeline_is_the_error_of_its_command(client: RedisCluster) -> None:
    client.set("text", "x")
    with client.pipeline() as pipe:
        pipe.set("other", "y")
        pipe.incr("text")
        first, second = pipe.execute(raise_on_error=False)
    assert first is True
    assert isinstance(second, ResponseError)


def test_multi_on_one_slot(client: RedisCluster) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{tx}a", 1)
        pipe.incrby("{tx}a", 41)
        pipe.get("{tx}a")
        assert pipe.execute()[1:] == [42, b"42"]


def test_an_optimistic_transaction_notices_another_writer(client: RedisCluster) -> None:
    client.set("{tx}n", 1)
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("{tx}n")
        client.set("{tx}n", 5)
        pipe.multi()
        pipe.set("{tx}n", 2)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("{tx}n") == b"5"


def test_keys_of_several_slots(client: RedisCluster) -> None:
    assert client.mset_nonatomic({key: key for key in KEYS[:50]})
    assert client.mget_nonatomic(KEYS[:50]) == [key.encode() for key in KEYS[:50]]
    assert client.exists(*KEYS[:50]) == 50
    assert client.delete(*KEYS[:50]) == 50
    with pytest.raises((ResponseError, RedisClusterException)):
        client.sunion("a", "b")


def test_scanning_the_whole_cluster(client: RedisCluster) -> None:
    for key in KEYS:
        client.set(key, "x")
    assert {key.decode() for key in client.scan_iter(match="key:*", count=50)} == set(KEYS)
    assert client.dbsize(target_nodes=RedisCluster.PRIMARIES) == len(KEYS)
    found = client.keys("key:1?", target_nodes=RedisCluster.PRIMARIES)
    assert sorted(found) == [f"key:1{i}".encode() for i in range(10)]


def test_publish_and_subscribe(client: RedisCluster, trio: list[Server]) -> None:
    """The subscriber sits at one node, the message is published at another."""
    listener = client.pubsub(node=ClusterNode("127.0.0.1", trio[1].port), ignore_subscribe_messages=True)
    listener.subscribe("news")
    listener.psubscribe("n*")
    assert listener.get_message(timeout=1) is None
    assert listener.get_message(timeout=1) is None
    wait_until(lambda: trio[1].call("PUBSUB", "NUMSUB", "news")[1] == 1, "the subscription is known")
    trio[2].call("PUBLISH", "news", "hello")
    found = [listener.get_message(timeout=5) for _ in range(2)]
    assert sorted((message["type"], message["data"]) for message in found if message) == [
        ("message", b"hello"),
        ("pmessage", b"hello"),
    ]
    listener.close()


def test_sharded_publish_and_subscribe(client: RedisCluster, trio: list[Server]) -> None:
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.ssubscribe("foo")
    owner = trio[2]
    wait_until(lambda: owner.call("PUBSUB", "SHARDNUMSUB", "foo")[1] == 1, "the subscription is known")
    assert client.spublish("foo", "hello") == 1
    message = wait_until(lambda: listener.get_sharded_message(timeout=1), "the message arrives")
    assert (message["type"], message["channel"], message["data"]) == ("smessage", b"foo", b"hello")
    listener.close()


def test_it_follows_a_slot_that_moves(client: RedisCluster, trio: list[Server]) -> None:
    """Slot 866 (`hello`) goes from the first node to the second and back; the client is redirected both times.

    As redis-cli moves it: a slot that was imported is claimed under a new epoch, so that no older word takes it back.
    """
    first, second = trio[0], trio[1]
    client.set("hello", "1")
    for source, target in ((first, second), (second, first)):
        source.call("DEL", "hello")
        target.call("CLUSTER", "SETSLOT", 866, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", 866, "MIGRATING", target.id)
        for node in (target, source, trio[2]):
            node.call("CLUSTER", "SETSLOT", 866, "NODE", target.id)
        assert client.set("hello", "2")
        assert target.call("GET", "hello") == b"2"


def test_topology_and_commands_as_the_client_reads_them(client: RedisCluster, trio: list[Server]) -> None:
    assert client.cluster_info(target_nodes=RedisCluster.RANDOM)["cluster_state"] == "ok"
    nodes = client.cluster_nodes()
    assert {address.split("@")[0] for address in nodes} == {node.address for node in trio}
    expected = [(0, 5460), (5461, 10921), (10922, 16383)]  # once all have heard where the slot of the last test is
    wait_until(lambda: sorted(client.cluster_slots()) == expected, "the client reads who has which slots")
    shards = client.cluster_shards()
    assert len(shards) == 3
    info = client.info(target_nodes=RedisCluster.RANDOM)
    assert info["cluster_enabled"] == 1
    commands = client.command(target_nodes=RedisCluster.RANDOM)
    assert commands["get"]["arity"] == 2
    assert client.client_list(target_nodes=RedisCluster.RANDOM)
    assert client.config_get("maxmemory", target_nodes=RedisCluster.RANDOM)
