"""The node as a member of its cluster: directives -> settings, requests -> redirections, effects -> the keyspace.

The decisions are those of the `cluster` package; this module asks for them in the node's words and carries out what
concerns the data. The bus itself runs in node/aio/clusterbus.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from cluster.agreement.effects import (
    DropChannels,
    DropKeys,
    FollowPrimary,
    PauseWrites,
    ResumeWrites,
    StateChanged,
    StopFollowing,
)
from cluster.agreement.redirect import Decision, Down, Serve, Why, error_text
from cluster.agreement.redirect import Request as Routed
from cluster.agreement.slots import key_slot
from cluster.agreement.state import FOREVER_MS, ClusterSettings, Wish
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from cluster.views import ClusterViews
from gossip.core import RECONNECT_MS
from gossip.effects import Deliver, Effect, Note
from gossip.messages import KIND_NAMES
from gossip.settings import BUS_PORT_OFFSET
from node import flags
from node.config import Config
from node.monitoring.figure import Samples, Table, by, measured
from node.replies import CommandError, Redirection
from node.requests.pause import Pause, Reason
from node.requests.request import Request

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.keyspace.table import Db
    from node.ports.host import Bus
    from node.replication.following import Following
    from node.replication.write_stream import WriteStream
    from node.requests.blocking import BlockedClients
    from node.requests.changes import Changes
    from node.requests.pubsub import PubSub

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

MIN_NODE_TIMEOUT_MS = 200
"""A shorter one is taken for this: a lease that ends before an answer can come lets nobody serve."""

# What a script is told when the cluster does not let it have a key.
SCRIPT_WRITES_WHILE_DOWN = CommandError(
    "ERR Script attempted to execute a write command while the cluster is down and readonly"
)
SCRIPT_WHILE_DOWN = CommandError("ERR Script attempted to execute a command while the cluster is down")
SCRIPT_ELSEWHERE = CommandError("ERR Script attempted to access a non local key in a cluster node")

DIRECTIVES = (
    "cluster-node-timeout",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-tls-port",
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-preferred-endpoint-type",
    "cluster-require-full-coverage",
    "cluster-coverage-grace-ms",
    "cluster-allow-reads-when-down",
    "cluster-allow-pubsubshard-when-down",
    "cluster-allow-replica-migration",
    "cluster-migration-barrier",
    "cluster-replica-no-failover",
    "cluster-replica-validity-factor",
    "min-acks",
    "repl-ping-replica-period",
    "cluster-link-sendbuf-limit",
    "cluster-seeds",
    "cluster-shards",
    "cluster-replicas",
    "port",
    "tls-port",
    "tls-cluster",
)


class Clustering:
    """One node's part in its cluster."""

    def __init__(
        self,
        basics: Basics,
        nodes_conf: str,
        clock: Callable[[], int],
        bus: Bus,
        *,
        stream: WriteStream,
        changes: Changes,
        pubsub: PubSub,
        blocking: BlockedClients,
        pause: Pause,
        following: Following,
    ) -> None:
        """`nodes_conf`: the text of the file, empty for a new node; nodesconf.CorruptConfig if it is damaged.

        `clock` is the bus' own, which no change of the wall clock moves: with another, peers would fall silent at once.
        """
        self._log = basics.log
        self._space = basics.space
        self._engine = basics.engine
        self._stream = stream
        self._changes = changes
        self._pubsub = pubsub
        self._blocking = blocking
        self._pause = pause
        self._following = following
        self.clock = clock
        self.settings = ClusterSettings()
        apply_directives(basics.config, self.settings)
        copying = _Copying(following, pause)
        self.core = ClusterCore(self.settings, basics.rng, clock(), nodes_conf, _Keys(basics.space.dbs[0]), copying)
        self.orders = ClusterOrders(self.core)
        self.views = ClusterViews(self.core)
        self.attend = bus.attend
        self.buffers = bus.buffer_sizes
        self._served_version: object = None
        pubsub.broadcast = self._broadcast
        basics.config.subscribe(DIRECTIVES, self._directives_changed)
        self.refresh()

    @property
    def now_ms(self) -> int:
        """The time for everything that the cluster does."""
        return self.clock()

    # -- requests

    def gate(self, request: Request) -> CommandError | None:
        """MOVED, ASK, CROSSSLOT, TRYAGAIN or CLUSTERDOWN, or None if the request is served here."""
        return self._refusal(self._decide(request))

    def gate_of_scripts(self, request: Request) -> CommandError | None:
        """The same for a command that a script calls, in words for scripts."""
        match self._decide(request):
            case Serve():
                return None
            case Down(Why.CLUSTER_DOWN):
                return SCRIPT_WHILE_DOWN
            case Down(Why.READS_ONLY):
                return SCRIPT_WRITES_WHILE_DOWN
            case _:
                return SCRIPT_ELSEWHERE

    def gate_waiting(self, request: Request) -> CommandError | None:
        """For a client that waits for keys while slots change: MOVED or CLUSTERDOWN, or None if it may go on."""
        return self._refusal(self.core.route_waiting(self._routed(request, request.keys), self.now_ms))

    def _decide(self, request: Request) -> Decision:
        keys = request.keys
        if not keys:
            return Serve()
        return self.core.route(self._routed(request, keys), request.session.db.exists, self.now_ms)

    def _refusal(self, decision: Decision) -> CommandError | None:
        if isinstance(decision, Serve):
            return None
        return Redirection(error_text(decision, self.settings) or "")

    @staticmethod
    def _routed(request: Request, keys: list[bytes]) -> Routed:
        session, command = request.session, request.command
        return Routed(
            keys=keys,
            write=request.writes,
            asking=bool(session.flags & flags.ASKING) or "asking" in command.spec.flags,
            readonly=bool(session.flags & flags.READONLY),
            shard_channels=command.spec.group == "pubsub" and bool(keys),
            migrate=command.name == b"migrate",
        )

    def slot_is_open(self, key: bytes) -> bool:
        """Whether the slot of a key is on its way to or from another node."""
        slot, slotmap = key_slot(key), self.core.slotmap
        return slot in slotmap.migrating or slot in slotmap.importing

    def link_bytes(self) -> int:
        """Bytes that wait to be sent on the bus."""
        links = [link for peer in self.core.members for link in (peer.link, peer.inbound) if link is not None]
        return sum(self.buffers(link.id)[1] for link in links)

    def kill_links(self, node_id: str, *, to: bool, inbound: bool) -> None:
        """DEBUG CLUSTERLINK KILL: cut links with one node. Ours to it stays down for a moment: messages are lost."""
        peer = self.core.members.get(node_id)
        if peer is None:
            raise CommandError(f"ERR Unknown node {node_id}")
        bus = self.core.bus
        for link, chosen in ((peer.link, to), (peer.inbound, inbound)):
            if link is not None and chosen:
                bus.close(link)
        if to:
            bus.watch(peer, self.now_ms + RECONNECT_MS)
        self.attend()

    # -- the core's wishes

    def act(self, change: Callable[[*Arguments], Result], *args: *Arguments) -> Result:
        """Run a method of the core or of `orders` and have its effects carried out. ClusterError becomes a reply."""
        from cluster.agreement.errors import ClusterError

        try:
            return change(*args)
        except ClusterError as error:
            raise CommandError(str(error)) from None
        finally:
            self.attend()

    def leave(self, leaving: bool) -> None:
        """This node is about to end, or stays after all."""
        self.act(self.core.leave, leaving, self.now_ms)

    def hand_over(self) -> None:
        """Have the best replica take over, if there is one."""
        self.act(self.core.hand_over, self.now_ms)

    def refresh(self) -> None:
        """Follow the primary that the cluster says, and tell the engine which slots it may serve, and until when."""
        self._follow()
        end_ms = self.core.lease_end_ms
        # The clock has shown this millisecond for up to one already.
        self._engine.set_lease(None if end_ms >= FOREVER_MS else end_ms - self.now_ms - 1)
        version = self.core.served_version
        if version != self._served_version:
            self._served_version = version
            table = bytearray(16384)
            self.core.fill_served(table)
            self._engine.set_served(table)
            self._slots_changed()

    def carry_out(self, effect: Effect) -> None:
        """An effect that is not the bus' own."""
        match effect:
            case Note(level, text):
                self._log.write(level, text)
            case Deliver(channel, message, sharded):
                publish = self._pubsub.publish_sharded if sharded else self._pubsub.publish
                publish(channel, message)
            case FollowPrimary():
                self._follow()
            case StopFollowing(empty):
                self._following.stop()
                if empty:
                    self._changes.flush(self._space.dbs, lazy=True)
            case PauseWrites(most_ms):
                self._pause.start(self._space.now_ms + most_ms, all_commands=False, reason=Reason.FAILOVER)
            case ResumeWrites():
                self.refresh()  # whoever waited may have to be sent elsewhere
                self._pause.end(Reason.FAILOVER)
            case DropKeys(slots):
                self._drop_keys(slots)
            case DropChannels(slots):
                self._drop_channels(set(slots))
            case StateChanged():
                self._slots_changed()
            case _:
                self._log.debug(f"Nothing to do for {effect!r}")

    def _slots_changed(self) -> None:
        """Which slots are served here has changed: those who wait for keys elsewhere are sent away."""
        self._blocking.redirect(self.gate_waiting)

    def _follow(self) -> None:
        """Be the replica that this node is in the cluster: of its primary, wherever that is now.

        Said by the state and not by the change of it, so that a node which starts, or which hears of its primary's
        address late, comes to the same.
        """
        me, following = self.core.myself, self._following
        if not me.is_replica or me.primary is None or not me.primary.ip or following.waits_for_data:
            return
        address = (me.primary.ip, me.primary.port)
        if (following.primary, following.primary_id) != (address, me.primary.id):
            following.follow(*address, me.primary.id)

    def _drop_keys(self, slots: Iterable[int]) -> None:
        if self.core.myself.is_replica:
            return  # the primary decides
        db = self._space.dbs[0]
        for slot in slots:
            for key in db.slot_keys(slot, db.slot_len(slot)):
                db.delete(key, lazy=True)
                self._changes.key(None, db, key, "del", "g")
                self._space.dirty += 1
                if self._engine.propagating:
                    self._stream.deleted(db, key, lazy=True)
        self._stream.end_unit(atomic=False)

    def _drop_channels(self, slots: set[int]) -> None:
        pubsub = self._pubsub
        pubsub.drop_sharded([channel for channel in pubsub.shard_channels if key_slot(channel) in slots])

    def _broadcast(self, channel: bytes, message: bytes, sharded: bool) -> None:
        self.core.publish(channel, message, sharded)
        self.attend()

    def _directives_changed(self, config: Config) -> None:
        apply_directives(config, self.settings)
        self.core.apply_settings(self.now_ms)
        self.core.settle(self.now_ms)
        self.attend()


