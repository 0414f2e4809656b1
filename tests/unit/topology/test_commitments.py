"""What must be on disk before anything is sent: every field of nodes.conf is either a commitment or named as none."""

import random
from dataclasses import fields
from functools import partial

import pytest

from cluster.agreement import nodesconf
from cluster.agreement.commitments import Commitments
from cluster.agreement.slotmap import SlotMap
from cluster.agreement.slots import range_set, to_bitmap
from cluster.agreement.state import ClusterSettings, ClusterState, History, OpenVote
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from gossip.effects import Persist, Send
from gossip.messages import Pong, Update
from gossip.peer import Link, Peer
from tests.unit.topology.shards import SHARES, core_of, node_id
from tests.unit.topology.worlds import NOW, primary

VOTE = OpenVote(node_id(21), 4, node_id(2), SHARES[1])


def put(name, value, core, nodes):
    setattr(core.state, name, value)


def vote(core, nodes):
    core.state.open_votes.append(VOTE)


def rename(core, nodes):
    core.members.rename(core.myself, node_id(77))


def become_replica(core, nodes):
    core.myself.become_replica()


def follow(core, nodes):
    core.myself.become_replica()
    core.take_effects()
    core.myself.follow(nodes[2])


def claim(number, core, nodes):
    core.slotmap.assign(range_set(5000, 6000), nodes[number])


def reach(number, core, nodes):
    nodes[number].config_epoch += 5


ADDED = {
    "current_epoch": partial(put, "current_epoch", 9),
    "last_vote_epoch": partial(put, "last_vote_epoch", 3),
    "open_votes": vote,
    "handing_over": partial(put, "handing_over", True),
    "only_ours": partial(put, "only_ours", True),
    "history": partial(put, "history", History.OTHER_SHARD),
    "id": rename,
    "role": become_replica,
    "primary": follow,
    "config_epoch, ours": partial(reach, 1),
    "config_epoch, another's": partial(reach, 2),
    "config_epoch, of one without slots": partial(reach, 22),
    "slots, ours": partial(claim, 1),
    "slots, another's": partial(claim, 2),
}
"""Every kind of commitment, and how one more is made, without anybody saying so."""


@pytest.mark.parametrize("name", ADDED)
def test_a_commitment_is_on_disk_before_what_its_step_sends(name):
    core, nodes = core_of()
    core.take_effects()
    nodes[3].link = Link(1, NOW, inbound=False, peer=nodes[3], established=True)
    before = core.nodes_conf()
    ADDED[name](core, nodes)
    core.bus.send(nodes[3].link, Pong(core.bus.header()))
    first, *others = core.take_effects()
    assert isinstance(first, Persist)
    assert first.durable
    assert any(isinstance(effect, Send) for effect in others)
    if name != "config_epoch, of one without slots":  # a replica's line shows its primary's epoch
        assert first.text == core.nodes_conf() != before
    core.bus.send(nodes[3].link, Pong(core.bus.header()))
    assert [type(effect) for effect in core.take_effects()] == [Send], "once is enough"


def end_promise(core, nodes):
    core.state.handing_over = False


def settle_vote(core, nodes):
    core.state.open_votes = []


def synchronise(core, nodes):
    core.state.history = History.OF_PRIMARY


def lose_slots(core, nodes):
    core.slotmap.unassign(range_set(0, 99))


def forget_member(core, nodes):
    core.members.remove(nodes[22])


WITHDRAWN = (end_promise, settle_vote, synchronise, lose_slots, forget_member)


@pytest.mark.parametrize("end", WITHDRAWN)
def test_what_is_withdrawn_need_not_be_on_disk_at_once_but_is_when_it_comes_again(end):
    core, nodes = core_of()
    state = core.state
    state.handing_over, state.open_votes, state.history = True, [VOTE], History.UNKNOWN
    core.changed()
    core.take_effects()
    end(core, nodes)
    core.changed()
    (saved,) = core.take_effects()
    assert saved == Persist(core.nodes_conf(), durable=False)
    state.handing_over, state.open_votes, state.history = True, [VOTE], History.UNKNOWN
    core.slotmap.assign(range_set(0, 99), nodes[1])
    core.changed()
    (again,) = core.take_effects()
    assert again == Persist(core.nodes_conf(), durable=end is not forget_member)


@pytest.mark.parametrize(("operation", "argument"), [("set_config_epoch", b"7"), ("add_slots", [b"1", b"2"])])
def test_what_an_operator_gives_a_node_is_on_disk_before_others_hear_of_it(operation, argument):
    """These two were written without a sync while it had to be said by hand."""
    core = ClusterCore(ClusterSettings(), random.Random(1), NOW)
    core.take_effects()
    getattr(ClusterOrders(core), operation)(argument, NOW)
    first = core.take_effects()[0]
    assert first == Persist(core.nodes_conf(), durable=True)


