"""nodes.conf: what a node remembers of its cluster, as text.

The format is Redis': a line a node, as CLUSTER NODES shows it, and a last line `vars currentEpoch 6 lastVoteEpoch 0`.
So a node can be moved from one server to the other with its file. Behind the hostname the address field may carry
more (`,shard-id=...`, from Redis 7.2 on); Redis 7.0 takes that for part of the hostname until the node announces
itself.

Verdicts are written as Redis does, and not believed when they are read: who was silent then may have been started
again together with us, and a cluster stopped node by node would begin with elections against primaries that are back.

A file that does not parse is an error that names the line, never a new identity: a node that silently came back as
somebody else would leave its slots behind.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import or_

from cluster.agreement.epochs import EPOCH_MAX
from cluster.agreement.slots import SLOTS, parse_range, ranges_text
from cluster.agreement.state import ClusterState, History, OpenVote
from gossip import flags
from gossip.flags import flags_text, parse_flags
from gossip.membership import Members, make_node_id
from gossip.peer import Peer
from gossip.settings import BUS_PORT_OFFSET
from gossip.wire import valid_address, valid_node_id

PORT_MAX = 65535


class CorruptConfig(ValueError):
    """The file cannot be understood; the text says where and why."""


# Writing.


def dump(state: ClusterState) -> str:
    """The text of the file. Handshakes are left out: their ids are made up."""
    lines = [node_line(state, peer, aux=True) for peer in state.members if not peer.in_handshake]
    own = " onlyShardis 1" if state.only_ours else ""  # Redis skips what it does not know
    own += " handingOver 1" if state.handing_over else ""
    for vote in state.open_votes:
        slots = ranges_text(vote.slots).replace(" ", ",") or "-"
        own += f" votedFor {vote.candidate_id} votedAbout {vote.primary_id} votedIn {vote.epoch} votedSlots {slots}"
    own += f" dataEpoch {state.data_epoch}" if state.data_epoch else ""
    own += f" strayed {state.history:d}" if state.history else ""
    lines.append(f"vars currentEpoch {state.current_epoch} lastVoteEpoch {state.last_vote_epoch}{own}")
    return "\n".join(lines) + "\n"


def node_line(state: ClusterState, peer: Peer, *, plain_client: bool = False, aux: bool = False) -> str:
    """One node as in CLUSTER NODES. `plain_client`: show the port without TLS; `aux`: add what only the file has."""
    port = peer.plain_port if plain_client and peer.plain_port else peer.port
    epoch = peer.primary.config_epoch if peer.is_replica and peer.primary else peer.config_epoch
    linked = peer.connected or peer.is_myself
    fields = [
        peer.id,
        f"{peer.ip}:{port}@{peer.bus_port}{_names(peer, aux)}",
        flags_text(peer.flags),
        peer.primary.id if peer.primary else "-",
        str(peer.ping_sent_ms),
        str(peer.pong_received_ms),
        str(epoch),
        "connected" if linked else "disconnected",
    ]
    owned = state.slotmap.owned_by(peer)
    if owned:
        fields.append(ranges_text(owned))
    if peer.is_myself:
        fields += _open_slots(state)
    return " ".join(fields)


def _names(peer: Peer, aux: bool) -> str:
    extra = ""
    if aux and peer.shard_id:
        extra += f",shard-id={peer.shard_id}"
    if aux and peer.nodename:
        extra += f",nodename={peer.nodename}"
    return f",{peer.hostname}{extra}" if peer.hostname or extra else ""


def _open_slots(state: ClusterState) -> list[str]:
    migrating, importing = state.slotmap.migrating, state.slotmap.importing
    marks: list[str] = []
    for slot in sorted({*migrating, *importing}):
        if slot in migrating:
            marks.append(f"[{slot}->-{migrating[slot].id}]")
        else:
            marks.append(f"[{slot}-<-{importing[slot].id}]")
    return marks


# Reading.


def load(text: str, now_ms: int) -> ClusterState:
    """The state that `text` records. CorruptConfig if it makes no sense."""
    return _Loader(now_ms).load(text)


def fresh(rng: random.Random, now_ms: int) -> ClusterState:
    """The state of a node that has never been in a cluster."""
    me = Peer(make_node_id(rng), flags.MYSELF | flags.PRIMARY, now_ms)
    me.shard_id = make_node_id(rng)
    return ClusterState(Members(me))


class _Loader:
    """Lines refer to nodes whose own line may come later, so peers are made when first named."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.peers: dict[str, Peer] = {}
        self.described: list[Peer] = []
        self.owned: list[tuple[Peer, int]] = []
        self.marks: list[tuple[int, bool, Peer]] = []
        names = ("currentepoch", "lastvoteepoch", "onlyshardis", "handingover", "dataepoch", "strayed")
        self.vars = dict.fromkeys(names, 0)
        self.votes: list[OpenVote] = []

    def load(self, text: str) -> ClusterState:
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words:
                continue
            try:
                if words[0].lower() == "vars":
                    self._read_vars(words[1:])
                else:
                    self._read_node(words)
            except ValueError as error:
                raise CorruptConfig(f"line {number} of the cluster configuration: {error}") from None
        return self._build()

    def _read_vars(self, words: list[str]) -> None:
        if len(words) % 2:
            raise ValueError("a variable has no value")
        for name, value in zip(words[::2], words[1::2], strict=True):
            if name.lower() in self.vars:
                self.vars[name.lower()] = _number(value, EPOCH_MAX)
            elif name.lower() == "votedfor":
                self.votes.append(OpenVote(value, self.vars["lastvoteepoch"], "", 0))
            elif name.lower().startswith("voted") and self.votes:
                self.votes[-1] = _with_detail(self.votes[-1], name.lower(), value)

    def _read_node(self, words: list[str]) -> None:
        if len(words) < 8:
            raise ValueError(f"a node has {len(words)} fields, at least 8 are needed")
        peer = self._peer(words[0])
        self.described.append(peer)
        _read_address(peer, words[1])
        peer.flags |= parse_flags(words[2]) & ~flags.FAILING
        if words[3] == peer.id:
            raise ValueError(f"node {peer.id} replicates itself")
        if words[3] != "-":
            peer.follow(self._peer(words[3]))
        peer.ping_sent_ms = self.now_ms if int(words[4]) else 0
        peer.pong_received_ms = self.now_ms if int(words[5]) else 0
        epoch = _number(words[6], EPOCH_MAX)
        peer.config_epoch = 0 if peer.is_replica and peer.primary else epoch
        for word in words[8:]:
            if word.startswith("["):
                self._read_mark(word)
            else:
                self.owned.append((peer, parse_range(word)))

    def _read_mark(self, word: str) -> None:
        """`[93->-id]` leaves us for `id`, `[93-<-id]` comes from it."""
        slot_text, _, rest = word[1:].partition("-")
        direction, node_id = rest[:2], rest[2:-1]
        slot = int(slot_text)
        if direction not in (">-", "<-") or not rest.endswith("]") or not 0 <= slot < SLOTS:
            raise ValueError(f"'{word}' is not a slot on the move")
        self.marks.append((slot, direction == ">-", self._peer(node_id)))

    def _peer(self, node_id: str) -> Peer:
        if not valid_node_id(node_id):
            raise ValueError(f"'{node_id}' is not a node id")
        if node_id not in self.peers:
            self.peers[node_id] = Peer(node_id, 0, self.now_ms)
        return self.peers[node_id]

    def _build(self) -> ClusterState:
        mine = [peer for peer in self.described if peer.is_myself]
        if len(mine) != 1:
            raise CorruptConfig(f"the cluster configuration describes {len(mine)} nodes as 'myself'")
        state = ClusterState(Members(mine[0]))
        for peer in self.peers.values():
            if peer is not mine[0]:
                state.members.add(peer)
        for peer, slots in self.owned:
            state.slotmap.assign(slots & ~state.slotmap.assigned(), peer)
        for slot, leaving, peer in self.marks:
            mark: Callable[[int, Peer], None] = state.slotmap.migrate if leaving else state.slotmap.import_from
            mark(slot, peer)
        epochs = [peer.config_epoch for peer in self.peers.values()]
        state.current_epoch = max(self.vars["currentepoch"], *epochs)
        state.last_vote_epoch = self.vars["lastvoteepoch"]
        for vote in self.votes:
            if vote.candidate_id in self.peers and vote.primary_id in self.peers:
                slots = vote.slots or state.slotmap.owned_by(self.peers[vote.primary_id])
                state.open_votes.append(replace(vote, slots=slots))
        state.only_ours = bool(self.vars["onlyshardis"])
        state.handing_over = bool(self.vars["handingover"])
        state.data_epoch, state.history = self.vars["dataepoch"], History(min(self.vars["strayed"], max(History)))
        return state


