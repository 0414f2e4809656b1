"""Who counts whose vote: only voters that count the same voters."""

import re

import pytest

from cluster.agreement import nodesconf
from cluster.agreement.electorate import voters
from cluster.agreement.slots import range_set, to_bitmap
from cluster.agreement.state import History
from cluster.failover.common_map import compare, digest, hear_candidate, open_votes, same_place, token
from cluster.failover.voting import record_vote
from gossip import flags
from gossip.effects import Persist
from gossip.messages import FORCE_ACK, OURS, PAUSED, STANDING, Header, Kind, Update
from gossip.peer import Link
from tests.unit.topology.shards import SHARES, TIMEOUT_MS, SomeData, core_of, node_id, request, sent, shards
from tests.unit.topology.worlds import NOW

# Digests.


def test_maps_that_differ_in_one_voter_differ():
    _, nodes = shards()
    before = frozenset(nodes[number] for number in (1, 2, 3))
    after = frozenset(nodes[number] for number in (11, 2, 3))
    mine, theirs = digest(before), digest(after)
    assert compare(before, mine, mine).same
    assert not compare(before, mine, theirs).same
    assert compare(before, mine, 0).same  # a Redis node does not say
    assert compare(before, 0, theirs).same
    found = compare(before, mine, mine ^ token(nodes[2]))
    assert (found.same, found.given_away) == (True, nodes[2])


def test_where_every_member_votes_nothing_is_compared():
    core, nodes = core_of()
    assert core.digest == digest(voters(core.state)) != 0
    core.slotmap.assign(SHARES[1], nodes[1])
    core.slotmap.assign(SHARES[2], nodes[1])
    core.state.only_ours = True
    core.changed(state=True)
    assert len(core.voters) == 9
    assert core.digest == 0


# Open votes.


def voted(state, nodes, epoch=4):
    record_vote(state, nodes[21], epoch, NOW)
    state.current_epoch = epoch


def won(state, nodes):
    nodes[21].become_primary()
    nodes[21].config_epoch = 4


def replaced_by_another(state, nodes):
    nodes[22].become_primary()
    nodes[22].config_epoch = 6
    state.slotmap.assign(state.slotmap.owned_by(nodes[2]), nodes[22])


def forgotten(state, nodes):
    state.members.remove(nodes[21])


def nothing(state, nodes):
    pass


def older_claim(state, nodes):
    """The news of an election before ours, heard late."""
    nodes[22].become_primary()
    nodes[22].config_epoch = 3
    state.slotmap.assign(state.slotmap.owned_by(nodes[2]), nodes[22])


@pytest.mark.parametrize(
    ("what", "stays"),
    [(nothing, True), (older_claim, True), (won, False), (replaced_by_another, False), (forgotten, False)],
)
def test_a_vote_is_open_until_its_outcome_is_heard(what, stays):
    state, nodes = shards()
    voted(state, nodes)
    what(state, nodes)
    assert bool(open_votes(state)) is stays


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({}, False),  # it has given up
        ({"mflags": (0, OURS | STANDING, 0)}, True),
        ({"current_epoch": 3}, True),  # said before it stood
        ({"config_epoch": 4}, True),  # a replica of somebody who won with our vote, or later: perhaps it won before
        ({"primary_id": None, "config_epoch": 4}, True),  # it has won: that is heard with its claim
        ({"primary_id": None}, False),  # it has won under an epoch from before
        ({"mflags": (0, 0, 0)}, True),  # a Redis node does not say
    ],
)
def test_a_candidate_that_has_lost_says_so(said, stays):
    state, nodes = shards()
    voted(state, nodes)
    hear_candidate(state, nodes[21], request(state, nodes[21], **said))
    assert bool(open_votes(state)) is stays


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({}, False),  # no majority came in time
        ({"mflags": (0, OURS | STANDING, 0)}, True),
        ({"current_epoch": 3}, True),
        ({"config_epoch": 4}, True),  # it has got its place
        ({"primary_id": node_id(22)}, False),  # it was replaced
    ],
)
def test_a_primary_that_asked_for_its_own_place_says_so_too(said, stays):
    state, nodes = shards()
    record_vote(state, nodes[2], 4, NOW)
    state.current_epoch = 4
    hear_candidate(state, nodes[2], request(state, nodes[2], **{"primary_id": None, "config_epoch": 2, **said}))
    assert bool(open_votes(state)) is stays


