"""A node without sockets, files or a clock, for tests of what commands do to each other.

    node = Embedded()
    a, b = node.client(), node.client()
    a.send("BLPOP", "q", "0")              # nothing comes back yet
    b.send("RPUSH", "q", "x")
    assert a.take() == [b"q", b"x"]

Time stands still unless a test advances it. What the node asks of its host (node/ports/) goes to the ports here, of
which tests choose or change some.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any, BinaryIO

from node.config import Config
from node.core import NodeCore
from node.engine.session.session import Session
from node.ports.aof_files import AofFiles
from node.ports.disk import Disk
from node.ports.host import Host, NoFilesAtAll, NoProcess, NoWakeUps
from node.ports.primary import Host as PrimaryHost
from node.ports.primary import NoHost as NoPrimary
from node.ports.targets import NoTargets, Targets
from tests.support.resp import Word, pack, parse


class EmbeddedClient:
    """One client. A reply is a Python value, as Frame.value makes it; None while there is none."""

    def __init__(self, node: Embedded) -> None:
        self.node = node
        self.session: Session = node.core.clients.connect(b"127.0.0.1:1", b"127.0.0.1:2")
        self.unread = b""

    def send(self, *words: Word) -> None:
        """Send one request without looking at the reply."""
        self.unread += self.session.feed(pack(words))

    def take(self) -> Any:
        """The next reply that has come, None if none has."""
        self.unread += self.session.take_output()
        if not self.unread:
            return None
        frame, end = parse(self.unread)
        self.unread = self.unread[end:]
        return frame.value

    def __call__(self, *words: Word) -> Any:
        self.send(*words)
        return self.take()


class EmbeddedClock:
    """`look` tells the exact time; without it that is what commands go by."""

    def __init__(self, node: Embedded) -> None:
        self._node = node
        self.look: Callable[[], int] = lambda: self._node.core.space.now_ms * 1000

    def now_us(self) -> int:
        return self.look()

    def sleep(self, seconds: float) -> None:
        pass


class EmbeddedWakeUps(NoWakeUps):
    """`script_waits`: a script is suspended, and asks for its next slice."""

    def __init__(self, suspends: bool) -> None:
        self.suspends = suspends
        self.script_waits = False

    def go_on_with_script(self) -> None:
        self.script_waits = True


class EmbeddedFiles(NoFilesAtAll):
    def __init__(self, disk: Disk | None, aof: AofFiles | None) -> None:
        super().__init__()
        self.disk, self.aof = disk or self.disk, aof or self.aof

    def nameless(self) -> BinaryIO:
        return io.BytesIO()


class Stopped(BaseException):
    """The process has ended at once."""


class EmbeddedProcess(NoProcess):
    """`stopped`: it has ended in good order."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True

    def die(self) -> None:
        raise Stopped


class Embedded:
    """The node. `replicated` lists what its replicas would be sent, once `replicate` was called.

    `suspends`: long scripts are suspended, as `wake_ups.script_waits` tells.
    """

    def __init__(
        self,
        now_ms: int = 1_000_000,
        seed: int = 1,
        config: Config | None = None,
        *,
        disk: Disk | None = None,
        aof: AofFiles | None = None,
        primary: PrimaryHost | None = None,
        targets: Targets | None = None,
        suspends: bool = False,
    ) -> None:
        self.clock, self.wake_ups, self.process = EmbeddedClock(self), EmbeddedWakeUps(suspends), EmbeddedProcess()
        host = Host(
            clock=self.clock,
            wake_ups=self.wake_ups,
            files=EmbeddedFiles(disk, aof),
            process=self.process,
            primary=primary or NoPrimary(),
            targets=targets or NoTargets(),
        )
        self.core = NodeCore(config or Config(), now_ms, random.Random(seed), host=host)
        self.replicated: list[list[bytes]] = []

    def client(self) -> EmbeddedClient:
        return EmbeddedClient(self)

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.core.tick(self.core.space.now_ms + ms)

    def replicate(self) -> None:
        """From now on note what would be sent to replicas, but for the choice of the database."""
        self.core.stream.attach(self._repeat)

    def _repeat(self, data: bytes) -> None:
        while data:
            frame, end = parse(data)
            data = data[end:]
            if frame.value[0] != b"SELECT":
                self.replicated.append(frame.value)
