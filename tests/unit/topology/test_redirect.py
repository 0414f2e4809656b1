"""Where a request is served, case by case."""

import pytest

from cluster.agreement.redirect import (
    Ask,
    CrossSlot,
    Down,
    Moved,
    Request,
    Serve,
    TryAgain,
    Why,
    error_text,
    route,
    route_waiting,
)
from cluster.agreement.slots import key_slot, range_set
from cluster.agreement.state import ClusterSettings
from gossip import flags
from tests.unit.topology.shards import shards
from tests.unit.topology.worlds import world

MINE, THEIRS = b"{bar}", b"{foo}"  # slots 5061 and 12182
MY_SLOT, THEIR_SLOT = key_slot(MINE), key_slot(THEIRS)


def decide(state, keys, *, ok=True, have=(), settings=None, **request):
    return route(state, ok, settings or ClusterSettings(), Request(keys, **request), lambda key: key in have)


def test_no_keys_no_question():
    state, _, _ = world()
    assert decide(state, [], ok=False) == Serve()


def test_ours_and_theirs():
    state, _, other = world()
    assert decide(state, [MINE]) == Serve(MY_SLOT)
    assert decide(state, [MINE + b"1", MINE + b"2"], write=True) == Serve(MY_SLOT)
    assert decide(state, [THEIRS]) == Moved(THEIR_SLOT, other)


def test_keys_of_several_slots():
    state, _, _ = world()
    assert decide(state, [MINE, THEIRS]) == CrossSlot()
    assert decide(state, [THEIRS, THEIRS + b"x", b"a"]) == CrossSlot()
    assert decide(state, [MINE, THEIRS], ok=False) == CrossSlot()


def test_a_slot_of_nobody():
    state, _, _ = world()
    state.slotmap.unassign(range_set(MY_SLOT, MY_SLOT))
    assert decide(state, [MINE]) == Down(Why.UNBOUND)
    assert decide(state, [MINE, THEIRS]) == Down(Why.UNBOUND)  # the first key decides


@pytest.mark.parametrize(
    ("settings", "request_", "expected"),
    [
        ({}, {}, Down(Why.CLUSTER_DOWN)),
        ({}, {"write": True}, Down(Why.CLUSTER_DOWN)),
        ({"allow_reads_when_down": True}, {}, Serve(MY_SLOT)),
        ({"allow_reads_when_down": True}, {"write": True}, Down(Why.READS_ONLY)),
        ({}, {"shard_channels": True}, Serve(MY_SLOT)),
        ({"allow_pubsubshard_when_down": False}, {"shard_channels": True}, Down(Why.CLUSTER_DOWN)),
    ],
)
def test_while_the_cluster_is_down(settings, request_, expected):
    state, _, _ = world()
    assert decide(state, [MINE], ok=False, settings=ClusterSettings(**settings), **request_) == expected


def test_while_a_shard_elects_a_successor_clients_are_sent_to_where_the_map_says():
    """The answer that makes every client look at the map again; readers are served by the replica."""
    state, nodes = shards(11, replicas=1)
    nodes[1].flags |= flags.FAIL
    assert decide(state, [MINE]) == Moved(MY_SLOT, nodes[1])
    assert decide(state, [MINE], write=True, readonly=True) == Moved(MY_SLOT, nodes[1])
    assert decide(state, [MINE], readonly=True) == Serve(MY_SLOT)
    assert decide(state, [THEIRS]) == Moved(THEIR_SLOT, nodes[3])


A, B = MINE + b"a", MINE + b"b"


@pytest.mark.parametrize(
    ("keys", "have", "request_", "expected"),
    [
        ([A], [A], {}, "serve"),
        ([A], [], {}, "ask"),
        ([A, B], [], {}, "ask"),
        ([A, B], [A], {}, "tryagain"),
        ([A, B], [A, B], {}, "serve"),
        ([A], [], {"migrate": True}, "serve"),
        ([A], [], {"shard_channels": True}, "serve"),
        ([A], [], {"asking": True}, "ask"),
    ],
)
def test_a_slot_that_leaves_us(keys, have, request_, expected):
    state, _, other = world()
    state.slotmap.migrate(MY_SLOT, other)
    outcomes = {"serve": Serve(MY_SLOT), "ask": Ask(MY_SLOT, other), "tryagain": TryAgain(MY_SLOT)}
    assert decide(state, keys, have=have, **request_) == outcomes[expected]


