"""This node as a replica: whom it follows, and what of the primary's becomes ours.

The link (link.py) speaks with the primary; this module carries its wishes out. The stream goes through a session with
the mark PRIMARY, whose requests pass all gates and get no replies. What has been carried out goes byte for byte into
our own stream, so that replicas of ours have the same offsets as we and can change to our primary, or to us once we are
promoted. A transaction counts once it is complete.

While it follows, a node decides nothing about its data: keys that have run out are hidden, and stay until the primary
deletes them; nothing is evicted; what clients write is refused (or is theirs alone, with replica-read-only no).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossip.effects import Effect, Note
from node import flags
from node.monitoring.figure import Table, counted, measured, shown
from node.replication.effects import (
    Apply,
    BeginSnapshot,
    Close,
    Connect,
    DropSnapshot,
    LoadSnapshot,
    Resume,
    Send,
    StoreSnapshot,
)
from node.replication.history import stated_number
from node.replication.host import Host
from node.replication.link import ID_CHARS, Introduction, Position, PrimaryLink, State
from node.replication.local_expiry import LocalExpiry
from node.replies import CommandError
from node.steps import CannotLoad

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session.session import Command, Session
    from node.persistence.rdb.load import Data
    from node.steps import Steps

LOADS = "MASTER <-> REPLICA sync: Loading DB in memory"
FORCED = CommandError("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
DIRECTIVES = ("replica-read-only", "replica-serve-stale-data", "replica-ignore-maxmemory")


class Following:
    """Whom this node follows, if anybody."""

    def __init__(self, node: NodeCore, host: Host, waits_for_data: bool) -> None:
        self.node = node
        self.host = host
        self.primary: tuple[str, int] | None = None
        self.primary_id = ""
        self.link = PrimaryLink(
            self._introduction, self._position, lambda: self.applied_offset, lambda: node.aof.durable_offset
        )
        self.session: Session | None = None
        """The stream's, while the link is up."""
        self.local_expiry = LocalExpiry(node.space)
        self.down_since_ms = 0
        self.stream_db = 0
        """The database that the stream last chose."""
        self.bytes_in = 0
        """Bytes that have come from primaries."""
        self.unexpected_errors = 0
        """Commands of the stream that failed: our data is not what the primary takes it for."""
        self.waits_for_data = waits_for_data
        """The node still loads what it had: only then it can say where it wants to go on."""
        self.resumable = False
        """Our data is a part of the history that node.history names, up to the offset of our stream."""
        self._restored = False
        self._unapplied = bytearray()
        self._later = bytearray()
        """What has come while a script ran that is not done: its data must not change meanwhile."""
        self._done = 0
        self._in_memory: bytearray | None = None
        self._running = False
        self._was_connected = False
        node.config.subscribe(DIRECTIVES, lambda config: self._apply_role())

    # -- what others ask

    @property
    def active(self) -> bool:
        """This node is a replica."""
        return self.primary is not None

    @property
    def connected(self) -> bool:
        return self.link.state is State.CONNECTED

    @property
    def transferring(self) -> bool:
        """The primary's data comes, or is being loaded."""
        return self.active and self.link.state in (State.SYNC, State.LOADING)

    @property
    def applied_offset(self) -> int:
        """How much of the stream has been carried out, up to the last complete request or transaction."""
        session = self.session
        if session is None or session.flags & flags.MULTI:
            return self.node.stream.offset
        return self.node.stream.offset + session.bytes_done - self._done

    @property
    def stated_offset(self) -> int:
        """What others may go by: `applied_offset`, but 0 while the primary's data takes the place of what we had."""
        return self.applied_offset if self.resumable or not self.active else 0

    @property
    def read_offset(self) -> int:
        """How much of it has come."""
        return self.node.stream.offset + len(self._unapplied) + len(self._later)

    def data_age_ms(self) -> int | None:
        """For how long nothing has come from the primary; None: our data is not part of its history."""
        since_ms = self.link.last_io_ms if self.connected else self.down_since_ms
        return self.node.space.now_ms - since_ms if self.resumable and since_ms else None

    @property
    def ignores_maxmemory(self) -> bool:
        return self.active and self.node.config["replica-ignore-maxmemory"]

    @property
    def starts(self) -> bool:
        """The node is going to be a replica once it has loaded its data."""
        clustering = self.node.clustering
        return bool(self.node.config["replicaof"]) or (clustering is not None and clustering.core.myself.is_replica)

    def stale(self) -> bool:
        """Reads would show old data, and replica-serve-stale-data says that this is worse than none."""
        return self.active and not self.connected and not self.node.config["replica-serve-stale-data"]

    # -- changes of the role

    def follow(self, host: str, port: int, node_id: str = "") -> None:
        """Become, or go on as, a replica: of this primary, the cluster node `node_id` if one is given."""
        was_primary = not self.active
        self.node.scripts.abandon()
        self._end_wait_of_clients()
        self.node.replicas.acks.give_up()
        self.primary = (host, port)
        self.primary_id = node_id
        if was_primary and not self._restored:
            self.node.log.notice(
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be "
                "able to synchronize with the new master with just a partial transfer."
            )
            self.resumable = True
            self.stream_db = 0
        self._restored = False
        self._apply_role()
        self.link.follow(host, port, self.node.space.now_ms)
        self.run()

    def begin(self, host: str, port: int) -> None:
        """The node starts as a replica. What it has loaded says whether it is `resumable`."""
        self.primary = (host, port)
        self._apply_role()
        self.link.follow(host, port, self.node.space.now_ms)
        self.run()

    def stop(self) -> None:
        """Become a primary, with the data as it is."""
        if not self.active:
            return
        node = self.node
        self.primary = None
        self.link.stop()
        self.run()
        self.down_since_ms = 0
        self.local_expiry.forget()
        node.history.branch(node.stream.offset)
        node.replicas.disconnect_all()
        self._apply_role()

    def _apply_role(self) -> None:
        """Have the parts that look at the role on every command know it."""
        node = self.node
        node.space.lazy_expire = not self.active
        node.engine.read_only = self.active
        node.stream.set_relaying(self.active)
        node.apply_maxmemory()
        node.set_state(flags.STATE_READONLY, self.active and node.config["replica-read-only"])
        node.set_state(flags.STATE_STALE, self.stale())

    def _end_wait_of_clients(self) -> None:
        """Clients that wait for keys may wait in vain on a replica: they are told, and let go."""
        blocking = self.node.blocking
        for client in list(self.node.clients.by_id.values()):
            if blocking.answer(client, FORCED):
                client.flags |= flags.CLOSE
        blocking.serve()

    # -- what happens outside

    def connected_to(self, now_ms: int) -> None:
        """The host has made the connection that was asked for."""
        self.node.space.now_ms = now_ms
        self.link.connected(now_ms)
        self.run()

    def received(self, data: bytes, now_ms: int) -> None:
        self.node.space.now_ms = now_ms
        self.bytes_in += len(data)
        self.link.received(data, now_ms)
        self.run()

    def lost(self, reason: str, now_ms: int) -> None:
        """The connection has ended, or could not be made."""
        self.node.space.now_ms = now_ms
        self.link.lost(reason, now_ms)
        self.run()

    def tick(self) -> None:
        if self.active:
            self.link.tick(self.node.space.now_ms)
            self.run()
            if self.local_expiry:
                self.local_expiry.run()

    def session_gone(self, session: Session) -> None:
        """Somebody has closed the stream's session (CLIENT KILL)."""
        if session is self.session:
            self.link.restart(self.node.space.now_ms)
            self.run()

    def acknowledge(self) -> None:
        """The primary asks how far we are."""
        self.link.acknowledge(self.node.space.now_ms)
        self.run()

    # -- what the link wants

    def run(self) -> None:
        """Carry out what the link asks for."""
        if self._running:
            return  # what a command of the stream has asked for is done after it
        self._running = True
        try:
            while effects := self.link.take_effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._running = False
        if self.session is not None and not self.connected:
            self._leave_stream()
        self.host.read(self.link.reading)
        self.node.set_state(flags.STATE_STALE, self.stale())
        if self.connected != self._was_connected:
            self._was_connected = self.connected
            if self.node.clustering is not None:
                self.node.clustering.attend()  # the others are told that clients may read here

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Apply(data):
                self._apply(data)
            case Send(data):
                self.host.send(data)
            case Note(level, text):
                self.node.log.write(level, text)
            case Connect(host, port):
                self.host.connect(host, port, self)
            case Close():
                self.host.close()
            case Resume(history_id):
                self._resume(history_id)
            case BeginSnapshot() | StoreSnapshot() | DropSnapshot():
                try:
                    self._store(effect)
                except OSError as error:
                    self.node.log.warning(f"The snapshot from the primary cannot be kept: {error}")
                    self.link.restart(self.node.space.now_ms)
            case LoadSnapshot(history_id, offset):
                self.host.load(self._loading(history_id, offset), self.node.loading, self._loaded)

    def _introduction(self) -> Introduction:
        config = self.node.config
        return Introduction(
            port=config["replica-announce-port"] or config["port"],
            announce_ip=config["replica-announce-ip"],
            user=config["masteruser"],
            password=config["masterauth"],
            timeout_ms=config["repl-timeout"] * 1000,
            to_memory=self._loads_from_memory(),
            primary_id=self.primary_id,
        )

    def _loads_from_memory(self) -> bool:
        mode = self.node.config["repl-diskless-load"]
        return mode == "swapdb" or (mode == "on-empty-db" and not any(map(len, self.node.space.dbs)))

    def _position(self) -> Position | None:
        return Position(self.node.history.id, self.node.stream.offset + 1) if self.resumable else None

    # -- the snapshot

    def _store(self, effect: Effect) -> None:
        match effect:
            case BeginSnapshot(size, to_memory):
                self._in_memory = bytearray() if to_memory else None
                if to_memory:
                    # As if it were read as it comes: from here on the data that we have is of no use, or is old.
                    self.node.loading.begin(size or 0, asynchronous=self._is_newer_of_ours())
                    self.node.log.notice(LOADS)
                else:
                    self.host.begin_file()
            case StoreSnapshot(data) if self._in_memory is not None:
                self._in_memory += data
                self.node.loading.loaded_bytes = len(self._in_memory)
            case StoreSnapshot(data):
                self.host.store_file(data)
            case DropSnapshot():
                self.host.cancel_load()
                self.host.drop_file()
                self._in_memory = None
                self.node.loading.end()

    def _is_newer_of_ours(self) -> bool:
        """What comes is a later state of the data that we have, which may be shown meanwhile (repl-diskless-load)."""
        return self.node.config["repl-diskless-load"] == "swapdb" and self.link.offered_id == self.node.history.id

    def _loading(self, history_id: str, offset: int) -> Steps[None]:
        """The steps that put the primary's data into the place of ours; our own replicas have to do the same."""
        node = self.node
        beside = self._in_memory is not None and node.config["repl-diskless-load"] == "swapdb"
        try:
            data: Data = memoryview(self._in_memory) if self._in_memory is not None else self._file()
            if not beside:
                node.log.notice("MASTER <-> REPLICA sync: Flushing old data")
                self._drop_past()
                node.flush_all(node.space.dbs, node.config["replica-lazy-flush"])
            if not node.loading.active:
                node.loading.begin(len(data))
            if self._in_memory is None:
                node.log.notice(LOADS)
            loaded = yield from node.loader.rdb(data, keep_dead=True)
        finally:
            node.loading.end()
            self._in_memory = None
        if beside:
            node.log.notice("MASTER <-> REPLICA sync: Swapping active DB with loaded DB")
            self._drop_past()
        node.space.dirty += 1
        self._take_stream_db(loaded.facts)
        self.resumable = offset >= 0
        if self.resumable:
            node.history.adopt(history_id)
        node.stream.restart(max(offset, 0))

    def _take_stream_db(self, facts: dict[bytes, bytes]) -> None:
        """The database that the stream had chosen where the file ends; one who sends us his own chooses again."""
        database = stated_number(facts.get(b"repl-stream-db", b"0")) or 0
        self.stream_db = database if database < len(self.node.space.dbs) else 0

    def _drop_past(self) -> None:
        """The data is not any more what our history and offset say: nobody can go on from there."""
        self.resumable = False
        self.local_expiry.forget()
        self.node.history.renew()
        self.node.replicas.disconnect_all()

    def _file(self) -> Data:
        name = self.node.config["dbfilename"]
        self.host.finish_file(name)
        data = self.node.saving.disk.map(name)
        if data is None:
            raise CannotLoad("the file is gone")
        config = self.node.config
        if config["rdb-del-sync-files"] and not config["save"] and not config["appendonly"]:
            self.host.remove_file(name)  # the mapped data stays
        return data

    def _loaded(self, error: Exception | None, now_ms: int) -> None:
        """The host has come to the end of the steps."""
        self.node.space.now_ms = now_ms
        if error is not None:
            self.link.load_failed(str(error), now_ms)
        elif self.link.state is State.LOADING:
            self.node.aof.data_replaced()
            self._enter_stream()
            self.link.loaded(now_ms)
        self.run()

    # -- what the files say

    def facts(self) -> dict[str, object]:
        """For the head of a file of our data: where in which history that is, if anybody could go on from there."""
        stream = self.node.stream
        known = self.resumable if self.active else stream.journal.keeps
        if not known or stream.journal.unit_open:
            return {}
        database = self.stream_db if self.active else max(stream.journal.database, 0)
        return {"repl-stream-db": database, "repl-id": self.node.history.id, "repl-offset": self.applied_offset}

    def restored(self, facts: dict[bytes, bytes], dead: list[tuple[int, bytes]]) -> None:
        """The node has started with the data of a file: it goes on from there, and so can its replicas.

        `dead` are the keys that were left out: replicas still have them.
        """
        history_id, offset = facts.get(b"repl-id", b""), stated_number(facts.get(b"repl-offset", b""))
        if len(history_id) != ID_CHARS or offset is None:
            return
        node = self.node
        node.stream.restart(offset)
        node.stream.keep()
        if self.starts:
            node.history.adopt(history_id.decode("latin-1"))
            self._take_stream_db(facts)
            self.resumable = self._restored = True
            self.down_since_ms = (stated_number(facts.get(b"ctime", b"")) or 0) * 1000
            return
        node.history.restored(history_id.decode("latin-1"), offset)
        for db_index, key in dead:
            node.stream.deleted(node.space.dbs[db_index], key, node.config["lazyfree-lazy-expire"])
        node.stream.end_unit(atomic=False)

    # -- the stream

    def _resume(self, history_id: str) -> None:
        """The primary goes on where we are, perhaps under another name: our replicas have to learn that."""
        node = self.node
        if history_id != node.history.id:
            node.history.continued(history_id, node.stream.offset)
            node.replicas.disconnect_all()
        self._enter_stream()

    def _enter_stream(self) -> None:
        node = self.node
        assert self.primary is not None
        host, port = self.primary
        session = node.clients.connect(f"{host}:{port}".encode(), b"")
        session.flags = flags.PRIMARY
        session.user = None
        session.set_trusted(True)
        session.db = node.space.dbs[self.stream_db]
        self.session = session
        self._unapplied.clear()
        self._done = 0
        self.down_since_ms = 0

    def _leave_stream(self) -> None:
        """The link is gone. What was not carried out whole is forgotten: it will come again."""
        node, session = self.node, self.session
        assert session is not None
        self.session = None
        self.down_since_ms = node.space.now_ms
        self._unapplied.clear()
        self._later.clear()
        if not session.flags & flags.CLOSED:
            node.clients.disconnect(session)

    def go_on(self) -> None:
        """Carry out what has come while a script did not end: its data must not change."""
        data, self._later = bytes(self._later), bytearray()
        if data:
            self._apply(data)

    def _apply(self, data: bytes) -> None:
        """Carry out what has come; our own replicas get what was carried out."""
        session, space = self.session, self.node.space
        if session is None:
            return
        if self.node.scripts.suspended:
            self._later += data
            return
        self._unapplied += data
        space.show_dead = True  # the primary knows what it has deleted: for its commands nothing is dead by time alone
        try:
            session.input(data)
        finally:
            space.show_dead = False
        if not session.flags & flags.MULTI:
            done = session.bytes_done - self._done
            if done:
                self._done = session.bytes_done
                self.node.stream.relay(bytes(memoryview(self._unapplied)[:done]))
                del self._unapplied[:done]
            self.stream_db = session.db.index
        if session.flags & flags.CLOSE:
            # The stream is not what it should be: whatever follows in it could not be trusted.
            self.resumable = False
            self.link.restart(self.node.space.now_ms)

    def run_locally(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A client's command on a replica. Where it may write, a dead key in its way is as good as none."""
        space = self.node.space
        dirty = space.dirty
        space.lazy_expire = "write" in command.spec.flags
        try:
            session.invoke(command, argv)
        finally:
            space.lazy_expire = not self.active
        if space.dirty != dirty and "write" in command.spec.flags and self.active:
            self.local_expiry.written(session.db, [argv[at] for at in command.spec.get_keys(argv)])

    def errored(self, session: Session, text: bytes) -> None:
        """A command of the stream has failed, though it succeeded on the primary."""
        node = self.node
        self.unexpected_errors += 1
        name = session.command.name.decode() if session.command is not None else "<unknown>"
        node.log.warning(
            "== CRITICAL == This replica is sending an error to its master: "
            f"'{text.decode('utf-8', 'replace')}' after processing the command '{name}'"
        )
        if node.config["propagation-error-behavior"] in ("panic", "panic-on-replicas"):
            node.panic(f"This replica panicked sending an error to its master after processing the command '{name}'")


def _of_link(read: Callable[[Following], object]) -> Callable[[Following], object]:
    """A figure that only replicas have."""
    return lambda own: read(own) if own.active else None


def _of_transfer(read: Callable[[Following], object]) -> Callable[[Following], object]:
    """A figure that there is while the primary's data comes."""
    return lambda own: read(own) if own.transferring else None


def _silent_s(own: Following) -> int:
    return (own.node.space.now_ms - own.link.last_io_ms) // 1000


def _down_s(own: Following) -> int | None:
    if own.connected:
        return None
    return (own.node.space.now_ms - own.down_since_ms) // 1000 if own.down_since_ms else -1


def _read_percent(own: Following) -> str:
    total = own.link.snapshot_size or 0
    return f"{100 * own.link.snapshot_read / total if total else 0:.2f}"


def figures() -> Table[Following]:
    return (
        counted(
            "stats",
            "total_net_repl_input_bytes",
            "bytes_in",
            "Bytes that have come from primaries.",
            after="total_net_output_bytes",
        ),
        shown(
            "stats",
            "slave_expires_tracked_keys",
            lambda own: len(own.local_expiry),
            "Keys with an expiry that clients have written to this replica.",
            after="migrate_cached_sockets",
        ),
        shown(
            "stats",
            "unexpected_error_replies",
            lambda own: own.unexpected_errors,
            "Commands of the primary's stream that failed.",
            after="tracking_total_prefixes",
        ),
        shown("replication", "role", lambda own: "slave" if own.active else "master", "Master or slave."),
        shown(
            "replication",
            "master_host",
            _of_link(lambda own: own.primary and own.primary[0]),
            "Whom a replica follows.",
        ),
        shown(
            "replication", "master_port", _of_link(lambda own: own.primary and own.primary[1]), "The primary's port."
        ),
        shown(
            "replication",
            "master_link_status",
            _of_link(lambda own: "up" if own.connected else "down"),
            "Up while the replica has the primary's data and its stream.",
        ),
        shown(
            "replication",
            "master_last_io_seconds_ago",
            _of_link(lambda own: _silent_s(own) if own.connected else -1),
            "Time since something has come from it.",
        ),
        shown(
            "replication",
            "master_sync_in_progress",
            _of_link(lambda own: int(own.transferring)),
            "1 while its data comes.",
        ),
        shown("replication", "slave_read_repl_offset", _of_link(lambda own: own.read_offset), "How much has come."),
        shown("replication", "slave_repl_offset", _of_link(lambda own: own.applied_offset), "How much is carried out."),
        shown(
            "replication",
            "master_sync_total_bytes",
            _of_transfer(lambda own: own.link.snapshot_size or 0),
            "The size of the data that comes.",
        ),
        shown(
            "replication",
            "master_sync_read_bytes",
            _of_transfer(lambda own: own.link.snapshot_read),
            "What has come of it.",
        ),
        shown(
            "replication",
            "master_sync_left_bytes",
            _of_transfer(lambda own: (own.link.snapshot_size or 0) - own.link.snapshot_read),
            "What is still to come.",
        ),
        shown("replication", "master_sync_perc", _of_transfer(_read_percent), "What has come in percent."),
        shown("replication", "master_sync_last_io_seconds_ago", _of_transfer(_silent_s), "Time since the last piece."),
        shown(
            "replication", "master_link_down_since_seconds", _of_link(_down_s), "For how long the link has been down."
        ),
        shown(
            "replication",
            "slave_priority",
            _of_link(lambda own: own.node.config["replica-priority"]),
            "The directive replica-priority.",
        ),
        shown(
            "replication",
            "slave_read_only",
            _of_link(lambda own: int(own.node.config["replica-read-only"])),
            "The directive replica-read-only.",
        ),
        shown(
            "replication",
            "replica_announced",
            _of_link(lambda own: int(own.node.config["replica-announced"])),
            "The directive replica-announced.",
        ),
        measured(
            "primary_link_up",
            _of_link(lambda own: own.connected),
            "1 where this replica follows its primary's stream.",
            after="replication_offset_bytes",
        ),
    )
