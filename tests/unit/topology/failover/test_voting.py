"""Whether a voter gives its vote, and every reason why it does not."""

import pytest

from cluster.agreement.slots import range_set, to_bitmap
from cluster.failover.voting import Grant, consider_vote, record_vote, release_vote
from gossip import flags
from gossip.messages import FORCE_ACK, OURS, REASSERT, STANDING
from tests.unit.topology.shards import TIMEOUT_MS, request, shards
from tests.unit.topology.worlds import NOW

FORCED = {"mflags": (FORCE_ACK, OURS, 0)}
BY_REDIS = {"mflags": (0, 0, 0)}


def failed_primary():
    """Node 1 looks at shard 2, whose primary has failed."""
    state, nodes = shards(me=1)
    nodes[2].flags |= flags.FAIL
    state.current_epoch = 4
    return state, nodes


def ask(state, candidate, now_ms=NOW, **changes):
    answer = consider_vote(state, candidate, request(state, candidate, **changes), now_ms, TIMEOUT_MS)
    return "granted" if isinstance(answer, Grant) else answer.reason


def test_the_replica_of_a_failed_primary_gets_the_vote():
    state, nodes = failed_primary()
    assert consider_vote(state, nodes[21], request(state, nodes[21]), NOW, TIMEOUT_MS) == Grant(4)


def old_epoch(state, nodes):
    state.current_epoch = 5


def vote_given(state, nodes):
    state.last_vote_epoch = 4


def is_primary(state, nodes):
    nodes[21].become_primary()


def primary_unknown(state, nodes):
    nodes[21].unfollow()


def primary_up(state, nodes):
    nodes[2].flags &= ~flags.FAIL


def suspected_only(state, nodes):
    nodes[2].flags = nodes[2].flags & ~flags.FAIL | flags.PFAIL


def granted_just_now(state, nodes):
    nodes[2].granted_ms = NOW - TIMEOUT_MS + 1


def restarted(state, nodes):
    state.forgetful_until_ms = NOW + 1


def sibling_has_it(state, nodes):
    record_vote(state, nodes[22], 3, NOW - TIMEOUT_MS + 1)


def slots_won_by_another(state, nodes):
    nodes[3].config_epoch = 9
    state.slotmap.assign(range_set(6000, 6000), nodes[3])
    nodes[2].granted_ms = 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (old_epoch, "old epoch"),
        (vote_given, "vote given"),
        (is_primary, "is a primary"),
        (primary_unknown, "primary unknown"),
        (primary_up, "primary is up"),
        (suspected_only, "primary is up"),
        (granted_just_now, "primary may serve"),
        (restarted, "primary may serve"),
        (sibling_has_it, "voted for another"),
    ],
)
def test_reasons_to_deny(change, reason):
    state, nodes = failed_primary()
    change(state, nodes)
    assert ask(state, nodes[21]) == reason


def test_a_claim_that_is_older_than_what_we_know_is_denied():
    state, nodes = failed_primary()
    claim = to_bitmap(state.slotmap.owned_by(nodes[2]))
    slots_won_by_another(state, nodes)
    assert ask(state, nodes[21], slots=claim) == "old claim"


@pytest.mark.parametrize(
    ("answer", "said", "changed"),
    [
        ("a better one lives", {}, {}),
        ("granted", {"offset": 500}, {}),
        ("granted", {"data_epoch": 9}, {"data_epoch": 8}),  # what it has more belongs to a history that has ended
        ("granted", {}, {"flags": flags.REPLICA | flags.PFAIL}),
        ("granted", {}, {"flags": flags.REPLICA | flags.NOFAILOVER}),
        ("granted", {}, {"ours": False}),  # Redis' replicas wait for their turn, and long
        ("granted", FORCED, {}),
    ],
)
def test_the_worse_of_two_replicas_waits_for_the_better_one(answer, said, changed):
    """Which may have restarted just now, or not have heard of the failure yet."""
    state, nodes = failed_primary()
    nodes[2].fail_ms = NOW
    nodes[22].repl_offset = 500
    for name, value in changed.items():
        setattr(nodes[22], name, value)
    assert ask(state, nodes[21], **{"offset": 100, **said}) == answer