class _Keys:
    """What the cluster asks about the data."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def __len__(self) -> int:
        return len(self._db)

    def slot_len(self, slot: int) -> int:
        return self._db.slot_len(slot)

    def slot_keys(self, slot: int, count: int) -> list[bytes]:
        return self._db.slot_keys(slot, count)


class _Copying:
    """What the cluster asks about how the data is copied."""

    def __init__(self, following: Following, pause: Pause) -> None:
        self._following = following
        self._pause = pause

    @property
    def offset(self) -> int:
        return self._following.stated_offset

    @property
    def link_up(self) -> bool:
        return self._following.connected

    @property
    def synced_with(self) -> str:
        return self._following.primary_id if self.link_up else ""

    @property
    def writes_paused(self) -> bool:
        return self._pause.is_for(Reason.FAILOVER)

    def data_age_ms(self) -> int | None:
        return self._following.data_age_ms()


def apply_directives(config: Config, settings: ClusterSettings) -> None:
    """Read the cluster's directives into the settings that the cores look at."""
    settings.tls = config["tls-cluster"]
    settings.port, settings.plain_port = _announced_ports(config)
    settings.node_timeout_ms = max(config["cluster-node-timeout"], MIN_NODE_TIMEOUT_MS)
    settings.bus_port = config["cluster-announce-bus-port"] or bus_port(config)
    settings.announce_ip = config["cluster-announce-ip"]
    settings.announce_hostname = config["cluster-announce-hostname"]
    settings.announce_human_nodename = config["cluster-announce-human-nodename"]
    settings.seeds = config["cluster-seeds"]
    settings.wish = Wish(config["cluster-shards"], config["cluster-replicas"])
    settings.link_sendbuf_limit = config["cluster-link-sendbuf-limit"]
    settings.no_failover = config["cluster-replica-no-failover"]
    settings.require_full_coverage = config["cluster-require-full-coverage"]
    settings.coverage_grace_ms = config["cluster-coverage-grace-ms"]
    settings.allow_reads_when_down = config["cluster-allow-reads-when-down"]
    settings.allow_pubsubshard_when_down = config["cluster-allow-pubsubshard-when-down"]
    settings.allow_replica_migration = config["cluster-allow-replica-migration"]
    settings.migration_barrier = config["cluster-migration-barrier"]
    settings.replica_validity_factor = config["cluster-replica-validity-factor"]
    settings.min_acks = config["min-acks"]
    settings.repl_ping_period_ms = config["repl-ping-replica-period"] * 1000
    settings.preferred_endpoint_type = config["cluster-preferred-endpoint-type"]


