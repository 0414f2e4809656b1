"""What a packet that arrives does: who sent it, what is learnt from it, what is answered.

The order of the steps is that of the specification, and matters: the sender's epochs are taken before the answer
states ours; the answer leaves before the sender's claims are judged; gossip is heard last, when the sender's role (only
voters' reports count) is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip import flags
from gossip.failure import Pardon, acquit, add_report, consider_pardon, count_reports, drop_report
from gossip.membership import BAN_MS, attach_inbound
from gossip.messages import (
    EXT_DATA,
    NO_EXTENSIONS,
    OURS,
    REASSERT,
    REFUSED,
    Extensions,
    Fail,
    GossipEntry,
    Header,
    Kind,
    LightPublish,
    Message,
    Ping,
    Publish,
    PublishShard,
    Unknown,
)
from gossip.peer import Link, Peer
from gossip.pinging import look_at_once
from gossip.vouching import answer, believe
from gossip.wire import valid_address, valid_node_id

if TYPE_CHECKING:
    from gossip.core import GossipCore

# A pong time from the future by no more than this is an inexact clock, not a lie.
CLOCK_TOLERANCE_MS = 500


def receive(core: GossipCore, link: Link, message: Message | LightPublish | Unknown, now_ms: int) -> None:
    """Process one packet. May close `link`."""
    if isinstance(message, Unknown):
        core.note("debug", f"Ignored a bus packet of type {message.type_number}, version {message.version}")
        return
    core.received[message.kind] += 1
    if message.kind == core.settings.drop_packet_kind:
        return
    if isinstance(message, LightPublish):
        _hear_light(core, link, message, now_ms)
        return
    header = message.header
    link.named = header.sender
    if core.seeds.is_probe(link):
        core.seeds.answered(link, message, now_ms)
        return
    if header.sender == core.members.myself.id:
        _hear_myself(core, link, message, now_ms)
        return
    if _answers_for_another(link, header):
        _lose_address(core, link)
        return
    sender = _identify(core, link, header)
    if sender is not None:
        sender.data_received_ms = now_ms
        _learn_kind(core, sender, header)
        if not sender.in_handshake:
            core.agreement.heard_header(sender, header, now_ms)
    if isinstance(message, Ping):
        _hear_ping(core, link, message, sender, now_ms)
    elif sender is None:
        core.note("debug", f"Ignored a {message.kind.name} from unknown node {header.sender}")
    elif isinstance(message, Fail):
        _hear_fail(core, message, sender, now_ms)
    else:
        core.agreement.heard(sender, message, link, now_ms)


def _hear_light(core: GossipCore, link: Link, message: LightPublish, now_ms: int) -> None:
    """A published message without a word about its sender, which an earlier packet on this link has named."""
    sender = link.peer or core.members.get(link.named)
    if sender is None or sender.in_handshake:
        core.note("debug", f"Ignored a light {message.kind.name} from an unknown node")
        return
    sender.data_received_ms = now_ms
    kind = PublishShard if message.kind == Kind.PUBLISHSHARD else Publish
    core.agreement.heard(sender, kind(Header(sender.id), message.channel, message.message), link, now_ms)


def _hear_myself(core: GossipCore, link: Link, message: Message, now_ms: int) -> None:
    """We connected to ourselves: an operator told us to meet our own address, or a peer's address is now ours."""
    if link.inbound:
        if message.kind in (Kind.PING, Kind.MEET):
            core.answer(link, None, message.header, now_ms)
    elif link.peer is not None and link.peer.in_handshake:
        core.remove(link.peer)
    else:
        _lose_address(core, link)


def _answers_for_another(link: Link, header: Header) -> bool:
    """Whether the address of the peer that we connected to now belongs to some other node."""
    peer = link.peer
    return not link.inbound and peer is not None and not peer.in_handshake and peer.id != header.sender


def _lose_address(core: GossipCore, link: Link) -> None:
    peer = link.peer
    assert peer is not None
    core.note("debug", f"{peer.ip}:{peer.bus_port} is no longer the address of node {peer.id}")
    peer.flags |= flags.NOADDR
    peer.ip, peer.port, peer.plain_port, peer.bus_port = "", 0, 0, 0
    core.close(link)
    core.agreement.address_changed(peer)


def _identify(core: GossipCore, link: Link, header: Header) -> Peer | None:
    """The member that sent this, or None for a stranger (also for a peer whose handshake this packet completes)."""
    sender = core.members.get(header.sender)
    if sender is not None and link.inbound and link.peer is not sender:
        replaced = attach_inbound(sender, link)
        if replaced is not None:
            core.close(replaced)
    return sender


# PING, PONG and MEET.