def test_that_a_later_candidate_has_lost_says_nothing_of_an_earlier_one():
    """21 may have won, and have been stopped before anybody heard it."""
    state, nodes = shards()
    voted(state, nodes)
    record_vote(state, nodes[2], 5, NOW)
    state.current_epoch = 5
    assert [vote.candidate_id for vote in open_votes(state)] == [nodes[21].id, nodes[2].id]
    hear_candidate(state, nodes[2], request(state, nodes[2], primary_id=None, config_epoch=2, current_epoch=5))
    assert [vote.candidate_id for vote in open_votes(state)] == [nodes[21].id]
    record_vote(state, nodes[2], 6, NOW)
    nodes[2].config_epoch = 6
    assert not open_votes(state)  # whatever comes out is old


def test_who_asks_again_counts_no_votes_of_before():
    state, nodes = shards()
    voted(state, nodes)
    voted(state, nodes, epoch=6)
    assert [vote.epoch for vote in open_votes(state)] == [6]


def replaced(core, nodes):
    """21 has won the place of 2, and somebody has told us."""
    core.state.current_epoch = 4
    slots = to_bitmap(SHARES[1])
    core.claims.hear_update(Update(core.bus.header(), nodes[21].id, 4, slots))
    assert core.voters == {nodes[1], nodes[21], nodes[3]}


def test_whom_a_replaced_primary_follows_has_its_slots_at_once():
    """The map would name two shards until the winner is heard itself, and where there are two, every member votes."""
    core, nodes = core_of()
    core.state.only_ours = True
    header = Header(nodes[2].id, current_epoch=4, config_epoch=4, primary_id=nodes[21].id, slots=to_bitmap(SHARES[1]))
    core.claims.hear_role(nodes[2], header)
    assert core.voters == {nodes[1], nodes[21], nodes[3]}
    assert nodes[2].primary is nodes[21]


def test_what_a_replaced_primary_no_longer_knows_is_nobodys():
    """It follows a node whose claim it does not state, as with CLUSTER REPLICATE after its slots went elsewhere."""
    core, nodes = core_of()
    header = Header(nodes[2].id, current_epoch=4, config_epoch=3, primary_id=nodes[3].id, slots=to_bitmap(SHARES[2]))
    core.claims.hear_role(nodes[2], header)
    assert not nodes[2].slot_count
    assert core.slotmap.owned_by(nodes[3]) == SHARES[2]
    assert nodes[2].primary is nodes[3]


def test_a_packet_from_before_an_election_does_not_undo_it():
    """It may have been on its way through a whole partition, while others told us of the winner."""
    core, nodes = core_of()
    core.state.only_ours = True
    replaced(core, nodes)
    header = Header(nodes[21].id, current_epoch=3, config_epoch=2, primary_id=nodes[2].id, slots=to_bitmap(SHARES[1]))
    core.claims.hear_config(nodes[21], header)
    assert core.voters == {nodes[1], nodes[21], nodes[3]}
    assert nodes[21].is_primary


