"""The operator's commands: what CLUSTER ADDSLOTS, SETSLOT, MEET, FORGET, RESET and their like do.

Each method is one subcommand. Arguments are taken as the client sent them, since Redis' error texts quote them and the
order of its checks shows in replies; a refusal is a ClusterError with Redis' text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from cluster.agreement import epochs
from cluster.agreement.errors import ClusterError
from cluster.agreement.nodesconf import node_line
from cluster.agreement.slots import SLOTS, SlotSet, parse_integer, parse_slot, range_set
from cluster.core import ClusterCore
from gossip import flags
from gossip.failure import count_reports
from gossip.membership import BAN_MS, make_node_id, normal_ip
from gossip.messages import Extensions
from gossip.peer import Peer
from gossip.settings import BUS_PORT_OFFSET

NOT_AN_INTEGER = "ERR value is not an integer or out of range"
FORGET_TTL_S = BAN_MS // 1000


class ClusterOrders:
    """The operator's hand on one node's ClusterCore."""

    def __init__(self, core: ClusterCore) -> None:
        self._core = core

    # Slots.

    def add_slots(self, args: Sequence[bytes], now_ms: int) -> None:
        slots = [parse_slot(arg) for arg in args]
        self._change_slots([(slot, slot) for slot in slots], self._add, _must_be_free, now_ms)

    def del_slots(self, args: Sequence[bytes], now_ms: int) -> None:
        slots = [parse_slot(arg) for arg in args]
        self._change_slots([(slot, slot) for slot in slots], self._delete, _must_be_assigned, now_ms)

    def add_slots_range(self, args: Sequence[bytes], now_ms: int) -> None:
        self._change_slots(_parse_ranges(args, "addslotsrange"), self._add, _must_be_free, now_ms)

    def del_slots_range(self, args: Sequence[bytes], now_ms: int) -> None:
        self._change_slots(_parse_ranges(args, "delslotsrange"), self._delete, _must_be_assigned, now_ms)

    def flush_slots(self, now_ms: int) -> None:
        if len(self._core.keyspace):
            raise ClusterError("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
        self._core.unassign(self._core.slotmap.owned_by(self._core.myself))
        self._done(now_ms)

    def set_slot(self, args: Sequence[bytes], now_ms: int) -> None:
        """`args`: the slot, the action, and the node id if the action needs one."""
        core = self._core
        if core.myself.is_replica:
            raise ClusterError("ERR Please use SETSLOT only with masters.")
        slot = parse_slot(args[0])
        match args[1].lower(), len(args):
            case b"migrating", 3:
                self._set_migrating(slot, args[2])
            case b"importing", 3:
                self._set_importing(slot, args[2])
            case b"stable", 2:
                core.slotmap.import_from(slot, None)
                core.slotmap.migrate(slot, None)
            case b"node", 3:
                self._set_owner(slot, args[2])
            case _:
                raise ClusterError("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
        self._done(now_ms)

    def count_keys_in_slot(self, arg: bytes) -> int:
        slot = _integer(arg)
        if not 0 <= slot < SLOTS:
            raise ClusterError("ERR Invalid slot")
        return self._core.keyspace.slot_len(slot)

    def get_keys_in_slot(self, slot_arg: bytes, count_arg: bytes) -> list[bytes]:
        slot, count = _integer(slot_arg), _integer(count_arg)
        if not 0 <= slot < SLOTS or count < 0:
            raise ClusterError("ERR Invalid slot or number of keys")
        return self._core.keyspace.slot_keys(slot, count)

    def _add(self, slots: SlotSet) -> None:
        self._end_imports(slots)  # we are the real owner now
        self._core.slotmap.assign(slots, self._core.myself)

    def _delete(self, slots: SlotSet) -> None:
        self._end_imports(slots)
        self._core.unassign(slots)

    def _end_imports(self, slots: SlotSet) -> None:
        slotmap = self._core.slotmap
        for slot in [slot for slot in slotmap.importing if slots >> slot & 1]:
            slotmap.import_from(slot, None)

    def _change_slots(
        self,
        wanted: Iterable[tuple[int, int]],
        change: Callable[[SlotSet], None],
        check: Callable[[int, Peer | None], None],
        now_ms: int,
    ) -> None:
        """Check all slots before the first is changed."""
        slots: SlotSet = 0
        seen: set[int] = set()
        for start, end in wanted:
            for slot in range(start, end + 1):
                check(slot, self._core.slotmap.owners[slot])
                if slot in seen:
                    raise ClusterError(f"ERR Slot {slot} specified multiple times")
                seen.add(slot)
            slots |= range_set(start, end)
        change(slots)
        self._done(now_ms)

    def _set_migrating(self, slot: int, node_id: bytes) -> None:
        core = self._core
        if core.slotmap.owners[slot] is not core.myself:
            raise ClusterError(f"ERR I'm not the owner of hash slot {slot}")
        core.slotmap.migrate(slot, self._other_end(node_id))

    def _set_importing(self, slot: int, node_id: bytes) -> None:
        core = self._core
        if core.slotmap.owners[slot] is core.myself:
            raise ClusterError(f"ERR I'm already the owner of hash slot {slot}")
        core.slotmap.import_from(slot, self._other_end(node_id))

    def _other_end(self, node_id: bytes) -> Peer:
        peer = self._find(node_id)
        if peer is None:
            raise ClusterError(f"ERR I don't know about node {_text(node_id)}")
        return _primary(peer)

    def _set_owner(self, slot: int, node_id: bytes) -> None:
        """CLUSTER SETSLOT NODE: the end of a slot's move, for whoever hears it."""
        core, slotmap, me = self._core, self._core.slotmap, self._core.myself
        peer = _primary(self._known(node_id))
        keys = core.keyspace.slot_len(slot)
        was_mine = slotmap.owners[slot] is me
        if was_mine and peer is not me and keys:
            raise ClusterError(
                f"ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            )
        if not keys:
            slotmap.migrate(slot, None)
        core.unassign(range_set(slot, slot))
        slotmap.assign(range_set(slot, slot), peer)
        if was_mine and peer is not me and not me.slot_count and core.settings.allow_replica_migration:
            core.bus.note("notice", f"Configuration change detected. Reconfiguring myself as a replica of {peer.id}")
            core.set_primary(peer)
        if peer is me and slot in slotmap.importing:
            # The slot was moved by hand: a new epoch makes our claim to it beat the old owner's.
            if epochs.bump_without_consensus(core.state):
                core.bus.note("notice", f"configEpoch updated after importing slot {slot}")
            slotmap.imported[slot] = slotmap.importing[slot]
            slotmap.import_from(slot, None)
            core.bus.broadcast_pong()

    # Members.

    def meet(self, args: Sequence[bytes], now_ms: int) -> None:
        """`args`: ip, port, and the bus port if it is not the usual one."""
        port = _port(args[1], "base")
        bus_port = _port(args[2], "bus") if len(args) > 2 else port + BUS_PORT_OFFSET
        ip = normal_ip(_text(args[0]))
        if ip is None or not 0 < port <= 65535 or not 0 < bus_port <= 65535:
            raise ClusterError(f"ERR Invalid node address specified: {_text(args[0])}:{_text(args[1])}")
        bus = self._core.bus
        if self._core.members.handshake_with(ip, port, bus_port) is None:
            peer = self._core.members.start_handshake(ip, port, bus_port, bus.rng, now_ms, meet=True)
            bus.watch(peer, now_ms)
        self._core.tick(now_ms)

    def forget(self, node_id: bytes, now_ms: int) -> None:
        """Remove a member, and have the others do so. Another node that was told so may have come first."""
        core = self._core
        if self._find(node_id) is None and core.members.banned(_text(node_id), now_ms):
            return
        peer = self._known(node_id)
        if peer is core.myself:
            raise ClusterError("ERR I tried hard but I can't forget myself...")
        if core.myself.primary is peer:
            raise ClusterError("ERR Can't forget my master!")
        core.members.ban(peer.id, now_ms + BAN_MS)
        core.bus.remove(peer)
        self._spread_forget(peer.id, now_ms)
        self._done(now_ms)

    def replicate(self, node_id: bytes, now_ms: int) -> None:
        core = self._core
        peer = self._known(node_id)
        if peer is core.myself:
            raise ClusterError("ERR Can't replicate myself")
        if peer.is_replica:
            raise ClusterError("ERR I can only replicate a master, not a replica.")
        if core.myself.is_primary and (core.myself.slot_count or len(core.keyspace)):
            raise ClusterError("ERR To set a master the node must be empty and without assigned slots.")
        core.set_primary(peer)
        core.bus.broadcast_pong()  # what is published in the shard reaches us from now on, and we count as a successor
        self._done(now_ms)

    def failover(self, args: Sequence[bytes], now_ms: int) -> None:
        """`args`: nothing, FORCE or TAKEOVER."""
        how = args[0].lower() if args else b""
        if how not in (b"", b"force", b"takeover"):
            raise ClusterError("ERR syntax error")
        self._core.manual.start(how.decode(), now_ms)
        self._core.tick(now_ms)

    def reset(self, hard: bool, now_ms: int) -> None:
        """Forget the cluster. `hard`: also who we are."""
        core, me = self._core, self._core.myself
        if me.is_primary and len(core.keyspace):
            raise ClusterError("ERR CLUSTER RESET can't be called with master nodes containing keys")
        core.manual.reset()
        core.slotmap.close_all()
        core.unassign(core.slotmap.assigned())
        core.become_primary(empty=True)
        for peer in core.members.others():
            core.bus.remove(peer)
        if hard:
            core.state.current_epoch = core.state.last_vote_epoch = me.config_epoch = 0
            core.members.rename(me, make_node_id(core.bus.rng))
            me.shard_id = make_node_id(core.bus.rng)
            core.bus.note("notice", f"Node hard reset, now I'm {me.id}")
        core.bus.seeds.rest()
        core.changed(state=True)
        core.settle(now_ms)

    def replicas(self, node_id: bytes, plain_client: bool = False) -> list[bytes]:
        peer = self._known(node_id)
        if peer.is_replica:
            raise ClusterError("ERR The specified node is not a master")
        state = self._core.state
        return [node_line(state, replica, plain_client=plain_client).encode() for replica in peer.replicas]

    def count_failure_reports(self, node_id: bytes, now_ms: int) -> int:
        return count_reports(self._known(node_id), now_ms, self._core.settings.node_timeout_ms)

    # Epochs.

    def bump_epoch(self, now_ms: int) -> str:
        bumped = epochs.bump_without_consensus(self._core.state)
        if bumped:
            self._done(now_ms)
        return f"{'BUMPED' if bumped else 'STILL'} {self._core.myself.config_epoch}"

    def set_config_epoch(self, arg: bytes, now_ms: int) -> None:
        epochs.set_config_epoch(self._core.state, _integer(arg))
        self._done(now_ms)

    def save_config(self) -> None:
        self._core.save()

    # Helpers.

    def _spread_forget(self, node_id: str, now_ms: int) -> None:
        """Tell those who understand it at once, so that the node is not brought back by their gossip."""
        for peer in self._core.members.others():
            if peer.connected and peer.flags & flags.EXTENSIONS:
                self._core.bus.ping(peer, now_ms, Extensions(forgotten=((node_id, FORGET_TTL_S),)))

    def _find(self, node_id: bytes) -> Peer | None:
        return self._core.members.get(_text(node_id))

    def _known(self, node_id: bytes) -> Peer:
        peer = self._find(node_id)
        if peer is None:
            raise ClusterError(f"ERR Unknown node {_text(node_id)}")
        return peer

    def _done(self, now_ms: int) -> None:
        self._core.changed(state=True)
        self._core.settle(now_ms)


def _must_be_free(slot: int, owner: Peer | None) -> None:
    if owner is not None:
        raise ClusterError(f"ERR Slot {slot} is already busy")


def _must_be_assigned(slot: int, owner: Peer | None) -> None:
    if owner is None:
        raise ClusterError(f"ERR Slot {slot} is already unassigned")


def _parse_ranges(args: Sequence[bytes], command: str) -> Iterator[tuple[int, int]]:
    """Pairs of slots, one at a time: a range is checked in full before the next is looked at."""
    if not args or len(args) % 2:
        raise ClusterError(f"ERR wrong number of arguments for 'cluster|{command}' command")
    for start_arg, end_arg in zip(args[::2], args[1::2], strict=True):
        start, end = parse_slot(start_arg), parse_slot(end_arg)
        if start > end:
            raise ClusterError(f"ERR start slot number {start} is greater than end slot number {end}")
        yield start, end


def _primary(peer: Peer) -> Peer:
    if peer.is_replica:
        raise ClusterError("ERR Target node is not a master")
    return peer


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _integer(raw: bytes) -> int:
    value = parse_integer(raw)
    if value is None:
        raise ClusterError(NOT_AN_INTEGER)
    return value


def _port(raw: bytes, which: str) -> int:
    value = parse_integer(raw)
    if value is None:
        raise ClusterError(f"ERR Invalid TCP {which} port specified: {_text(raw)}")
    return value
