"""Clients that write all the time: threads with a plain connection, so that no library's retries are in the figures."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence

from tests.support.history import History
from tests.support.resp import CLOSED, Connection
from tests.support.servers import Server

REPLY_TIMEOUT_S = 0.25
PAUSE_S = 0.002
RETRY_S = 0.005

_numbers = itertools.count(1)


class Writer:
    """Writes one key after the other to a shard, and follows redirections among the shard's nodes.

    One that is pinned asks the same node for ever: it finds out whether a node that was deposed still accepts writes.
    """

    def __init__(self, history: History, shard: int, tag: str, servers: Sequence[Server]) -> None:
        self._history = history
        self._shard = shard
        self._prefix = f"{{{tag}}}:{next(_numbers)}"
        self._servers = list(servers)
        self._at = 0
        self._connection: Connection | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the write under way end, and the thread with it."""
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        for number in itertools.count():
            accepted = self._write(f"{self._prefix}:{number}")
            if self._stop.wait(PAUSE_S if accepted else RETRY_S):
                break
        self._hang_up()

    def _write(self, key: str) -> bool:
        server = self._servers[self._at]
        sent = time.monotonic()
        try:
            if self._connection is None:
                self._connection = Connection(server.port, host=server.host, timeout_s=REPLY_TIMEOUT_S)
            reply = self._connection.ask("SET", key, key)
        except OSError:
            reply = CLOSED
        if reply is not CLOSED and not reply.is_error:
            self._history.acknowledged(self._shard, key, server.name, sent)
            return True
        text = None if reply is CLOSED else str(reply.value)
        self._history.not_acknowledged(self._shard, text)
        if text is None or len(self._servers) > 1:
            self._hang_up()
            self._turn(text)
        return False

    def _turn(self, error: str | None) -> None:
        """Choose whom to ask next: the node that a redirection names, or else simply the next one."""
        following = (self._at + 1) % len(self._servers)
        if error is not None and error.startswith("MOVED "):
            address = error.rsplit(" ", 1)[1]
            following = next((i for i, s in enumerate(self._servers) if s.address == address), following)
        self._at = following

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
