"""What a node asks of its host: the time, to be woken, connections, files, and the process that it is.

NodeCore computes; it has no sockets, files or clock. Its maker gives it a `Host`, and each part takes the port that it
uses. asyncio (node/aio/server.py), the tests (tests/support/embedded.py) and simulations are hosts. A port that is left
out is that of a node that nobody connects with anything: nothing wakes it, and it has no disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from node.monitoring.process import ProcessFacts
from node.ports.aof_files import AofFiles, NoAofFiles
from node.ports.disk import Disk, NoDisk
from node.ports.primary import Host as PrimaryHost
from node.ports.primary import NoHost as NoPrimary
from node.ports.targets import NoTargets, Targets

if TYPE_CHECKING:
    from node.engine.session.session import Session


class Clock(Protocol):
    """The exact time. What a command goes by, milliseconds, is `Keyspace.now_ms`, which stands still while it runs."""

    def now_us(self) -> int:
        """Microseconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Hold the whole node: DEBUG SLEEP, and SAVE with rdb-key-save-delay."""


class WakeUps(Protocol):
    """Asks the loop to come back, soon: after the turn that it is in. To ask again before it did changes nothing."""

    suspends: bool
    """Somebody does come back: a script that takes long may be suspended."""

    def send(self) -> None:
        """A client has output: SocketDriver.flush_pending."""

    def end_waits(self, at_ms: int) -> None:
        """A client waits until then (since 1970): NodeCore.end_waits."""

    def go_on_with_script(self) -> None:
        """A script is suspended: NodeCore.go_on_with_script."""

    def take_snapshots(self) -> None:
        """A snapshot was begun, or can go on: Snapshots.step until it says NEVER."""

    def go_on_leaving(self) -> None:
        """A shutdown was asked for, perhaps by a signal's handler: NodeCore.go_on_leaving, often, while it is so."""


class Connections(Protocol):
    """The connections of clients."""

    def disconnect(self, session: Session) -> bool:
        """Close it at once, and tell Clients.gone; False: it has none."""

    def stream_to(self, session: Session) -> None:
        """The client is a replica: from now on it is sent what its reader has."""


class Bus(Protocol):
    """The cluster bus, which carries out what the cluster's core asks for."""

    def attend(self) -> None:
        """The core was used from outside of the bus."""

    def buffer_sizes(self, link_id: int) -> tuple[int, int]:
        """Bytes that wait to be sent on a link, (allocated, used), for CLUSTER LINKS."""


class Files(Protocol):
    """The disk."""

    disk: Disk
    """The snapshot's file."""
    aof: AofFiles
    """Those of the append-only file."""

    def nameless(self) -> BinaryIO:
        """A file to write and then to read, for a snapshot on its way to replicas. OSError: there is none to be had."""


class Process(Protocol):
    """The process of this node."""

    def facts(self) -> ProcessFacts:
        """What the system knows of it."""

    def stop(self) -> None:
        """End it in good order: everything is saved and told."""

    def die(self) -> None:
        """End it at once: to go on would be worse."""

    def crash(self) -> None:
        """DEBUG SEGFAULT."""

    def collation(self, locale: str) -> Callable[[bytes], Any] | None:
        """What SORT ALPHA compares instead of the bytes (locale-collate); None: these. BadValue: no such locale."""


class NoWakeUps:
    suspends = False

    def send(self) -> None:
        pass

    def end_waits(self, at_ms: int) -> None:
        pass

    def go_on_with_script(self) -> None:
        pass

    def take_snapshots(self) -> None:
        pass

    def go_on_leaving(self) -> None:
        pass


class NoConnections:
    def disconnect(self, session: Session) -> bool:
        return False

    def stream_to(self, session: Session) -> None:
        pass


class NoFilesAtAll:
    def __init__(self) -> None:
        self.disk: Disk = NoDisk()
        self.aof: AofFiles = NoAofFiles()  # type: ignore[assignment]

    def nameless(self) -> BinaryIO:
        raise OSError("this node has no disk")


class NoProcess:
    def facts(self) -> ProcessFacts:
        return ProcessFacts()

    def stop(self) -> None:
        pass

    def die(self) -> None:
        pass

    def crash(self) -> None:
        pass

    def collation(self, locale: str) -> Callable[[bytes], Any] | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Host:
    """All that a node is given."""

    clock: Clock | None = None
    """None: time is what `Keyspace.now_ms` says."""
    wake_ups: WakeUps = field(default_factory=NoWakeUps)
    connections: Connections = field(default_factory=NoConnections)
    files: Files = field(default_factory=NoFilesAtAll)
    process: Process = field(default_factory=NoProcess)
    primary: PrimaryHost = field(default_factory=NoPrimary)
    """The connection to our primary, and the file in which its snapshot arrives."""
    targets: Targets = field(default_factory=NoTargets)
    """Other servers, to which keys are moved."""
    loads_data: bool = False
    """The data will be loaded, and NodeCore.data_loaded called then."""
