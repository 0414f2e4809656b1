"""Who tells whom of a verdict, in a cluster of thirty: three voters, the rest replicas of theirs."""

from types import SimpleNamespace

import pytest

from gossip import flags
from gossip.membership import Members
from gossip.messages import Header
from gossip.peer import Peer
from gossip.verdicts import LATER_MS, Verdicts, deciders

SIZE = 30


class Core:
    """As much of a GossipCore as verdicts need: we are voter 1 of 0 to 2."""

    def __init__(self, size=SIZE):
        peers = [Peer(f"{number:040x}", flags.PRIMARY if number < 3 else flags.REPLICA, 0) for number in range(size)]
        for peer in peers:
            peer.ours = True
        self.voters = peers[:3]
        self.members = Members(peers[1])
        for peer in peers[:1] + peers[2:]:
            self.members.add(peer)
        for number, replica in enumerate(peers[3:]):
            replica.follow(self.voters[number % 3])
        self.agreement = SimpleNamespace(votes=lambda peer: peer in self.voters)
        self.sent = []

    def header(self):
        return Header(self.members.myself.id)

    def send_to(self, peers, message):
        self.sent.append([peer.id for peer in peers])

    def fail(self):
        """Voter 2 has failed, we say."""
        self.voters[2].flags |= flags.FAIL
        verdicts = Verdicts(self)
        verdicts.spread(self.voters[2], 1000)
        return verdicts


def test_those_who_act_first_then_the_others():
    core = Core()
    verdicts = core.fail()
    assert set(core.sent[0]) == {core.voters[0].id, core.voters[2].id, *(r.id for r in core.voters[2].replicas)}
    assert verdicts.next_due_ms() == 1000 + LATER_MS
    verdicts.tick(1000 + LATER_MS - 1)
    assert len(core.sent) == 1
    verdicts.tick(1000 + LATER_MS)
    told = [node_id for ids in core.sent for node_id in ids]
    assert sorted(told) == sorted(peer.id for peer in core.members.others())  # each of them once
    assert verdicts.next_due_ms() is None


@pytest.mark.parametrize(
    ("sender", "ours", "we_go_on"),
    [(0, True, False), (5, True, True), (5, False, False)],
    ids=["a smaller id", "a greater id", "a Redis node, which tells everybody"],
)
def test_one_of_all_goes_on(sender, ours, we_go_on):
    core = Core()
    verdicts = core.fail()
    other = core.members.get(f"{sender:040x}")
    other.ours = ours
    verdicts.heard(other, core.voters[2])
    verdicts.tick(1000 + LATER_MS)
    assert len(core.sent) == 1 + we_go_on


@pytest.mark.parametrize("change", ["it is back", "it is forgotten"])
def test_what_is_no_longer_true_is_not_told(change):
    core = Core()
    verdicts = core.fail()
    if change == "it is back":
        core.voters[2].flags &= ~flags.FAIL
    else:
        core.members.remove(core.voters[2])
    verdicts.tick(1000 + LATER_MS)
    assert len(core.sent) == 1


def test_in_a_small_cluster_everybody_hears_it_at_once():
    core = Core(size=12)
    verdicts = core.fail()
    assert len(core.sent[0]) == 11
    assert verdicts.next_due_ms() is None
    assert deciders(core) == core.members.others()