def test_but_not_for_ever():
    """It may be unfit."""
    state, nodes = failed_primary()
    nodes[2].fail_ms = nodes[2].wanted_ms = NOW
    nodes[22].repl_offset = 500
    assert ask(state, nodes[21], NOW + TIMEOUT_MS - 1, offset=100) == "a better one lives"
    assert ask(state, nodes[21], NOW + TIMEOUT_MS, offset=100) == "granted"


def test_its_time_begins_when_the_place_is_asked_for():
    """Nobody may have been able to ask before, and the better one may only be back since a moment."""
    state, nodes = failed_primary()
    nodes[2].fail_ms, nodes[2].wanted_ms = NOW - 3 * TIMEOUT_MS, NOW - 4 * TIMEOUT_MS  # that was another failure
    nodes[22].repl_offset = 500
    assert ask(state, nodes[21], offset=100) == "a better one lives"


def test_a_primary_that_asks_to_be_replaced_need_not_have_failed():
    state, nodes = failed_primary()
    primary_up(state, nodes)
    granted_just_now(state, nodes)
    assert ask(state, nodes[21], **FORCED) == "granted"


def test_the_last_grant_binds_for_a_node_timeout():
    state, nodes = failed_primary()
    granted_just_now(state, nodes)
    assert ask(state, nodes[21], NOW + 1) == "granted"


def test_a_dead_process_holds_no_lease():
    state, nodes = failed_primary()
    granted_just_now(state, nodes)
    nodes[2].lost_ms = nodes[2].refused_ms = nodes[2].granted_ms
    nodes[2].refused_again = True
    assert ask(state, nodes[21]) == "granted"
    nodes[2].granted_ms += 1  # it is back
    assert ask(state, nodes[21]) == "primary may serve"


def test_redis_primaries_hold_no_lease_and_redis_candidates_are_not_kept_waiting_for_one():
    state, nodes = failed_primary()
    granted_just_now(state, nodes)
    restarted(state, nodes)
    nodes[2].ours = False
    assert ask(state, nodes[21], **BY_REDIS) == "granted"
    nodes[2].ours = True
    assert ask(state, nodes[21], **BY_REDIS) == "primary may serve"


def test_the_same_candidate_may_ask_again_at_once():
    state, nodes = failed_primary()
    record_vote(state, nodes[21], 3, NOW)
    assert ask(state, nodes[21]) == "granted"


def test_who_asks_again_in_the_same_epoch_gets_the_same_vote_again():
    state, nodes = failed_primary()
    record_vote(state, nodes[21], 4, NOW)
    asked_again = request(state, nodes[21])
    assert consider_vote(state, nodes[21], asked_again, NOW + 500, TIMEOUT_MS) == Grant(4, again=True)
    assert ask(state, nodes[22]) == "vote given"
    release_vote(nodes[21], asked_again)
    assert ask(state, nodes[21]) == "vote given"


def test_a_vote_binds_for_a_node_timeout():
    state, nodes = failed_primary()
    record_vote(state, nodes[22], 3, NOW)
    assert ask(state, nodes[21], NOW + TIMEOUT_MS - 1) == "voted for another"
    assert ask(state, nodes[21], NOW + TIMEOUT_MS) == "granted"


@pytest.mark.parametrize(
    ("said", "released"),
    [
        ({}, True),
        ({"mflags": (0, OURS | STANDING, 0)}, False),  # still stands
        ({"current_epoch": 2}, False),  # said before it stood
        ({"primary_id": None}, False),  # it has won
        ({"mflags": (0, 0, 0)}, False),  # a Redis node does not say
    ],
)
def test_a_candidate_that_gives_up_frees_the_vote(said, released):
    state, nodes = failed_primary()
    record_vote(state, nodes[22], 3, NOW)
    release_vote(nodes[22], request(state, nodes[22], **{"current_epoch": 3, **said}))
    assert (ask(state, nodes[21]) == "granted") is released


