"""Our bus and cluster against redis-server 7.0.15: they meet, agree, suspect and correct each other."""

import asyncio
import random

import pytest

from cluster.agreement import nodesconf
from cluster.agreement.errors import ClusterError
from cluster.agreement.state import ClusterSettings
from cluster.aio.nodesfile import ConfigInUse, NodesFile
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from gossip.effects import Deliver
from tests.compat.bus_host import REDIS_SERVER, Ours, Redis, eventually

pytestmark = pytest.mark.skipif(REDIS_SERVER is None, reason="needs redis-server")


@pytest.fixture
async def stage(tmp_path):
    """Makes nodes and stops them again."""
    started = []

    async def start(kind, name, *args, **settings):
        node = kind(tmp_path / name, *args, **settings)
        started.append(node)
        return await node.start()

    yield start
    for node in started:
        if isinstance(node, Redis):
            node.stop()
        else:
            await node.stop()


def lines(text):
    """CLUSTER NODES without what differs from node to node: id -> (address, role, primary, epoch, slots)."""
    found = {}
    for line in text.splitlines():
        node_id, address, marks, primary, _, _, epoch, _, *slots = line.split()
        marks = marks.replace("myself,", "")
        found[node_id] = (address, marks, primary, epoch, tuple(s for s in slots if s[0] != "["))
    return found


async def trio(stage):
    """Two of ours and a redis, with all slots, agreeing."""
    redis = await stage(Redis, "redis")
    a, b = await stage(Ours, "a"), await stage(Ours, "b")
    a.do("add_slots_range", [b"0", b"5000"])
    b.do("add_slots_range", [b"5001", b"10000"])
    assert await redis("CLUSTER", "ADDSLOTSRANGE", "10001", "16383") == b"OK"
    a.do("meet", [b"127.0.0.1", b"%d" % redis.port])  # we meet redis
    assert await redis("CLUSTER", "MEET", "127.0.0.1", str(b.port)) == b"OK"  # redis meets us

    async def agreed():
        views = [lines(await redis.nodes()), lines(a.nodes()), lines(b.nodes())]
        epochs = {entry[3] for entry in views[0].values()}
        return len(epochs) == 3 and len(views[0]) == 3 and views[0] == views[1] == views[2]

    await eventually(agreed)
    await eventually(lambda: a.core.ok and b.core.ok)

    async def redis_ok():
        return b"cluster_state:ok" in await redis("CLUSTER", "INFO")

    await eventually(redis_ok)
    return redis, a, b


async def test_they_meet_both_ways_and_show_the_same(stage):
    redis, a, b = await trio(stage)
    assert await redis("CLUSTER", "SLOTS") == [
        [start, end, [*node[:3], []]] for start, end, node in a.views.slots() if node[3] == {}
    ]
    theirs = await redis("CLUSTER", "SHARDS")
    ours = [[b"slots", shard[b"slots"], b"nodes", shard[b"nodes"]] for shard in a.views.shards()]
    for shard in ours:
        shard[3] = [[part for pair in node.items() for part in pair] for node in shard[3]]
    for node in (node for shard in (*theirs, *ours) for node in shard[3]):
        node[node.index(b"replication-offset") + 1] = 0
    assert sorted(theirs) == sorted(ours)
    info = (await redis("CLUSTER", "INFO")).decode().split("\r\n")
    mine = a.views.info().decode().split("\r\n")
    assert info[:8] == mine[:8]
    assert {line.split(":")[0] for line in mine} >= {line.split(":")[0] for line in info if "meet" not in line}
    assert await redis("GET", "bar") == f"MOVED 5061 127.0.0.1:{b.port}"
    links = a.views.links(a.bus.buffer_sizes)
    assert len(links) == 4
    assert list(links[0]) == (await redis("CLUSTER", "LINKS"))[0][::2]


async def test_a_slot_moves_between_them(stage):
    redis, a, b = await trio(stage)
    redis_id = (await redis("CLUSTER", "MYID")).decode()
    # From redis to us, told by us ...
    a.do("set_slot", [b"16000", b"importing", redis_id.encode()])
    assert await redis("CLUSTER", "SETSLOT", "16000", "MIGRATING", a.id) == b"OK"
    a.do("set_slot", [b"16000", b"node", a.id.encode()])
    await eventually(lambda: b.owner(16000) == a.id)

    async def redis_knows():
        return lines(await redis.nodes()) == lines(a.nodes())

    await eventually(redis_knows)
    # ... and back, told by redis.
    assert await redis("CLUSTER", "SETSLOT", "16000", "IMPORTING", a.id) == b"OK"
    a.do("set_slot", [b"16000", b"migrating", redis_id.encode()])
    assert await redis("CLUSTER", "SETSLOT", "16000", "NODE", redis_id) == b"OK"
    await eventually(lambda: a.owner(16000) == b.owner(16000) == redis_id)
    await eventually(lambda: lines(a.nodes()) == lines(b.nodes()))
    assert lines(await redis.nodes()) == lines(a.nodes())


