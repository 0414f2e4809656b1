"""`shardis up` and `shardis down`: start the nodes of a local cluster, form it, and stop it again.

Whatever goes wrong on the way up, nothing that it started is left running, and a cluster that was never formed leaves
no files. A node is known by its process' id and start time where a launcher has started it, and by the lock that it
holds on its nodes.conf where somebody has started it by hand.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from cluster.operator.aio.client import Connection, ReplyError, Unreachable
from cluster.operator.aio.creation import NotHealthy, create_cluster, wait_healthy
from cluster.operator.aio.folder import Folder
from cluster.operator.aio.ports import outgoing_ports, who_has
from cluster.operator.aio.processes import NODE_COMMAND, holder, is_running, record_of, start_node, stop
from cluster.operator.local import (
    HOST,
    LocalError,
    ProcessRecord,
    Record,
    Shape,
    Wish,
    busy_text,
    forming_settings,
    outgoing_note,
)
from cluster.placement import Address
from cluster.plan import create
from gossip.settings import BUS_PORT_OFFSET

START_TIMEOUT_S = 30.0
HEALTHY_TIMEOUT_S = 60.0
POLL_S = 0.02
ANSWER_TIMEOUT_S = 1.0
LINGER_TIMEOUT_S = 65.0
UP_AGAIN = "then `shardis up` starts it again"

Say = Callable[[str], None]


class Interrupted(Exception):
    """A signal asked to stop."""


class Launcher:
    """One local cluster in one folder.

    `command` is what starts a node, given the path of its configuration. Our own nodes form the cluster by themselves;
    to others it is told step by step.
    """

    def __init__(self, directory: str, command: Sequence[str] = NODE_COMMAND, say: Say = print) -> None:
        self.folder = Folder(directory)
        self.command = command
        self.nodes_form_it = list(command) == list(NODE_COMMAND)
        self.say = say
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        """What this launcher has started."""
        self.found: dict[int, ProcessRecord] = {}
        """The nodes that ran before."""
        self.stop_requested = False

    def up(self, wish: Wish) -> Shape:
        """Start the nodes that do not run; returns the cluster's shape once it is healthy.

        Raises LocalError, Interrupted. After a failure what was started here is stopped, and what ran before runs on.
        """
        try:
            with self.folder.made(), self.folder.taken():
                record = self.folder.read_record()
                if record is None:
                    self.folder.refuse_others()
                shape = wish.shape(record.shape if record else None, self.folder.shown)
                if record is None or not record.formed:
                    self._create(shape, wish, record)
                else:
                    self._start_again(record, wish)
                return shape
        except OSError as error:
            place = error.filename or self.folder.shown
            raise LocalError(f"the cluster cannot be started: {place}: {error.strerror}") from None

    def _create(self, shape: Shape, wish: Wish, leftover: Record | None) -> None:
        """Start a new cluster; where a launcher was killed while it made one, no client can have written to it."""
        if leftover is not None:
            stop(self.running(leftover).values())
        self._refuse_busy_ports(shape, shape.ports, formed=False)
        try:
            self.folder.lay_out(shape)
            if self.nodes_form_it:
                self.folder.configure(shape, forming_settings(shape))
            self.folder.configure(shape, wish.settings)
            self._start(shape, shape.ports, formed=False)
            asyncio.run(self._bring_up(shape, fresh=True))
            self.folder.write_record(self._record(shape))
        except BaseException:
            self._stop_started()
            self.folder.clear(shape)
            raise

    def _start_again(self, record: Record, wish: Wish) -> None:
        """Start those nodes of a cluster that do not run."""
        shape = record.shape
        self.found = self.running(record)
        missing = [port for port in shape.ports if port not in self.found]
        if self.found and wish.settings:
            raise LocalError(
                f"the cluster in {self.folder.shown} is running, and --set counts from the start of a node: "
                f"stop it first (`shardis down --dir {self.folder.shown}`), or use CONFIG SET"
            )
        self._refuse_busy_ports(shape, missing, formed=True)
        try:
            self.folder.configure(shape, wish.settings)
            self._start(shape, missing, formed=True)
            asyncio.run(self._bring_up(shape, fresh=False))
        except BaseException:
            self._stop_started()
            self.folder.write_record(self._record(shape))
            raise

    def _stop_started(self) -> None:
        stop([record_of(port, process) for port, process in self.processes.items()], timeout_s=10)
        self.processes.clear()

    def wait(self) -> bool:
        """Stay until a signal comes or all nodes have ended; says when one ends. True if a signal came."""
        while self.processes and not self.stop_requested:
            for port, process in list(self.processes.items()):
                if process.poll() is not None:
                    self.say(f"Node {port} has ended with status {process.returncode}.")
                    del self.processes[port]
            time.sleep(0.1)
        return self.stop_requested

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While active, SIGINT and SIGTERM ask this launcher to stop; it looks at convenient moments only."""

        def note(_number: int, _frame: object) -> None:
            self.stop_requested = True

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def down(self) -> int:
        """Stop the nodes that run; returns how many. Raises LocalError if the folder holds no cluster."""
        if self.folder.read_record() is None:
            raise LocalError(f"{self.folder.shown} holds no cluster (was it started with another --dir?)")
        with self.folder.taken():
            record = self.folder.read_record()
            assert record is not None
            running = list(self.running(record).values())
            for killed in self._stop_in_order(running):
                self.say(f"Node {killed.port} (process {killed.pid}) did not end in time and was killed.")
            left = tuple(process for process in running if is_running(process))
            self.folder.write_record(replace(record, processes=left))
            if left:
                told = ", ".join(f"node {process.port} (process {process.pid})" for process in left)
                raise LocalError(f"{told} belongs to another user and runs on: stop it as that user, or as root")
            return len(running)

    def running(self, record: Record) -> dict[int, ProcessRecord]:
        """The nodes that run, by port: started by a launcher, or by hand."""
        recorded = {process.port: process for process in record.processes if is_running(process)}
        others = {port: self._by_hand(port) for port in record.shape.ports if port not in recorded}
        return {**recorded, **{port: process for port, process in others.items() if process}}

    def _by_hand(self, port: int) -> ProcessRecord | None:
        return holder(port, self.folder.nodes_conf(port))

    def _stop_in_order(self, running: Sequence[ProcessRecord]) -> list[ProcessRecord]:
        """Stop replicas first: primaries would hand their slots over to them, though they are going as well."""
        replicas = asyncio.run(self._replicas(running))
        primaries = [process for process in running if process not in replicas]
        return stop(replicas) + stop(primaries)

    async def _replicas(self, running: Sequence[ProcessRecord]) -> list[ProcessRecord]:
        """Those that call themselves replicas; a node that does not answer does not."""

        async def is_replica(process: ProcessRecord) -> bool:
            password = self.folder.password(process.port)
            try:
                async with await Connection.open(HOST, process.port, password, ANSWER_TIMEOUT_S) as connection:
                    return bool((await connection.call("ROLE"))[0] == "slave")
            except (Unreachable, ReplyError):
                return False

        roles = await asyncio.gather(*(is_replica(process) for process in running))
        return [process for process, replica in zip(running, roles, strict=True) if replica]

    def _refuse_busy_ports(self, shape: Shape, ports: Sequence[int], formed: bool) -> None:
        """Ports that only a connection of the past holds are waited for."""
        wanted = [*ports, *(port + BUS_PORT_OFFSET for port in ports)]
        deadline = time.monotonic() + LINGER_TIMEOUT_S
        waiting = False
        while taken := [each for port in wanted if (each := who_has(port))]:
            if time.monotonic() > deadline or not all(each.lingers for each in taken):
                raise LocalError(busy_text(taken, shape, formed))
            if not waiting:
                waiting = True
                self.say(f"Waiting for port {taken[0].port}: it is free a minute after a connection has had it.")
            if self.stop_requested:
                raise Interrupted
            time.sleep(0.2)
        note = outgoing_note(shape, *outgoing_ports())
        if note and ports:
            self.say(note)

    def _start(self, shape: Shape, ports: Sequence[int], formed: bool) -> None:
        for port in ports:
            self.processes[port] = start_node(self.command, self.folder.of(port))
        self.folder.write_record(replace(self._record(shape), formed=formed))

    async def _bring_up(self, shape: Shape, fresh: bool) -> None:
        addresses: list[Address] = [(HOST, port) for port in shape.ports]
        connected = await asyncio.gather(*(self._first_answer(port) for port in shape.ports))
        connections = dict(zip(addresses, connected, strict=True))
        forming = asyncio.create_task(
            create_cluster(create(addresses, shape.replicas), connections, HEALTHY_TIMEOUT_S)
            if fresh and not self.nodes_form_it
            else wait_healthy(connections, HEALTHY_TIMEOUT_S)
        )
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait([forming, watching], return_when=asyncio.FIRST_COMPLETED)
            for task in (watching, forming):
                if task.done():
                    task.result()
        except (ReplyError, Unreachable) as error:
            raise LocalError(f"the cluster could not be formed: {error}") from None
        except NotHealthy as error:
            raise LocalError(f"the nodes run but do not become a healthy cluster: {error}") from None
        finally:
            watching.cancel()
            forming.cancel()
            for connection in connections.values():
                connection.close()

    async def _first_answer(self, port: int) -> Connection:
        """A connection to a node that has just been started, once it answers. Raises LocalError if it never does."""
        # Knocking at many doors at once, often, would take the time that the nodes need to start.
        pause_s = POLL_S * max(1, len(self.processes) / 6)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            self._check(port)
            try:
                connection = await Connection.open(HOST, port, self.folder.password(port))
            except Unreachable:
                await asyncio.sleep(pause_s)
                continue
            except ReplyError as error:
                raise LocalError(f"node {port} refuses the launcher: {error}") from None
            try:
                await connection.call("PING")
            except Unreachable:
                await asyncio.sleep(pause_s)
            except ReplyError as error:
                connection.close()
                if not str(error).startswith("LOADING"):
                    raise LocalError(f"node {port} answers PING with: {error}") from None
                deadline = time.monotonic() + START_TIMEOUT_S
                await asyncio.sleep(pause_s)
            else:
                return connection
        if port in self.found:
            pid = self.found[port].pid
            raise LocalError(
                f"node {port} runs (process {pid}) and does not answer: end it (kill -9 {pid}); {UP_AGAIN}"
            )
        raise LocalError(f"node {port} does not answer. The end of its log:\n{self.folder.log_tail(port)}")

    async def _watch(self) -> None:
        """Raises LocalError when a node that was started dies, Interrupted when a signal asks to stop."""
        while True:
            for port in (*self.processes, *self.found):
                self._check(port)
            await asyncio.sleep(0.1)

    def _check(self, port: int) -> None:
        if self.stop_requested:
            raise Interrupted
        if port in self.found:
            if not is_running(self.found[port]):
                raise LocalError(f"node {port}, which ran, has ended meanwhile: {UP_AGAIN}")
            return
        status = self.processes[port].poll()
        if status is not None:
            raise LocalError(
                f"node {port} ended while starting, with status {status}. "
                f"The end of its log:\n{self.folder.log_tail(port)}"
            )

    def _record(self, shape: Shape) -> Record:
        """What runs now, of a cluster that is formed."""
        started = {port: record_of(port, process) for port, process in self.processes.items()}
        processes = {**self.found, **started}
        return Record(shape, True, tuple(processes[port] for port in shape.ports if port in processes))
