"""NodeCore: one server, without its sockets, files and clocks.

It holds what the commands of a node share and wires the parts together: configuration, keyspace and engine, clients,
pub/sub, waiting clients, watches, notifications, replicas, snapshots, the slow log, statistics and the cluster.
node/aio/server.py is the host that gives it bytes and time; tests and simulations are other hosts. What the parts do
stands in their own modules: this one only creates them, connects them and answers the engine's hooks.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import node.engine.native.hot  # noqa: F401  (registers the native commands)
from node import flags
from node.basics import Basics
from node.clustering import Clustering
from node.commands import groups
from node.commands.table.spec import CommandSpec
from node.config import Config
from node.config.kinds import INT64_MAX
from node.engine.keyspace.table import Db, Keyspace
from node.engine.memory.alloc import mem_used
from node.engine.session.session import Command, Engine, Session
from node.engine.session.wire import used_by_buffers
from node.engine.types.limits import set_limit
from node.figures.catalogue import catalogue
from node.figures.memory import Memory
from node.keyspace.eviction import Eviction
from node.leaving import Leaving
from node.monitoring.figure import Reading
from node.monitoring.latency import LatencyMonitor
from node.monitoring.log import Log
from node.monitoring.rates import Rates
from node.monitoring.slowlog import SlowLog
from node.persistence.aof.appendonly import AppendOnly
from node.persistence.aof.loading import AofLoading
from node.persistence.loading import Loader, Loading
from node.persistence.saving import Saving
from node.persistence.snapshots import Snapshots
from node.ports.host import Clock, Host
from node.ports.steps import Steps
from node.replication.acks import Acknowledgements
from node.replication.applier import Applier
from node.replication.arrival import Arrival
from node.replication.carrier import Carrier
from node.replication.durable import DurableWrites
from node.replication.filefacts import FileFacts
from node.replication.following import Following
from node.replication.fullsync import FullSync
from node.replication.history import History
from node.replication.lineage import Lineage
from node.replication.local_expiry import LocalExpiry
from node.replication.replica import Replica
from node.replication.replicas import Replicas
from node.replication.slots import SlotsOfCommands
from node.replication.stream_session import StreamSession, StreamSessions
from node.replication.write_stream import WriteStream
from node.replies import CommandError
from node.requests import gates
from node.requests.blocking import BlockedClients
from node.requests.changes import Changes
from node.requests.clients import Clients
from node.requests.dispatch import Dispatch
from node.requests.held_keys import HeldKeys
from node.requests.notifications import Notifications
from node.requests.pause import Pause
from node.requests.pubsub import PubSub
from node.requests.secrets import without_secrets
from node.requests.standstill import Standstill
from node.requests.transactions import WatchTable
from node.scripting.scripts import Scripts
from node.transfer.transfers import Transfers

if TYPE_CHECKING:
    from node.ports.host import Bus

ENCODING_LIMITS = (
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "list-max-listpack-size",
    "list-compress-depth",
    "hll-sparse-max-bytes",
    "stream-node-max-bytes",
    "stream-node-max-entries",
)

ACCEPT_WARNING_MS = 1000  # one warning in such a time


class NodeCore:
    """One node. `config` may change while it runs; `rng` decides what is random."""

    # Parts that are asked by others which are made before them.
    scripts: Scripts
    following: Following
    file_facts: FileFacts
    durable: DurableWrites
    transfers: Transfers

    def __init__(
        self,
        config: Config,
        now_ms: int,
        rng: random.Random | None = None,
        log: Log | None = None,
        host: Host | None = None,
    ) -> None:
        host = host or Host()
        self.config = config
        self.rng = rng or random.Random()
        self.log = log or Log()
        self.run_id = f"{self.rng.getrandbits(160):040x}"
        databases = 1 if config["cluster-enabled"] else config["databases"]
        self.space = Keyspace(databases)
        self.space.now_ms = now_ms
        self.space.on_expired = self._expired
        self.space.on_fields_expired = self._fields_expired
        # Its arrays count from the start, so that the figures do not jump with the first key.
        self.space.dbs[0].prepare()
        self.clock: Clock = host.clock or ClockOfKeyspace(self.space)
        self.engine = Engine(self.space, self)
        self.engine.wake = host.wake_ups.send
        self.engine.cluster = config["cluster-enabled"]
        self.registry = groups.load()
        self.commands = self._make_commands()
        self.engine.set_commands(self.commands)
        self.started_ms = now_ms
        self.latency = LatencyMonitor()
        self.basics = basics = Basics(
            config=config,
            log=self.log,
            rng=self.rng,
            space=self.space,
            engine=self.engine,
            clock=self.clock,
            latency=self.latency,
        )
        self.rates = Rates()
        self.stream = WriteStream(self.engine, self.write_lost, SlotsOfCommands(self.commands))
        self.pubsub = PubSub()
        self.notifications = Notifications(self.pubsub.publish)
        self.watches = WatchTable(self.engine)
        self.pause = Pause(basics)
        self.blocking = BlockedClients(
            basics, host.wake_ups, end_unit=self.stream.end_unit, suspended=lambda: self.scripts.suspended
        )
        self.clients = Clients(
            basics,
            host.connections,
            self.pubsub,
            self.blocking,
            self.watches,
            self.pause,
            cluster_links=self.cluster_connections,
        )
        self.held_keys = HeldKeys(basics)
        self.changes = Changes(
            self.engine, self.space, self.watches, self.blocking, self.notifications, self.held_keys
        )
        dispatch = Dispatch(
            self.engine, self.commands, self.clients, self.pause, self.watches, look_for_room=self._look_for_room
        )
        self.slowlog = SlowLog()
        self._accept_failed_ms = 0
        self.clustering: Clustering | None = None
        self.cron_paused = False
        """DEBUG PAUSE-CRON: the host gives no ticks."""
        self.process = host.process
        self.standstill = Standstill(self.clock)
        self.collate: Callable[[bytes], Any] | None = None
        """What SORT ALPHA compares instead of the bytes (locale-collate)."""
        self.checks_payloads = True
        """False while DEBUG lets RESTORE take payloads with wrong checksums."""
        self.eviction = Eviction(basics, self.stream, self.changes.key)
        self.history = History(self.rng)
        self.snapshots = Snapshots(basics, host.wake_ups)
        self.replicas = self._make_replicas(host)
        self.scripts = Scripts(
            basics,
            self.commands,
            host.wake_ups,
            self.standstill,
            self.blocking,
            self.pause,
            drop_unit=self.stream.drop_unit,
            ended=self._script_ended,
        )
        self.functions = self.scripts.functions
        self.memory = Memory(config, host.process, self.used_memory, (self.scripts, self.functions))
        self.snapshots.functions = self.functions.codes
        self.saving = Saving(
            basics,
            host.files.disk,
            host.process,
            self.snapshots,
            is_replica=lambda: self.following.active,
            facts=lambda: self.file_facts.now(),
            saves_for_replicas=lambda: self.replicas.sync.active,
        )
        self.loading = Loading(basics)
        self.loader = Loader(basics, self.loading, self.functions, self.data_replaced, self.slots_replaced)
        self.following = self._make_following(host)
        self.aof = AppendOnly(
            basics,
            host.files.aof,
            self.process,
            self.stream,
            self.saving,
            self.snapshots,
            lambda: self.durable.look(),
        )
        self.aof_loading = AofLoading(basics, self.aof.parts, self.loading, self.loader)
        self.leaving = Leaving(
            basics,
            host.wake_ups,
            host.process,
            self.scripts,
            self.blocking,
            self.pause,
            self.replicas,
            self.stream,
            self.loading,
            self.saving,
            self.aof,
            cluster=lambda: self.clustering,
        )
        self.transfers = Transfers(
            basics,
            host.targets,
            host.wake_ups,
            self.held_keys,
            self.blocking,
            self.pause,
            may_write=self._may_write_now,
            slot_is_open=lambda key: self.clustering is not None and self.clustering.slot_is_open(key),
            ended=self.after_command,
        )
        self.clients.tell_of_gone(self.following.session_gone)
        self.clients.tell_of_gone(self.replicas.gone)
        # The engine's hooks (engine/session/hooks.py) that one part answers alone. The others are methods, below.
        self.execute = dispatch.execute
        self.block = self.blocking.block
        self.feed_monitors = self.clients.feed_monitors
        self.output_grew = self.clients.over_output_limit
        self.key_changed = self.changes.key
        self.propagate = self.stream.record
        self.ask_for_acknowledgement = self.stream.ask_for_acknowledgement
        self.drained = self.replicas.drained
        self.run_locally = self.following.local_expiry.run_command
        self.stream_error = self.following.sessions.errored
        self._subscribe_to_config()

    def _make_replicas(self, host: Host) -> Replicas:
        """Put together what makes this node one that others follow."""
        basics, stream, history, disconnect = self.basics, self.stream, self.history, self.clients.disconnect
        attached: dict[Session, Replica] = {}
        self.durable = DurableWrites(
            self.engine, attached, self.blocking, lambda: self.aof.durable_offset, self.after_command
        )
        acks = Acknowledgements(basics, attached, self.blocking, self.durable, disconnect)
        sync = FullSync(
            basics,
            stream,
            history,
            attached,
            acks,
            self.snapshots,
            host.files,
            disconnect,
            lambda: self.clustering.core.living_replicas() if self.clustering is not None else 0,
        )
        return Replicas(basics, stream, history, attached, sync, acks, self.clients, host.connections)

    def _make_following(self, host: Host) -> Following:
        """Put together what makes this node a replica."""
        basics = self.basics
        lineage = Lineage(self.history, self.stream, self.replicas.disconnect_all)
        local_expiry = LocalExpiry(self.space, lambda: self.following.active)
        sessions = StreamSessions(basics, self.clients, self.panic)

        def start() -> StreamSession:
            assert self.following.primary is not None
            return sessions.open(self.following.primary, lineage.database)

        applier = Applier(lineage, start, lambda: self.scripts.suspended)
        self.file_facts = FileFacts(basics, self.stream, lineage, applier, self._starts_as_replica)
        arrival = Arrival(
            basics,
            lineage,
            local_expiry,
            host.primary,
            host.files.disk,
            self.loader,
            self.loading,
            flush=lambda lazy: self.changes.flush(self.space.dbs, lazy),
            replaced=lambda: self.aof.data_replaced(),
        )
        carrier = Carrier(
            self.space,
            self.log,
            host.primary,
            lineage,
            applier,
            arrival,
            introduction=lambda: self.following.introduction(arrival.to_memory),
            durable=lambda: self.aof.durable_offset,
            settled=lambda: self.following.link_settled(),
        )
        return Following(
            basics,
            self.stream,
            lineage,
            applier,
            carrier,
            sessions,
            local_expiry,
            self.clients,
            self.blocking,
            waits_for_data=host.loads_data,
            give_up=self._give_up_what_goes_on,
            limit_memory=self.apply_maxmemory,
            link_changed=self._tell_the_cluster,
        )

    def _starts_as_replica(self) -> bool:
        clustering = self.clustering
        return bool(self.config["replicaof"]) or (clustering is not None and clustering.core.myself.is_replica)

    def join_cluster(self, nodes_conf: str, clock: Callable[[], int], bus: Bus) -> Clustering:
        """Be a member of a cluster from now on. The arguments, and what is raised, are those of Clustering."""
        self.clustering = Clustering(
            self.basics,
            nodes_conf,
            clock,
            bus,
            stream=self.stream,
            changes=self.changes,
            pubsub=self.pubsub,
            blocking=self.blocking,
            pause=self.pause,
            following=self.following,
        )
        return self.clustering

    def _script_ended(self) -> None:
        """One that was suspended is not any more: what had to wait for it goes on."""
        self.after_command()
        self.following.carrier.go_on()
        self.pause.release()

    def _give_up_what_goes_on(self) -> None:
        """The node becomes a replica, or another's."""
        self.scripts.abandon()
        self.transfers.give_up()
        self.replicas.acks.give_up()

    def _tell_the_cluster(self) -> None:
        """The others are to know whether clients may read here."""
        if self.clustering is not None:
            self.clustering.attend()

    # -- commands

    def _make_commands(self) -> dict[bytes, Command]:
        for old, new in self.config.renamed_commands.items():
            self.registry.rename(old.encode(), new.encode())
        made: dict[bytes, Command] = {}
        for name, spec in self.registry.commands.items():
            command = make_command(spec)
            if spec.subcommands:
                command.subcommands = {sub: make_command(each) for sub, each in spec.subcommands.items()}
            made[name] = command
        return made

    @property
    def role(self) -> str:
        """As clients are told it."""
        return "slave" if self.following.active else "master"

    # -- configuration

    def _subscribe_to_config(self) -> None:
        subscribe = self.config.subscribe
        subscribe(ENCODING_LIMITS, _apply_encoding_limits)
        _apply_encoding_limits(self.config)
        names = (
            "notify-keyspace-events",
            "slowlog-log-slower-than",
            "slowlog-max-len",
            "latency-tracking",
            "latency-monitor-threshold",
            "proto-max-bulk-len",
            "client-query-buffer-limit",
            "lfu-log-factor",
            "lfu-decay-time",
            "maxmemory",
            "maxmemory-policy",
            "maxmemory-samples",
            "enable-debug-command",
        )
        subscribe(names, self._apply)
        self._apply(self.config)
        subscribe(["locale-collate"], self._collate)
        self._collate(self.config)

    def _collate(self, config: Config) -> None:
        self.collate = self.process.collation(config["locale-collate"])

    def _apply(self, config: Config) -> None:
        """Hand the directives to the parts that read them on every command."""
        engine, space = self.engine, self.space
        self.notifications.configure(config["notify-keyspace-events"])
        self._set_hook(flags.HOOK_NOTIFY, self.notifications.enabled)
        self._set_hook(flags.HOOK_MISS, self.notifications.misses)
        space.on_created = self._created if self.notifications.tells_of_new_keys else None
        slower_than_us = config["slowlog-log-slower-than"]
        engine.slow_ns = min(slower_than_us * 1000, INT64_MAX) if slower_than_us >= 0 else -1
        self.slowlog.max_len = config["slowlog-max-len"]
        engine.track_latency = config["latency-tracking"]
        self.latency.threshold_ms = config["latency-monitor-threshold"]
        engine.latency_ns = min(self.latency.threshold_ms * 1_000_000, INT64_MAX)
        engine.max_bulk = config["proto-max-bulk-len"]
        engine.query_buffer_limit = config["client-query-buffer-limit"]
        space.lfu = config["maxmemory-policy"].endswith("lfu")
        space.lfu_log_factor = config["lfu-log-factor"]
        space.lfu_decay_time = config["lfu-decay-time"]
        self.basics.set_state(flags.STATE_PROTECTED, config["enable-debug-command"] != "yes")
        self.apply_maxmemory()
        self.eviction.due = engine.maxmemory > 0

    def apply_maxmemory(self) -> None:
        """A replica leaves eviction to its primary, unless told otherwise."""
        self.engine.maxmemory = 0 if self.following.ignores_maxmemory else self.config["maxmemory"]

    def _set_hook(self, bit: int, on: bool) -> None:
        self.engine.hooks = self.engine.hooks | bit if on else self.engine.hooks & ~bit

    def _look_for_room(self) -> None:
        """A request comes while the data may be over maxmemory. While a script is suspended, nothing may go."""
        if not self.scripts.suspended:
            self.basics.set_state(flags.STATE_MEMORY, bool(self.engine.maxmemory) and not self.eviction.make_room())

    def _may_write_now(self) -> bool:
        """Whether a client's write would be done, and not wait: for what was asked earlier and is written only now."""
        return not (self.space.paused or self.scripts.suspended) and self.engine.lease_runs()

    # -- hooks of the engine

    def after_command(self) -> None:
        """A command has ended after which something is due: its writes go out, then those who waited for them go on."""
        if self.scripts.suspended:
            return  # it has not ended
        self.stream.end_unit()
        self.blocking.serve()

    def key_missed(self, session: Session, key: bytes) -> None:
        self.notifications.notify("m", "keymiss", key, session.db.index)

    def _expired(self, db: Db, key: bytes) -> None:
        if self.engine.propagating:
            self.stream.deleted(db, key, self.config["lazyfree-lazy-expire"])
        self.changes.key(None, db, key, "expired", "x")

    def _fields_expired(self, db: Db, key: bytes, fields: list[bytes], emptied: bool) -> None:
        if self.engine.propagating:
            self.stream.fields_deleted(db, key, fields)
        self.changes.key(None, db, key, "hexpired", "h")
        if emptied:
            self.changes.key(None, db, key, "del", "g")

    def _created(self, db: Db, key: bytes) -> None:
        self.notifications.notify("n", "new", key, db.index)

    def late_command(self, command: Command, duration_ns: int) -> None:
        """A command took longer than latency-monitor-threshold."""
        event = "fast-command" if "fast" in command.spec.flags else "command"
        self.latency.add(event, self.space.now_ms // 1000, duration_ns // 1_000_000)

    def internal_error(self, session: Session, argv: list[bytes], error: Exception) -> CommandError:
        """A bug of ours must not take the node down: the client is told and the log says where it was."""
        name = argv[0].decode("utf-8", "replace") if argv else ""
        if isinstance(error, MemoryError) and session.flags & flags.OBEYED:
            # What it lacks from now on nobody would notice; a node that starts again has all of it.
            self.panic(f"Out of memory for the command {name!r} of the primary or the log of writes. Exiting.")
        self.log.warning(f"Internal error in command {name!r}: {error!r}\n{traceback.format_exc()}")
        return CommandError(f"ERR internal error: {type(error).__name__} in '{name.lower()}' (see the server's log)")

    def write_lost(self) -> None:
        """There is no memory to record a write that has been done: replicas and the log of writes would never know."""
        self.panic("Out of memory for a write in the stream of writes. Exiting.")

    def slow_command(self, session: Session, command: Command, argv: list[bytes], duration_ns: int) -> None:
        if "skip_slowlog" not in command.spec.flags:
            self.slowlog.add(session, without_secrets(argv), duration_ns // 1000, self.space.now_ms // 1000)

    def protocol_error(self, session: Session, error: CommandError) -> None:
        self.log.verbose(f"{error.text.decode('utf-8', 'replace')} from client {session.id}")

    def query_buffer_overrun(self, session: Session) -> None:
        self.clients.query_buffer_disconnections += 1
        self.log.warning(f"Closing client {session.id}: its requests exceed client-query-buffer-limit")

    def accept_failed(self, error: str) -> None:
        """A connection came for which the system has no file any more: it was refused, or waits for better times."""
        self.clients.connections_rejected += 1
        if self.space.now_ms - self._accept_failed_ms >= ACCEPT_WARNING_MS:
            self._accept_failed_ms = self.space.now_ms
            self.log.warning(f"Cannot accept a connection: {error}. Raise 'ulimit -n', or lower maxclients")

    # -- figures

    def figures(self) -> Reading[NodeCore]:
        """What this node tells about itself, as of now."""
        return catalogue().read(self)

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT: every figure that counts from there begins again."""
        catalogue().reset(self)

    def all_commands(self) -> Iterator[Command]:
        """Every command and subcommand."""
        for command in self.commands.values():
            yield command
            yield from (command.subcommands or {}).values()

    def used_memory(self) -> int:
        """The data and the clients' buffers, in bytes: what this server has allocated for its users."""
        return mem_used() + used_by_buffers() + self.engine.journal.uncounted_bytes

    def cluster_connections(self) -> int:
        """Links of the bus, both ways."""
        members = self.clustering.core.members if self.clustering else ()
        return sum((peer.link is not None) + (peer.inbound is not None) for peer in members)

    def cluster_link_bytes(self) -> int:
        """Bytes that wait to be sent on the bus."""
        return self.clustering.link_bytes() if self.clustering else 0

    def panic(self, reason: str) -> None:
        """End at once: to serve on would be worse."""
        self.log.warning(reason)
        self.process.die()

    # -- time

    def sleep(self, seconds: float) -> None:
        """DEBUG SLEEP: nothing moves meanwhile, but the clock."""
        self.clock.sleep(seconds)
        if not self.scripts.running:  # for which time stands still
            self.space.now_ms = self.clock.now_us() // 1000

    def load(self) -> Steps[None]:
        """Load the data at the start of the node: append-only files if these are on, or the snapshot. CannotLoad."""
        config = self.config
        if config["appendonly"]:
            yield from self.aof_loading.steps()
            self.aof.open()
            return
        found = yield from self.loader.snapshot_file(self.saving.disk, config["dbfilename"], self._starts_as_replica())
        if found is not None:
            self.file_facts.restored(*found)
        self.aof_loading.look()

    def data_loaded(self) -> None:
        """The host has loaded what there was."""
        self.following.waits_for_data = False
        if self.clustering is not None:
            self.clustering.act(self.clustering.core.data_loaded, self.clustering.now_ms)
        if self.config["replicaof"]:
            self.following.begin(*self.config["replicaof"])

    def tick(self, now_ms: int) -> None:
        """The regular work, some ten times a second."""
        self.space.now_ms = now_ms
        if self.scripts.suspended:
            self.leaving.tick(now_ms)
            self.clients.tick()
            return
        self.blocking.tick(now_ms)
        self.pause.tick(now_ms)
        self.replicas.tick(now_ms)
        self.saving.tick(now_ms)
        self.following.tick()
        self.aof.tick()
        self.transfers.tick(now_ms)
        self.eviction.tick()
        self.leaving.tick(now_ms)
        self.rates.sample(self.engine, self.following.carrier.bytes_in, now_ms)
        self.engine.before_replies()
        self.clients.tick()

    def end_waits(self, now_ms: int) -> int | None:
        """End the waits of clients whose time is up; when the next one's is."""
        self.space.now_ms = now_ms
        self.blocking.tick(now_ms)
        self.transfers.tick(now_ms)
        due = (self.blocking.timers.next_ms(), self.transfers.next_ms())
        return min((at_ms for at_ms in due if at_ms is not None), default=None)

    def go_on_with_script(self, now_ms: int) -> None:
        """Give the script that is suspended a slice."""
        self.space.now_ms = now_ms
        self.scripts.go_on()

    def go_on_leaving(self, now_ms: int) -> None:
        """Look how far a shutdown is."""
        self.space.now_ms = now_ms
        self.leaving.tick(now_ms)

    def expire_some(self, now_ms: int, budget_us: int, hashes: int) -> bool:
        """A slice of the expiry cycle, of `hashes` times `active-expire-effort`; True: many were found dead."""
        space = self.space
        space.now_ms = now_ms
        waits = self.pause.active or self.loading.active or self.scripts.suspended or not self.engine.lease_runs()
        if waits or not (space.lazy_expire and space.active_expire):
            return False
        began_us, effort = self.clock.now_us(), self.config["active-expire-effort"]
        more = space.expire_some(budget_us, effort)
        self.latency.add("expire-cycle", now_ms // 1000, (self.clock.now_us() - began_us) // 1000)
        more |= space.expire_fields(hashes * effort)
        if self.engine.ready:
            self.after_command()
        return bool(more)

    def data_replaced(self) -> None:
        """Another data set is about to take the place of all databases: whoever follows keys looks for itself."""
        self.scripts.abandon()
        for db in self.space.dbs:
            self.changes.database(db)

    def slots_replaced(self, slots: bytes) -> None:
        """Other keys are in these slots now (one byte for each): whoever follows some of them looks for itself."""
        self.changes.slots(slots)
        if self.engine.ready and self.engine.current is None:
            self.after_command()


class ClockOfKeyspace:
    """The time that commands go by, for a node whose host has no exact one."""

    def __init__(self, space: Keyspace) -> None:
        self._space = space

    def now_us(self) -> int:
        return self._space.now_ms * 1000

    def sleep(self, seconds: float) -> None:
        pass


def make_command(spec: CommandSpec) -> Command:
    """The engine's view of a command of the table."""
    # Movable keys only the specification finds; several ranges that follow each other are one.
    movable = spec.movablekeys
    return Command(
        spec,
        spec.name.encode(),
        spec.arity,
        0 if movable else spec.first_key,
        0 if movable else spec.last_key,
        spec.key_step,
        gates.stops(spec.name.encode(), spec.flags),
    )


def _apply_encoding_limits(config: Config) -> None:
    for name in ENCODING_LIMITS:
        set_limit(name, config[name])
