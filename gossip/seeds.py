"""Seeds: names under which members of this cluster can be found, whatever became of the addresses that we remember.

A node is its id; its address is only where it was last. When all nodes come back with other addresses (a restart in
a container platform), what nodes.conf remembers is dead, and nobody is left who could tell. So while some member is out
of reach, and after a start, the names in `cluster-seeds` are resolved and every address that is not that of a connected
member is probed: a link is opened and pinged, and the id in the answer tells who lives there now.

  * A member whom we know: its address is taken over from there. It takes ours from our PING, as Redis does.
  * Somebody unknown, while we belong to no cluster: we meet it. That is how new nodes find each other.
  * Somebody unknown, while we do: the address belongs to another cluster, or to a new node, which will meet us.

Probes are links without a peer, so that no made-up node shows in CLUSTER NODES. Names are the host's to resolve
(`Resolve`, answered by `Resolved`). Redis has nothing like this: its nodes know addresses only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossip import flags
from gossip.effects import Connect, Resolve, Resolved
from gossip.membership import normal_ip
from gossip.messages import Header, Meet, Message, Ping
from gossip.peer import Link, Peer
from gossip.settings import BUS_PORT_OFFSET

if TYPE_CHECKING:
    from gossip.core import GossipCore

SOON_MS = 50
RETRY_MS = 500
RETRY_MAX_MS = 2000
PROBE_TIMEOUT_MS = 2000
STRANGER_MS = 10_000
"""For how long an address where somebody unknown lives is not probed again."""


_SEED = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9A-Za-z._-]+))(?::(?P<port>\d{1,5})(?:@(?P<bus_port>\d{1,5}))?)?"
    r"|(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)"
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A host, and the bus port there."""

    host: str
    bus_port: int


def parse_seed(text: str, default_bus_port: int = 0) -> Seed:
    """`host[:port[@bus-port]]`, an IPv6 address in brackets; raises ValueError. Without a port it is ours."""
    found = _SEED.fullmatch(text)
    numbers = [int(found[name] or 0) for name in ("port", "bus_port")] if found else []
    if found is None or any(number > 65535 for number in numbers) or "0" in (found["port"], found["bus_port"]):
        raise ValueError(f"'{text}' is not host[:port[@bus-port]]")
    port, bus_port = numbers
    host = found["bracketed"] or found["v6"] or found["host"]
    return Seed(host, bus_port or (port + BUS_PORT_OFFSET if port else default_bus_port))


@dataclass(slots=True)
class _Probe:
    """A link to a seed's address, until it has told who lives there."""

    ip: str
    bus_port: int
    link: Link
    meets: bool