ANEW = {"mflags": (0, OURS | REASSERT, 0), "primary_id": None}


def own_place(state, nodes):
    """Node 2 asks for its own place."""
    claim = to_bitmap(state.slotmap.owned_by(nodes[2]))
    return {**ANEW, "config_epoch": nodes[2].config_epoch, "slots": claim}


def test_a_primary_may_ask_for_its_own_place_while_its_replicas_may_not_stand():
    state, nodes = failed_primary()
    assert ask(state, nodes[2], **own_place(state, nodes)) == "has failed"
    primary_up(state, nodes)
    granted_just_now(state, nodes)
    assert ask(state, nodes[2], **own_place(state, nodes)) == "granted"
    assert ask(state, nodes[2], **{**own_place(state, nodes), "mflags": (0, OURS, 0)}) == "is a primary"
    assert ask(state, nodes[2], **{**own_place(state, nodes), "mflags": (0, REASSERT, 0)}) == "is a primary"


def test_who_has_a_vote_may_serve_by_it_and_so_is_not_voted_against():
    """It has won a hand-over in the moment in which we still held it failed from before: its replicas stand at once."""
    state, nodes = failed_primary()
    record_vote(state, nodes[21], 4, NOW)
    nodes[21].become_primary()
    nodes[21].config_epoch = 4
    nodes[21].flags |= flags.FAIL
    state.slotmap.assign(state.slotmap.owned_by(nodes[2]), nodes[21])
    nodes[22].follow(nodes[21])
    state.current_epoch = 5
    said = {"current_epoch": 5, "config_epoch": 4}
    assert ask(state, nodes[22], NOW + TIMEOUT_MS - 1, **said) == "primary may serve"
    assert ask(state, nodes[22], NOW + TIMEOUT_MS, **said) == "granted"


def test_its_successor_may_still_hold_what_was_promised_to_it():
    state, nodes = failed_primary()
    primary_up(state, nodes)
    record_vote(state, nodes[22], 3, NOW - TIMEOUT_MS + 1)
    assert ask(state, nodes[2], **own_place(state, nodes)) == "voted for another"
    assert ask(state, nodes[2], NOW + 1, **own_place(state, nodes)) == "granted"
    restarted(state, nodes)
    assert ask(state, nodes[2], **own_place(state, nodes)) == "primary may serve"


def test_who_votes_for_a_primary_keeps_to_it():
    state, nodes = failed_primary()
    record_vote(state, nodes[2], 3, NOW)
    assert ask(state, nodes[21]) == "voted for another"
    (vote,) = state.open_votes
    assert vote.primary_id == vote.candidate_id == nodes[2].id


@pytest.mark.parametrize(
    ("said", "released"),
    [
        ({}, True),
        ({"mflags": (0, OURS | STANDING, 0)}, False),
        ({"current_epoch": 2}, False),
        ({"config_epoch": 3}, False),  # it has got its place, and votes are its first grants
    ],
)
def test_until_it_says_that_it_stands_no_longer(said, released):
    state, nodes = failed_primary()
    record_vote(state, nodes[2], 3, NOW)
    header = {"primary_id": None, "config_epoch": 2, "current_epoch": 3, **said}
    release_vote(nodes[2], request(state, nodes[2], **header))
    assert (ask(state, nodes[21]) == "granted") is released


def test_a_claim_to_its_own_place_that_is_old_is_denied():
    state, nodes = failed_primary()
    primary_up(state, nodes)
    claim = own_place(state, nodes)
    slots_won_by_another(state, nodes)
    assert ask(state, nodes[2], **claim) == "old claim"


def test_only_the_candidate_itself_frees_the_vote():
    state, nodes = failed_primary()
    record_vote(state, nodes[22], 3, NOW)
    release_vote(nodes[21], request(state, nodes[21]))
    assert ask(state, nodes[21]) == "voted for another"
