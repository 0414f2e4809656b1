"""The whole core of one node: effects, commands, displays."""

import random

import pytest

from cluster.agreement.effects import (
    DropChannels,
    FollowPrimary,
    PauseWrites,
    ResumeWrites,
    StateChanged,
    StopFollowing,
)
from cluster.agreement.errors import ClusterError
from cluster.agreement.nodesconf import CorruptConfig
from cluster.agreement.redirect import Moved, Request
from cluster.agreement.slots import SLOTS, range_set
from cluster.agreement.state import ClusterSettings, NoReplication
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from cluster.views import ClusterViews
from gossip import flags
from gossip.effects import Note, Persist
from gossip.messages import IN_SYNC, OURS, Extensions, Header, Pong
from gossip.peer import Link
from tests.unit.topology.shards import sent
from tests.unit.topology.worlds import NOW, primary

ALL = [b"0", b"16383"]


class Keys:
    def __init__(self, **by_slot):
        self.by_slot = {int(slot[1:]): count for slot, count in by_slot.items()}

    def __len__(self):
        return sum(self.by_slot.values())

    def slot_len(self, slot):
        return self.by_slot.get(slot, 0)

    def slot_keys(self, slot, count):
        return [b"key%d" % i for i in range(min(count, self.slot_len(slot)))]


class One:
    """A node, without a network."""

    def __init__(self, keys=None, conf="", **settings):
        self.settings = ClusterSettings(port=7000, bus_port=17000, **settings)
        self.core = ClusterCore(self.settings, random.Random(5), NOW, conf, keys)
        self.orders, self.views = ClusterOrders(self.core), ClusterViews(self.core)
        self.effects()

    def effects(self):
        return [effect for effect in self.core.take_effects() if not isinstance(effect, Note)]

    def with_peer(self, number=2, epoch=1):
        peer = self.core.members.add(primary(number, epoch))
        return peer, peer.id.encode()

    def fails(self, operation, *args):
        with pytest.raises(ClusterError) as error:
            getattr(self.orders, operation)(*args)
        return error.value.text


def test_a_new_node_persists_itself_before_anything_else():
    core = ClusterCore(ClusterSettings(), random.Random(5), NOW)
    first = core.take_effects()[0]
    assert isinstance(first, Persist)
    assert first.durable
    assert first.text.startswith(core.myself.id)
    assert core.take_effects() == []


def test_a_damaged_file_is_not_a_new_node():
    with pytest.raises(CorruptConfig):
        ClusterCore(ClusterSettings(), random.Random(5), NOW, "rubbish\n")


def test_slots_make_the_cluster_ok_and_serve():
    one = One()
    version = one.core.served_version
    table = bytearray(SLOTS)
    one.core.fill_served(table)
    assert not any(table)
    one.orders.add_slots_range(ALL, NOW)
    kinds = [type(effect) for effect in one.effects()]
    assert kinds == [Persist, StateChanged]
    assert one.core.ok
    assert one.core.served_version != version
    one.core.fill_served(table)
    assert all(table)
    one.orders.del_slots([b"7"], NOW)
    effects = one.effects()
    assert DropChannels((7,)) in effects
    assert StateChanged(False) in effects
    one.core.fill_served(table)
    assert not any(table)


def test_what_a_node_answered_before_it_had_a_vote_is_no_grant():
    """It was bound to nothing then: the voter whose place it took may have voted against us."""
    one = One()
    voter, gone = one.with_peer(2)[0], one.with_peer(3)[0]
    for peer, slots in ((voter, (1, 1)), (gone, (2, 2)), (one.core.myself, (0, 0))):
        one.core.slotmap.assign(range_set(*slots), peer)
    one.core.changed(state=True)
    one.core.settle(NOW)
    successor = one.with_peer(4)[0]
    successor.answered_ms = NOW
    one.core.slotmap.assign(range_set(2, 2), successor)
    one.core.changed(state=True)
    one.core.settle(NOW)
    assert one.core.lease_end_ms == 0
    successor.answered_ms = NOW
    one.core.settle(NOW)
    assert one.core.lease_end_ms > NOW


