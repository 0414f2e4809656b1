"""Whoever follows some slots is told of each write to them, whatever kind of command made it."""

from __future__ import annotations

import pytest

from node import flags
from node.config import Config
from node.engine.keyspace.keyslot import slot_of
from node.engine.session.slotfeed import NO_SLOT, SEVERAL_SLOTS, Overrun, SlotFeed
from node.replication.slots import SlotsOfCommands, Write, as_stream
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.resp import Word, pack, parse
from tests.unit.replication.test_following import Replica

HERE, ELSEWHERE = slot_of(b"a"), slot_of(b"b")
ALL = bytes([1]) * 16384


def words(data: bytes) -> list[str]:
    return [word.decode() for word in parse(data)[0].value]


def only(*slots: int) -> bytes:
    chosen = bytearray(16384)
    for slot in slots:
        chosen[slot] = 1
    return bytes(chosen)


class Follower:
    """A node of which the writes to some slots are followed."""

    def __init__(self, slots: bytes = only(HERE), limit_bytes: int = 1 << 20) -> None:
        self.node = Embedded()
        self.client: EmbeddedClient = self.node.client()
        self.feed: SlotFeed = self.node.core.stream.follow_slots(slots, limit_bytes)

    def took(self) -> list[Write]:
        self.node.core.engine.before_replies()
        return [Write(*write) for write in self.feed.take()]

    def told(self) -> list[tuple[int, str]]:
        """Slots and commands."""
        return [(write.slot, " ".join(words(write.data))) for write in self.took()]


NATIVE_AND_NOT: list[tuple[list[list[Word]], list[tuple[int, str]]]] = [
    ([["SET", "a", "1"]], [(HERE, "SET a 1")]),
    ([["SET", "b", "1"]], []),
    ([["GET", "a"]], []),
    ([["SETRANGE", "a", "1", "x"]], [(HERE, "SETRANGE a 1 x")]),
    ([["LPUSH", "{a}l", "x"], ["RPOPLPUSH", "{a}l", "{a}m"]], [(HERE, "LPUSH {a}l x"), (HERE, "RPOPLPUSH {a}l {a}m")]),
    ([["MSET", "{a}1", "x", "{a}2", "y"]], [(HERE, "MSET {a}1 x {a}2 y")]),
    ([["MSET", "a", "x", "b", "y"]], [(SEVERAL_SLOTS, "MSET a x b y")]),
    ([["MSET", "b", "x", "{b}2", "y"]], []),
    ([["SADD", "{a}s", "x"], ["SPOP", "{a}s"]], [(HERE, "SADD {a}s x"), (HERE, "SREM {a}s x")]),
    ([["FLUSHALL"]], [(NO_SLOT, "FLUSHALL")]),
    ([["SUNIONSTORE", "{a}u", "{a}s"], ["SET", "a", "1"]], [(HERE, "SET a 1")]),
    (
        [["ZADD", "{a}z", "1", "x"], ["ZUNIONSTORE", "{a}y", "1", "{a}z"]],
        [(HERE, "ZADD {a}z 1 x"), (HERE, "ZUNIONSTORE {a}y 1 {a}z")],
    ),
    (
        [["XADD", "{a}x", "1-1", "f", "v"], ["XGROUP", "CREATE", "{a}x", "g", "0"]],
        [(HERE, "XADD {a}x 1-1 f v"), (HERE, "XGROUP CREATE {a}x g 0")],
    ),
    ([["SET", "a", "1"], ["EXPIRE", "a", "100"]], [(HERE, "SET a 1"), (HERE, "PEXPIREAT a 100000")]),
]


@pytest.mark.parametrize(("requests", "told"), NATIVE_AND_NOT, ids=lambda each: str(each)[:40])
def test_each_command_has_the_slot_of_its_keys(requests: list[list[Word]], told: list[tuple[int, str]]) -> None:
    follower = Follower()
    follower.node.core.space.now_ms = 0
    follower.client("SET", "b", "0")  # so that there is something to flush
    follower.took()
    for request in requests:
        follower.client(*request)
    assert follower.told() == told