def test_an_open_vote_is_remembered_over_a_restart():
    state, nodes = shards()
    voted(state, nodes)
    record_vote(state, nodes[22], 5, NOW)
    text = nodesconf.dump(state)
    again = nodesconf.load(text, NOW)
    assert [vote.epoch for vote in again.open_votes] == [4, 5]
    assert again.open_votes == state.open_votes
    assert again.open_votes[0].slots == SHARES[1]
    older = re.sub(r" voted(In|Slots) \S+", "", text)
    assert [(vote.epoch, vote.slots) for vote in nodesconf.load(older, NOW).open_votes] == [(5, SHARES[1])] * 2
    assert not nodesconf.load(text.replace(f"votedFor {nodes[21].id}", "votedFor x"), NOW).open_votes[1:]
    for damaged in (text.replace("votedIn 4", "votedIn much"), text.replace("votedSlots ", "votedSlots 1-2-")):
        with pytest.raises(nodesconf.CorruptConfig, match="line 10"):
            nodesconf.load(damaged, NOW)
    replaced_by_another(state, nodes)
    assert not open_votes(nodesconf.load(nodesconf.dump(state), NOW))


def test_the_place_is_known_by_its_primary_or_its_slots():
    state, nodes = shards()
    voted(state, nodes)
    (vote,) = open_votes(state)
    assert same_place(state, vote, nodes[2], 0)
    assert not same_place(state, vote, nodes[3], SHARES[2])
    older_claim(state, nodes)
    assert same_place(state, vote, nodes[22], SHARES[1])


def ask(core, nodes, candidate, epoch=5, primary=2, now_ms=NOW, **changes):
    nodes[primary].flags |= flags.FAIL
    core.state.current_epoch = max(core.state.current_epoch, epoch)
    said = request(core.state, candidate, epoch, **{"electorate": core.digest, **changes})
    before = dict(core.voter.denied)
    core.voter.hear_request(candidate, said, now_ms)
    new = [reason for reason, count in core.voter.denied.items() if count != before.get(reason, 0)]
    return new[0] if new else "granted"


def test_a_candidate_with_another_map_gets_no_vote():
    core, nodes = core_of()
    other = digest(nodes[number] for number in (11, 2, 3))
    assert ask(core, nodes, nodes[21], electorate=other) == "another map"
    assert ask(core, nodes, nodes[21], electorate=0) == "granted"  # it does not say: an older version


def test_a_candidate_with_the_same_map_does():
    core, nodes = core_of()
    assert ask(core, nodes, nodes[21]) == "granted"


def test_a_better_sibling_is_told_why_another_asks():
    """It may have been with the primary on the other side of a partition."""
    core, nodes = core_of()
    nodes[22].link = Link(7, NOW, inbound=False, peer=nodes[22], established=True)
    nodes[2].fail_ms, nodes[22].repl_offset = NOW, 500
    core.take_effects()
    assert ask(core, nodes, nodes[21], offset=100) == "a better one lives"
    assert [(message.kind, message.node_id) for message in sent(core)] == [(Kind.FAIL, nodes[2].id)]


