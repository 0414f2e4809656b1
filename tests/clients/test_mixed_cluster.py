"""One of our nodes and one of a peer (Redis 7.0, Redis 8, Valkey 9) in the same cluster: they see each other, and
redirect to each other; with a replica each of the other kind, which takes over when told to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from redis.cluster import RedisCluster

from tests.support.contents import contents, differences
from tests.support.peers import cli, needs
from tests.support.resp import Frame
from tests.support.servers import Fleet, Server, form_cluster, wait_until

DIRECTIVES = {"cluster_enabled": "yes", "cluster_node_timeout": "2000", "repl_diskless_sync_delay": "0"}
# What the bus carries of names: hostnames in all of them, in the newer ones more, each in an extension of its own.
NAMES = {
    "ours": {"cluster_announce_hostname": "ours.example", "cluster_announce_human_nodename": "ours"},
    "redis": {"cluster_announce_hostname": "theirs.example"},
    "redis-8": {"cluster_announce_hostname": "theirs.example", "cluster_announce_human_nodename": "theirs"},
    "valkey": {
        "cluster_announce_hostname": "theirs.example",
        "cluster_announce_human_nodename": "theirs",
        "cluster_announce_client_ipv4": "127.0.0.1",
        "availability_zone": "zone-1",
    },
}


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=needs(kind)) for kind in ("redis", "redis-8", "valkey")]
)
def peer(request: pytest.FixtureRequest) -> str:
    """The kind that ours are mixed with."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module", params=["ours meets theirs", "theirs meets ours"])
def joined(session_fleet: Fleet, peer: str, request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Ours owns the lower half of the slots, the peer the upper half; introduced from either side."""
    ours = session_fleet.ours("mixed-ours", **DIRECTIVES, **NAMES["ours"])
    theirs = session_fleet.peer(peer, f"mixed-{peer}", **DIRECTIVES, **NAMES[peer])
    ours.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    theirs.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
    first, second = (ours, theirs) if request.param == "ours meets theirs" else (theirs, ours)
    first.call("CLUSTER", "MEET", "127.0.0.1", second.port)

    def both_serve() -> bool:
        infos = [server.cluster_info() for server in (ours, theirs)]
        return all(i["cluster_state"] == "ok" and i["cluster_known_nodes"] == "2" for i in infos)

    wait_until(both_serve, "both know each other and all slots", timeout_s=30)
    yield ours, theirs
    session_fleet.end(ours, theirs)


def slots(frame: Frame) -> list[tuple[int, int, int]]:
    return sorted((entry[0], entry[1], entry[2][1]) for entry in frame.value)


def test_they_agree_about_the_slots(joined: tuple[Server, Server]) -> None:
    ours, theirs = joined
    expected = [(0, 8191, ours.port), (8192, 16383, theirs.port)]
    assert slots(ours.ask("CLUSTER", "SLOTS")) == slots(theirs.ask("CLUSTER", "SLOTS")) == expected


def test_they_redirect_to_each_other(joined: tuple[Server, Server]) -> None:
    ours, theirs = joined
    assert ours.ask("SET", "foo", "bar").value == f"MOVED 12182 {theirs.address}"
    assert theirs.ask("SET", "hello", "world").value == f"MOVED 866 {ours.address}"
    assert theirs.call("SET", "foo", "bar") == b"OK"
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


def test_their_names_cross_the_bus(joined: tuple[Server, Server]) -> None:
    for here in joined:
        names = {row.split(" ")[1].split(",")[1] for row in here.call("CLUSTER", "NODES").decode().splitlines()}
        assert names == {"ours.example", "theirs.example"}


def test_a_slot_changes_hands_between_them(joined: tuple[Server, Server]) -> None:
    """`hello` (slot 866) goes from ours to the peer with its key, dumped here and restored there, and back."""
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
        # Who takes a slot back before it has heard of the epoch of the one who has it would lose it again.
        wait_until(lambda s=source, t=target: epoch_of(s, t) == epoch_of(t, t), "the new owner's epoch is known")


def epoch_of(teller: Server, node: Server) -> str:
    """The config epoch of a node, as this one knows it."""
    rows = (row.split(" ") for row in teller.call("CLUSTER", "NODES").decode().splitlines())
    return next(row[6] for row in rows if row[0] == node.id)


def assert_clean(server: Server, peer: str) -> None:
    """What the peer's own tool thinks of the cluster."""
    command = [cli(peer), "--cluster", "check", server.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[OK] All 16384 slots covered." in done.stdout
    assert not {"[ERR]", "[WARNING]"} & set(done.stdout.split()), done.stdout


def write(primary: Server, tag: str, round: int, peer: str) -> None:
    """Keys of several types in one slot, with fields that die where both kinds have those."""
    primary.call("SET", f"{tag}text", f"{round}")
    primary.call("ZADD", f"{tag}scores", "0.1", "a", "1e21", f"m{round}")
    primary.call("RPUSH", f"{tag}list", *range(100))
    primary.call("HSET", f"{tag}hash", "f", "v", "g", f"{round}")
    if peer != "redis":
        primary.call("HPEXPIREAT", f"{tag}hash", 4_000_000_000_000 + round, "FIELDS", 1, "f")


def same(one: Server, other: Server, peer: str) -> bool:
    found, expected = (contents(server, in_cluster=True, mortal_fields=peer != "redis") for server in (one, other))
    return differences(found, expected) == []


def test_each_replicates_the_other_and_takes_over_when_told_to(fleet: Fleet, peer: str) -> None:
    """Each primary has a replica of the other kind; the roles change, and change back.

    No node is promoted twice: one of Redis counts the votes of its last election again, if that was moments ago.
    """

    def pair() -> list[Server]:
        ours = fleet.ours(**DIRECTIVES, **NAMES["ours"])
        return [ours, fleet.peer(peer, **DIRECTIVES, **NAMES[peer])]

    primaries, replicas = pair(), pair()[::-1]
    everybody = primaries + replicas
    form_cluster(primaries, replicas)
    for round in range(2):
        for at, tag in enumerate(("{hello}", "{foo}")):
            old, new = primaries[at], replicas[at]
            # With two voters the other shard's failover leaves a primary of ours without its majority for a moment.
            wait_until(lambda s=old, t=tag: s.ask("SET", f"{t}text", "").body == b"OK", f"{old.name} serves", 10)
            write(old, tag, round, peer)
            wait_until(lambda a=old, b=new: same(a, b, peer), f"{new.name} has what {old.name} has", 20)
            assert new.call("CLUSTER", "FAILOVER") == b"OK"
            wait_until(lambda s=new: s.info("replication")["role"] == "master", f"{new.name} takes over", 30)
            wait_until(lambda s=old: s.info("replication").get("master_link_status") == "up", "the other follows", 30)
            primaries[at], replicas[at] = new, old
        wait_until(lambda: all(s.cluster_info()["cluster_state"] == "ok" for s in everybody), "all is well", 30)
        wait_until(lambda: len({map_of(s) for s in everybody}) == 1, "all agree", 30)
        for server in everybody:
            assert_clean(server, peer)


def map_of(server: Server) -> str:
    """Who owns which slots, in the words of this node."""
    return str(slots(server.ask("CLUSTER", "SLOTS")))