def test_the_end_of_the_grace_is_noticed_by_time_alone():
    one = One(coverage_grace_ms=300)
    failing, standing = one.with_peer(2)[0], one.with_peer(3)[0]
    replica = one.with_peer(4)[0]
    replica.become_replica()
    replica.follow(failing)
    for peer, slots in ((failing, (1, 1)), (standing, (2, 2)), (one.core.myself, (0, 0))):
        one.core.slotmap.assign(range_set(*slots), peer)
    one.core.slotmap.assign(range_set(3, 16383), one.core.myself)
    one.core.changed(state=True)
    one.core.settle(NOW)
    for peer in (failing, standing):
        peer.answered_ms = NOW
    one.core.settle(NOW)
    assert one.core.ok
    one.core.bus.mark_failed(failing, NOW)
    one.core.settle(NOW)
    assert one.core.ok
    one.effects()
    assert one.core.next_due_ms() <= NOW + 300
    one.core.settle(NOW + 299)
    assert StateChanged(False) not in one.effects()
    one.core.settle(NOW + 300)
    assert StateChanged(False) in one.effects()


def test_routing_through_the_core():
    one = One()
    peer, _ = one.with_peer()
    one.core.slotmap.assign((1 << SLOTS) - 1, peer)
    one.core.changed(state=True)
    one.core.settle(NOW)
    assert one.core.route(Request([b"foo"]), lambda key: False, NOW) == Moved(12182, peer)


def test_slots_that_hold_keys_are_adopted_or_opened():
    one = One(Keys(s5=1, s6=2, s7=3))
    peer, _ = one.with_peer()
    one.core.slotmap.assign(1 << 6, peer)
    one.core.slotmap.assign(1 << 7, one.core.myself)
    one.core.data_loaded(NOW)
    assert one.core.slotmap.owners[5] is one.core.myself
    assert one.core.slotmap.importing == {6: peer}
    assert f"5 7 [6-<-{peer.id}]" in one.effects()[0].text


def test_set_slot():
    one = One(Keys(s1=1))
    peer, peer_id = one.with_peer()
    one.orders.add_slots([b"0", b"1", b"2"], NOW)
    one.orders.set_slot([b"0", b"MIGRATING", peer_id], NOW)
    assert one.core.slotmap.migrating == {0: peer}
    one.orders.set_slot([b"0", b"stable"], NOW)
    assert not one.core.slotmap.migrating
    one.orders.set_slot([b"0", b"migrating", peer_id], NOW)
    one.orders.set_slot([b"0", b"node", peer_id], NOW)
    assert one.core.slotmap.owners[0] is peer
    assert not one.core.slotmap.migrating
    assert one.fails("set_slot", [b"1", b"node", peer_id], NOW) == (
        "ERR Can't assign hashslot 1 to a different node while I still hold keys for this hash slot."
    )
    one.orders.set_slot([b"0", b"importing", peer_id], NOW)
    one.effects()
    one.orders.set_slot([b"0", b"node", one.core.myself.id.encode()], NOW)
    assert one.core.myself.config_epoch == 1
    assert one.effects()[0].durable
    assert one.core.slotmap.owners[0] is one.core.myself
    assert not one.core.slotmap.importing


def test_giving_the_last_slot_away_makes_a_replica():
    one = One()
    peer, peer_id = one.with_peer()
    peer.ip, peer.port = "10.0.0.2", 6379
    one.orders.add_slots([b"9"], NOW)
    one.effects()
    one.orders.set_slot([b"9", b"node", peer_id], NOW)
    assert one.core.myself.primary is peer
    assert FollowPrimary(peer.id, "10.0.0.2", 6379) in one.effects()
    assert one.fails("set_slot", [b"1", b"stable"], NOW) == "ERR Please use SETSLOT only with masters."
    assert one.fails("forget", peer_id, NOW) == "ERR Can't forget my master!"
    assert one.core.facts().primary_id == peer.id
    one.orders.reset(False, NOW)
    assert StopFollowing(empty=True) in one.effects()
    assert one.core.myself.is_primary


def test_unless_replicas_may_not_migrate():
    one = One(allow_replica_migration=False)
    _, peer_id = one.with_peer()
    one.orders.add_slots([b"9"], NOW)
    one.orders.set_slot([b"9", b"node", peer_id], NOW)
    assert one.core.myself.is_primary


def test_replicate():
    one = One(Keys(s1=1))
    peer, peer_id = one.with_peer()
    assert one.fails("replicate", b"x", NOW) == "ERR Unknown node x"
    assert one.fails("replicate", one.core.myself.id.encode(), NOW) == "ERR Can't replicate myself"
    assert one.fails("replicate", peer_id, NOW).startswith("ERR To set a master the node must be empty")
    one.core.keyspace.by_slot.clear()
    one.orders.replicate(peer_id, NOW)
    assert one.core.myself.primary is peer
    assert one.orders.replicas(peer_id) == [one.views.nodes().split(b"\n")[0]]


