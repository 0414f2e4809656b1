"""A network in memory for a handful of ClusterCores: one seed decides delays and chances, and a run can be repeated.

Links are TCP: they delay and break, they don't reorder. A cut loses what is on its way and swallows new connections; a
dead node refuses them. What a node persisted is what it knows when it is restarted.
"""

import heapq
import random
from dataclasses import dataclass, field

from cluster.agreement.state import ClusterSettings
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from cluster.views import ClusterViews
from gossip.effects import (
    Close,
    Closed,
    Connect,
    LinkAccepted,
    LinkClosed,
    LinkOpened,
    Note,
    Persist,
    Received,
    Resolve,
    Resolved,
    Send,
)

START_MS = 1_700_000_000_000


class Keys:
    """A keyspace that is told how many keys each slot has."""

    def __init__(self):
        self.by_slot = {}

    def __len__(self):
        return sum(self.by_slot.values())

    def slot_len(self, slot):
        return self.by_slot.get(slot, 0)

    def slot_keys(self, slot, count):
        return [b"key%d" % i for i in range(min(count, self.slot_len(slot)))]


@dataclass(eq=False, repr=False)
class Node:
    net: "Net"
    number: int
    disk: str = ""
    alive: bool = True
    frozen: bool = False
    inbox: list = field(default_factory=list)  # what came in while it was frozen
    due_ms: int = 0
    ends: dict = field(default_factory=dict)  # link id -> (other node, its link id)
    effects: list = field(default_factory=list)  # what the bus did not carry out itself, without notes
    keys: Keys = field(default_factory=Keys)
    writes: list = field(default_factory=list)  # of nodes.conf: whether each had to be durable

    def boot(self, **settings):
        """Start, or start again: with the same settings unless others are given."""
        self.ip = self.ip if hasattr(self, "ip") else f"10.0.0.{self.number}"
        self.given = settings = settings or getattr(self, "given", {})
        self.settings = ClusterSettings(node_timeout_ms=self.net.timeout_ms, **settings)
        self.core = ClusterCore(self.settings, random.Random(self.net.rng.random()), self.net.now, self.disk, self.keys)
        self.orders, self.views = ClusterOrders(self.core), ClusterViews(self.core)
        self.ends = {}
        self.alive = True
        self.net.run_effects(self)
        return self

    @property
    def id(self):
        return self.core.myself.id

    def do(self, operation, *args):
        """An operator's command."""
        result = getattr(self.orders, operation)(*args, self.net.now)
        self.net.run_effects(self)
        return result

    def meet(self, other):
        self.do("meet", [other.ip.encode(), b"%d" % other.settings.port])

    def knows(self):
        return {peer.id for peer in self.core.members if not peer.in_handshake}

    def owner(self, slot):
        peer = self.core.slotmap.owners[slot]
        return peer.id if peer else None

    def peer(self, other):
        return self.core.members.get(other.id)