def _with_detail(vote: OpenVote, name: str, value: str) -> OpenVote:
    """An open vote with what this variable says of it."""
    match name:
        case "votedabout":
            return replace(vote, primary_id=value)
        case "votedin":
            return replace(vote, epoch=_number(value, EPOCH_MAX))
        case "votedslots" if value != "-":
            return replace(vote, slots=reduce(or_, map(parse_range, value.split(","))))
    return vote


def _number(text: str, most: int) -> int:
    """A number that packets have room for."""
    number = int(text)
    if not 0 <= number <= most:
        raise ValueError(f"{text} is not between 0 and {most}")
    return number


def _read_address(peer: Peer, field: str) -> None:
    """`ip:port@bus-port,hostname,shard-id=...,nodename=...`; the bus port is missing in very old files."""
    address, *names = field.split(",")
    host, colon, ports = address.rpartition(":")
    port, _, bus_port = ports.partition("@")
    if not colon or not valid_address(host):
        raise ValueError(f"'{field}' is not an address")
    peer.ip = host
    peer.port = _number(port, PORT_MAX)
    peer.bus_port = _number(bus_port or str(peer.port + BUS_PORT_OFFSET), PORT_MAX)
    for index, name in enumerate(names):
        if name.startswith("shard-id="):
            peer.shard_id = name.removeprefix("shard-id=")
        elif name.startswith("nodename="):
            peer.nodename = name.removeprefix("nodename=")
        elif index == 0:
            peer.hostname = name
