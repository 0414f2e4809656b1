"""The host of one node: sockets, timers and signals around a NodeCore.

The event loop watches one descriptor for all plain clients (sockets.pyx), runs the regular work at `hz`,
and gives the lazy jobs (freeing, expiry) short slices in between, so that nothing holds the loop for long.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from node.aio import signals
from node.aio.admin.listener import AdminListener
from node.aio.aof_files import DiskFiles
from node.aio.clock import monotonic_ms, unix_ms
from node.aio.clusterbus import CannotJoin, ClusterBus
from node.aio.crash import report_crashes, stop_reporting
from node.aio.disk import WorkingDirectory, nameless_file, remove_old_drafts, remove_own_draft
from node.aio.filelimit import allow_files, clients_among, own_files
from node.aio.listening import CannotListen, Listeners, Move, endpoint, listen_tcp, listen_unix
from node.aio.loading import run_in_slices
from node.aio.locales import collation
from node.aio.logfile import LogFile, SystemLog
from node.aio.process import read_facts
from node.aio.replication import ReplicationHost
from node.aio.sockets import SocketDriver
from node.aio.supervision import Supervisor
from node.config import BadValue, Config
from node.core import NodeCore
from node.engine.session.session import Session
from node.leaving import Leave
from node.monitoring.log import Log
from node.persistence.aof.appendonly import State as AofState
from node.persistence.aof.loading import AofLoading
from node.persistence.loading import CannotLoad, snapshot_file
from node.persistence.snapshots import Next
from node.replication.link import State
from node.version import VERSION

FREE_BUDGET = 4000  # items a slice of lazy freeing may give back
EXPIRE_HASHES = 20  # hashes from which a slice of the expiry of fields may delete
EXPIRE_BUDGET_US = 1000  # how long a slice of the expiry cycle may take
SNAPSHOT_BUDGET_US = 1000  # how long a slice of the snapshots may take
LEAVING_LOOK_S = 0.005
IDLE_AFTER_TICKS = 20
IDLE_COMMANDS = 1  # in one tick: the PING with which a primary shows that it lives is nothing that happens
IDLE_PAUSE_S = 1.0  # between two rounds of the regular work while nothing happens
MOST_KEEPALIVE_S = 32767  # of the kernel
TOO_MANY_CLIENTS = "The operating system is not able to handle the specified number of clients"
CANNOT_BIND = "Failed to bind to specified addresses."
CANNOT_LISTEN = "Unable to listen on this port. Check server logs."
SNAPSHOT_PAUSE_S = 0.002  # between slices while nobody takes what they write


class CannotStart(Exception):
    """Something that the configuration asks for cannot be had; the text says what."""


class Server:
    """One node that serves clients until `stop`."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, supervisor: Supervisor) -> None:
        self.config = config
        self.loop = loop
        self.supervisor = supervisor
        self.log_file = LogFile(config["logfile"])
        sink: Callable[[str, str], None] = self.log_file
        if config["syslog-enabled"]:
            sink = SystemLog(config["syslog-ident"], config["syslog-facility"], beside=sink)
        log = Log(sink, config["loglevel"])
        self.node = NodeCore(config, unix_ms(), random.Random(), log)
        self.driver = SocketDriver(self.node.engine, self._connected, self.node.clients.gone)
        self.listeners = Listeners(begin=self._begin_listening, end=lambda sock: self.driver.unlisten(sock.fileno()))
        self.unix_listener: socket.socket | None = None
        self.exit_code = 0
        self._freeing = False
        self._expiring = False
        self._idling = False
        self._quiet_ticks = 0
        self._processed = 0
        self._snapshot_timer: asyncio.Handle | None = None
        self._blocked_timer: asyncio.TimerHandle | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._stopping = False
        self._pidfile = config["pidfile"]
        self._unixsocket = ""
        self._load_task: asyncio.Task[None] | None = None
        self.cluster_bus: ClusterBus | None = None
        self.admin = AdminListener(self.node, loop)

    # -- start and end

    def start(self) -> None:
        """Listen and serve, at first only what may run while the data is loaded; raises CannotListen, CannotJoin."""
        node, config = self.node, self.config
        signals.survive_harmless(node.log)
        node.saving.disk = WorkingDirectory(self.loop)
        remove_old_drafts()
        node.aof.parts.files = self.aof_files = DiskFiles(self.loop, self._die)
        node.clients.disconnect = self.driver.disconnect
        node.replicas.stream_to = self._stream_to
        node.replicas.sync.open_file = nameless_file
        node.engine.wake = lambda: self.loop.call_soon(self.driver.flush_pending)
        node.blocking.wake_at = self._wake_blocked
        node.scripts.slices.schedule = self._wake_script
        node.snapshots.wake = self._wake_snapshots
        node.leaving.stop = self._stop
        node.leaving.wake = self._wake_leaving
        node.process = read_facts
        node.now_us = lambda: time.time_ns() // 1000
        node.sleep = self._sleep
        node.panic = self._panic
        node.crash = lambda: signal.raise_signal(signal.SIGSEGV)
        node.following.host = self.replication = ReplicationHost(node, self.loop)
        node.following.waits_for_data = True
        self._allow_as_many_clients_as_possible()
        try:
            self._collate(config)
        except BadValue as error:
            raise CannotStart(f"locale-collate: {error}") from None
        self._listen()
        if config["cluster-enabled"]:
            self.cluster_bus = ClusterBus(node, self.loop, self._fatal)
            self.loop.run_until_complete(self.cluster_bus.start())
        if config["admin-port"]:
            self._listen_admin()
        self.loop.add_reader(self.driver.fileno(), self.driver.on_ready)
        for number in signals.ENDING:
            # Not the loop's handlers: a second SIGINT ends a save that holds the loop.
            signal.signal(number, self._signalled)
        config.prepare(["dir"], lambda config: _ChangedDir(node, config))
        config.prepare(["port", "bind"], self._rebind)
        config.subscribe(["client-output-buffer-limit"], self._limit_output)
        self._limit_output(config)
        config.subscribe(["maxmemory-clients", "maxmemory"], self._limit_buffers)
        self._limit_buffers(config)
        config.subscribe(["locale-collate"], self._collate)
        config.subscribe(["crash-log-enabled"], _report_crashes)
        _report_crashes(config)
        config.subscribe(["loglevel"], lambda config: setattr(node.log, "level", config["loglevel"]))
        config.subscribe(["maxclients"], self._allow_clients)
        self._write_pidfile()
        self.supervisor.starting()
        if self.supervisor.problem:
            node.log.warning(self.supervisor.problem)
        self._cron()
        self._load_task = self.loop.create_task(self._load())

    def _write_pidfile(self) -> None:
        if not self._pidfile:
            return
        self._pidfile = os.path.abspath(self._pidfile)
        try:
            with open(self._pidfile, "w") as file:
                file.write(f"{os.getpid()}\n")
        except OSError as error:
            self.node.log.warning(f"Failed to write PID file {self._pidfile}: {error.strerror}")
            self._pidfile = ""

    async def _load(self) -> None:
        """Load the data, serving meanwhile; a node that cannot must not go on without it."""
        node, aof = self.node, AofLoading(self.node)
        try:
            if self.config["appendonly"]:
                await run_in_slices(node, aof.steps())
                node.aof.open()
            else:
                await run_in_slices(node, snapshot_file(node))
                aof.look()
        except Exception as error:
            node.log.warning(str(error) if isinstance(error, CannotLoad) else f"{error!r}\n{traceback.format_exc()}")
            if self.config["appendonly"]:
                os._exit(1)
            node.log.warning("Fatal error loading the DB, check server logs. Exiting.")
            self.exit_code = 1
            self._stop()
            return
        node.following.waits_for_data = False
        if node.clustering is not None:
            node.clustering.act(node.clustering.core.data_loaded, node.clustering.now_ms)
        if self.config["replicaof"]:
            node.following.begin(*self.config["replicaof"])
        node.log.notice("Ready to accept connections tcp")
        self.supervisor.ready()

    def _die(self) -> None:
        """What clients are about to be told cannot be kept: not one byte more may leave this process."""
        os._exit(1)

    def _panic(self, reason: str) -> None:
        """Go at once: to serve on would be worse."""
        self.node.log.warning(reason)
        os._exit(1)

    def _fatal(self, error: Exception) -> None:
        """The cluster's configuration cannot be written: a node that forgets its promises must not go on."""
        self.node.log.warning(f"Cannot write the cluster configuration file: {error}. Exiting.")
        self.exit_code = 1
        self._stop()

    def _listen(self) -> None:
        config = self.config
        self.listeners.move(config["bind"], config["port"], config["tcp-backlog"]).commit()
        if config["unixsocket"]:
            self.unix_listener = listen_unix(config["unixsocket"], config["unixsocketperm"], config["tcp-backlog"])
            self._unixsocket = os.path.abspath(config["unixsocket"])  # `dir` may change
            self.driver.listen(self.unix_listener.fileno())
        if not self.listeners.sockets and self.unix_listener is None:
            raise CannotListen("Configured to not listen anywhere: set port and bind, or unixsocket")

    def _begin_listening(self, sock: socket.socket) -> None:
        if self.config["socket-mark-id"]:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", self.config["socket-mark-id"]))
            except OSError as error:
                self.node.log.warning(f"Cannot set socket-mark-id {self.config['socket-mark-id']}: {error.strerror}")
        self.driver.listen(sock.fileno())

    def _stream_to(self, session: Session) -> None:
        """The client is a replica from now on."""
        if self.config["repl-disable-tcp-nodelay"] and session.file_descriptor >= 0:
            with socket.socket(fileno=os.dup(session.file_descriptor)) as same:
                if same.family != socket.AF_UNIX:
                    same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        self.driver.stream_to(session)

    def _listen_admin(self) -> None:
        config = self.config
        try:
            sockets = listen_tcp(config["admin-bind"], config["admin-port"], config["tcp-backlog"])
        except CannotListen as error:
            raise CannotListen(f"admin-port {config['admin-port']}: {error}") from None
        self.loop.run_until_complete(self.admin.start(sockets))

    def _rebind(self, config: Config) -> Move:
        """CONFIG SET port or bind: all the new sockets first, then the old ones go; a failure leaves these."""
        try:
            move = self.listeners.move(config["bind"], config["port"], config["tcp-backlog"])
        except CannotListen as error:
            same_port = any(each.getsockname()[1] == config["port"] for each in self.listeners.sockets)
            raise BadValue(f"{CANNOT_BIND if same_port else CANNOT_LISTEN} {error}") from None
        if not move.sockets and self.unix_listener is None:
            raise BadValue("Nobody could connect any more: without TCP there must be a unixsocket")
        return move

    def _allow_clients(self, config: Config) -> None:
        """CONFIG SET maxclients."""
        own = own_files(config)
        files = allow_files(config["maxclients"] + own)
        if clients_among(files, own) < config["maxclients"]:
            raise BadValue(f"{TOO_MANY_CLIENTS}, try with {max(1, clients_among(files, own))}")

    def _allow_as_many_clients_as_possible(self) -> None:
        """At the start maxclients is lowered to what the system grants."""
        config, log = self.config, self.node.log
        wanted, own = config["maxclients"], own_files(config)
        files = allow_files(wanted + own)
        possible = clients_among(files, own)
        if possible >= wanted:
            return
        if possible < 1:
            raise CannotStart(
                f"Your current 'ulimit -n' of {files} is not enough for the server to start. Please increase your open "
                f"file limit to at least {wanted + own}. Exiting."
            )
        config.put("maxclients", possible)
        log.warning(f"You requested maxclients of {wanted} requiring at least {wanted + own} max file descriptors.")
        log.warning(
            f"Current maximum open files is {files}. maxclients has been reduced to {possible} to compensate for low "
            "ulimit. If you need higher maxclients increase 'ulimit -n'."
        )

    def _collate(self, config: Config) -> None:
        self.node.collate = collation(config["locale-collate"])

    def _limit_output(self, config: Config) -> None:
        """From which length on the output of a client has to be looked at."""
        self.driver.output_check_bytes = self.node.clients.least_output_limit() - 1

    def _limit_buffers(self, config: Config) -> None:
        """From which sum on what clients take has to be looked at. Looking makes it more: less may be exempt later."""
        self.driver.clients_limit_bytes = self.node.clients.buffers_limit()

    def _signalled(self, number: int, frame: object) -> None:
        """The handler of the signals that end the node, which may come at any moment."""
        leaving, name = self.node.leaving, signals.name_of(number)
        if leaving.asked and number == signal.SIGINT:
            self.node.log.warning("You insist... exiting now.")
            remove_own_draft()
            os._exit(1)
        self.node.log.warning(f"Received {name} scheduling shutdown...")
        leaving.schedule(Leave(**dict.fromkeys(self.config[signals.ENDING[number]], True)))

    def _wake_leaving(self) -> None:
        """Called by the signal handler, too, which a loop that sleeps does not notice by itself."""
        self.loop.call_soon_threadsafe(self._go_on_leaving)

    def _go_on_leaving(self) -> None:
        """Look often how far a shutdown is: a hand-over takes less than the time between two ticks."""
        node = self.node
        if self._stopping:
            return
        node.space.now_ms = unix_ms()
        node.leaving.tick(node.space.now_ms)
        if node.leaving.asked and not self._stopping:
            self.loop.call_later(LEAVING_LOOK_S, self._go_on_leaving)

    def _stop(self) -> None:
        self._stopping = True
        self.supervisor.stopping()
        for timer in self._timers:
            timer.cancel()
        if self._load_task is not None:
            self._load_task.cancel()
        self.loop.remove_reader(self.driver.fileno())
        self.node.scripts.drop()
        self.listeners.close()
        if self.unix_listener is not None:
            self.driver.unlisten(self.unix_listener.fileno())
            self.unix_listener.close()
        self.driver.stop()
        self.replication.stop()
        self.node.aof.shutdown()
        for path in filter(None, (self._unixsocket, self._pidfile)):
            with suppress(OSError):
                os.unlink(path)
        self.loop.create_task(self._leave())

    async def _leave(self) -> None:
        """The last steps, which may have to wait: the bus finishes what it is writing."""
        await self.admin.stop()
        if self.cluster_bus is not None:
            await self.cluster_bus.stop()
        self.aof_files.finish()
        self.node.log.warning("Shardis is now ready to exit, bye bye...")
        self.loop.stop()

    # -- clients

    def _connected(self, fd: int, listener_fd: int) -> Session | None:
        connection = socket.socket(fileno=fd)
        try:
            is_unix = connection.family == socket.AF_UNIX
            local = connection.getsockname()
            peer = local if is_unix else connection.getpeername()
            is_local = is_unix or peer[0] == "::1" or peer[0].startswith("127.")
            refusal = self.node.clients.refusal(is_local)
            if refusal is not None:
                connection.send(refusal)
                connection.close()
                return None
            if not is_unix:
                _tune(connection, self.config["tcp-keepalive"])
            connection.detach()
        except OSError:
            # The client went away between connecting and being accepted.
            connection.close()
            return None
        return self.node.clients.connect(endpoint(peer), endpoint(local), is_unix)

    # -- time

    def _cron(self) -> None:
        """The regular work; its own lateness is known from the interval."""
        node = self.node
        node.space.now_ms = unix_ms()
        self.driver.accept_again()
        if not node.cron_paused:
            node.tick()
            node.clients.tick()
            self._limit_buffers(self.config)
        if not self._freeing:
            self._freeing = True
            self._free()
        if not self._expiring:
            self._expiring = True
            self._expire()
        self._idle(self._is_idle())
        self._next_cron()

    def _next_cron(self) -> None:
        pause_s = 1 / self.config["hz"]
        self._timers = [self.loop.call_later(max(pause_s, IDLE_PAUSE_S) if self._idling else pause_s, self._cron)]

    def _idle(self, on: bool) -> None:
        """Do the regular work less often from now on, or as usual again; then, clients are served without detours."""
        if on != self._idling:
            self._idling = on
            self.loop.add_reader(self.driver.fileno(), self._while_idling if on else self.driver.on_ready)

    def _is_idle(self) -> bool:
        """Whether nothing has happened for a while, and nothing that the regular work looks after goes on.

        Where many nodes share a machine, most of what they take at rest is waking up.
        """
        node = self.node
        processed, self._processed = self._processed, self._requests()
        self._quiet_ticks = self._quiet_ticks + 1 if self._processed - processed <= IDLE_COMMANDS else 0
        return (
            self._quiet_ticks >= IDLE_AFTER_TICKS
            and not (node.pause.active or node.loading.active or node.eviction.due or node.scripts.suspended)
            and node.following.link.state in (State.NONE, State.CONNECTED)
            and not any(db.volatile_keys for db in node.space.dbs)
        )

    def _requests(self) -> int:
        """How many requests were served, but for what replicas say every second to show that they live."""
        return self.node.engine.processed - self.node.replicas.acks_heard

    def _while_idling(self) -> None:
        """If a client has sent a request, the regular work is due as usual from now on."""
        self.driver.on_ready()
        if self._idling and self._requests() != self._processed:
            self._quiet_ticks = 0
            self._idle(False)
            for timer in self._timers:
                timer.cancel()
            self._next_cron()

    def _free(self) -> None:
        """A slice of lazy freeing and of giving memory back; while there is more, every turn of the loop has one."""
        if self.node.space.free_some(FREE_BUDGET):
            self.loop.call_soon(self._free)
        else:
            self._freeing = False

    def _expire(self) -> None:
        """A slice of the expiry cycle; it goes on while many keys are found dead."""
        node = self.node
        node.space.now_ms = unix_ms()
        waits = node.pause.active or node.loading.active or node.scripts.suspended or not node.engine.lease_runs()
        may_expire = node.space.lazy_expire and not waits
        if may_expire and node.space.active_expire:
            started, effort = monotonic_ms(), self.config["active-expire-effort"]
            more = node.space.expire_some(EXPIRE_BUDGET_US, effort)
            node.latency.add("expire-cycle", node.space.now_ms // 1000, monotonic_ms() - started)
            more |= node.space.expire_fields(EXPIRE_HASHES * effort)
            if node.engine.ready:
                node.after_command()
            if more:
                self.loop.call_later(0.002, self._expire)
                return
        self._expiring = False

    def _wake_script(self) -> None:
        """A script is suspended: it goes on once everything else has had a turn."""
        self.loop.call_soon(self._go_on_with_script)

    def _go_on_with_script(self) -> None:
        self.node.space.now_ms = unix_ms()
        self.node.scripts.go_on()

    def _wake_snapshots(self) -> None:
        """Somebody has started a snapshot, or can take more of it."""
        if self._snapshot_timer is not None:
            self._snapshot_timer.cancel()
        self._snapshot_timer = self.loop.call_soon(self._snapshot)

    def _snapshot(self) -> None:
        """A slice of the snapshots that are being taken; clients have a turn before the next one."""
        self._snapshot_timer = None
        wish = self.node.snapshots.step(SNAPSHOT_BUDGET_US)
        if self._snapshot_timer is not None:
            return  # woken meanwhile
        if wish is Next.AT_ONCE:
            self._snapshot_timer = self.loop.call_soon(self._snapshot)
        elif wish is Next.SOON:
            self._snapshot_timer = self.loop.call_later(SNAPSHOT_PAUSE_S, self._snapshot)

    def _sleep(self, seconds: float) -> None:
        """DEBUG SLEEP: nothing moves meanwhile, but the clock."""
        time.sleep(seconds)
        if not self.node.scripts.running:  # for which time stands still
            self.node.space.now_ms = unix_ms()

    def _wake_blocked(self, at_ms: int) -> None:
        """Have waits end at their deadline rather than at the next tick."""
        timer = self._blocked_timer
        delay_s = max(0, at_ms - unix_ms()) / 1000
        if timer is not None and not timer.cancelled() and timer.when() <= self.loop.time() + delay_s:
            return
        if timer is not None:
            timer.cancel()
        self._blocked_timer = self.loop.call_later(delay_s, self._end_waits)

    def _end_waits(self) -> None:
        self._blocked_timer = None
        self.node.space.now_ms = unix_ms()
        self.node.blocking.tick(self.node.space.now_ms)
        due_ms = self.node.blocking.timers.next_ms()
        if due_ms is not None:
            self._wake_blocked(due_ms)


class _ChangedDir:
    """CONFIG SET dir: relative paths of files are meant from there."""

    def __init__(self, node: NodeCore, config: Config) -> None:
        if node.aof.state is not AofState.OFF:
            raise BadValue("the append-only file is in the present directory: CONFIG SET appendonly no comes first")
        self._before = os.getcwd()
        os.chdir(config["dir"])
        config.put("dir", os.getcwd())

    def commit(self) -> None:
        pass

    def cancel(self) -> None:
        os.chdir(self._before)


def _report_crashes(config: Config) -> None:
    if config["crash-log-enabled"]:
        report_crashes(VERSION, config["logfile"])
    else:
        stop_reporting()


def _tune(connection: socket.socket, keepalive_s: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_s:
        keepalive_s = min(keepalive_s, MOST_KEEPALIVE_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, keepalive_s // 3))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def run(config: Config, supervisor: Supervisor) -> int:
    """Serve until told to stop; the exit code."""
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    server = Server(config, loop, supervisor)
    log = server.node.log
    mode = "cluster" if config["cluster-enabled"] else "standalone"
    try:
        server.start()
    except CannotListen as error:
        log.warning(f"Failed listening on port {config['port']} (tcp), aborting. {error}")
        return 1
    except (CannotJoin, CannotStart) as error:
        log.warning(str(error))
        return 1
    # Not before clients can connect: supervisors and test suites look for this line.
    log.warning(f"Shardis {VERSION} starts, mode={mode}, port={config['port']}, PID: {os.getpid()}")
    try:
        loop.run_forever()
    finally:
        loop.close()
    return server.exit_code