def test_a_new_replica_is_known_before_the_next_ping():
    one = One()
    peer, peer_id = one.with_peer()
    peer.link = Link(id=1, created_ms=NOW, inbound=False, peer=peer, established=True)
    one.orders.replicate(peer_id, NOW)
    (told,) = sent(one.core)
    assert isinstance(told, Pong)
    assert told.header.primary_id == peer.id


def test_epochs_by_hand():
    one = One()
    assert one.fails("set_config_epoch", b"x", NOW) == "ERR value is not an integer or out of range"
    assert one.fails("set_config_epoch", b"-1", NOW) == "ERR Invalid config epoch specified: -1"
    one.orders.set_config_epoch(b"3", NOW)
    assert one.fails("set_config_epoch", b"4", NOW) == "ERR Node config epoch is already non-zero"
    assert one.orders.bump_epoch(NOW) == "STILL 3"
    one.with_peer(epoch=9)
    assert one.fails("set_config_epoch", b"4", NOW).startswith("ERR The user can assign a config epoch only when")
    assert one.orders.bump_epoch(NOW) == "BUMPED 4"


def test_reset_refuses_to_lose_keys():
    one = One(Keys(s1=1))
    assert one.fails("reset", True, NOW) == ("ERR CLUSTER RESET can't be called with master nodes containing keys")
    assert one.fails("flush_slots", NOW) == "ERR DB must be empty to perform CLUSTER FLUSHSLOTS."


def test_keys_of_a_slot():
    one = One(Keys(s1=3))
    assert one.orders.count_keys_in_slot(b"1") == 3
    assert one.orders.get_keys_in_slot(b"1", b"2") == [b"key0", b"key1"]
    assert one.fails("count_keys_in_slot", b"16384") == "ERR Invalid slot"
    assert one.fails("get_keys_in_slot", b"1", b"-1") == "ERR Invalid slot or number of keys"
    assert one.fails("get_keys_in_slot", b"1", b"x") == "ERR value is not an integer or out of range"


def test_the_answer_to_cluster_slots_is_kept_until_it_changes():
    one = One()
    peer, peer_id = one.with_peer()
    one.orders.add_slots([b"0", b"1", b"5"], NOW)
    one.core.slotmap.assign(1 << 2, peer)
    me_id = one.core.myself.id.encode()
    mine, theirs = [b"", 7000, me_id, {}], [b"10.0.0.2", 6379, peer_id, {}]
    first = one.views.slots()
    assert first == [[0, 1, *[mine]], [2, 2, *[theirs]], [5, 5, *[mine]]]
    assert one.views.slots() is first
    peer.hostname = "two.example"
    second = one.views.slots()
    assert second[1][2] == [b"10.0.0.2", 6379, peer_id, {b"hostname": b"two.example"}]
    one.settings.preferred_endpoint_type = "hostname"
    assert one.views.slots()[1][2] == [b"two.example", 6379, peer_id, {b"ip": b"10.0.0.2"}]
    assert one.views.slots()[0][2] == [b"?", 7000, me_id, {b"ip": b""}]
    one.settings.preferred_endpoint_type = "unknown-endpoint"
    assert one.views.slots()[1][2] == [None, 6379, peer_id, {b"ip": b"10.0.0.2", b"hostname": b"two.example"}]


def test_replicas_are_shown_once_they_have_data():
    one = One()
    replica, replica_id = one.with_peer()
    one.orders.add_slots([b"0"], NOW)
    replica.become_replica()
    replica.follow(one.core.myself)
    assert len(one.views.slots()[0]) == 3
    assert one.views.shards()[0][b"nodes"][1][b"health"] == b"loading"
    replica.repl_offset = 10
    assert one.views.slots()[0][3][2] == replica_id
    shown = one.views.shards()[0][b"nodes"][1]
    assert (shown[b"role"], shown[b"replication-offset"], shown[b"health"]) == (b"replica", 10, b"online")
    replica.flags |= flags.FAIL
    assert len(one.views.slots()[0]) == 3
    assert one.views.shards()[0][b"nodes"][1][b"health"] == b"fail"