def test_what_nobody_follows_costs_no_record() -> None:
    follower = Follower(only(ELSEWHERE))
    follower.client("SET", "a", "1")
    assert follower.feed.waiting_bytes == 0
    follower.client("SET", "b", "1")
    assert follower.feed.waiting_bytes == len(pack(["SET", "b", "1"]))
    follower.took()
    assert follower.feed.waiting_bytes == 0


def test_a_reader_that_is_too_slow_is_told() -> None:
    follower = Follower(limit_bytes=3 * len(pack(["SET", "a", "1"])))
    for _ in range(2):
        for _ in range(3):
            follower.client("SET", "a", "1")
        assert len(follower.took()) == 3
    for _ in range(4):
        assert follower.client("SET", "a", "1") == b"OK"
    assert (follower.feed.overrun, follower.feed.waiting_bytes) == (True, 0)
    follower.client("SET", "a", "2")
    with pytest.raises(Overrun):
        follower.took()


def test_the_end_of_a_feed_is_the_end_of_its_cost() -> None:
    follower = Follower()
    assert follower.node.core.engine.propagating
    follower.node.core.stream.leave_slots(follower.feed)
    assert not follower.node.core.engine.propagating
    follower.client("SET", "a", "1")
    assert follower.took() == []


def together(writes: list[Write]) -> list[list[str]]:
    units: dict[int, list[str]] = {}
    for write in writes:
        units.setdefault(write.unit, []).append(" ".join(words(write.data)))
    return list(units.values())


def test_a_transaction_is_a_unit_of_which_each_command_has_its_slot() -> None:
    follower = Follower()
    client = follower.client
    client("SET", "a", "0")
    for request in (["MULTI"], ["SET", "a", "1"], ["INCR", "b"], ["INCR", "a"], ["EXEC"], ["SET", "a", "9"]):
        client(*request)
    assert together(follower.took()) == [["SET a 0"], ["SET a 1", "INCR a"], ["SET a 9"]]


def test_a_script_is_a_unit_of_what_it_writes() -> None:
    follower = Follower()
    code = "redis.call('SET', KEYS[1], 1) redis.call('SET', KEYS[2], 2) redis.call('INCR', KEYS[1])"
    follower.client("EVAL", code, "2", "a", "b")
    assert together(follower.took()) == [["SET a 1", "INCR a"]]


def test_keys_that_run_out_are_deleted_under_their_slot() -> None:
    follower = Follower()
    follower.client("SET", "a", "1", "PX", "100")
    follower.client("SET", "b", "1", "PX", "100")
    follower.client("HSET", "{a}h", "f", "v")
    follower.client("HPEXPIRE", "{a}h", "100", "FIELDS", "1", "f")
    follower.took()
    follower.node.core.space.now_ms += 200
    follower.client("GET", "a")
    follower.client("GET", "b")
    follower.client("HGETALL", "{a}h")
    assert follower.told() == [(HERE, "DEL a"), (HERE, "HDEL {a}h f")]


def test_a_write_that_finds_its_key_dead_is_a_unit_with_the_deletion() -> None:
    follower = Follower()
    follower.client("SET", "a", "1", "PX", "100")
    follower.took()
    follower.node.core.space.now_ms += 200
    follower.client("SETRANGE", "a", "0", "x")
    assert together(follower.took()) == [["DEL a", "SETRANGE a 0 x"]]


def test_the_cycle_of_expiry_makes_a_unit_of_each_key() -> None:
    follower = Follower()
    names = [f"{{a}}{number}" for number in range(10)]
    for name in names:
        follower.client("SET", name, "1", "PX", "100")
    follower.took()
    follower.node.core.expire_some(follower.node.core.space.now_ms + 200, 100_000, 1)
    units = together(follower.took())
    assert sorted(units) == sorted([f"DEL {name}"] for name in names)


def test_evicted_keys_are_deleted_under_their_slot() -> None:
    follower = Follower(ALL)
    client = follower.client
    for number in range(200):
        client("SET", f"k{number}", "x" * 1000)
    follower.took()
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    client("CONFIG", "SET", "maxmemory", str(follower.node.core.used_memory() - 20_000))
    client("GET", "k0")
    writes = follower.took()
    assert writes
    for write in writes:
        name, key = words(write.data)
        assert name in ("DEL", "UNLINK")
        assert write.slot == slot_of(key.encode())
    assert len({write.unit for write in writes}) == len(writes)


