"""`shardis up` and `shardis down`: start the nodes of a local cluster, form it, and stop it again.

Whatever goes wrong on the way up, nothing is left running, and a cluster that was never formed leaves no files.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cluster.aio.client import Connection, ReplyError, Unreachable
from cluster.aio.creation import NotHealthy, create_cluster, wait_healthy
from cluster.aio.processes import NODE_COMMAND, is_port_free, is_running, record_of, start_node, stop
from cluster.local import (
    BUS_OFFSET,
    HOST,
    NODE_CONF,
    NODE_LOG,
    RECORD,
    LocalError,
    ProcessRecord,
    Record,
    Shape,
    Wish,
    forming_settings,
    log_tail,
    node_conf,
    password_of,
    with_settings,
)
from cluster.plan import Address, create

START_TIMEOUT_S = 30.0
HEALTHY_TIMEOUT_S = 60.0
POLL_S = 0.02
ANSWER_TIMEOUT_S = 1.0

Say = Callable[[str], None]


class Interrupted(Exception):
    """A signal asked to stop."""


class Launcher:
    """One local cluster in one folder.

    `command` is what starts a node, given the path of its configuration. Our own nodes form the cluster by themselves;
    to others it is told step by step.
    """

    def __init__(self, directory: str, command: Sequence[str] = NODE_COMMAND, say: Say = print) -> None:
        self.shown = directory
        self.directory = Path(directory).absolute()
        self.command = command
        self.nodes_form_it = list(command) == list(NODE_COMMAND)
        self.say = say
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.stop_requested = False

    def up(self, wish: Wish) -> Shape:
        """Start the cluster; returns its shape once it is healthy. Raises LocalError, Interrupted."""
        record = self.read_record()
        self._refuse_foreign_folder(record)
        shape = wish.shape(record.shape if record else None, self.shown)
        self._refuse_busy_ports(shape)
        fresh = record is None or not record.formed
        before = list(self.directory.iterdir()) if self.directory.exists() else None
        try:
            if fresh:
                self._lay_out(shape)
                if self.nodes_form_it:
                    self._configure(shape, forming_settings(shape))
            self._configure(shape, wish.settings)
            self._start_all(shape, formed=not fresh)
            asyncio.run(self._bring_up(shape, fresh))
            self._write_record(replace(self._record(shape), formed=True))
        except BaseException:
            stop(self._record(shape).processes, timeout_s=10)
            self.processes.clear()
            if fresh:
                self._clear(shape, keep_folder=before is not None)
            else:
                self._write_record(Record(shape, formed=True))
            raise
        return shape

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
        """Stop the recorded processes that run; returns how many. Raises LocalError if the folder holds no cluster."""
        record = self.read_record()
        if record is None:
            raise LocalError(f"{self.shown} holds no cluster (was it started with another --dir?)")
        running = [process for process in record.processes if is_running(process)]
        for killed in self._stop_in_order(running):
            self.say(f"Node {killed.port} (process {killed.pid}) did not end in time and was killed.")
        self._write_record(replace(record, processes=()))
        return len(running)

    def _stop_in_order(self, running: Sequence[ProcessRecord]) -> list[ProcessRecord]:
        """Stop replicas first: primaries would hand their slots over to them, though they are going as well."""
        replicas = asyncio.run(self._replicas(running))
        primaries = [process for process in running if process not in replicas]
        return stop(replicas) + stop(primaries)

    async def _replicas(self, running: Sequence[ProcessRecord]) -> list[ProcessRecord]:
        """Those that call themselves replicas; a node that does not answer does not."""

        async def is_replica(process: ProcessRecord) -> bool:
            password = self.password(process.port)
            try:
                async with await Connection.open(HOST, process.port, password, ANSWER_TIMEOUT_S) as connection:
                    return (await connection.call("ROLE"))[0] == "slave"
            except (Unreachable, ReplyError):
                return False

        roles = await asyncio.gather(*(is_replica(process) for process in running))
        return [process for process, replica in zip(running, roles, strict=True) if replica]

    def read_record(self) -> Record | None:
        """What the folder's record says; None if there is none."""
        path = self.directory / RECORD
        try:
            return Record.from_json(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise LocalError(f"{self.shown} is not a folder") from None
        except OSError as error:
            raise LocalError(f"{path} cannot be read: {error.strerror}") from None

    def password(self, port: int) -> str:
        """The password that the node's configuration sets."""
        try:
            return password_of((self.directory / str(port) / NODE_CONF).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return ""

    def _refuse_foreign_folder(self, record: Record | None) -> None:
        if record is None:
            if self.directory.exists() and (not self.directory.is_dir() or any(self.directory.iterdir())):
                raise LocalError(f"{self.shown} is not empty and holds no cluster of ours: choose another --dir")
            return
        running = [process.port for process in record.processes if is_running(process)]
        if running:
            raise LocalError(
                f"the cluster in {self.shown} is running ({record.shape}): "
                f"stop it with `shardis down --dir {self.shown}`, or choose another --dir"
            )

    def _refuse_busy_ports(self, shape: Shape) -> None:
        for port in shape.ports:
            for wanted, what in ((port, "port"), (port + BUS_OFFSET, f"bus port of node {port},")):
                if not is_port_free(wanted):
                    raise LocalError(f"{what} {wanted} is in use: stop what listens there, or choose another --port")

    def _lay_out(self, shape: Shape) -> None:
        """Make the folders of a new cluster; what a launcher that was killed left of one is removed first."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._write_record(Record(shape))
            for port in shape.ports:
                folder = self.directory / str(port)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                (folder / NODE_CONF).write_text(node_conf(port, str(folder)), encoding="utf-8")
        except OSError as error:
            raise LocalError(f"{self.shown} cannot be written: {error.strerror}") from None

    def _configure(self, shape: Shape, settings: Sequence[tuple[str, str]]) -> None:
        if not settings:
            return
        for port in shape.ports:
            path = self.directory / str(port) / NODE_CONF
            try:
                conf = path.read_text(encoding="utf-8", errors="surrogateescape")
                path.write_text(with_settings(conf, settings), encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise LocalError(f"{path} cannot be changed: {error.strerror}") from None

    def _start_all(self, shape: Shape, formed: bool) -> None:
        for port in shape.ports:
            self.processes[port] = start_node(self.command, self.directory / str(port))
        self._write_record(replace(self._record(shape), formed=formed))

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
                connection = await Connection.open(HOST, port, self.password(port))
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
        raise LocalError(f"node {port} does not answer. The end of its log:\n{self._log_tail(port)}")

    async def _watch(self) -> None:
        """Raises LocalError when a node dies, Interrupted when a signal asks to stop."""
        while True:
            for port in self.processes:
                self._check(port)
            await asyncio.sleep(0.1)

    def _check(self, port: int) -> None:
        if self.stop_requested:
            raise Interrupted
        status = self.processes[port].poll()
        if status is not None:
            raise LocalError(
                f"node {port} ended while starting, with status {status}. The end of its log:\n{self._log_tail(port)}"
            )

    def _log_tail(self, port: int) -> str:
        try:
            return log_tail((self.directory / str(port) / NODE_LOG).read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            return f"    (the log cannot be read: {error.strerror})"

    def _record(self, shape: Shape) -> Record:
        return Record(shape, processes=tuple(record_of(port, process) for port, process in self.processes.items()))

    def _write_record(self, record: Record) -> None:
        path = self.directory / RECORD
        draft = path.with_suffix(".draft")
        try:
            draft.write_text(record.to_json(), encoding="utf-8")
            os.replace(draft, path)
        except OSError as error:
            raise LocalError(f"{path} cannot be written: {error.strerror}") from None

    def _clear(self, shape: Shape, keep_folder: bool) -> None:
        """Remove what a cluster that was never formed has left in the folder."""
        for port in shape.ports:
            shutil.rmtree(self.directory / str(port), ignore_errors=True)
        for name in (RECORD, Path(RECORD).with_suffix(".draft").name):
            (self.directory / name).unlink(missing_ok=True)
        if not keep_folder:
            try:
                self.directory.rmdir()
            except OSError:
                return  # Somebody else has put something there meanwhile: it is theirs.