class Seeds:
    """When to resolve and whom to probe, for one GossipCore."""

    def __init__(self, core: GossipCore) -> None:
        self._core = core
        self._probes: dict[int, _Probe] = {}  # by link id
        self._names: set[str] = set()  # being resolved
        self._strangers: dict[tuple[str, int], int] = {}  # (ip, bus port) -> until when it is left alone
        self._due_ms = 0
        self._tries = 0
        self._resting = False

    # When.

    def next_due_ms(self) -> int | None:
        return self._due_ms if self._core.settings.seeds and not self._resting else None

    def start(self, now_ms: int) -> None:
        """The node starts, or its seeds have changed: look at once."""
        self._resting = False
        self._tries = 0
        self._due_ms = now_ms

    def rest(self) -> None:
        """An operator has taken this node out of its cluster: it does not go back by itself before it is restarted."""
        self._resting = True

    def hurry(self, now_ms: int) -> None:
        """A link has failed: names may have changed. Not more often than they may be asked for anyway."""
        if not self._tries:
            self._due_ms = min(self._due_ms, now_ms + SOON_MS)

    def tick(self, now_ms: int) -> None:
        """Resolve and probe if it is time and somebody is missing."""
        if self._resting or not self._core.settings.seeds or now_ms < self._due_ms:
            return
        for probe in [p for p in self._probes.values() if now_ms - p.link.created_ms > PROBE_TIMEOUT_MS]:
            self._end(probe)
        if not self._somebody_is_missing():
            self._tries = 0
            self._due_ms = now_ms + RETRY_MAX_MS
            return
        self._due_ms = now_ms + min(RETRY_MS << min(self._tries, 4), RETRY_MAX_MS)
        self._tries += 1
        for seed in self._seeds():
            ip = normal_ip(seed.host)
            if ip is not None:
                self._probe(ip, seed.bus_port, now_ms)
            elif seed.host not in self._names:
                self._names.add(seed.host)
                self._core.effect(Resolve(seed.host))

    def _somebody_is_missing(self) -> bool:
        return self._core.agreement.seeks_members() or any(
            not peer.connected and not peer.in_handshake for peer in self._core.members.others()
        )

    def _seeds(self) -> list[Seed]:
        own = self._core.settings.bus_port
        return [parse_seed(text, own) for text in self._core.settings.seeds]

    # Probes.

    def resolved(self, event: Resolved, now_ms: int) -> None:
        """A name means these addresses now; none if it could not be resolved."""
        self._names.discard(event.host)
        for seed in self._seeds():
            if seed.host == event.host:
                for ip in event.ips:
                    self._probe(ip, seed.bus_port, now_ms)

    def _probe(self, ip: str, bus_port: int, now_ms: int) -> None:
        core, address = self._core, (ip, bus_port)
        probed = any((probe.ip, probe.bus_port) == address for probe in self._probes.values())
        if probed or self._strangers.get(address, 0) > now_ms:
            return
        # What we take for our own address may be another's by now; the answer will tell.
        if any((peer.ip, peer.bus_port) == address and peer.connected for peer in core.members):
            return
        link = Link(core.new_link_id(), now_ms, inbound=False)
        core.links[link.id] = link
        self._probes[link.id] = _Probe(ip, bus_port, link, core.agreement.seeks_members())
        core.effect(Connect(link.id, ip, bus_port))

    def is_probe(self, link: Link) -> bool:
        return link.id in self._probes

    def opened(self, link: Link, now_ms: int) -> None:
        """The seed's address has accepted our connection: ask who is there."""
        self._core.send_ping(link, Meet if self._probes[link.id].meets else Ping, now_ms)

    def closed(self, link: Link) -> None:
        """Nobody is there, or nobody any more."""
        self._probes.pop(link.id, None)

    def answered(self, link: Link, message: Message, now_ms: int) -> None:
        """The seed's address has told who lives there. It may close the link."""
        probe = self._probes[link.id]
        address, header = (probe.ip, probe.bus_port), message.header
        self._end(probe)
        sender = self._core.members.get(header.sender)
        if sender is None and probe.meets and not self._core.members.banned(header.sender, now_ms):
            self._join(probe, header, now_ms)
        elif sender is None:
            self._strangers[address] = now_ms + STRANGER_MS
            self._core.note("verbose", f"{probe.ip}:{probe.bus_port} is a seed's address, but not of our cluster.")
        elif sender.is_myself:
            self._strangers[address] = now_ms + STRANGER_MS
        else:
            self._core.found_at(sender, header, probe.ip, now_ms)

    def _join(self, probe: _Probe, header: Header, now_ms: int) -> None:
        core = self._core
        role = header.flags & flags.ROLE
        peer = Peer(header.sender, role, now_ms, ip=header.ip or probe.ip, port=header.port, bus_port=header.bus_port)
        peer.plain_port = header.plain_port
        core.members.add(peer)
        core.note("notice", f"Found node {peer.id} at {peer.ip}:{peer.bus_port}, an address of our seeds.")
        core.agreement.changed()
        core.watch(peer, now_ms)

    def _end(self, probe: _Probe) -> None:
        self._core.close(probe.link)
        del self._probes[probe.link.id]


def check_seeds(seeds: Sequence[str]) -> None:
    """Raises ValueError for the first that is not one."""
    for text in seeds:
        parse_seed(text)