async def test_published_messages_cross(stage):
    redis, a, b = await trio(stage)
    await redis("PUBLISH", "news", "from redis")
    wanted = Deliver(b"news", b"from redis", False)
    await eventually(lambda: wanted in a.effects and wanted in b.effects)
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    writer.write(b"SUBSCRIBE news\r\n")
    await reader.readuntil(b":1\r\n")
    a.core.publish(b"news", b"from us")
    a.bus.run()
    assert (await reader.readuntil(b"from us\r\n")).startswith(b"*3\r\n$7\r\nmessage\r\n")
    writer.close()


async def test_we_and_they_declare_the_dead_failed(stage):
    redis, a, b = await trio(stage)
    await b.stop()

    async def failed():
        return f"{b.id} 127.0.0.1:{b.port}@{b.port + 10000} master,fail " in await redis.nodes()

    await eventually(failed)
    await eventually(lambda: a.core.members.get(b.id).failed)
    await eventually(lambda: not a.core.ok)
    await b.start()
    await eventually(lambda: a.core.ok and b.core.ok)
    redis.stop()
    await eventually(lambda: all(n.core.members.get(n.owner(16383)).failed for n in (a, b)))


async def test_forgetting(stage):
    redis, a, b = await trio(stage)
    assert await redis("CLUSTER", "FORGET", a.id) == b"OK"
    b.do("forget", a.id.encode())
    assert a.id not in await redis.nodes()
    assert a.id not in b.nodes()
    pings = b.core.bus.received[0]
    await eventually(lambda: b.core.bus.received[0] > pings + 5)
    assert a.id not in await redis.nodes()
    assert a.id not in b.nodes()


async def test_hostnames_are_told(stage):
    redis = await stage(Redis, "redis", "--cluster-announce-hostname", "redis.example")
    ours = await stage(Ours, "ours", announce_hostname="ours.example")
    ours.do("meet", [b"127.0.0.1", b"%d" % redis.port])
    await eventually(lambda: ",redis.example master" in ours.nodes())

    async def told():
        return ",ours.example master" in await redis.nodes()

    await eventually(told)
    log = (redis.directory / "log").read_text()
    assert "unknown extension" not in log
    assert "invalid" not in log


async def test_either_loads_the_others_file(stage, tmp_path):
    redis, a, b = await trio(stage)
    await redis("CLUSTER", "SAVECONFIG")
    theirs = (redis.directory / "nodes.conf").read_text()
    state = nodesconf.load(theirs, 1)
    assert state.myself.id == (await redis("CLUSTER", "MYID")).decode()
    assert {peer.id for peer in state.members} == {a.id, b.id, state.myself.id}
    assert state.slotmap.fully_assigned
    a.do("set_slot", [b"0", b"migrating", b.id.encode()])
    a.do("set_slot", [b"9000", b"importing", b.id.encode()])
    other = Redis(tmp_path / "other")
    (other.directory / "nodes.conf").write_text(a.core.nodes_conf())
    try:
        await other.start()
        shown = await other.nodes()
        assert (await other("CLUSTER", "MYID")).decode() == a.id
        assert lines(shown)[a.id][3:] == lines(a.nodes())[a.id][3:]
        assert f"[0->-{b.id}] [9000-<-{b.id}]" in shown
    finally:
        other.stop()


async def test_the_file_is_locked_against_each_other(stage, tmp_path):
    ours = await stage(Ours, "ours")
    ours.do("add_slots", [b"1"])
    with pytest.raises(ConfigInUse):
        NodesFile(ours.file.path).open()
    redis = Redis(ours.file.path.parent)
    with pytest.raises(AssertionError, match="redis-server ended"):
        await redis.start()
    assert "already used" in (redis.directory / "log").read_text()
    running = await stage(Redis, "redis")
    with pytest.raises(ConfigInUse):
        NodesFile(running.directory / "nodes.conf").open()