def test_in_a_cluster_the_slot_of_a_request_is_known() -> None:
    follower = Follower(ALL)
    engine = follower.node.core.engine
    follower.client("SELECT", "3")
    follower.node.core.basics.set_state(flags.STATE_CLUSTER, True)
    engine.set_served(ALL)
    follower.client("MSET", "{a}1", "x", "{a}2", "y")
    follower.client("SORT", "{b}l", "STORE", "{b}m")
    follower.client("RPUSH", "{b}l", "1")
    follower.client("SORT", "{b}l", "STORE", "{b}m")
    told = [(write.slot, write.database, words(write.data)[0]) for write in follower.took()]
    assert told == [(HERE, 3, "MSET"), (ELSEWHERE, 3, "RPUSH"), (ELSEWHERE, 3, "SORT")]


def test_on_a_replica_what_the_primary_wrote_is_told() -> None:
    node = Replica()
    assert node.client()("REPLICAOF", "there", "6379") == b"OK"
    node.primary.accept()
    feed = node.core.stream.follow_slots(only(HERE), 1 << 20)
    for request in (["SET", "a", "1"], ["MULTI"], ["SET", "b", "1"], ["INCR", "a"], ["EXEC"]):
        node.primary.write(*request)
    assert [words(data) for _, _, _, data in feed.take()] == [["SET", "a", "1"], ["INCR", "a"]]


def test_the_slot_of_a_command_is_found_by_its_own_name() -> None:
    config = Config()
    config.renamed_commands = {"set": "put"}
    node = Embedded(config=config)
    slot_of_command = SlotsOfCommands(node.core.commands)
    assert node.client()("PUT", "a", "1") == b"OK"
    assert slot_of_command([b"SET", b"a", b"1"]) == HERE
    assert slot_of_command([b"no-such-command", b"a"]) == NO_SLOT
    assert slot_of_command([b"XGROUP", b"DESTROY", b"a", b"g"]) == HERE
    assert slot_of_command([b"UNLINK", b"a", b"b"]) == SEVERAL_SLOTS


def test_as_a_stream_the_writes_have_the_frames_that_a_node_sends() -> None:
    follower = Follower()
    client = follower.client
    client("SET", "a", "1")
    client("SELECT", "2")
    for request in (["MULTI"], ["SET", "a", "2"], ["SET", "b", "2"], ["SET", "{a}2", "2"], ["EXEC"]):
        client(*request)
    client("SELECT", "0")
    for request in (["MULTI"], ["SET", "a", "3"], ["SET", "b", "3"], ["EXEC"]):
        client(*request)
    data, database = as_stream(follower.took(), -1)
    expected = [
        *(["SELECT", "0"], ["SET", "a", "1"]),
        *(["MULTI"], ["SELECT", "2"], ["SET", "a", "2"], ["SET", "{a}2", "2"], ["EXEC"]),
        *(["SELECT", "0"], ["SET", "a", "3"]),
    ]
    assert data == b"".join(map(pack, expected))
    assert database == 0


def test_what_was_followed_can_be_carried_out_elsewhere() -> None:
    """A copy of the slot: a snapshot would be the beginning of it."""
    follower, copy = Follower(), Embedded()
    client = follower.client
    for request in (
        ["RPUSH", "{a}l", "1", "2", "3"],
        ["RPUSH", "{b}l", "1", "2", "3"],
        ["LMOVE", "{a}l", "{a}m", "LEFT", "RIGHT"],
        ["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "a", "x"],
        ["INCRBYFLOAT", "{a}f", "1.5"],
        ["SET", "{a}t", "v", "EX", "1000"],
    ):
        client(*request)
    data, _ = as_stream(follower.took(), 0)
    copy.client().session.feed(data)
    digests = []
    for node in (follower.node, copy):
        node.core.basics.set_state(flags.STATE_PROTECTED, False)  # DEBUG is for us
        digests.append(node.client()("DEBUG", "DIGEST-VALUE", "{a}l", "{a}m", "a", "{a}f", "{a}t"))
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 5
    assert copy.client()("DBSIZE") == 5
