"""The host of one node: sockets and signals around a NodeCore, and the ports (node/ports/) that it is given.

The event loop watches one descriptor for all plain clients (sockets.pyx); timers are in turns.py.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from contextlib import suppress

from node.aio import signals
from node.aio.admin.listener import AdminListener
from node.aio.aof_files import AofFilesOnDisk
from node.aio.clock import SystemClock, unix_ms
from node.aio.clusterbus import CannotJoin, ClusterBus
from node.aio.crash import report_crashes, stop_reporting
from node.aio.disk import DiskOfNode, WorkingDirectory, remove_old_drafts, remove_own_draft
from node.aio.filelimit import allow_files, clients_among, own_files
from node.aio.listening import CannotListen, Listeners, Move, endpoint, listen_tcp, listen_unix
from node.aio.logfile import LogFile, SystemLog
from node.aio.process import ThisProcess, die
from node.aio.replication import ReplicationHost
from node.aio.sockets import SocketDriver
from node.aio.stepping import run_in_slices
from node.aio.supervision import Supervisor
from node.aio.targets import TargetConnections
from node.aio.turns import Turns
from node.config import BadValue, Config
from node.core import NodeCore
from node.engine.session.session import Session
from node.leaving import Leave
from node.monitoring.log import Log
from node.persistence.aof.appendonly import State as AofState
from node.ports.host import Host
from node.ports.steps import CannotLoad
from node.version import VERSION

MOST_KEEPALIVE_S = 32767  # of the kernel
TOO_MANY_CLIENTS = "The operating system is not able to handle the specified number of clients"
CANNOT_BIND = "Failed to bind to specified addresses."
CANNOT_LISTEN = "Unable to listen on this port. Check server logs."


class CannotStart(Exception):
    """Something that the configuration asks for cannot be had; the text says what."""


class Server:
    """One node that serves clients until `stop`."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, supervisor: Supervisor, log: Log) -> None:
        """CannotStart: something that `config` asks for cannot be had."""
        self.config = config
        self.loop = loop
        self.supervisor = supervisor
        self.turns = Turns(loop)
        self.aof_files = AofFilesOnDisk(loop, die)
        self.replication = ReplicationHost(loop, config, log)
        self.targets = TargetConnections(loop)
        host = Host(
            clock=SystemClock(),
            wake_ups=self.turns,
            connections=self,
            files=DiskOfNode(WorkingDirectory(loop), self.aof_files),
            process=ThisProcess(self._stop),
            primary=self.replication,
            targets=self.targets,
            loads_data=True,
        )
        try:
            self.node = NodeCore(config, unix_ms(), random.Random(), log, host)
        except BadValue as error:
            raise CannotStart(f"locale-collate: {error}") from None
        self.driver = SocketDriver(self.node.engine, self._connected, self.node.clients.gone)
        self.listeners = Listeners(begin=self._begin_listening, end=lambda sock: self.driver.unlisten(sock.fileno()))
        self.unix_listener: socket.socket | None = None
        self.exit_code = 0
        self.turns.begin(self.node, self.driver, on_tick=lambda: self._limit_buffers(config))
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
        remove_old_drafts()
        self._allow_as_many_clients_as_possible()
        self._listen()
        if config["cluster-enabled"]:
            self.cluster_bus = ClusterBus(node, self.loop, self._fatal)
            self.loop.run_until_complete(self.cluster_bus.start())
        if config["admin-port"]:
            self._listen_admin()
        for number in signals.ENDING:
            # Not the loop's handlers: a second SIGINT ends a save that holds the loop.
            signal.signal(number, self._signalled)
        config.prepare(["dir"], lambda config: _ChangedDir(node, config))
        config.prepare(["port", "bind"], self._rebind)
        config.subscribe(["client-output-buffer-limit"], self._limit_output)
        self._limit_output(config)
        config.subscribe(["maxmemory-clients", "maxmemory"], self._limit_buffers)
        self._limit_buffers(config)
        config.subscribe(["crash-log-enabled"], _report_crashes)
        _report_crashes(config)
        config.subscribe(["loglevel"], lambda config: setattr(node.log, "level", config["loglevel"]))
        config.subscribe(["maxclients"], self._allow_clients)
        self._write_pidfile()
        self.supervisor.starting()
        if self.supervisor.problem:
            node.log.warning(self.supervisor.problem)
        self.turns.start()
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
        node = self.node
        try:
            await run_in_slices(node.load(), node.loading, self.config)
        except Exception as error:
            node.log.warning(str(error) if isinstance(error, CannotLoad) else f"{error!r}\n{traceback.format_exc()}")
            if self.config["appendonly"]:
                os._exit(1)
            node.log.warning("Fatal error loading the DB, check server logs. Exiting.")
            self.exit_code = 1
            self._stop()
            return
        node.data_loaded()
        node.log.notice("Ready to accept connections tcp")
        self.supervisor.ready()

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

    def _stop(self) -> None:
        self.supervisor.stopping()
        self.turns.stop()
        if self._load_task is not None:
            self._load_task.cancel()
        self.node.scripts.drop()
        self.listeners.close()
        if self.unix_listener is not None:
            self.driver.unlisten(self.unix_listener.fileno())
            self.unix_listener.close()
        self.driver.stop()
        self.replication.stop()
        self.targets.stop()
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

    # -- connections (node/ports/)

    def disconnect(self, session: Session) -> bool:
        self.driver.disconnect(session)
        return True

    def stream_to(self, session: Session) -> None:
        if self.config["repl-disable-tcp-nodelay"] and session.file_descriptor >= 0:
            with socket.socket(fileno=os.dup(session.file_descriptor)) as same:
                if same.family != socket.AF_UNIX:
                    same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        self.driver.stream_to(session)

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


def _open_log(config: Config) -> Log:
    sink: Callable[[str, str], None] = LogFile(config["logfile"])
    if config["syslog-enabled"]:
        sink = SystemLog(config["syslog-ident"], config["syslog-facility"], beside=sink)
    return Log(sink, config["loglevel"])


def run(config: Config, supervisor: Supervisor) -> int:
    """Serve until told to stop; the exit code."""
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    log = _open_log(config)
    mode = "cluster" if config["cluster-enabled"] else "standalone"
    try:
        server = Server(config, loop, supervisor, log)
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