def bus_port(config: Config) -> int:
    """Where this node's bus listens."""
    base: int = config["tls-port"] if config["tls-cluster"] else config["port"]
    chosen: int = config["cluster-port"]
    return chosen or base + BUS_PORT_OFFSET


def _announced_ports(config: Config) -> tuple[int, int]:
    """Where clients find this node, and where those without TLS do if that is another port."""
    plain = config["cluster-announce-port"] or config["port"]
    if not config["tls-cluster"]:
        return plain, 0
    return config["cluster-announce-tls-port"] or config["tls-port"], plain


def _slots(own: Clustering) -> int:
    core = own.core
    return core.slotmap.owned_by(core.state.my_primary or core.myself).bit_count()


def _nodes_by_condition(own: Clustering) -> Samples:
    conditions = {"ok": 0, "suspected": 0, "failed": 0}
    for peer in own.core.members:
        conditions["failed" if peer.failed else "suspected" if peer.suspected else "ok"] += 1
    return by("condition", conditions.items())


def _packets(counts: Mapping[int, int]) -> Samples:
    return by("type", [(name, counts.get(kind, 0)) for kind, name in sorted(KIND_NAMES.items())])


def figures() -> Table[Clustering]:
    return (
        measured("cluster_ok", lambda own: own.core.ok, "1 where cluster_state is ok."),
        measured("cluster_slots", _slots, "Slots of this node's shard."),
        measured(
            "cluster_slots_served",
            lambda own: _slots(own) if own.core.myself.is_primary else 0,
            "Slots that this node serves for writing.",
        ),
        measured("cluster_size", lambda own: own.core.health.size, "Primaries with slots."),
        measured(
            "failovers",
            lambda own: own.core.failovers,
            "Times that this node has taken the place of its primary.",
            kind="counter",
        ),
        measured("cluster_epoch", lambda own: own.core.state.current_epoch, "The current epoch."),
        measured("cluster_nodes", _nodes_by_condition, "Known nodes, by condition."),
        measured(
            "bus_messages_sent",
            lambda own: _packets(own.core.bus.sent),
            "Packets sent on the cluster bus, by type.",
            kind="counter",
        ),
        measured(
            "bus_messages_received",
            lambda own: _packets(own.core.bus.received),
            "Packets received on the cluster bus, by type.",
            kind="counter",
        ),
        measured("bus_unsent_bytes", lambda own: own.link_bytes(), "Bytes that wait on the links of the bus."),
    )