def test_a_claim_that_is_told_again_and_wins_nothing_is_not_written_again():
    """As when two tell us of it: a sync would hold up what else is to be sent."""
    core, nodes = core_of()
    core.take_effects()
    core.claims.hear_update(Update(core.bus.header(), nodes[2].id, 2, to_bitmap(range_set(11000, 11005))))
    assert core.take_effects() == []


def test_what_the_file_has_is_no_news_after_a_restart():
    core, _ = core_of()
    conf = core.nodes_conf()
    again = ClusterCore(ClusterSettings(), random.Random(2), NOW, conf)
    assert not any(isinstance(effect, Persist) and effect.durable for effect in again.take_effects())


def test_an_operator_can_have_it_on_disk_without_a_reason():
    core, _ = core_of()
    core.take_effects()
    core.save()
    assert core.take_effects() == [Persist(core.nodes_conf(), durable=True)]


# What nodes.conf shows of a state beyond its commitments: `commitments` says why each is none.

NO_COMMITMENT = {
    ClusterState: {"members", "slotmap", "data_epoch"},  # the first two: below, field by field
    SlotMap: {"migrating", "importing"},
    Peer: {"ip", "port", "bus_port", "hostname", "nodename", "shard_id", "flags", "ping_sent_ms", "pong_received_ms"}
    | {"link", "primary"},
}
STATE = ("current_epoch", "last_vote_epoch", "open_votes", "handing_over", "only_ours", "history")
PEER = ("id", "config_epoch")
SLOTMAP = ("_owned",)
COMMITMENTS = {ClusterState: set(STATE), SlotMap: set(SLOTMAP), Peer: set(PEER)}


def test_every_field_that_the_file_shows_is_one_or_the_other():
    """A new one has to be named in the table above, or in `commitments` with a way to make one in `ADDED`."""
    state, me, other = _world()
    for kind, owner in ((ClusterState, state), (SlotMap, state.slotmap), (Peer, other), (Peer, me)):
        for name in _names(owner):
            if name not in NO_COMMITMENT[kind] | COMMITMENTS[kind]:
                assert not _shows(state, owner, name), f"nodes.conf shows {kind.__name__}.{name}"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in COMMITMENTS for name in sorted(COMMITMENTS[kind])])
def test_every_commitment_is_compared(kind, name):
    state, me, _ = _world()
    owner = {ClusterState: state, SlotMap: state.slotmap, Peer: me}[kind]
    assert _shows(state, owner, name)
    commitments = Commitments(state)
    setattr(owner, name, _other_value(state, getattr(owner, name)))
    state.slotmap.version += 1
    assert commitments.added(state)


def _world():
    state = nodesconf.fresh(random.Random(1), NOW)
    me, other = state.myself, state.members.add(primary(2, epoch=2))
    me.shard_id = other.shard_id = node_id(5)
    state.slotmap.assign(range_set(0, 99), me)
    state.slotmap.assign(range_set(100, 199), other)
    state.slotmap.migrate(3, other)
    return state, me, other


def _names(owner):
    return list(vars(owner)) if isinstance(owner, SlotMap) else [field.name for field in fields(owner)]


def _shows(state, owner, name):
    """Whether nodes.conf is another one with another value of this field."""
    before, value = nodesconf.dump(state), getattr(owner, name)
    try:
        setattr(owner, name, _other_value(state, value))
        return nodesconf.dump(state) != before
    finally:
        setattr(owner, name, value)


def _other_value(state, value):
    """Another value of the same kind."""
    me, other = list(state.members)
    match value:
        case bool():
            return not value
        case History():
            return History.OTHER_SHARD
        case int():
            return value ^ 3
        case str():
            return f"{int(value, 16) ^ 1:040x}" if len(value) == 40 else value + "x"
        case list() if value and isinstance(value[0], Peer | None):
            return [other if each is me else me for each in value]
        case list():
            return [*value, VOTE]
        case dict() if value and isinstance(next(iter(value)), Peer):
            return {me: range_set(0, 150), other: range_set(151, 199)}
        case dict() if value and isinstance(next(iter(value)), str):
            return {**value, "x": NOW}
        case dict():
            return {**value, 7: other}
        case None:
            return Link(1, NOW, inbound=False, established=True)
        case Link():
            return None
        case Peer():
            return None
    raise AssertionError(f"how is {value!r} changed?")
