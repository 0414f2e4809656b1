"""Until when a primary may serve, and who lets it."""

import pytest

from cluster.agreement.slots import range_set, to_bitmap
from cluster.agreement.state import FOREVER_MS
from cluster.failover.lease import consider_grant, granted_ms, lease_end_ms, lease_ms
from cluster.failover.reassertion import would_have_it_reassert
from cluster.failover.voting import record_vote
from gossip import flags
from tests.unit.topology.shards import TIMEOUT_MS, request, shards
from tests.unit.topology.worlds import NOW

LEASE_MS = 4000


def end_ms(answered, size=3, i_vote=True):
    """The end of the lease of a voter whose PINGs of these times (before NOW) were answered; None: never."""
    _, nodes = shards(replicas=2)
    others = [node for number, node in nodes.items() if number != 1][: size - i_vote]
    for node, ago_ms in zip(others, answered, strict=True):
        node.answered_ms = NOW - ago_ms if ago_ms is not None else 0
    end = lease_end_ms(nodes[1], {nodes[1], *others} if i_vote else set(others), TIMEOUT_MS)
    return end - NOW if 0 < end < FOREVER_MS else end


@pytest.mark.parametrize(
    ("answered", "left_ms"),
    [
        ([], FOREVER_MS),  # alone
        ([100], LEASE_MS - 100),  # of two voters, both are needed
        ([None], 0),
        ([100, 3000], LEASE_MS - 100),  # we and one other are a majority of three
        ([None, 3000], LEASE_MS - 3000),
        ([None, None], 0),
        ([100, 200, 300], LEASE_MS - 200),
        ([100, 200, 300, None], LEASE_MS - 200),
        ([100, None, None, None], 0),
    ],
)
def test_a_majority_makes_the_lease(answered, left_ms):
    assert end_ms(answered, size=len(answered) + 1) == left_ms


def test_grants_of_voters_without_a_voice_do_not_count():
    _, nodes = shards()
    nodes[2].answered_ms, nodes[3].answered_ms = NOW - 100, NOW - 300
    voters = frozenset(nodes[number] for number in (1, 2, 3))
    assert lease_end_ms(nodes[1], voters, TIMEOUT_MS, {nodes[2]}) == NOW - 300 + LEASE_MS
    assert lease_end_ms(nodes[1], voters, TIMEOUT_MS, {nodes[2], nodes[3]}) == 0
    assert lease_end_ms(nodes[1], voters, TIMEOUT_MS, {nodes[1]}) == NOW - 300 + LEASE_MS  # of three, both others
    assert lease_end_ms(nodes[1], voters, TIMEOUT_MS, {nodes[1], nodes[2]}) == 0


def test_who_is_no_voter_needs_a_majority_of_the_others():
    assert end_ms([100, 200, 300], i_vote=False) == LEASE_MS - 200


@pytest.mark.parametrize("timeout_ms", [50, 500, 5000, 15000])
def test_the_lease_ends_before_anybody_may_vote(timeout_ms):
    assert 0 < lease_ms(timeout_ms) < timeout_ms
    assert lease_ms(timeout_ms) > timeout_ms // 2 + timeout_ms // 10  # and lasts from one PING to the next


def ping(state, primary, **changes):
    said = {"primary_id": None, "config_epoch": primary.config_epoch, "slots": None, **changes}
    said["slots"] = said["slots"] or to_bitmap(state.slotmap.owned_by(primary))
    return request(state, primary, **said)


def grants(state, primary, now_ms=NOW, **changes):
    return consider_grant(state, primary, ping(state, primary, **changes), now_ms, TIMEOUT_MS)


def test_a_primary_in_good_standing_is_granted_a_lease():
    state, nodes = shards()
    assert grants(state, nodes[2])


def test_a_primary_whose_place_may_have_been_taken_is_granted_nothing_until_that_is_known():
    state, nodes = shards()
    record_vote(state, nodes[21], 4, NOW - 10 * TIMEOUT_MS)
    assert not grants(state, nodes[2])
    assert would_have_it_reassert(state, nodes[2], NOW, TIMEOUT_MS)
    assert grants(state, nodes[3])
    record_vote(state, nodes[2], 5, NOW - 1)  # it has asked for its own place
    assert not grants(state, nodes[2])
    assert not would_have_it_reassert(state, nodes[2], NOW, TIMEOUT_MS)
    nodes[2].config_epoch = 5  # and got it
    assert grants(state, nodes[2])


def test_a_failed_primary_is_not_told_to_ask_for_its_place():
    state, nodes = shards()
    record_vote(state, nodes[21], 4, NOW - 10 * TIMEOUT_MS)
    nodes[2].flags |= flags.FAIL
    assert not would_have_it_reassert(state, nodes[2], NOW, TIMEOUT_MS)


def test_a_failed_primary_is_not():
    state, nodes = shards()
    nodes[2].flags |= flags.FAIL
    assert not grants(state, nodes[2])


def test_nor_one_whose_place_is_promised():
    """To a Redis node, which does not say what became of it; for one of ours see below."""
    state, nodes = shards()
    nodes[21].ours = False
    record_vote(state, nodes[21], 4, NOW)
    assert not grants(state, nodes[2], NOW + TIMEOUT_MS - 1)
    assert grants(state, nodes[2], NOW + TIMEOUT_MS)


def test_nor_one_that_has_missed_that_its_slots_are_another_s():
    state, nodes = shards()
    claim = to_bitmap(state.slotmap.owned_by(nodes[2]))
    nodes[3].config_epoch = 7
    state.slotmap.assign(range_set(6000, 6000), nodes[3])
    assert not grants(state, nodes[2], slots=claim)
    assert grants(state, nodes[2])  # once it has learnt it


def test_after_a_restart_an_open_vote_forbids_grants():
    """The vote may have made a primary of somebody of whom we have not heard yet."""
    state, nodes = shards()
    state.forgetful_until_ms = NOW + TIMEOUT_MS
    assert grants(state, nodes[2])  # there was no vote
    state.last_vote_epoch = 4
    assert not grants(state, nodes[2])
    assert grants(state, nodes[2], NOW + TIMEOUT_MS)
    nodes[3].config_epoch = 4  # that is who won
    assert grants(state, nodes[2])


@pytest.mark.parametrize(
    ("answered", "died", "grants_on"),
    [
        (1000, 900, True),  # bound by its last answer when it died
        (1000 + LEASE_MS, 1000, True),
        (1001 + LEASE_MS, 1000, False),  # it may have voted before
        (None, 1000, False),
    ],
)
def test_a_dead_voter_grants_what_it_was_bound_to_when_it_died(answered, died, grants_on):
    """Both as milliseconds ago; it is still dead now."""
    _, nodes = shards()
    voter = nodes[2]
    voter.answered_ms = NOW - answered if answered is not None else 0
    voter.gone_since_ms, voter.gone_ms = NOW - died, NOW
    assert granted_ms(voter, TIMEOUT_MS) == (NOW if grants_on else voter.answered_ms)