def replica_of_one_of_two():
    """A node that replicates the owner of slot 0; another owns the rest."""
    one = One()
    first, second = one.with_peer(2)[0], one.with_peer(3)[0]
    one.core.slotmap.assign(range_set(0, 0), first)
    one.core.slotmap.assign(range_set(1, 16383), second)
    one.core.set_primary(first)
    one.effects()
    return one, first, second


def test_a_replica_that_moves_to_another_shard_listens_no_more_for_the_old_one():
    one, first, second = replica_of_one_of_two()
    one.orders.replicate(first.id.encode(), NOW)
    assert DropChannels((0,)) not in one.effects()
    one.orders.replicate(second.id.encode(), NOW)
    assert DropChannels((0,)) in one.effects()


def test_a_replica_that_is_reset_listens_no_more_for_its_shard():
    one, _, _ = replica_of_one_of_two()
    one.orders.reset(False, NOW)
    assert DropChannels((0,)) in one.effects()


def test_a_replica_is_of_its_primarys_shard_also_if_it_hears_of_that_later():
    one, first, _ = replica_of_one_of_two()
    own = one.core.myself.shard_id
    assert own
    one.core.heard_extensions(first, Extensions(), NOW)
    assert one.core.myself.shard_id == own
    first.shard_id = "5" * 40
    one.core.heard_extensions(first, Extensions(shard_id=first.shard_id), NOW)
    assert one.core.myself.shard_id == first.shard_id
    assert any(isinstance(effect, Persist) for effect in one.effects())


def test_a_primary_that_was_replaced_stands_with_its_successor_until_it_comes_back():
    one = One()
    old, new = one.with_peer(2)[0], one.with_peer(3)[0]
    for peer, slots in ((one.core.myself, (0, 9)), (new, (10, 16383))):
        one.core.slotmap.assign(range_set(*slots), peer)
    old.shard_id = new.shard_id = "5" * 40
    old.flags |= flags.FAIL
    shards = [[node[b"id"].decode() for node in shard[b"nodes"]] for shard in one.views.shards()]
    assert shards == [[one.core.myself.id], [new.id, old.id]]
    assert one.views.shards()[1][b"nodes"][1][b"health"] == b"fail"
    old.flags &= ~flags.FAIL
    assert len(one.views.shards()) == 3
    old.flags |= flags.FAIL
    old.shard_id = ""  # as of a node of Redis 7.0
    assert len(one.views.shards()) == 3


def test_a_replica_without_anything_to_replicate_is_shown_as_soon_as_it_says_that_it_is_in_sync():
    one = One()
    replica, _ = one.with_peer()
    one.orders.add_slots([b"0"], NOW)
    replica.become_replica()
    replica.follow(one.core.myself)
    for to_ours, shown in ((OURS, False), (OURS | IN_SYNC, True), (OURS, False), (IN_SYNC, False)):
        one.core.heard_header(replica, Header(replica.id, mflags=(0, to_ours, 0)), NOW)
        assert len(one.views.slots()[0]) == 3 + shown
        assert one.views.shards()[0][b"nodes"][1][b"health"] == (b"online" if shown else b"loading")


def test_a_replica_tells_everybody_that_it_is_in_sync_in_that_moment():
    one = One()
    one.core.replication = Copies()
    peer, peer_id = one.with_peer()
    peer.link = Link(1, NOW, False, peer, established=True)
    one.orders.replicate(peer_id, NOW)
    said = told(one)
    assert said
    assert not any(header.mflags[1] & IN_SYNC for header in said)
    assert len(one.views.slots()) == 0
    one.core.replication.link_up = True
    one.core.tick(NOW)
    assert [header.mflags[1] & IN_SYNC for header in told(one)] == [IN_SYNC]
    assert one.views.shards()[0][b"nodes"][1][b"health"] == b"online"
    one.core.tick(NOW)
    assert not told(one)


class Copies(NoReplication):
    link_up = False


def told(one):
    """The headers of what is sent now without being asked."""
    return [packet.header for packet in sent(one.core) if isinstance(packet, Pong)]


@pytest.mark.parametrize("forbidden", [False, True])
def test_a_replica_that_must_not_fail_over_takes_nothing_handed_to_it(forbidden):
    one = One(no_failover=forbidden)
    old, old_id = one.with_peer()
    one.core.slotmap.assign(range_set(0, 100), old)
    one.orders.replicate(old_id, NOW)
    one.core.manual.hear_start(old, NOW)
    assert one.core.manual.under_way is not forbidden


