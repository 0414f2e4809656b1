"""The cluster as one node sees it: the bus below, what the members agree on above, behind one step and one tick.

`ClusterCore` receives what the bus hears (it is the bus' `Agreement`), keeps the slot map and the epochs, and turns
changes into effects. Operators' commands live in `orders`, what is shown to clients in `views`.

Whatever a step changed is written to nodes.conf before any packet of the same step leaves: `take_effects` puts the
`Persist` first, and has it be on disk if the step has added to our `commitments`. So no node ever hears of an epoch
that we could forget.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from cluster.agreement import epochs, nodesconf
from cluster.agreement.commitments import Commitments
from cluster.agreement.effects import DropChannels, FollowPrimary, StateChanged, StopFollowing
from cluster.agreement.electorate import is_pair, quorum, voters
from cluster.agreement.health import RECHECK_MS, Health
from cluster.agreement.redirect import Decision, Request, route, route_waiting
from cluster.agreement.slotmap import SlotMap
from cluster.agreement.slots import SlotSet, members, range_set, to_bitmap
from cluster.agreement.state import (
    FOREVER_MS,
    ClusterSettings,
    History,
    Keyspace,
    NoKeys,
    NoReplication,
    Replication,
)
from cluster.claims import Claims
from cluster.failover.common_map import Agreement, compare, digest, elected_voters, open_vote_about, open_votes, token
from cluster.failover.election import Election
from cluster.failover.empty_primary import EmptyPrimary
from cluster.failover.lease import consider_grant, granted_ms, lease_end_ms
from cluster.failover.manual_failover import ManualFailover
from cluster.failover.reassertion import Reassertion, would_have_it_reassert
from cluster.failover.replica_moves import ReplicaMigration
from cluster.failover.voting import Voter
from cluster.forming import Forming
from gossip import flags
from gossip.agreement import Facts
from gossip.core import GossipCore
from gossip.effects import Deliver, Effect, Event, Persist
from gossip.failure import is_gone
from gossip.membership import Members
from gossip.messages import (
    IN_SYNC,
    OURS,
    PRIMARY_FAILED,
    REASSERT,
    REFUSED,
    STANDING,
    AuthAck,
    AuthRequest,
    Extensions,
    Header,
    Message,
    MfStart,
    Places,
    Publish,
    PublishShard,
    Update,
    WishStated,
)
from gossip.peer import Link, Peer

ABSENT_MS = 5000
OFFSET_MAX = (1 << 63) - 1


class ClusterCore:
    """One node's view of its cluster."""

    def __init__(
        self,
        settings: ClusterSettings,
        rng: random.Random,
        now_ms: int,
        nodes_conf: str = "",
        keyspace: Keyspace | None = None,
        replication: Replication | None = None,
    ) -> None:
        """`nodes_conf` is the text of the file (CorruptConfig if it is damaged); empty: a new node."""
        restored = bool(nodes_conf.strip())
        self.settings = settings
        self.keyspace: Keyspace = keyspace if keyspace is not None else NoKeys()
        self.replication: Replication = replication if replication is not None else NoReplication()
        self.state = nodesconf.load(nodes_conf, now_ms) if restored else nodesconf.fresh(rng, now_ms)
        self.health = Health()
        self.failovers = 0
        """How often this node has taken its primary's place since it started."""
        self.took_place_ms = -FOREVER_MS  # when it last did
        self.forming = Forming(self)
        self.election = Election(self)
        self.voter = Voter(self)
        self.manual = ManualFailover(self)
        self.empty = EmptyPrimary(self)
        self.migration = ReplicaMigration(self)
        self.reassertion = Reassertion(self)
        self.bus: GossipCore = GossipCore(self.state.members, settings, self, rng)
        self.claims = Claims(self)
        self._announced_ip = ""
        self._seeds: tuple[str, ...] = ()
        self.leaving = False
        self._unsaved = not restored
        self._stepped = False  # whether anything has happened since effects were taken
        self._commitments = Commitments(self.state if restored else None)
        self._reexamine = True
        self._leased = True
        self._told_in_sync = False
        self._recheck_ms = now_ms
        self._slots_bitmap: tuple[SlotSet, bytes] = (0, bytes(2048))
        self._pair_known = False
        self._voters: frozenset[Peer] = frozenset()
        self._voters_known = False  # whether they are still those of whom the map tells
        self._new_voters: frozenset[Peer] = frozenset()  # who has become one since this node last looked at its lease
        self._digest = 0
        self.lease_end_ms = FOREVER_MS  # when this node must stop to serve, if it is a primary with slots
        if restored:
            self.health.restarted(self.state, now_ms)
            self.state.forgetful_until_ms = now_ms + settings.node_timeout_ms
            self.manual.restarted(now_ms)
        self.apply_settings(now_ms)
        self.bus.start(now_ms)
        self._settle(now_ms)

    # Shorthands.

    @property
    def myself(self) -> Peer:
        return self.state.myself

    @property
    def members(self) -> Members:
        return self.state.members

    @property
    def slotmap(self) -> SlotMap:
        return self.state.slotmap

    @property
    def ok(self) -> bool:
        """Whether `cluster_state` is ok."""
        return self.health.ok

    @property
    def in_sync(self) -> bool:
        """Whether this node is a replica that has its primary's data, and hears what the primary writes."""
        return self.myself.is_replica and self.replication.link_up

    @property
    def voters(self) -> frozenset[Peer]:
        """Those of whom a majority decides, as of now: in the middle of a step the map may just have changed."""
        if not self._voters_known:
            self._count_voters()
        return self._voters

    def _count_voters(self) -> None:
        """Look who they are."""
        before = self._voters
        self._voters, self._voters_known = voters(self.state), True
        self._digest = digest(self._voters) if elected_voters(self.state, self._voters) else 0
        if self._digest:
            self._new_voters |= self._voters - before
            for peer in self._voters - before:
                peer.answered_ms = 0  # what it answered before it had a vote binds it to nothing

    @property
    def digest(self) -> int:
        """What stands for them in packets; 0 where elections do not change who votes."""
        return self._digest if self.voters else 0

    def agreement(self, header: Header) -> Agreement:
        """Whether the sender of this packet knows the same voters as we do."""
        return compare(self.voters, self.digest, header.electorate)

    def vote_counts(self, header: Header, among: int, place: Peer | None) -> bool:
        """Whether a vote is one for us, who asked for `place` when `among` was the digest of the voters."""
        found = self.agreement(header)
        return self.digest == among and found.same and found.given_away in (None, place)

    def given_away(self) -> Peer | None:
        """The primary whose place we have voted to give to somebody of whom we have not heard since."""
        votes = open_votes(self.state)
        peer = self.members.get(votes[-1].primary_id) if votes else None
        return peer if peer in self.voters else None

    # The host's side: events, time, effects.

    def step(self, event: Event, now_ms: int) -> None:
        """Something happened on the bus."""
        self.bus.step(event, now_ms)
        self._attend(now_ms)
        self._settle(now_ms)

    def tick(self, now_ms: int) -> None:
        """Do what is due. Harmless when nothing is."""
        self.bus.tick(now_ms)
        self.forming.tick(now_ms)
        self._attend(now_ms)
        self._settle(now_ms)

    def _attend(self, now_ms: int) -> None:
        """Everybody looks at what has changed."""
        if self.in_sync != self._told_in_sync:
            self._told_in_sync = self.in_sync
            if self.in_sync:
                self.bus.broadcast_pong()  # clients are told of this replica from now on
        self.reassertion.attend(now_ms)
        self.voter.attend(now_ms)
        self.empty.attend(now_ms)
        self.manual.attend(now_ms)
        self.election.attend(now_ms)
        self.migration.attend(now_ms)

    def next_due_ms(self) -> int:
        """When `tick` should be called next, at the latest."""
        parts = (self.forming, self.election, self.manual, self.empty, self.reassertion)
        moments = [moment for part in parts if (moment := part.next_due_ms()) is not None]
        ends_ms = min(self.lease_end_ms, self.health.grace_end_ms) if self.ok else self._recheck_ms
        return min(self.bus.next_due_ms(), ends_ms, *moments)

    def take_effects(self) -> list[Effect]:
        """What the host must now do, in order."""
        effects = self.bus.take_effects()
        if effects or self._unsaved or self._stepped:  # else this is asked after each effect, and there is nothing new
            durable = self._commitments.added(self.state)
            if durable or self._unsaved:
                effects.insert(0, Persist(self.nodes_conf(), durable))
            self._unsaved = self._stepped = False
        return effects

    def save(self) -> None:
        """Have nodes.conf written, and on disk, with the next effects."""
        self._unsaved = True
        self._commitments.forget()

    def new_link_id(self) -> int:
        """The id of a connection that the host has accepted."""
        return self.bus.new_link_id()

    def nodes_conf(self) -> str:
        """What nodes.conf should say now."""
        return nodesconf.dump(self.state)

    def apply_settings(self, now_ms: int) -> None:
        """Take over what the directives say about this node; call it whenever one of them has changed."""
        me, settings = self.myself, self.settings
        if settings.seeds != self._seeds:
            self._seeds = settings.seeds
            self.bus.seeds.start(now_ms)
        me.port, me.plain_port, me.bus_port = settings.port, settings.plain_port, settings.bus_port
        me.flags |= flags.LIGHT_PUBLISH
        me.hostname, me.nodename = settings.announce_hostname, settings.announce_human_nodename
        if settings.announce_ip != self._announced_ip:
            me.ip = self._announced_ip = settings.announce_ip  # empty: to be found out again
        before = me.flags
        me.flags = (me.flags & ~flags.NOFAILOVER) | (flags.NOFAILOVER if settings.no_failover or self.leaving else 0)
        if me.flags != before:
            self.changed(state=True)
            self.bus.broadcast_pong()  # nobody may count on us as a successor, or everybody may again
        self._reexamine = True

    def data_loaded(self, now_ms: int) -> None:
        """The node has loaded what it had on disk; until this is called it does not know what it has."""
        self.empty.data_loaded(now_ms)
        self._adopt_slots_with_keys()
        self._settle(now_ms)

    def _adopt_slots_with_keys(self) -> None:
        """Slots that hold keys but are not ours become ours if they are nobody's, else open, as with Redis.

        An open (importing) slot tells the operator's tools that there is something to repair.
        """
        if self.myself.is_replica or not len(self.keyspace):
            return
        for slot, owner in enumerate(self.slotmap.owners):
            if owner is self.myself or slot in self.slotmap.importing or not self.keyspace.slot_len(slot):
                continue
            if owner is None:
                self.bus.note("warning", f"I have keys for unassigned slot {slot}. Taking responsibility for it.")
                self.slotmap.assign(range_set(slot, slot), self.myself)
            else:
                self.bus.note("warning", f"I have keys for slot {slot} of another node. Setting it to importing state.")
                self.slotmap.import_from(slot, owner)
            self.changed(state=True)

    # The engine's side.

    @property
    def served_version(self) -> tuple[int, bool, bool]:
        """Differs from its last value whenever `fill_served` might."""
        return self.slotmap.version, self.health.ok, self.myself.is_primary

    def fill_served(self, table: bytearray) -> None:
        """Set the bytes of 16384 slots: 1 where requests are plainly ours, 0 where `route` must be asked."""
        if self.health.ok and self.myself.is_primary:
            self.slotmap.fill_served(table, self.myself)
        else:
            table[:] = bytes(len(table))

    def route(self, request: Request, has_key: Callable[[bytes], bool], now_ms: int) -> Decision:
        """Where this request must be served."""
        return route(self.state, self.may_serve(now_ms), self.settings, request, has_key)

    def route_waiting(self, request: Request, now_ms: int) -> Decision:
        """Where a client that waits for these keys must go, now that slots have changed; Serve: it stays."""
        return route_waiting(self.state, self.may_serve(now_ms), self.settings, request)

    def may_serve(self, now_ms: int) -> bool:
        """Whether this node serves at this very moment, however late it is in noticing what time it is."""
        return self.health.ok and now_ms < self.lease_end_ms

    def publish(self, channel: bytes, message: bytes, sharded: bool = False) -> None:
        """Pass a published message on: to all nodes, or to those of our shard."""
        if sharded:
            self.bus.publish(PublishShard, channel, message, self.state.shard_of(self.myself))
        else:
            self.bus.publish(Publish, channel, message, self.members.others())

    @property
    def shares_history(self) -> bool:
        """Whether this replica's data is part of its primary's history: it is in step with that one."""
        primary = self.myself.primary
        return primary is not None and self.replication.synced_with == primary.id

    @property
    def offset(self) -> int:
        """How much of our shard's history we have, as we tell it. What is of another shard is nothing here."""
        return 0 if self.state.history is History.OTHER_SHARD else self.replication.offset

    # Changes, used by `orders` and below.

    def settle(self, now_ms: int) -> None:
        """Draw the conclusions of changes made outside of a step."""
        self._settle(now_ms)

    def set_primary(self, primary: Peer, *, successor: bool = False) -> None:
        """Turn this node into a replica of `primary`. `successor`: it took the place of the one that we replicate.

        What a replica had from the predecessor is the beginning of what the successor has. What a primary had that was
        replaced, or a replica of another shard, is not, and says nothing of how much of the new primary's data we have.
        """
        me, shard = self.myself, self.state.my_primary
        self.manual.reset()
        if shard is not None and shard is not primary:
            self.drop_channels(self.slotmap.owned_by(shard))  # what is published there does not come here any more
        was_primary = me.become_replica()
        if was_primary:
            self.slotmap.close_all()
        if was_primary or not successor:
            left = not was_primary and shard is not None and shard is not primary and shard.slot_count > 0
            self.state.history = max(self.state.history, History.OTHER_SHARD if left else History.UNKNOWN)
        me.follow(primary)
        me.shard_id = primary.shard_id or me.shard_id
        self.bus.effect(FollowPrimary(primary.id, primary.ip, primary.port))
        self.changed(state=True)

    def become_primary(self, *, empty: bool) -> None:
        """Turn this node into a primary, if it is not one."""
        if self.myself.become_primary():
            self.bus.effect(StopFollowing(empty))
            self.changed(state=True)

    def take_place(self, epoch: int, now_ms: int, grants: Mapping[str, int] | None = None) -> None:
        """We are our primary's successor: its slots are ours, under this epoch.

        `grants`: ids of those who have voted for us, and when they were asked. That makes our first lease; what anybody
        granted us as a replica was not meant for these slots. None: nobody was asked (TAKEOVER).
        """
        me, old = self.myself, self.myself.primary
        assert old is not None
        if grants is not None:
            for peer in self.members:
                peer.answered_ms = grants.get(peer.id, 0)
        slots = self.slotmap.owned_by(old)
        me.config_epoch = epoch
        self.failovers += 1
        self.took_place_ms = now_ms
        self.become_primary(empty=False)
        self.slotmap.assign(slots, me)
        self.manual.reset()
        self.health.elected()
        self.state.history = History.OF_PRIMARY
        if grants is not None and self.digest:
            # Whoever had our vote before may have granted leases with it.
            self.state.newcomer_until_ms = now_ms + self.settings.node_timeout_ms
        self.changed(state=True)
        self._settle(now_ms)
        self.bus.broadcast_pong()
        if now_ms >= self.lease_end_ms:
            for peer in self.voters - {me}:
                self.bus.ping(peer, now_ms)

    def go_on(self, epoch: int, now_ms: int, grants: Mapping[str, int]) -> None:
        """Our own place is ours anew, under this epoch, by the votes of these, who were asked then (`reassertion`)."""
        self.myself.config_epoch = epoch
        for peer in self.members:
            peer.answered_ms = max(peer.answered_ms, grants.get(peer.id, 0))
        self.changed(state=True)
        self._settle(now_ms)
        self.bus.broadcast_pong()

    def successors(self) -> list[Peer]:
        """The replicas to which this node could hand over."""
        return self.manual.successors()

    def living_replicas(self) -> int:
        """How many replicas this node has that nobody holds for dead."""
        return sum(not replica.flags & flags.FAILING for replica in self.myself.replicas)

    def leave(self, leaving: bool, now_ms: int) -> None:
        """Tell everybody that this node is about to end, so that nobody counts on it as a successor; or that it stays.

        No replica that leaves is promoted, and its primary, if that leaves as well, does not hand over to it.
        """
        if leaving != self.leaving:
            self.leaving = leaving
            self.apply_settings(now_ms)

    def hand_over(self, now_ms: int) -> bool:
        """Have our best replica take our place, before this node leaves. False if there is none that could.

        It is done when this node is a replica. Until then, or until it has taken too long, clients' writes wait.
        """
        return self.manual.hand_over()

    def unassign(self, slots: SlotSet) -> None:
        """Leave slots without an owner; those of our own shard lose their shard channels."""
        shard = self.state.my_primary
        if shard is not None:
            self.drop_channels(slots & self.slotmap.owned_by(shard))
        self.slotmap.unassign(slots)

    def drop_channels(self, slots: SlotSet) -> None:
        """Our shard serves these slots no longer: end the subscriptions to their shard channels."""
        if slots:
            self.bus.effect(DropChannels(tuple(members(slots))))

    def _settle(self, now_ms: int) -> None:
        """Re-examine the cluster's state if something that it depends on has changed, or may have by time alone."""
        self._stepped = True
        self._date_data()
        due_ms = self.health.grace_end_ms if self.health.ok else self._recheck_ms
        look = self._reexamine or now_ms >= due_ms
        if look:
            self._count_voters()
            self.health.look(self.state, now_ms)
        leased = self._renew_lease(now_ms)
        if self._new_voters:
            self._greet_new_voters(now_ms)
        if not look and leased == self._leased:
            return
        self._reexamine, self._leased = False, leased
        self._recheck_ms = now_ms + RECHECK_MS
        if self.health.update(self.state, self.settings, now_ms, leased):
            self.bus.note("notice", f"Cluster state changed: {'ok' if self.health.ok else 'fail'}")
            self.bus.effect(StateChanged(self.health.ok))

    def _greet_new_voters(self, now_ms: int) -> None:
        """Where the others' grants do not suffice, theirs are asked for at once."""
        greeted, self._new_voters = self._new_voters & self.voters, frozenset()
        if now_ms >= self.lease_end_ms:
            for peer in sorted(greeted - {self.myself}, key=lambda peer: peer.id):
                self.bus.ping(peer, now_ms)

    def _date_data(self) -> None:
        """Note in whose history our data is: a primary's is its own, a replica's that of whom it is in step with."""
        state, primary = self.state, self.state.my_primary
        if primary is None or not (primary is self.myself or self.shares_history):
            return
        if state.history or state.data_epoch != primary.config_epoch:
            state.data_epoch, state.history = primary.config_epoch, History.OF_PRIMARY
            self.changed()

    def _renew_lease(self, now_ms: int) -> bool:
        """Look at what was granted; whether this node may serve now, as far as that goes."""
        me = self.myself
        everybody = self.voters
        alone = self.health.pair and self._may_be_alone(next(iter(everybody - {me})), now_ms)
        if me.is_replica or me not in everybody or alone:
            self.lease_end_ms = FOREVER_MS
        else:
            since_ms = self.manual.grants_count_from_ms()
            timeout_ms = self.settings.node_timeout_ms
            self.lease_end_ms = lease_end_ms(me, everybody, timeout_ms, self._without_voice(), since_ms)
        promised = self.manual.bars(now_ms) or self.manual.gave_itself_away(now_ms)
        return now_ms < self.lease_end_ms and not self.empty.active and not promised

    def _without_voice(self) -> set[Peer]:
        """Voters whose place somebody has voted to give away, as we or they say: whether they still vote is open.

        Ourselves only if we did: who was elected against our will has a majority of the others.
        """
        mine, me = self.digest, self.myself
        found = {me} if open_vote_about(self.state, me) else set()
        if mine:
            voters = self.voters
            others = {peer.electorate for peer in voters if peer is not me} - {mine, 0}  # in quiet times there is none
            told = [compare(voters, mine, theirs).given_away for theirs in others]
            found.update(peer for peer in (*told, self.given_away()) if peer is not None and peer is not me)
        return found

    def _may_be_alone(self, replica: Peer, now_ms: int) -> bool:
        """As the primary of a pair: whether we know that the other has not taken our place.

        While we were down it may have; if we have voted for it as well, unless its process has died since.
        """
        if open_vote_about(self.state, self.myself) and not is_gone(replica):
            return False
        absent = replica.refused_ms and now_ms - replica.refused_ms > max(self.settings.node_timeout_ms, ABSENT_MS)
        if not self.state.forgetful_until_ms or granted_ms(replica, self.settings.node_timeout_ms) > 0 or absent:
            self._pair_known = True
        return self._pair_known

    # What the bus asks and tells (gossip.agreement.Agreement).

    def facts(self) -> Facts:
        primary = self.state.my_primary or self.myself
        owned = self.slotmap.owned_by(primary)
        if owned != self._slots_bitmap[0]:
            self._slots_bitmap = (owned, to_bitmap(owned))
        return Facts(
            current_epoch=self.state.current_epoch,
            config_epoch=primary.config_epoch,
            offset=self.offset,
            slots=self._slots_bitmap[1],
            primary_id=self.myself.primary.id if self.myself.primary else None,
            state_fail=not self.health.ok,
            paused=self.manual.paused,
            data_epoch=self.state.data_epoch if self.offset else 0,
            electorate=self._stated_digest(),
            to_ours=(PRIMARY_FAILED if self.election.primary_failed else 0)
            | (STANDING if self.election.standing or self.reassertion.standing else 0)
            | (IN_SYNC if self.in_sync else 0),
        )

    def _stated_digest(self) -> int:
        """Without whom we have voted away."""
        away = self.given_away() if self.digest else None
        return self.digest ^ token(away) if away is not None else self.digest

    def quorum_against(self, peer: Peer) -> int:
        """How many must agree that `peer` has failed, or is to be replaced. In a pair a dead process has no say."""
        return quorum(self.voters) - (is_gone(peer) and is_pair(self.state))

    def votes(self, peer: Peer) -> bool:
        return peer in self.voters

    def refusal(self, sender: Peer, header: Header, now_ms: int) -> int:
        timeout_ms = self.settings.node_timeout_ms
        if consider_grant(self.state, sender, header, now_ms, timeout_ms):
            sender.granted_ms = now_ms
            return 0
        return REFUSED | (REASSERT if would_have_it_reassert(self.state, sender, now_ms, timeout_ms) else 0)

    def grant_counts(self, sender: Peer, header: Header) -> bool:
        return self.agreement(header).same

    def needs_answers(self, peer: Peer) -> bool:
        return self.myself.is_primary and self.votes(self.myself) and self.votes(peer)

    def changed(self, *, state: bool = False) -> None:
        self._unsaved = True
        self._reexamine |= state
        if state:
            self._voters_known = False

    def has_nothing(self) -> bool:
        """Whether this node has neither data nor a place in a cluster."""
        return self.myself.is_primary and not self.myself.slot_count and not len(self.keyspace)

    def seeks_members(self) -> bool:
        return self.has_nothing() and not self.slotmap.assigned()

    def offers(self, target: Peer) -> tuple[WishStated | None, Places | None]:
        return self.forming.statement(), self.forming.map_for(target)

    def heard_extensions(self, sender: Peer, extensions: Extensions, now_ms: int) -> None:
        self.forming.hear(sender, extensions.wish, extensions.places, now_ms)
        me = self.myself
        if me.primary is sender and sender.shard_id and me.shard_id != sender.shard_id:
            me.shard_id = sender.shard_id  # it had not told us yet when we became its replica
            self.changed()

    def removing(self, peer: Peer) -> None:
        self.drop_channels(self.slotmap.owned_by(peer) if peer is self.state.my_primary else 0)
        self.slotmap.remove_peer(peer)
        self.forming.forget(peer)
        self.changed(state=True)

    def address_changed(self, peer: Peer) -> None:
        if self.myself.primary is peer:
            self.bus.effect(FollowPrimary(peer.id, peer.ip, peer.port))
        self.changed(state=True)

    def heard_header(self, sender: Peer, header: Header, now_ms: int) -> None:
        epochs.observe(self.state, header.current_epoch)
        # A replica states its primary's epoch. Were it taken for its own while we still hold it for a primary, no claim
        # of its successor could beat it.
        if header.primary_id is None and header.config_epoch > sender.config_epoch:
            sender.config_epoch = header.config_epoch
        sender.electorate, sender.data_epoch = header.electorate, header.data_epoch
        sender.repl_offset = header.offset if header.offset <= OFFSET_MAX else 0  # no history is as long as that
        sender.repl_offset_ms = now_ms
        to_ours = header.mflags[1] if header.mflags[1] & OURS else 0
        sender.failed_primary = header.primary_id or "" if to_ours & PRIMARY_FAILED else ""
        sender.in_sync = bool(to_ours & IN_SYNC)
        self.voter.hear_header(sender, header)
        self.manual.hear_header(sender, header)

    def heard_config(self, sender: Peer, header: Header, now_ms: int) -> None:
        self.claims.hear_config(sender, header)

    def heard(self, sender: Peer, message: Message, link: Link, now_ms: int) -> None:
        if isinstance(message, Publish):
            self.bus.effect(Deliver(message.channel, message.message, isinstance(message, PublishShard)))
        elif isinstance(message, Update):
            self.claims.hear_update(message)
        elif isinstance(message, AuthRequest):
            self.claims.hear_role(sender, message.header)
            self.election.hear_request(sender, message.header, now_ms)
            if self.votes(self.myself):
                self.voter.hear_request(sender, message.header, now_ms)
        elif isinstance(message, AuthAck):
            self.election.hear_vote(sender, message.header, now_ms)
            self.reassertion.hear_vote(sender, message.header, now_ms)
        elif isinstance(message, MfStart):
            self.claims.hear_role(sender, message.header)
            self.manual.hear_start(sender, now_ms)