def test_a_better_sibling_has_its_time_from_when_there_may_be_a_vote():
    """It has no chance either while the primary may still serve by what we have granted it."""
    core, nodes = core_of()
    primary, worse = nodes[2], nodes[21]
    primary.fail_ms = primary.granted_ms = NOW - TIMEOUT_MS // 2
    nodes[22].repl_offset = 500
    for asked_ms, answer in (
        (NOW, "primary may serve"),
        (NOW + TIMEOUT_MS // 2 - 1, "primary may serve"),
        (NOW + TIMEOUT_MS // 2, "a better one lives"),
        (NOW + TIMEOUT_MS + TIMEOUT_MS // 2 - 2, "a better one lives"),
        (NOW + TIMEOUT_MS + TIMEOUT_MS // 2, "granted"),
    ):
        assert ask(core, nodes, worse, offset=100, now_ms=asked_ms) == answer


def test_while_a_vote_is_open_there_is_none_about_another_place():
    core, nodes = core_of()
    assert ask(core, nodes, nodes[21]) == "granted"
    assert ask(core, nodes, nodes[31], epoch=6, primary=3) == "vote open"
    nodes[2].voted_ms -= TIMEOUT_MS
    assert ask(core, nodes, nodes[22], epoch=6, mflags=(FORCE_ACK, OURS, 0)) == "vote open"
    assert ask(core, nodes, nodes[22], epoch=6) == "granted"


def test_an_open_vote_takes_the_voice_of_whom_it_gave_away():
    """Packets say so, and nobody counts grants of that primary: neither we nor who hears it."""
    core, nodes = core_of()
    nodes[2].answered_ms = nodes[3].answered_ms = NOW
    core.settle(NOW)
    assert core.lease_end_ms == NOW + TIMEOUT_MS * 4 // 5
    nodes[3].answered_ms = NOW - 1000
    core.settle(NOW)
    assert core.lease_end_ms == NOW + TIMEOUT_MS * 4 // 5
    nodes[3].electorate = core.digest ^ token(nodes[2])
    core.settle(NOW)
    assert core.lease_end_ms == NOW + TIMEOUT_MS * 4 // 5 - 1000
    nodes[3].electorate = core.digest
    voted(core.state, nodes)
    core.settle(NOW)
    assert core.lease_end_ms == NOW + TIMEOUT_MS * 4 // 5 - 1000
    assert core.facts().electorate == core.digest ^ token(nodes[2])


def test_who_has_voted_for_its_successor_does_not_count_itself_until_it_knows_what_came_of_it():
    """With one of two others it would be a majority, as its vote with that of the other one was for the successor."""
    core, nodes = core_of()
    nodes[2].answered_ms, nodes[3].answered_ms = NOW, 0
    core.settle(NOW)
    assert core.may_serve(NOW)
    record_vote(core.state, nodes[11], 4, NOW - 10_000)
    core.settle(NOW)
    assert not core.may_serve(NOW)
    nodes[3].answered_ms = NOW
    core.settle(NOW)
    assert core.may_serve(NOW)
    nodes[3].answered_ms = 0
    hear_candidate(core.state, nodes[11], request(core.state, nodes[11]))  # it has lost
    core.settle(NOW)
    assert core.may_serve(NOW)


def test_the_primary_of_a_pair_that_has_voted_for_the_other_does_not_go_on_alone():
    core, nodes = core_of()
    for number in (2, 3, 12, 21, 22, 31, 32):
        core.bus.remove(nodes[number])
    core.slotmap.assign(SHARES[1] | SHARES[2], nodes[1])
    core.state.only_ours = True
    core.changed(state=True)
    core.settle(NOW)
    assert core.may_serve(NOW)
    record_vote(core.state, nodes[11], 4, NOW - 10_000)
    core.settle(NOW)
    assert not core.may_serve(NOW)
    nodes[11].lost_ms = nodes[11].refused_ms = NOW
    nodes[11].refused_again = True  # its process has died: it serves nothing
    core.settle(NOW)
    assert core.may_serve(NOW)


def test_grants_under_another_map_do_not_count():
    core, nodes = core_of()
    assert core.grant_counts(nodes[2], request(core.state, nodes[2], electorate=core.digest))
    assert not core.grant_counts(nodes[2], request(core.state, nodes[2], electorate=core.digest ^ 1))


def test_after_a_promise_only_new_grants_make_a_lease():
    """Voters may have elected the replica to which we had promised our place, though they had granted us something."""
    core, nodes = core_of()
    nodes[2].answered_ms = nodes[3].answered_ms = NOW
    core.manual.hear_start(nodes[11], NOW)
    ends_ms = NOW + 5100
    for now_ms in (ends_ms - 1, ends_ms):
        nodes[2].answered_ms = nodes[3].answered_ms = now_ms - 1
        core.tick(now_ms)
    assert core.lease_end_ms < ends_ms
    assert not core.may_serve(ends_ms)
    nodes[3].answered_ms = ends_ms
    core.tick(ends_ms + 1)
    assert core.lease_end_ms == ends_ms + TIMEOUT_MS * 4 // 5


# The candidate.


def candidate():
    """Replica 21 stands for the place of 2."""
    core, nodes = core_of(me=21, replica_validity_factor=0)
    core.state.data_epoch = nodes[2].config_epoch
    nodes[2].flags |= flags.FAIL
    core.tick(NOW)
    core.tick(NOW + 1000)
    assert core.election.standing
    return core, nodes


def test_who_never_synchronised_with_the_primary_gives_the_others_time():
    """22 has told nothing yet. It may have what came after we synchronised last."""
    asked_ms = {}
    for epoch in (1, 2):
        core, nodes = core_of(me=21, replica_validity_factor=0)
        core.state.data_epoch = epoch
        nodes[2].flags |= flags.FAIL
        now_ms = NOW
        while not core.election.standing:
            core.tick(now_ms)
            now_ms += 50
        asked_ms[epoch] = now_ms - NOW
    assert asked_ms[2] < TIMEOUT_MS / 5 < TIMEOUT_MS / 2 < asked_ms[1]


def test_a_better_sibling_that_missed_the_verdict_hears_it_from_a_worse_one_that_asks():
    core, nodes = core_of(me=21)
    core.state.data_epoch = 2
    asks = request(core.state, nodes[22], 5, data_epoch=1)
    nodes[2].reports.update({nodes[number].id: NOW for number in (1, 3)})
    core.election.hear_request(nodes[22], request(core.state, nodes[22], 5, mflags=(FORCE_ACK, OURS, 0)), NOW)
    nodes[2].reports.clear()
    assert not nodes[2].failed
    nodes[2].reports[nodes[1].id] = NOW
    core.election.hear_request(nodes[22], asks, NOW)
    assert not nodes[2].failed  # voters have lifted it, or never passed it
    nodes[2].reports[nodes[3].id] = NOW
    core.election.hear_request(nodes[22], asks, NOW)
    assert nodes[2].failed


def test_a_candidate_gives_way_to_a_better_sibling_that_comes_back_and_waits_for_it():
    """22 was suspected when 21 asked for votes. It has more of the data, but must hear of the failure first."""
    core, nodes = candidate()
    core.election.attend(NOW + 1100)
    assert core.election.standing
    nodes[22].repl_offset = 500
    core.election.attend(NOW + 1200)
    assert not core.election.standing
    lease_ms = TIMEOUT_MS * 4 // 5
    for now_ms in range(NOW + 1200, NOW + 1200 + 2 * lease_ms, 100):  # it asks, and gets no majority
        core.election.hear_request(nodes[22], request(core.state, nodes[22], 5, offset=500, data_epoch=2), now_ms)
        core.election.attend(now_ms)
        assert not core.election.standing, now_ms - NOW
    core.election.attend(NOW + 1200 + 2 * lease_ms)  # not for ever
    assert core.election.standing
    core.election.attend(NOW + 1200 + 2 * lease_ms + 100)
    assert core.election.standing


def asks(core):
    """Whether what the core has just sent asks for votes."""
    return any(message.kind is Kind.AUTH_REQUEST for message in sent(core))


def test_once_there_is_a_newer_epoch_nobody_is_asked_again():
    """The request would state that epoch: voters would give votes for it, which nobody counts and which stay open."""
    for newer in (False, True):
        core, nodes = candidate()
        nodes[1].link = Link(7, NOW, inbound=False, peer=nodes[1], established=True)
        core.take_effects()
        for _ in range(6):  # each attempt is more patient than the one before
            core.state.current_epoch += 1
            while core.election.standing:
                core.election.attend(core.election.next_due_ms())
            while not core.election.standing:
                core.election.attend(core.election.next_due_ms())
        core.take_effects()
        core.state.current_epoch += newer
        core.election.attend(core.election.next_due_ms())
        assert core.election.standing
        assert asks(core) is not newer


def vote(core, nodes, number, **changes):
    ack = request(core.state, nodes[number], core.state.current_epoch, primary_id=None, **changes)
    core.election.hear_vote(nodes[number], ack, NOW + 1001)


def test_votes_count_under_our_map_only():
    core, nodes = candidate()
    vote(core, nodes, 1, electorate=core.digest)
    vote(core, nodes, 3, electorate=core.digest ^ 1)
    assert core.myself.is_replica
    vote(core, nodes, 3, electorate=core.digest ^ token(nodes[1]))  # it has given the place of node 1 away
    assert core.myself.is_replica
    vote(core, nodes, 3, electorate=core.digest ^ token(nodes[2]))  # it has just voted about our primary
    assert core.myself.is_primary


def test_votes_of_before_a_change_of_the_map_are_asked_for_again():
    core, nodes = candidate()
    vote(core, nodes, 1, electorate=core.digest)
    nodes[31].become_primary()
    nodes[31].config_epoch = 9
    core.slotmap.assign(SHARES[2], nodes[31])
    core.changed(state=True)
    vote(core, nodes, 3, electorate=core.digest)
    assert core.myself.is_replica
    core.tick(NOW + 1002)
    vote(core, nodes, 31, electorate=core.digest)
    assert core.myself.is_replica  # the vote of node 1 was given under the map of before
    vote(core, nodes, 1, electorate=core.digest)
    assert core.myself.is_primary


def test_who_was_replaced_is_no_voter_from_the_moment_at_which_it_hears_it():
    """In the middle of a step: the same packet, or the next in the same read, may bring a vote."""
    core, nodes = core_of(me=1)
    assert core.votes(core.myself)
    header = request(core.state, nodes[3], primary_id=None)
    core.claims.hear_update(Update(header, nodes[11].id, 7, to_bitmap(SHARES[0])))
    assert core.myself.primary is nodes[11]
    assert not core.votes(core.myself)
    assert core.votes(nodes[11])
    assert core.quorum_against(nodes[11]) == 2
    assert core.state.history is History.UNKNOWN


def test_a_winner_abstains_for_a_node_timeout_from_votes_about_the_living():
    core, nodes = candidate()
    for number in (1, 3):
        vote(core, nodes, number, electorate=core.digest)
    assert core.myself.is_primary
    nodes[1].granted_ms = 0
    assert ask(core, nodes, nodes[11], epoch=core.state.current_epoch + 1, primary=1) == "primary may serve"
    nodes[1].lost_ms = nodes[1].refused_ms = NOW
    nodes[1].refused_again = True
    assert ask(core, nodes, nodes[11], epoch=core.state.current_epoch, primary=1) == "granted"


# Maps are made equal.


def test_who_pings_under_another_map_is_told_of_the_owners_the_newest_first():
    core, nodes = core_of()
    told = []
    core.bus.send = lambda link, message: told.append(message)
    nodes[3].link = object()
    ping = request(core.state, nodes[3], primary_id=None, config_epoch=3, slots=to_bitmap(SHARES[2]), electorate=77)
    for _ in range(3):
        core.claims.hear_config(nodes[3], ping)
    assert [(type(each), each.node_id) for each in told] == [(Update, node_id(number)) for number in (2, 1, 2)]


def test_an_update_about_who_has_been_replaced_since_changes_nothing():
    core, nodes = core_of()
    core.slotmap.assign(SHARES[1], nodes[21])
    nodes[21].become_primary()
    nodes[21].config_epoch = 7
    nodes[2].become_replica()
    nodes[2].follow(nodes[21])
    header = request(core.state, nodes[3], primary_id=None)
    core.claims.hear_update(Update(header, nodes[2].id, 2, to_bitmap(SHARES[1])))
    assert nodes[2].is_replica
    assert core.slotmap.owned_by(nodes[21]) == SHARES[1]
    core.claims.hear_update(Update(header, nodes[2].id, 9, to_bitmap(range_set(0, 0))))
    assert nodes[2].is_primary


def test_that_all_members_are_of_this_project_is_on_disk_whoever_finds_it_first():
    """It decides who votes; a node that came back without it took two primaries for all the voters that there are."""
    core, nodes = core_of()
    core.slotmap.assign(SHARES[2], nodes[1])
    core.changed(state=True)
    core.settle(NOW)
    core.state.only_ours = False
    core.take_effects()
    core.changed(state=True)
    assert core.voters
    core.settle(NOW)
    saved = [effect for effect in core.take_effects() if isinstance(effect, Persist)]
    assert saved[0].durable
    assert "onlyShardis 1" in saved[0].text


def test_a_primary_that_votes_for_its_successor_serves_no_more_until_that_can_have_won():
    """However it came to be asked: an operator may force the replica while the primary is well."""
    core, nodes = core_of()
    for number in (2, 3):
        nodes[number].answered_ms = NOW + 60_000
    core.settle(NOW)
    assert core.ok
    core.state.current_epoch = 5
    asked = request(core.state, nodes[11], 5, mflags=(FORCE_ACK, OURS, 0), electorate=core.digest)
    core.voter.hear_request(nodes[11], asked, NOW)
    core.settle(NOW)
    assert not core.ok
    core.settle(NOW + 5099)
    assert not core.ok
    core.settle(NOW + 5100)
    assert core.ok


@pytest.mark.parametrize(("goal", "synced", "ready"), [(100, True, True), (100, False, False), (0, False, True)])
def test_a_replica_has_caught_up_only_in_the_history_of_its_primary(goal, synced, ready):
    """Its offset may be larger, and of a history that ended before; an empty primary has none."""

    core, nodes = core_of(me=21)
    core.replication = SomeData()
    core.replication.synced_with = nodes[2].id if synced else ""
    core.manual.hear_start(nodes[2], NOW)
    stated = request(core.state, nodes[2], primary_id=None, mflags=(PAUSED, OURS, 0), offset=goal)
    core.manual.hear_header(nodes[2], stated)
    core.manual.attend(NOW)
    assert (core.manual.stands_until_ms() > 0) is ready


# What a replica has of its shard.


def stated(core):
    facts = core.facts()
    return facts.data_epoch, facts.offset


def test_a_replica_that_comes_from_another_shard_has_nothing_until_it_has_synchronised():
    """An empty primary would hand over to it, rather than to the replica that still has the data."""
    core, nodes = core_of(me=21)
    core.replication = SomeData()
    core.state.data_epoch = 2
    assert stated(core) == (2, 150)
    core.set_primary(nodes[3])
    assert stated(core) == (0, 0)
    text = nodesconf.dump(core.state)
    assert nodesconf.load(text, NOW).history is History.OTHER_SHARD
    core.replication.synced_with = nodes[3].id
    core.settle(NOW)
    assert stated(core) == (nodes[3].config_epoch, 150)
    assert core.state.history is History.OF_PRIMARY


def test_a_primary_that_was_replaced_still_says_what_it_has():
    """It may be all that is left of its shard."""
    core, nodes = core_of(me=2)
    core.replication = SomeData()
    core.settle(NOW)
    header = request(core.state, nodes[3], primary_id=None)
    core.claims.hear_update(Update(header, nodes[21].id, 7, to_bitmap(SHARES[1])))
    assert core.myself.primary is nodes[21]
    assert core.state.history is History.UNKNOWN
    assert stated(core) == (2, 150)
    assert nodesconf.load(nodesconf.dump(core.state), NOW).history is History.UNKNOWN


def test_a_replica_whose_primary_was_replaced_unheard_is_of_the_same_shard():
    """An operator has it follow the successor, whose slots are known and whose claim was not recognised as such."""
    core, nodes = core_of(me=21)
    core.replication = SomeData()
    core.state.data_epoch = 2
    core.slotmap.assign(SHARES[1], nodes[22])
    nodes[22].become_primary()
    core.set_primary(nodes[22])
    assert stated(core) == (2, 150)