def test_whoever_comes_too_late_to_force_a_failover_hears_no_error():
    one = One(node_timeout_ms=5000)
    refusal = "ERR You should send CLUSTER FAILOVER to a replica"
    assert one.fails("failover", [b"FORCE"], NOW) == refusal
    old, old_id = one.with_peer()
    one.core.slotmap.assign(range_set(0, 100), old)
    one.orders.replicate(old_id, NOW)
    one.core.take_place(7, NOW)
    assert one.core.myself.slot_count == 101
    one.orders.failover([b"FORCE"], NOW + 5000)
    one.orders.failover([b"TAKEOVER"], NOW + 5000)
    assert one.core.myself.config_epoch == 7
    assert one.fails("failover", [], NOW + 5000) == refusal
    assert one.fails("failover", [b"FORCE"], NOW + 5001) == refusal


def test_tls_ports():
    one = One(tls=True, plain_port=7001)
    one.orders.add_slots([b"0"], NOW)
    assert one.views.slots()[0][2][1] == 7000
    assert one.views.slots(plain_client=True)[0][2][1] == 7001
    assert b":7001@17000" in one.views.nodes(plain_client=True)
    node = one.views.shards()[0][b"nodes"][0]
    assert (node[b"port"], node[b"tls-port"]) == (7001, 7000)


def test_settings_reach_the_node_itself():
    one = One(announce_ip="1.2.3.4", announce_hostname="one.example")
    assert one.views.nodes().split()[1] == b"1.2.3.4:7000@17000,one.example"
    one.settings.no_failover = True
    one.settings.announce_ip = ""
    one.core.apply_settings(NOW)
    assert one.views.nodes().split()[1:3] == [b":7000@17000,one.example", b"myself,master,nofailover"]


def test_writes_stay_held_back_when_a_replica_asks_again():
    """Its request is repeated until it is answered, and another replica may ask as well."""
    one = One()
    one.orders.add_slots([b"0"], NOW)
    replicas = [one.with_peer(number)[0] for number in (2, 3)]
    for replica in replicas:
        replica.become_replica()
        replica.follow(one.core.myself)
    one.effects()
    for at_ms, replica in ((NOW, replicas[0]), (NOW + 500, replicas[0]), (NOW + 600, replicas[1])):
        one.core.manual.hear_start(replica, at_ms)
        effects = one.effects()
        assert [effect for effect in effects if isinstance(effect, PauseWrites)]
        assert not [effect for effect in effects if isinstance(effect, ResumeWrites)]
    one.core.tick(NOW + 5000 + 600)
    assert one.core.manual.under_way
    one.core.tick(NOW + 5000 + 600 + 100)
    assert [effect for effect in one.effects() if isinstance(effect, ResumeWrites)]


def test_the_final_offset_is_stated_now_and_then_whatever_else_is_heard(monkeypatch):
    """Were it stated after every packet, its answer would be one: a storm of messages until somebody is elected."""
    one = One()
    one.orders.add_slots([b"0"], NOW)
    replica, _ = one.with_peer()
    replica.become_replica()
    replica.follow(one.core.myself)
    stated = []
    monkeypatch.setattr(one.core.bus, "ping", lambda peer, now_ms: stated.append(now_ms))
    monkeypatch.setattr(type(one.core.replication), "writes_paused", True)
    one.core.manual.hear_start(replica, NOW)
    for at_ms in range(NOW, NOW + 300, 10):
        one.core.manual.attend(at_ms)
    assert stated == [NOW, NOW + 100, NOW + 200]


def test_a_promise_of_our_place_outlives_every_restart_within_its_time():
    """A replica may win with it until then; what a restart forgot, the next one did not know."""
    one = One()
    one.orders.add_slots([b"0"], NOW)
    replica = one.with_peer()[0]
    replica.become_replica()
    replica.follow(one.core.myself)
    one.core.manual.hear_start(replica, NOW)
    conf = one.core.nodes_conf()
    for _ in range(2):
        one = One(conf=conf)
        assert one.core.manual.bars(NOW + 5000)
        conf = one.core.nodes_conf()
    one.core.manual.attend(NOW + 5100)
    assert not one.core.manual.bars(NOW + 5100)
    assert "handingOver" not in one.core.nodes_conf()
