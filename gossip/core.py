"""The bus of one node as a pure state machine.

Events of the network and the time go in (`step`, `tick`), effects come out (`take_effects`); sockets, clocks and chance
are the host's. What the members agree on is the business of the layer above, reached through `Agreement`.

This module keeps the connections and decides when to ping whom and whom to suspect; `reception` says what a packet that
arrives does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from gossip import flags
from gossip.agreement import Agreement
from gossip.effects import (
    Close,
    Closed,
    Connect,
    Effect,
    Event,
    LinkAccepted,
    LinkClosed,
    LinkOpened,
    Note,
    Received,
    Resolved,
    Send,
)
from gossip.failure import (
    CONFIRM_MS,
    Verdict,
    connection_failed,
    count_reports,
    forgive,
    is_gone,
    is_overdue,
    judge,
    last_heard_ms,
    link_dead_ms,
    link_ended,
    overdue_ms,
    silent_for_ms,
)
from gossip.framer import NEED_DATA, BadPacket, FramingError
from gossip.membership import Members
from gossip.messages import (
    EXT_DATA,
    NO_EXTENSIONS,
    OURS,
    PAUSED,
    REFUSED,
    Extensions,
    Header,
    LightPublish,
    Meet,
    Message,
    Ping,
    Pong,
    Publish,
    Unknown,
)
from gossip.peer import Link, Peer
from gossip.pinging import DueHeap, choose_gossip, gossip_entry, may_save, oldest_of_a_few, on_grid, ping_due_ms
from gossip.reception import receive, take_address
from gossip.seeds import Seeds
from gossip.settings import GossipSettings
from gossip.verdicts import Verdicts
from gossip.vouching import ask_after_ms, ask_others, wants_opinion
from gossip.wire import encode, encode_light

RECONNECT_MS = 100
RECONNECT_MAX_MS = 1000
RANDOM_PING_MS = 1000
RANDOM_PING_SAVING_MS = 5000
"""How often somebody drawn is pinged, and what has changed about us is told to all: the second in large clusters."""
HANDSHAKE_MIN_MS = 1000
MAX_UNSENT = 1000
"""Published messages that wait for one link to be opened; more are lost, as all are if it never is."""


class GossipCore:
    """Membership and liveness, as one node sees them."""

    def __init__(self, members: Members, settings: GossipSettings, agreement: Agreement, rng: random.Random) -> None:
        self.members = members
        self.settings = settings
        self.agreement = agreement
        self.rng = rng
        self.links: dict[int, Link] = {}
        self.sent: Counter[int] = Counter()
        self.received: Counter[int] = Counter()
        self.bad_packets = 0
        self.links_over_limit = 0
        self.own_address_seen = False  # whether anybody has reached us since the start
        self.seeds = Seeds(self)
        self.verdicts = Verdicts(self)
        self._due = DueHeap()
        self._new_suspects = False
        self._random_ping_ms = 0
        self._told: object = None
        self._awake_ms = 0
        self._last_link_id = 0
        self._effects: list[Effect] = []

    # Time and events.

    def start(self, now_ms: int) -> None:
        """Begin: every member that was remembered is connected to at the first tick."""
        self._awake_ms = now_ms
        self._random_ping_ms = now_ms + RANDOM_PING_MS
        self.seeds.start(now_ms)
        for peer in self.members.others():
            self.watch(peer, now_ms)

    def step(self, event: Event, now_ms: int) -> None:
        """Something happened on the network."""
        self._wake(now_ms)
        if isinstance(event, Received):
            self._on_data(event, now_ms)
        elif isinstance(event, LinkAccepted):
            link = Link(event.link_id, now_ms, inbound=True, established=True)
            link.remote_ip, link.local_ip = event.remote_ip, event.local_ip
            self.links[link.id] = link
        elif isinstance(event, LinkOpened):
            self._on_opened(event, now_ms)
        elif isinstance(event, LinkClosed):
            self._on_closed(event, now_ms)
        elif isinstance(event, Resolved):
            self.seeds.resolved(event, now_ms)

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        self._wake(now_ms)
        while (peer := self._due.pop_due(now_ms)) is not None:
            self._attend(peer, now_ms)
        if self._new_suspects:
            self._new_suspects = False
            self._tell_voters()
        if now_ms >= self._random_ping_ms:
            saving = may_save(self, now_ms)
            self._random_ping_ms = now_ms + (RANDOM_PING_SAVING_MS if saving else RANDOM_PING_MS)
            self._tell_news(saving)
            peer = oldest_of_a_few(self.members, self.rng)
            if peer is not None:
                self.ping(peer, now_ms)
        self.verdicts.tick(now_ms)
        self.seeds.tick(now_ms)

    def next_due_ms(self) -> int:
        """When `tick` should be called next, at the latest."""
        moments = (self._due.next_ms(), self.seeds.next_due_ms(), self.verdicts.next_due_ms())
        return min([self._random_ping_ms, *(moment for moment in moments if moment is not None)])

    def _wake(self, now_ms: int) -> None:
        """If we come far later than we wanted to, the silence of the others may be our own."""
        pause_ms, self._awake_ms = now_ms - self._awake_ms, now_ms
        limit_ms = self.settings.node_timeout_ms // 10
        if pause_ms <= limit_ms or now_ms - self.next_due_ms() <= limit_ms:
            return
        self.note("verbose", f"This node did nothing for {pause_ms} ms; nobody is suspected for that.")
        for peer in self.members.others():
            forgive(peer, pause_ms, now_ms)  # when to look at it stays: perhaps to connect, and else it is too soon

    def take_effects(self) -> list[Effect]:
        """What the host must now do, in order."""
        effects, self._effects = self._effects, []
        return effects

    def effect(self, effect: Effect) -> None:
        self._effects.append(effect)

    def note(self, level: str, text: str) -> None:
        self._effects.append(Note(level, text))

    def watch(self, peer: Peer, at_ms: int) -> None:
        """Have a look at `peer` at this time."""
        self._due.set(peer, at_ms)

    def remove(self, peer: Peer) -> None:
        """Forget `peer` and close its links."""
        self.agreement.removing(peer)
        for link in (peer.link, peer.inbound):
            if link is not None:
                self.close(link)
        self._due.discard(peer)
        self.members.remove(peer)

    # Links.

    def new_link_id(self) -> int:
        self._last_link_id += 1
        return self._last_link_id

    def close(self, link: Link) -> None:
        """Close a link from our side. The host will not report it. If it was ours to a peer, another is opened soon."""
        if self.links.pop(link.id, None) is not None:
            if link.peer is not None and link.peer.link is link:
                self.watch(link.peer, 0)
            self._detach(link)
            self.effect(Close(link.id))

    def found_at(self, peer: Peer, header: Header, ip: str, now_ms: int) -> None:
        """A member has answered at an address of our seeds: if we have lost it, that is where it is now."""
        if not peer.connected:
            take_address(self, peer, header, ip, now_ms)

    def _detach(self, link: Link) -> None:
        peer, link.peer = link.peer, None
        if peer is not None and peer.link is link:
            peer.link = None
        if peer is not None and peer.inbound is link:
            peer.inbound = None

    def _connect(self, peer: Peer, now_ms: int) -> None:
        link = Link(self.new_link_id(), now_ms, inbound=False, peer=peer)
        self.links[link.id] = link
        peer.link = link
        # An attempt to connect counts as a ping: a host that swallows it must come under suspicion too.
        peer.ping_sent_ms = peer.ping_sent_ms or now_ms
        self.effect(Connect(link.id, peer.ip, peer.bus_port))

    def _on_opened(self, event: LinkOpened, now_ms: int) -> None:
        link = self.links.get(event.link_id)
        if link is None or (link.peer is None and not self.seeds.is_probe(link)):
            self.effect(Close(event.link_id))
            return
        link.established = True
        link.remote_ip, link.local_ip = event.remote_ip, event.local_ip
        if link.peer is None:
            self.seeds.opened(link, now_ms)
            return
        peer = link.peer
        waiting_since_ms = peer.ping_sent_ms
        self.send_ping(link, Meet if peer.flags & flags.MEET else Ping, now_ms)
        for data in link.unsent:
            self.effect(Send(link.id, data))
        link.unsent.clear()
        # If an answer was overdue before the link broke, it still is.
        peer.ping_sent_ms = waiting_since_ms or now_ms
        # One MEET is enough; were there no answer, the handshake would time out.
        peer.flags &= ~flags.MEET
        self.schedule(peer, now_ms)

    def _on_closed(self, event: LinkClosed, now_ms: int) -> None:
        link = self.links.pop(event.link_id, None)
        if link is None:
            return
        if event.reason is Closed.OVERFLOW:
            self.links_over_limit += 1
        peer = link.peer
        self._detach(link)
        if self.seeds.is_probe(link):
            self.seeds.closed(link)
        if peer is None or link.inbound:
            return
        self.seeds.hurry(now_ms)
        if link.answered:
            link_ended(peer, event.reason, now_ms)
            self.watch(peer, now_ms)
            return
        if not link.established:
            connection_failed(peer, event.reason, now_ms)
            if is_gone(peer):
                peer.gone_ms, peer.gone_since_ms = link.created_ms, peer.refused_ms
        peer.link_failures += 1
        if is_gone(peer) and not peer.flags & flags.FAILING:
            wait_ms = 0  # before the next attempt we have to suspect it
        elif peer.lost_ms and peer.link_failures <= 2:
            wait_ms = CONFIRM_MS
        else:
            longest_ms = RECONNECT_MAX_MS
            if self.agreement.needs_answers(peer):
                longest_ms = min(longest_ms, self.settings.node_timeout_ms // 4)
            wait_ms = min(RECONNECT_MS << min(peer.link_failures - 1, 10), longest_ms)
        self.watch(peer, now_ms + wait_ms)

    def _on_data(self, event: Received, now_ms: int) -> None:
        link = self.links.get(event.link_id)
        if link is None:
            return
        link.framer.feed(event.data)
        while link.id in self.links:
            try:
                message = link.framer.next()
            except BadPacket as error:
                self.bad_packets += 1
                self.note("warning", f"Ignored a bad packet from {link.remote_ip} on the cluster bus: {error}")
                continue
            except FramingError as error:
                self.note("warning", f"Closed a cluster bus link with {link.remote_ip}: {error}")
                peer = None if link.inbound else link.peer
                self.close(link)
                if peer is not None:
                    self.watch(peer, now_ms + RECONNECT_MAX_MS)
                return
            if message is NEED_DATA:
                return
            assert isinstance(message, Message | LightPublish | Unknown)
            receive(self, link, message, now_ms)

    # Sending.

    def header(self, message_flags: int = 0, to_ours: int = 0) -> Header:
        """The header of our next packet; `to_ours` are message flags that only nodes of this project understand."""
        me, facts = self.members.myself, self.agreement.facts()
        return Header(
            sender=me.id,
            current_epoch=facts.current_epoch,
            config_epoch=facts.config_epoch,
            offset=facts.offset,
            slots=facts.slots,
            primary_id=facts.primary_id,
            ip=self.settings.announce_ip,
            port=me.port,
            plain_port=me.plain_port,
            bus_port=me.bus_port,
            flags=me.flags,
            state_fail=facts.state_fail,
            mflags=(message_flags | (PAUSED if facts.paused else 0), OURS | facts.to_ours | to_ours, 0),
            data_epoch=facts.data_epoch,
            electorate=facts.electorate,
        )

    def send(self, link: Link | None, message: Message) -> None:
        """Send on one link, if it is there."""
        if link is not None and link.established:
            self.sent[message.kind] += 1
            self.effect(Send(link.id, encode(message)))

    def send_to(self, peers: Iterable[Peer], message: Message) -> None:
        """Send to those of these members that we have a link to."""
        data = encode(message)
        for peer in peers:
            if peer.connected and not peer.in_handshake:
                assert peer.link is not None
                self.sent[message.kind] += 1
                self.effect(Send(peer.link.id, data))

    def publish(self, kind: type[Publish], channel: bytes, message: bytes, peers: Iterable[Peer]) -> None:
        """Send a published message to these members, with the short header to those that understand it."""
        light = whole = b""
        for peer in peers:
            link = peer.link
            if link is None or peer.in_handshake:
                continue
            if peer.flags & flags.LIGHT_PUBLISH:
                data = light = light or encode_light(LightPublish(kind.kind, channel, message))
            else:
                data = whole = whole or encode(kind(self.header(), channel, message))
            if link.established:
                self.effect(Send(link.id, data))
            elif len(link.unsent) < MAX_UNSENT:
                link.unsent.append(data)
            else:
                continue
            self.sent[kind.kind] += 1

    def ping(self, peer: Peer, now_ms: int, say: Extensions = NO_EXTENSIONS) -> None:
        """Send a PING on our link to `peer`."""
        if peer.link is not None:
            self.send_ping(peer.link, Ping, now_ms, say)
            self.schedule(peer, now_ms)

    def broadcast_pong(self) -> None:
        """Tell everybody our configuration now, rather than with the next ping."""
        for peer in self.members.others():
            if not peer.in_handshake:
                self.tell(peer)

    def _tell_news(self, saving: bool) -> None:
        """Where PINGs are rare, what has changed about us is told to everybody by itself."""
        me, facts = self.members.myself, self.agreement.facts()
        mine = None if facts.primary_id else facts.slots
        news = (me.ip, me.port, me.flags, me.hostname, me.nodename, facts.primary_id, facts.config_epoch, mine)
        if saving and self._told is not None and news != self._told:
            self.broadcast_pong()
        self._told = news

    def tell(self, peer: Peer) -> None:
        """Tell `peer` how it is with us, without being asked and without an answer."""
        if peer.connected:
            assert peer.link is not None
            self.send_ping(peer.link, Pong, 0)

    def answer(
        self, link: Link, sender: Peer | None, header: Header, now_ms: int, say: Extensions = NO_EXTENSIONS
    ) -> None:
        """Send the PONG for a PING or MEET. `sender` is None if it is no member."""
        refusal = self.agreement.refusal(sender, header, now_ms) if sender is not None else REFUSED
        self.send_ping(link, Pong, now_ms, say, to_ours=refusal)

    def send_ping(
        self, link: Link, kind: type[Ping], now_ms: int, say: Extensions = NO_EXTENSIONS, to_ours: int = 0
    ) -> None:
        """Send a PING, PONG or MEET with gossip and extensions: our names, and what else there is to `say`.

        `to_ours` are message flags for nodes of this project.
        """
        target = link.peer
        if kind is not Pong:
            link.pings.append(now_ms)
            if kind is Ping and target is not None:
                target.ping_sent_ms = target.pinged_ms = now_ms
        gossip = tuple(gossip_entry(peer) for peer in choose_gossip(self.members, target, self.rng))
        extensions = self._extensions_for(target, say)
        self.send(link, kind(self.header(EXT_DATA, to_ours), gossip, extensions))

    def _extensions_for(self, target: Peer | None, say: Extensions) -> Extensions:
        me = self.members.myself
        if target is None or not target.flags & flags.EXTENSIONS:
            return Extensions(hostname=me.hostname or None)
        wish, places = self.agreement.offers(target) if target.ours else (None, None)
        names = (me.hostname or None, me.nodename or None, me.shard_id or None)
        return Extensions(*names, say.forgotten, (), wish, places, say.asked, say.heard)

    # Watching peers.

    def _attend(self, peer: Peer, now_ms: int) -> None:
        """Whatever this peer needs now: a connection, a new connection, a ping, suspicion."""
        timeout_ms = self.settings.node_timeout_ms
        if peer.in_handshake and now_ms - peer.created_ms > max(timeout_ms, HANDSHAKE_MIN_MS):
            self.note("verbose", f"Handshake with {peer.ip}:{peer.bus_port} timed out")
            self.remove(peer)
            return
        if not peer.has_address:
            return
        if wants_opinion(peer, silent_for_ms(peer, now_ms), now_ms, timeout_ms) and not peer.flags & flags.FAILING:
            ask_others(self, peer, now_ms)
        suspect = is_gone(peer) or is_overdue(peer, now_ms, timeout_ms)
        if suspect and not peer.in_handshake and not peer.flags & flags.FAILING:
            self._suspect(peer, now_ms)
        link = peer.link
        if link is not None and peer.ping_sent_ms and now_ms > link_dead_ms(peer, link, timeout_ms):
            self.close(link)
        if peer.link is None:
            self._connect(peer, now_ms)
        elif not peer.ping_sent_ms and peer.connected and now_ms > ping_due_ms(self, peer, now_ms):
            self.send_ping(peer.link, Ping, now_ms)
        self.schedule(peer, now_ms)

    def _suspect(self, peer: Peer, now_ms: int) -> None:
        self.members.suspect(peer)
        self._new_suspects = True
        why = "refuses connections" if is_gone(peer) else "is silent"
        self.note("verbose", f"Node {peer.id} {why}, it is possibly failing.")
        self.agreement.changed(state=True)
        self.judge(peer, now_ms)

    def _tell_voters(self) -> None:
        """Whoever counts for a verdict hears of a voter's new suspicions now, rather than with the next ping."""
        if self.members.suspects and self.agreement.votes(self.members.myself):
            for peer in self.members.others():
                if self.agreement.votes(peer) and not peer.flags & flags.FAILING:
                    self.tell(peer)

    def schedule(self, peer: Peer, now_ms: int) -> None:
        """When to look at `peer` again if nothing happens meanwhile."""
        timeout_ms = self.settings.node_timeout_ms
        if peer.in_handshake:
            at_ms = peer.created_ms + max(timeout_ms, HANDSHAKE_MIN_MS) + 1
        elif not peer.ping_sent_ms:
            at_ms = on_grid(self, ping_due_ms(self, peer, now_ms) + 1, now_ms)
        else:
            heard_ms = last_heard_ms(peer)
            moments = [
                link_dead_ms(peer, peer.link, timeout_ms) + 1 if peer.link is not None else now_ms,
                heard_ms + ask_after_ms(timeout_ms) + 1,  # the node may be: others are asked
                peer.asked_ms + timeout_ms // 4 + 1,  # and again
                overdue_ms(peer, timeout_ms) + 1,  # the node looks dead
            ]
            at_ms = min((moment for moment in moments if moment > now_ms), default=now_ms + timeout_ms // 2)
        self.watch(peer, max(at_ms, now_ms + 1))

    def reschedule(self, peer: Peer, now_ms: int) -> None:
        """What is known of `peer` has changed: if we only wait for its next PING, that may be due earlier or later."""
        if peer.connected and not peer.ping_sent_ms:
            self.schedule(peer, now_ms)

    def answered(self, peer: Peer, now_ms: int) -> None:
        """`peer` has answered our PING: the next one has time."""
        peer.pong_received_ms = now_ms
        peer.ping_sent_ms = 0
        self.schedule(peer, now_ms)

    def judge(self, peer: Peer, now_ms: int) -> None:
        """Declare `peer` failed if a majority agrees, and tell the others."""
        if not peer.suspected:
            return
        reports = self.voters_missing(peer, now_ms)
        i_vote = self.agreement.votes(self.members.myself)
        verdict = judge(peer, reports, quorum=self.agreement.quorum_against(peer), i_vote=i_vote)
        if verdict is not Verdict.FAILED:
            return
        self.note("notice", f"Marking node {peer.id} as failing (quorum reached).")
        self.mark_failed(peer, now_ms)
        self.verdicts.spread(peer, now_ms)

    def voters_missing(self, peer: Peer, now_ms: int) -> int:
        """How many who are voters now say that they cannot reach this peer."""
        count_reports(peer, now_ms, self.settings.node_timeout_ms)
        reporters = [self.members.get(node_id) for node_id in peer.reports]
        return sum(reporter is not None and self.agreement.votes(reporter) for reporter in reporters)

    def mark_failed(self, peer: Peer, now_ms: int) -> None:
        self.members.clear_suspicion(peer)
        peer.flags |= flags.FAIL
        peer.fail_ms = now_ms
        self.agreement.changed(state=True)
        self.reschedule(peer, now_ms)
