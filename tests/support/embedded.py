"""A node without sockets, files or a clock, for tests of what commands do to each other.

    node = Embedded()
    a, b = node.client(), node.client()
    a.send("BLPOP", "q", "0")              # nothing comes back yet
    b.send("RPUSH", "q", "x")
    assert a.take() == [b"q", b"x"]

Time stands still unless a test advances it.
"""

from __future__ import annotations

import io
import random
from typing import Any

from node.config import Config
from node.core import NodeCore
from node.engine.session.session import Session
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


class Embedded:
    """The node. `replicated` lists what its replicas would be sent, once `replicate` was called."""

    def __init__(self, now_ms: int = 1_000_000, seed: int = 1, config: Config | None = None) -> None:
        self.core = NodeCore(config or Config(), now_ms, random.Random(seed))
        self.core.replicas.sync.open_file = io.BytesIO
        self.replicated: list[list[bytes]] = []

    def client(self) -> EmbeddedClient:
        return EmbeddedClient(self)

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.core.space.now_ms += ms
        self.core.tick()

    def replicate(self) -> None:
        """From now on note what would be sent to replicas, but for the choice of the database."""
        self.core.stream.attach(self._repeat)

    def _repeat(self, data: bytes) -> None:
        while data:
            frame, end = parse(data)
            data = data[end:]
            if frame.value[0] != b"SELECT":
                self.replicated.append(frame.value)