def _hear_ping(core: GossipCore, link: Link, message: Ping, sender: Peer | None, now_ms: int) -> None:
    header = message.header
    if message.kind != Kind.PONG:
        _learn_own_address(core, link, message.kind)
        if sender is None and message.kind == Kind.MEET:
            _be_met(core, link, header, now_ms)
        asked = message.extensions.asked if sender is not None else ()
        core.answer(link, sender, header, now_ms, answer(core, asked, now_ms) if asked else NO_EXTENSIONS)
    if not link.inbound and link.peer is not None and link.peer.in_handshake:
        handshake = link.peer
        if sender is not None:
            _update_address(core, sender, link, header, now_ms)
            core.remove(handshake)  # and with it this link
            return
        sender = _complete_handshake(core, handshake, header, now_ms)
    if sender is None:
        return
    _learn_capabilities(sender, header, message.extensions)
    if message.kind == Kind.PING and not sender.in_handshake:
        _update_address(core, sender, link, header, now_ms)
        core.reschedule(sender, now_ms)
    if message.kind == Kind.PONG and link is sender.link:
        link.answered = True
        _hear_pong(core, sender, link, header, now_ms)
    core.agreement.heard_config(sender, header, now_ms)
    for entry in message.gossip:
        _hear_gossip(core, sender, entry, now_ms)
    _hear_extensions(core, sender, message.extensions, now_ms)


def _learn_own_address(core: GossipCore, link: Link, kind: Kind) -> None:
    """The address under which others reach us: that of the socket on which they do.

    A MEET is sent to our official address, so it overrides; a PING is only better than nothing, and than what we
    remember from before a restart. (Redis keeps that.)
    """
    me = core.members.myself
    if core.settings.announce_ip or not link.local_ip or (kind != Kind.MEET and core.own_address_seen):
        return
    core.own_address_seen = True
    if me.ip != link.local_ip:
        me.ip = link.local_ip
        core.note("notice", f"IP address for this node updated to {me.ip}")
        core.agreement.changed()


def _be_met(core: GossipCore, link: Link, header: Header, now_ms: int) -> None:
    """A stranger introduces itself: connect back to it, and learn its id from the answer."""
    ip = header.ip or link.remote_ip
    if not ip or core.members.handshake_with(ip, header.port, header.bus_port):
        return
    peer = core.members.start_handshake(
        ip, header.port, header.bus_port, core.rng, now_ms, meet=False, plain_port=header.plain_port
    )
    core.watch(peer, now_ms)
    core.agreement.changed()


def _complete_handshake(core: GossipCore, peer: Peer, header: Header, now_ms: int) -> Peer:
    """The peer behind an address has told its id: now it is a member."""
    core.members.rename(peer, header.sender)
    peer.flags &= ~flags.HANDSHAKE
    peer.flags |= header.flags & flags.ROLE
    peer.data_received_ms = now_ms
    _learn_kind(core, peer, header)
    core.note("debug", f"Handshake with node {peer.id} completed.")
    core.agreement.changed()
    core.agreement.heard_header(peer, header, now_ms)
    return peer


def _learn_kind(core: GossipCore, sender: Peer, header: Header) -> None:
    """Whether it is a node of this project: every packet says so."""
    ours = bool(header.mflags[1] & OURS)
    if ours != sender.ours:
        sender.ours = ours
        core.agreement.changed(state=True)


def _learn_capabilities(sender: Peer, header: Header, extensions: Extensions) -> None:
    told = flags.NOFAILOVER | flags.LIGHT_PUBLISH
    sender.flags = (sender.flags & ~told) | (header.flags & told)
    # Redis 7.0 sets EXT_DATA only together with a hostname; its successors always do.
    if sender.ours or extensions.beyond_hostname or (header.mflags[0] & EXT_DATA and extensions.hostname is None):
        sender.flags |= flags.EXTENSIONS


def _update_address(core: GossipCore, peer: Peer, link: Link, header: Header, now_ms: int) -> None:
    """A packet came from another address than we have: the peer has moved, connect to it there.

    Not judged from packets on our own link to the peer, whose address is by definition the one that we have.
    """
    if link is not peer.link:
        take_address(core, peer, header, link.remote_ip, now_ms)


def take_address(core: GossipCore, peer: Peer, header: Header, seen_ip: str, now_ms: int) -> None:
    """`peer` says that this is its address, or leaves it to us to see where it comes from: connect to it there."""
    ip = header.ip or seen_ip
    if not ip:
        return
    announced = (ip, header.port, header.plain_port, header.bus_port)
    if (peer.ip, peer.port, peer.plain_port, peer.bus_port) == announced:
        return
    _moved(core, peer, announced, now_ms)


def _moved(core: GossipCore, peer: Peer, address: tuple[str, int, int, int], now_ms: int) -> None:
    """`peer` is at another (ip, port, plain port, bus port): connect to it there."""
    peer.ip, peer.port, peer.plain_port, peer.bus_port = address
    peer.flags &= ~flags.NOADDR
    if peer.link is not None:
        core.close(peer.link)
    core.watch(peer, now_ms)
    core.note("notice", f"Address updated for node {peer.id}, now {peer.ip}:{peer.port}")
    core.agreement.address_changed(peer)


