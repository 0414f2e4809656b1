"""A primary that may have been replaced unheard asks for its own place, and does not keep others from being elected."""

from cluster.failover.common_map import open_votes
from cluster.failover.manual_failover import PROMISE_MS
from cluster.failover.voting import record_vote
from gossip import flags
from gossip.messages import OURS, STANDING, Kind
from gossip.peer import Link
from tests.unit.topology.shards import TIMEOUT_MS, core_of, request, sent
from tests.unit.topology.worlds import NOW


def told_to():
    """Node 1 has no lease, and node 3 would have it ask."""
    core, nodes = core_of()
    for number in (2, 3):
        nodes[number].link = Link(number, NOW, inbound=False, peer=nodes[number], established=True)
    nodes[3].reassert_ms = NOW
    assert not core.may_serve(NOW)
    core.take_effects()
    return core, nodes


def headers(core, kind):
    return [message.header for message in sent(core) if message.kind is kind]


def votes(core, nodes, number, epoch):
    said = request(core.state, nodes[number], epoch, primary_id=None, electorate=core.digest)
    core.reassertion.hear_vote(nodes[number], said, NOW + 1)


def wants_the_place_of_2(core, nodes, now_ms=NOW):
    """Whether replica 21 gets our vote."""
    nodes[2].flags |= flags.FAIL
    core.state.current_epoch += 1
    denied = core.voter.denied.total()
    said = request(core.state, nodes[21], core.state.current_epoch, electorate=core.digest)
    core.voter.hear_request(nodes[21], said, now_ms)
    return core.voter.denied.total() == denied


def gives_up(core, nodes):
    """Replica 21 says so."""
    said = request(core.state, nodes[21], core.state.current_epoch, electorate=core.digest)
    core.voter.hear_header(nodes[21], said)


def test_a_majority_of_the_others_lets_it_go_on_under_a_new_epoch():
    core, nodes = told_to()
    core.reassertion.attend(NOW)
    (asked, _) = headers(core, Kind.AUTH_REQUEST)
    assert asked.mflags[1] & STANDING
    votes(core, nodes, 2, asked.current_epoch)
    assert core.myself.config_epoch < asked.current_epoch
    votes(core, nodes, 3, asked.current_epoch)
    assert core.myself.config_epoch == asked.current_epoch
    assert not core.reassertion.standing


def test_without_a_majority_it_gives_up_for_a_moment_and_says_so():
    core, nodes = told_to()
    core.reassertion.attend(NOW)
    (asked, _) = headers(core, Kind.AUTH_REQUEST)
    gave_up_ms = core.reassertion.next_due_ms()
    core.reassertion.attend(gave_up_ms)
    (said, _) = headers(core, Kind.PONG)
    assert said.mflags[1] & (OURS | STANDING) == OURS
    assert said.config_epoch < asked.current_epoch <= said.current_epoch  # so who has voted knows that it has lost
    votes(core, nodes, 2, asked.current_epoch)
    votes(core, nodes, 3, asked.current_epoch)
    assert core.myself.config_epoch < asked.current_epoch
    again_ms = core.reassertion.next_due_ms()
    assert 0 < again_ms - gave_up_ms <= TIMEOUT_MS / 8
    core.reassertion.attend(again_ms)
    assert headers(core, Kind.AUTH_REQUEST)[0].current_epoch > asked.current_epoch


def test_it_gives_up_for_good_when_nobody_would_have_it_ask():
    core, nodes = told_to()
    core.reassertion.attend(NOW)
    assert core.reassertion.standing
    nodes[3].reassert_ms = NOW - TIMEOUT_MS
    core.reassertion.attend(NOW + 10)
    assert not core.reassertion.standing
    assert core.reassertion.next_due_ms() is None


def test_while_it_stands_it_votes_for_nobody_else_and_afterwards_it_does():
    core, nodes = told_to()
    core.reassertion.attend(NOW)
    assert not wants_the_place_of_2(core, nodes)
    core.reassertion.attend(core.reassertion.next_due_ms())
    core.voter.attend(NOW + 1)  # the request was kept
    assert [vote.candidate_id for vote in open_votes(core.state)] == [nodes[21].id]


def test_when_others_begin_a_newer_epoch_it_asks_anew():
    """Who holds its request back would drop it: an epoch that is past."""
    core, _ = told_to()
    core.reassertion.attend(NOW)
    (asked, _) = headers(core, Kind.AUTH_REQUEST)
    core.state.current_epoch += 1
    core.reassertion.attend(NOW + 10)
    assert not headers(core, Kind.AUTH_REQUEST)  # not at every turn
    core.reassertion.attend(NOW + 60)
    (again, _) = headers(core, Kind.AUTH_REQUEST)
    assert again.current_epoch > asked.current_epoch + 1
    core.reassertion.attend(NOW + 120)
    assert not headers(core, Kind.AUTH_REQUEST)


def test_a_vote_that_it_has_given_keeps_it_from_asking_until_that_is_settled():
    """Then it asks before it votes again: two others that take turns would keep it waiting for ever."""
    core, nodes = told_to()
    assert wants_the_place_of_2(core, nodes)
    core.take_effects()
    core.reassertion.attend(NOW)
    assert not headers(core, Kind.AUTH_REQUEST)
    assert NOW < core.reassertion.next_due_ms() <= NOW + 50
    gives_up(core, nodes)
    core.tick(NOW + 1)
    assert core.reassertion.standing
    assert not wants_the_place_of_2(core, nodes, NOW + 1)


def test_who_has_promised_its_place_does_not_ask_for_it():
    core, nodes = told_to()
    record_vote(core.state, nodes[11], 4, NOW)
    core.reassertion.attend(NOW)
    assert not core.reassertion.standing
    nodes[3].reassert_ms = NOW + TIMEOUT_MS
    core.reassertion.attend(NOW + TIMEOUT_MS)
    assert core.reassertion.standing


def test_who_has_voted_for_a_successor_asks_of_its_own_accord_once_that_one_cannot_win_any_more():
    """It may have won before, and have been cut off. Only a newer epoch beats what it has won."""
    core, nodes = told_to()
    nodes[3].reassert_ms = 0
    record_vote(core.state, nodes[11], 4, NOW - PROMISE_MS + 1)
    core.reassertion.attend(NOW)
    assert not core.reassertion.standing
    core.reassertion.attend(NOW + 1)
    (asked, _) = headers(core, Kind.AUTH_REQUEST)
    assert open_votes(core.state)
    for number in (2, 3):
        votes(core, nodes, number, asked.current_epoch)
    assert core.myself.config_epoch == asked.current_epoch
    assert not open_votes(core.state)
