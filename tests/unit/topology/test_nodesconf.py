"""nodes.conf, written and read."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.agreement import nodesconf
from cluster.agreement.nodesconf import CorruptConfig
from gossip import flags
from tests.unit.topology.worlds import NOW, primary, world

A, B, C, D = (f"{n:040x}" for n in (0xA, 0xB, 0xC, 0xD))

# As redis-server 7.0.15 wrote it (ids shortened by hand), with padding that an interrupted write leaves.
REDIS_7_0 = f"""{A} 127.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-99 101 [93->-{B}] [5000-<-{B}]

{B} 127.0.0.1:7001@17001,two.example master,fail? - 1700000000000 1700000000001 2 connected 102-16383
{C} 127.0.0.1:7002@17002 slave {A} 0 1700000000001 3 disconnected
{D} :0@0 master,noaddr,nofailover - 0 0 0 disconnected
vars currentEpoch 7 lastVoteEpoch 6 somethingElse 1


"""


def test_a_file_of_redis_is_understood():
    state = nodesconf.load(REDIS_7_0, NOW)
    a, b, c, d = (state.members.get(node_id) for node_id in (A, B, C, D))
    assert state.myself is a
    assert (a.ip, a.port, a.bus_port, a.config_epoch) == ("127.0.0.1", 7000, 17000, 3)
    assert a.flags == flags.MYSELF | flags.PRIMARY | flags.MIGRATE_TO
    assert b.hostname == "two.example"
    assert not b.suspected
    assert b not in state.members.suspects
    assert (b.ping_sent_ms, b.pong_received_ms) == (NOW, NOW)
    assert c.primary is a
    assert a.replicas == [c]
    assert c.config_epoch == 0  # a replica's epoch is its primary's
    assert not d.has_address
    assert (state.current_epoch, state.last_vote_epoch) == (7, 6)
    assert state.slotmap.migrating == {93: b}
    assert state.slotmap.importing == {5000: b}
    assert (a.slot_count, b.slot_count) == (101, 16282)
    assert state.slotmap.owners[100] is None


@pytest.mark.parametrize("verdict", ["fail?", "fail"])
def test_verdicts_of_before_are_forgotten(verdict: str):
    """All nodes may have been stopped one after another, and started again together."""
    state = nodesconf.load(REDIS_7_0.replace("fail?", verdict), NOW)
    b = state.members.get(B)
    assert b.flags & flags.FAILING == 0
    assert b.fail_ms == 0
    assert verdict not in nodesconf.dump(state).replace("nofailover", "")


def test_it_is_written_back_but_for_verdicts():
    text = nodesconf.dump(nodesconf.load(REDIS_7_0, NOW))
    assert text == (
        f"{A} 127.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-99 101 [93->-{B}] [5000-<-{B}]\n"
        f"{B} 127.0.0.1:7001@17001,two.example master - {NOW} {NOW} 2 disconnected 102-16383\n"
        f"{C} 127.0.0.1:7002@17002 slave {A} 0 {NOW} 3 disconnected\n"
        f"{D} :0@0 master,noaddr,nofailover - 0 0 0 disconnected\n"
        "vars currentEpoch 7 lastVoteEpoch 6\n"
    )


def test_names_beyond_the_hostname():
    state, me, other = world()
    me.shard_id, me.nodename = C, "blue"
    other.hostname, other.shard_id = "two.example", D
    again = nodesconf.load(nodesconf.dump(state), NOW)
    assert (again.myself.shard_id, again.myself.nodename, again.myself.hostname) == (C, "blue", "")
    assert again.members.get(other.id).hostname == "two.example"
    assert again.members.get(other.id).shard_id == D
    assert "shard-id" not in nodesconf.node_line(state, me)


def test_handshakes_are_not_remembered():
    state, _, _ = world()
    state.members.start_handshake("10.0.0.9", 1, 2, random.Random(2), NOW, meet=True)
    assert "10.0.0.9" not in nodesconf.dump(state)
    assert nodesconf.dump(state).count("\n") == 3


def test_the_epoch_is_never_behind_a_nodes():
    state = nodesconf.load(REDIS_7_0.replace("currentEpoch 7", "currentEpoch 1"), NOW)
    assert state.current_epoch == 3


def test_a_missing_bus_port_is_guessed():
    state = nodesconf.load(f"{A} 1.2.3.4:7000 myself,master - 0 0 0 connected\n", NOW)
    assert state.myself.bus_port == 17000


LINE = f"{A} 1.2.3.4:7000@17000 myself,master - 0 0 0 connected"

CORRUPT = [
    "vars currentEpoch 1 lastVoteEpoch 0\n",
    LINE + "\nvars currentEpoch\n",
    LINE + "\nvars currentEpoch x\n",
    LINE + "\n" + LINE.replace(A, B),
    LINE.replace(A, A[:-1]),
    LINE.replace(A, A.upper()),
    LINE.replace("1.2.3.4:", "1.2.3.4"),
    LINE.replace("7000@", "port@"),
    LINE.replace("7000@", "65536@"),
    LINE.replace("@17000", "@-1"),
    LINE.replace("7000@17000", "60000"),
    LINE.replace("0 0 0", f"0 0 {1 << 64}"),
    LINE + f"\nvars currentEpoch {1 << 64}\n",
    LINE.replace("master", "mister"),
    LINE.replace("- 0 0 0", "0 0 0"),
    LINE.replace("master - ", f"slave {A} "),
    LINE + " 16384",
    LINE + " 5-3",
    LINE + " nonsense",
    LINE + f" [x->-{B}]",
    LINE + f" [16384->-{B}]",
    LINE + f" [1=>-{B}]",
    LINE + f" [1->-{B[:-1]}]",
    LINE + f" [1->-{B}",
]


@pytest.mark.parametrize("text", CORRUPT)
def test_a_damaged_file_is_an_error_that_says_where(text):
    with pytest.raises(CorruptConfig) as error:
        nodesconf.load(text, NOW)
    assert "cluster configuration" in str(error.value)


@given(st.integers(0, len(REDIS_7_0)), st.text(max_size=3))
def test_damage_is_never_worse_than_an_error(at, text):
    with contextlib.suppress(CorruptConfig):
        nodesconf.load(REDIS_7_0[:at] + text + REDIS_7_0[at + len(text) :], NOW)


def test_peers_of_peers_that_have_no_line():
    state = nodesconf.load(LINE + f"\n{C} 1.2.3.5:7000@17000 slave {B} 0 0 0 connected\n", NOW)
    assert state.members.get(B).replicas == [state.members.get(C)]
    assert state.members.get(B).flags == flags.MIGRATE_TO


def test_a_slot_belongs_to_one_node():
    state = nodesconf.load(f"{LINE} 0-10\n" + LINE.replace(A, B).replace("myself,", "") + " 5-20\n", NOW)
    assert state.slotmap.owned_by(state.myself).bit_count() == 11
    assert state.members.get(B).slot_count == 10
    assert primary(1).slot_count == 0