def _hear_pong(core: GossipCore, peer: Peer, link: Link, header: Header, now_ms: int) -> None:
    """It lives: suspicion ends here, a verdict perhaps."""
    core.answered(peer, now_ms)
    peer.link_failures = 0
    acquit(peer)
    sent_ms = link.pings.popleft() if link.pings else 0
    if not header.mflags[1] & REFUSED and core.agreement.grant_counts(peer, header):
        peer.answered_ms = max(peer.answered_ms, sent_ms)
    if header.mflags[1] & REASSERT:
        peer.reassert_ms = now_ms
    if peer.suspected:
        core.members.clear_suspicion(peer)
        core.agreement.changed(state=True)
        core.verdicts.remind(peer)
    elif peer.failed:
        pardon = consider_pardon(peer, now_ms, core.settings.node_timeout_ms)
        if pardon is not Pardon.DENIED:
            peer.flags &= ~flags.FAIL
            core.note("notice", f"Clear FAIL state for node {peer.id}: {pardon.value}.")
            core.agreement.changed(state=True)
            core.verdicts.remind(peer)


# Gossip.


def _hear_gossip(core: GossipCore, sender: Peer, entry: GossipEntry, now_ms: int) -> None:
    peer = core.members.get(entry.node_id)
    if peer is None:
        _meet_by_hearsay(core, entry, now_ms)
    elif peer is not core.members.myself:
        _hear_about(core, sender, peer, entry, now_ms)


def _meet_by_hearsay(core: GossipCore, entry: GossipEntry, now_ms: int) -> None:
    """A member mentions a node that we don't know: then it is a member too.

    It is added with its id, not met by a handshake: by now the address may belong to a node of another cluster.
    """
    if entry.flags & (flags.NOADDR | flags.HANDSHAKE) or core.members.banned(entry.node_id, now_ms):
        return
    known = entry.flags & flags.GOSSIPED & ~flags.EXTENSIONS
    peer = Peer(entry.node_id, known, now_ms, ip=entry.ip, port=entry.port, bus_port=entry.bus_port)
    peer.plain_port = entry.plain_port
    peer.fail_ms = now_ms if peer.failed else 0
    core.members.add(peer)
    core.watch(peer, now_ms)
    core.agreement.changed()


def _hear_about(core: GossipCore, sender: Peer, peer: Peer, entry: GossipEntry, now_ms: int) -> None:
    said_failing = bool(entry.flags & flags.FAILING)
    if core.agreement.votes(sender):
        if said_failing:
            if add_report(peer, sender, now_ms):
                core.note("verbose", f"Node {sender.id} reported node {peer.id} as not reachable.")
                look_at_once(core, peer, now_ms)
            core.judge(peer, now_ms)
        elif drop_report(peer, sender):
            core.note("verbose", f"Node {sender.id} reported node {peer.id} is back online.")
    if said_failing:
        return
    _believe_pong_time(core, peer, entry.pong_received_s * 1000, now_ms)
    address = (entry.ip, entry.port, entry.bus_port)
    lost = peer.flags & flags.FAILING or (peer.link_failures and not peer.connected) or not peer.has_address
    if lost and entry.ip and not entry.flags & flags.NOADDR and (peer.ip, peer.port, peer.bus_port) != address:
        # We cannot reach it, the sender can, at another address. (Redis waits until it suspects the node.)
        _moved(core, peer, (entry.ip, entry.port, entry.plain_port, entry.bus_port), now_ms)


def _believe_pong_time(core: GossipCore, peer: Peer, pong_ms: int, now_ms: int) -> None:
    """If somebody heard from `peer` after we did, and nobody complains, that saves us a ping."""
    if peer.ping_sent_ms or pong_ms <= peer.pong_received_ms or pong_ms > now_ms + CLOCK_TOLERANCE_MS:
        return
    if count_reports(peer, now_ms, core.settings.node_timeout_ms) == 0:
        peer.pong_received_ms = pong_ms


# Extensions and FAIL.


def _hear_extensions(core: GossipCore, sender: Peer, extensions: Extensions, now_ms: int) -> None:
    sender.hostname = _printable(extensions.hostname)
    if extensions.beyond_hostname:
        sender.nodename = _printable(extensions.nodename)
        if extensions.shard_id is not None and valid_node_id(extensions.shard_id):
            sender.shard_id = extensions.shard_id
    believe(core, extensions.heard)
    core.agreement.heard_extensions(sender, extensions, now_ms)
    me = core.members.myself
    for node_id, ttl_s in extensions.forgotten:
        peer = core.members.get(node_id)
        if peer is None or peer is me or peer is sender or me.primary is peer:
            continue
        core.members.ban(node_id, now_ms + min(ttl_s * 1000, BAN_MS))
        core.remove(peer)
        core.agreement.changed(state=True)


def _printable(name: str | None) -> str:
    """A name as it may stand in nodes.conf and in replies; what may not is dropped."""
    return name if name and valid_address(name) else ""


def _hear_fail(core: GossipCore, message: Fail, sender: Peer, now_ms: int) -> None:
    peer = core.members.get(message.node_id)
    if peer is None or peer is core.members.myself:
        return
    core.verdicts.heard(sender, peer)
    if peer.failed:
        return
    core.note("notice", f"FAIL message received from {sender.id} about {peer.id}")
    core.mark_failed(peer, now_ms)
