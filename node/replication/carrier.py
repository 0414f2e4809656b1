"""Carries out what the link to our primary asks for (link.py), and tells the link what has become of it.

What it uses of the node is behind protocols, so that the simulator hosts it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gossip.effects import Effect, Note
from node.monitoring.figure import Table, counted
from node.monitoring.log import Log
from node.ports.primary import Host, Progress
from node.ports.steps import Steps
from node.replication.applier import Applier
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
from node.replication.lineage import Lineage
from node.replication.link import Introduction, PrimaryLink, State


class Time(Protocol):
    """The time by which the node goes, which whatever comes from outside brings along."""

    now_ms: int


class Incoming(Protocol):
    """Where the primary's data is kept while it comes, and loaded (arrival.py). OSError: the disk refuses."""

    @property
    def loading(self) -> Progress:
        """How far a load is."""

    @property
    def replaced(self) -> Callable[[], None]:
        """To be called when the data has taken the place of ours."""

    def begin(self, size: int | None, to_memory: bool, history_id: str) -> None: ...
    def store(self, data: bytes) -> None: ...
    def drop(self) -> None: ...
    def load(self, history_id: str, offset: int) -> Steps[None]: ...


class Carrier:
    """Carries out what the link of one node asks for.

    `introduction` says what the primary is told of us, `durable` how much of the stream is on disk.
    `settled` is called after whatever has happened, when all that was asked for is done.
    """

    def __init__(
        self,
        time: Time,
        log: Log,
        host: Host,
        lineage: Lineage,
        applier: Applier,
        arrival: Incoming,
        introduction: Callable[[], Introduction],
        durable: Callable[[], int | None],
        settled: Callable[[], None],
    ) -> None:
        self.link = PrimaryLink(introduction, lineage.position, lambda: applier.applied_offset, durable)
        self.bytes_in = 0
        """Bytes that have come from primaries."""
        self._time = time
        self._log = log
        self._host = host
        self._lineage = lineage
        self._applier = applier
        self._arrival = arrival
        self._settled = settled
        self._running = False

    @property
    def connected(self) -> bool:
        return self.link.state is State.CONNECTED

    # -- what the node wants

    def follow(self, host: str, port: int) -> None:
        self.link.follow(host, port, self._time.now_ms)
        self._run()

    def stop(self) -> None:
        self.link.stop()
        self._run()

    def restart(self) -> None:
        """The connection is of no use any more."""
        self.link.restart(self._time.now_ms)
        self._run()

    def acknowledge(self) -> None:
        """The primary asks how far we are."""
        self.link.acknowledge(self._time.now_ms)
        self._run()

    def tick(self) -> None:
        self.link.tick(self._time.now_ms)
        self._run()

    def go_on(self) -> None:
        """The stream may change the data again."""
        self._check(self._applier.go_on())

    # -- what happens outside

    def connected_to(self, now_ms: int) -> None:
        """The host has made the connection that was asked for."""
        self._time.now_ms = now_ms
        self.link.connected(now_ms)
        self._run()

    def received(self, data: bytes, now_ms: int) -> None:
        self._time.now_ms = now_ms
        self.bytes_in += len(data)
        self.link.received(data, now_ms)
        self._run()

    def lost(self, reason: str, now_ms: int) -> None:
        """The connection has ended, or could not be made."""
        self._time.now_ms = now_ms
        self.link.lost(reason, now_ms)
        self._run()

    def _loaded(self, error: Exception | None, now_ms: int) -> None:
        """The host has come to the end of the steps."""
        self._time.now_ms = now_ms
        if error is not None:
            self.link.load_failed(str(error), now_ms)
        elif self.link.state is State.LOADING:
            self._arrival.replaced()
            self._applier.enter()
            self.link.loaded(now_ms)
        self._run()

    # -- what the link wants

    def _run(self) -> None:
        if self._running:
            return  # what a command of the stream has asked for is done after it
        self._running = True
        try:
            while effects := self.link.take_effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._running = False
        if self._applier.running and not self.connected:
            self._applier.leave(self._time.now_ms)
        self._host.read(self.link.reading)
        self._settled()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Apply(data):
                self._check(self._applier.apply(data))
            case Send(data):
                self._host.send(data)
            case Note(level, text):
                self._log.write(level, text)
            case Connect(host, port):
                self._host.connect(host, port, self)
            case Close():
                self._host.close()
            case Resume(history_id):
                self._lineage.resume(history_id)
                self._applier.enter()
            case BeginSnapshot() | StoreSnapshot() | DropSnapshot():
                try:
                    self._keep(effect)
                except OSError as error:
                    self._log.warning(f"The snapshot from the primary cannot be kept: {error}")
                    self.link.restart(self._time.now_ms)
            case LoadSnapshot(history_id, offset):
                self._host.load(self._arrival.load(history_id, offset), self._arrival.loading, self._loaded)

    def _keep(self, effect: Effect) -> None:
        match effect:
            case BeginSnapshot(size, to_memory):
                self._arrival.begin(size, to_memory, self.link.offered_id)
            case StoreSnapshot(data):
                self._arrival.store(data)
            case DropSnapshot():
                self._arrival.drop()

    def _check(self, sound: bool) -> None:
        """A stream that is not what it should be is given up."""
        if not sound:
            self.link.restart(self._time.now_ms)


def figures() -> Table[Carrier]:
    return (
        counted(
            "stats",
            "total_net_repl_input_bytes",
            "bytes_in",
            "Bytes that have come from primaries.",
            after="total_net_output_bytes",
        ),
    )