C, D = THEIRS + b"c", THEIRS + b"d"


@pytest.mark.parametrize(
    ("keys", "have", "request_", "expected"),
    [
        ([C], [C], {}, "moved"),
        ([C], [], {"asking": True}, "serve"),
        ([C, C], [], {"asking": True}, "serve"),
        ([C, D], [], {"asking": True}, "tryagain"),
        ([C, D], [C], {"asking": True}, "tryagain"),
        ([C, D], [C, D], {"asking": True}, "serve"),
        ([C], [], {"migrate": True}, "serve"),
    ],
)
def test_a_slot_that_comes_to_us(keys, have, request_, expected):
    state, _, other = world()
    state.slotmap.import_from(THEIR_SLOT, other)
    outcomes = {"serve": Serve(THEIR_SLOT), "moved": Moved(THEIR_SLOT, other), "tryagain": TryAgain(THEIR_SLOT)}
    assert decide(state, keys, have=have, **request_) == outcomes[expected]


def test_keys_are_looked_up_only_while_a_slot_moves():
    state, _, _ = world()

    def never(key):
        raise AssertionError("looked up")

    assert route(state, True, ClusterSettings(), Request([MINE]), never) == Serve(MY_SLOT)


def test_asking_for_a_slot_that_does_not_move_helps_nobody():
    state, _, other = world()
    assert decide(state, [THEIRS], asking=True) == Moved(THEIR_SLOT, other)


@pytest.mark.parametrize(
    ("request_", "served"),
    [
        ({}, False),
        ({"readonly": True}, True),
        ({"readonly": True, "write": True}, False),
        ({"shard_channels": True}, True),
    ],
)
def test_a_replica_serves_reads_of_its_primarys_slots(request_, served):
    state, me, other = world()
    state.slotmap.assign(range_set(0, 16383), other)
    me.become_replica()
    me.follow(other)
    assert decide(state, [THEIRS], **request_) == (Serve(THEIR_SLOT) if served else Moved(THEIR_SLOT, other))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "MOVED 12182 10.0.0.2:6379"),
        ({"preferred_endpoint_type": "hostname"}, "MOVED 12182 two.example:6379"),
        ({"preferred_endpoint_type": "unknown-endpoint"}, "MOVED 12182 :6379"),
    ],
)
def test_the_texts(settings, text):
    _state, _, other = world()
    other.hostname, other.plain_port = "two.example", 7777
    chosen = ClusterSettings(**settings)
    assert error_text(Moved(12182, other), chosen) == text
    assert error_text(Ask(12182, other), chosen) == text.replace("MOVED", "ASK")
    assert error_text(Moved(12182, other), chosen, plain_client=True) == text.replace("6379", "7777")
    other.hostname = ""
    if settings.get("preferred_endpoint_type") == "hostname":
        assert error_text(Moved(1, other), chosen) == "MOVED 1 ?:6379"
    assert error_text(Serve(1), chosen) is None
    assert error_text(CrossSlot(), chosen) == "CROSSSLOT Keys in request don't hash to the same slot"
    assert error_text(TryAgain(1), chosen) == "TRYAGAIN Multiple keys request during rehashing of slot"
    assert error_text(Down(Why.UNBOUND), chosen) == "CLUSTERDOWN Hash slot not served"


def test_who_waits_for_a_key_stays_while_its_slot_moves():
    def decision(key, ok=True):
        return route_waiting(state, ok, ClusterSettings(), Request([key], write=True))

    state, me, other = world()
    state.slotmap.migrate(MY_SLOT, other)
    state.slotmap.import_from(THEIR_SLOT, other)
    assert decide(state, [MINE]) == Ask(MY_SLOT, other)  # a new request would go
    assert decision(MINE) == Serve(MY_SLOT)
    assert decision(THEIRS) == Serve(THEIR_SLOT)
    assert decision(MINE, ok=False) == decision(THEIRS, ok=False) == Down(Why.CLUSTER_DOWN)
    state.slotmap.assign(range_set(MY_SLOT, MY_SLOT), other)
    state.slotmap.import_from(THEIR_SLOT, None)
    assert decision(MINE) == Moved(MY_SLOT, other)
    assert decision(THEIRS) == Moved(THEIR_SLOT, other)
    state.slotmap.unassign(range_set(MY_SLOT, MY_SLOT))
    assert decision(MINE) == Down(Why.UNBOUND)
    assert me.slot_count