class Net:
    def __init__(self, size, seed=1, timeout_ms=5000, **settings):
        self.rng = random.Random(seed)
        self.now = START_MS
        self.timeout_ms = timeout_ms
        self.cuts = set()
        self.refusals = set()  # pairs between which new connections are refused, though both live
        self.names = {}  # host name -> ips, for those who resolve it
        self.look_ups = []
        self.trace = []
        self._events = []
        self._serial = 0
        self.nodes = [Node(self, number + 1) for number in range(size)]
        for node in self.nodes:
            node.boot(**settings)

    def formed(self):
        """All have met, the slots are shared out evenly; waits until everybody agrees."""
        share = 16384 // len(self.nodes)
        for index, node in enumerate(self.nodes):
            end = 16383 if node is self.nodes[-1] else (index + 1) * share - 1
            node.do("add_slots_range", [b"%d" % (index * share), b"%d" % end])
            if index:
                self.nodes[0].meet(node)
        self.until(lambda: self.agree() and all(node.core.ok for node in self.nodes))
        return self

    def agree(self):
        """Whether all living nodes know the same nodes and the same owners, and these have different epochs."""
        alive = [node for node in self.nodes if node.alive]
        first = alive[0]
        epochs = [node.core.myself.config_epoch for node in alive if node.core.myself.slot_count]
        return len(set(epochs)) == len(epochs) and all(
            node.knows() == first.knows() and _owners(node) == _owners(first) for node in alive
        )

    # Time.

    def run(self, for_ms):
        """Let time pass."""
        self.until(lambda: False, for_ms, must=False)

    def until(self, condition, within_ms=60_000, must=True):
        """Let time pass until `condition` holds; how long that took."""
        began, deadline = self.now, self.now + within_ms
        while not condition():
            alive = [node for node in self.nodes if node.alive and not node.frozen]
            first = min(alive, key=lambda node: node.due_ms, default=None)
            due = min(first.due_ms if first else deadline, deadline)
            if self._events:
                due = min(due, self._events[0][0])
            self.now = max(self.now, due)
            if self.now >= deadline:
                assert not must, f"not within {within_ms} ms"
                break
            if self._events and self._events[0][0] <= self.now:
                _, _, node, core, event = heapq.heappop(self._events)
                if node.frozen:
                    node.inbox.append(event)
                elif node.alive and node.core is core:
                    node.core.step(event, self.now)
                    self.run_effects(node)
            elif first:
                first.core.tick(self.now)
                self.run_effects(first)
        return self.now - began

    def later(self, node, event, delay_ms):
        self._serial += 1
        heapq.heappush(self._events, (self.now + delay_ms, self._serial, node, node.core, event))

    # Faults.

    def kill(self, node):
        node.alive = False
        for other, link_id in node.ends.values():
            if not self.is_cut(node, other):
                self._lose(other, link_id, Closed.RESET)

    def restart(self, node):
        return node.boot()

    def freeze(self, node):
        node.frozen = True

    def thaw(self, node):
        """It goes on: its timers are late, then it hears what came in meanwhile."""
        node.frozen = False
        node.core.tick(self.now)
        self.run_effects(node)
        inbox, node.inbox = node.inbox, []
        for event in inbox:
            node.core.step(event, self.now)
            self.run_effects(node)

    def cut(self, some, others):
        self.cuts |= {frozenset((a.number, b.number)) for a in some for b in others}

    def heal(self):
        self.cuts.clear()

    def refuse(self, some, others):
        """End the links between them and refuse new ones."""
        self.refusals |= {frozenset((a.number, b.number)) for a in some for b in others}
        self.reset(some, others)

    def reset(self, some, others):
        """End the links between them."""
        for node in (*some, *others):
            for link_id, (other, _) in list(node.ends.items()):
                if other in (others if node in some else some):
                    self._lose(node, link_id, Closed.RESET)

    def is_cut(self, a, b):
        return frozenset((a.number, b.number)) in self.cuts

    def _lose(self, node, link_id, reason):
        if node.ends.pop(link_id, None) and node.alive:
            self.later(node, LinkClosed(link_id, reason), 1)

    # Effects.

    def run_effects(self, node):
        effects = node.core.take_effects()
        kinds = [type(effect) for effect in effects]
        assert Persist not in kinds or Send not in kinds or kinds.index(Persist) < kinds.index(Send)
        for effect in effects:
            self._perform(node, effect)
        node.due_ms = node.core.next_due_ms()

    def _perform(self, node, effect):
        match effect:
            case Persist(text, durable):
                node.disk = text
                node.writes.append(durable)
            case Send(link_id, data):
                self.trace.append((self.now, node.number, data[12:16], len(data)))
                other, other_link = node.ends.get(link_id, (None, 0))
                if other is not None and other.alive and not self.is_cut(node, other):
                    self.later(other, Received(other_link, data), 2)
            case Connect(link_id, host, port):
                self._connect(node, link_id, host, port)
            case Close(link_id):
                other, other_link = node.ends.pop(link_id, (None, 0))
                if other is not None and not self.is_cut(node, other):
                    self._lose(other, other_link, Closed.EOF)
            case Resolve(host):
                self.look_ups.append((self.now, node.number, host))
                self.later(node, Resolved(host, tuple(self.names.get(host, ()))), 5)
            case Note():
                pass
            case _:
                node.effects.append(effect)

    def _connect(self, node, link_id, host, port):
        other = next((n for n in self.nodes if (n.ip, n.settings.bus_port) == (host, port)), None)
        if other is not None and self.is_cut(node, other):
            return  # swallowed
        if other is None or not other.alive or frozenset((node.number, other.number)) in self.refusals:
            self.later(node, LinkClosed(link_id, Closed.REFUSED), 1 + self.rng.randrange(3))
            return
        other_link = other.core.new_link_id()
        node.ends[link_id] = (other, other_link)
        other.ends[other_link] = (node, link_id)
        delay_ms = 1 + self.rng.randrange(3)
        self.later(other, LinkAccepted(other_link, node.ip, other.ip), delay_ms)
        self.later(node, LinkOpened(link_id, other.ip, node.ip), delay_ms)


def _owners(node):
    return [(start, end, owner.id) for start, end, owner in node.core.slotmap.runs()]