COMMANDS = [
    ("ADDSLOTS", "x"),
    ("ADDSLOTS", "16384"),
    ("ADDSLOTS", "-1"),
    ("ADDSLOTS", "007"),
    ("ADDSLOTS", "1", "2", "1"),
    ("ADDSLOTS", "1", "2", "3"),
    ("ADDSLOTS", "4", "2"),
    ("DELSLOTS", "4"),
    ("DELSLOTS", "1", "1"),
    ("DELSLOTS", "3"),
    ("ADDSLOTSRANGE", "5"),
    ("ADDSLOTSRANGE", "5", "6", "7"),
    ("ADDSLOTSRANGE", "9", "8"),
    ("ADDSLOTSRANGE", "0", "5"),
    ("ADDSLOTSRANGE", "10", "12", "12", "13"),
    ("ADDSLOTSRANGE", "1", "2", "x", "3"),
    ("ADDSLOTSRANGE", "10", "20", "30", "30"),
    ("DELSLOTSRANGE", "19", "21"),
    ("DELSLOTSRANGE", "15", "20"),
    ("SETSLOT", "1", "MIGRATING", "x"),
    ("SETSLOT", "1", "MIGRATING", "f" * 40),
    ("SETSLOT", "1", "IMPORTING", "f" * 40),
    ("SETSLOT", "99", "MIGRATING", "f" * 40),
    ("SETSLOT", "99", "IMPORTING", "f" * 40),
    ("SETSLOT", "99", "NODE", "F" * 40),
    ("SETSLOT", "99", "STABLE"),
    ("SETSLOT", "99", "STABLE", "x"),
    ("SETSLOT", "99", "NODE"),
    ("SETSLOT", "99", "JUGGLE"),
    ("SETSLOT", "16384", "STABLE"),
    ("COUNTKEYSINSLOT", "x"),
    ("COUNTKEYSINSLOT", "-1"),
    ("COUNTKEYSINSLOT", "1"),
    ("GETKEYSINSLOT", "16384", "1"),
    ("GETKEYSINSLOT", "1", "-1"),
    ("GETKEYSINSLOT", "1", "10"),
    ("MEET", "nowhere", "1"),
    ("MEET", "127.0.0.1", "x"),
    ("MEET", "127.0.0.1", "1", "x"),
    ("MEET", "127.0.0.1", "0"),
    ("MEET", "127.0.0.1", "60000"),
    ("MEET", "::x", "6379", "1"),
    ("FORGET", "x"),
    ("FORGET", "f" * 40),
    ("REPLICATE", "f" * 40),
    ("REPLICAS", "f" * 40),
    ("COUNT-FAILURE-REPORTS", "f" * 40),
    ("SET-CONFIG-EPOCH", "x"),
    ("SET-CONFIG-EPOCH", "-1"),
    ("SET-CONFIG-EPOCH", "9"),
    ("SET-CONFIG-EPOCH", "10"),
    ("BUMPEPOCH",),
    ("FLUSHSLOTS",),
    ("RESET", "SOFT"),
    ("BUMPEPOCH",),
    ("RESET", "HARD"),
    ("BUMPEPOCH",),
]

# command -> (method, whether it takes all arguments as one list, whether it takes the time)
METHODS = {
    "ADDSLOTS": ("add_slots", True, True),
    "DELSLOTS": ("del_slots", True, True),
    "ADDSLOTSRANGE": ("add_slots_range", True, True),
    "DELSLOTSRANGE": ("del_slots_range", True, True),
    "SETSLOT": ("set_slot", True, True),
    "MEET": ("meet", True, True),
    "COUNTKEYSINSLOT": ("count_keys_in_slot", False, False),
    "GETKEYSINSLOT": ("get_keys_in_slot", False, False),
    "FORGET": ("forget", False, True),
    "REPLICATE": ("replicate", False, True),
    "REPLICAS": ("replicas", False, False),
    "COUNT-FAILURE-REPORTS": ("count_failure_reports", False, True),
    "SET-CONFIG-EPOCH": ("set_config_epoch", False, True),
    "BUMPEPOCH": ("bump_epoch", False, True),
    "FLUSHSLOTS": ("flush_slots", False, True),
}


def ask_ours(orders, command, *args):
    """What a node would reply."""
    raw = [arg.encode() for arg in args]
    try:
        if command == "RESET":
            orders.reset(args[0] == "HARD", 1)
            return b"OK"
        method, as_list, timed = METHODS[command]
        result = getattr(orders, method)(*([raw] if as_list else raw), *([1] if timed else []))
    except ClusterError as error:
        return error.text
    return result.encode() if isinstance(result, str) else b"OK" if result is None else result


async def test_the_operators_commands_reply_the_same(stage):
    redis = await stage(Redis, "redis")
    orders = ClusterOrders(ClusterCore(ClusterSettings(), random.Random(1), 1))
    ours = [(words, ask_ours(orders, *words)) for words in COMMANDS]
    theirs = [(words, await redis("CLUSTER", *words)) for words in COMMANDS]
    assert ours == theirs
