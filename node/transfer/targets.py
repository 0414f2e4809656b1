"""Connections to the servers that take keys, kept for a while: slots move by many small MIGRATEs to the same server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.ports.targets import Connection
    from node.ports.targets import Targets as Port
    from node.replies import CommandError

MOST = 64
IDLE_MS = 10_000
"""How many are kept while nobody uses them, and for how long."""

Address = tuple[bytes, bytes, tuple[bytes, ...]]
"""Host, port, and as whom we have logged in: what one user may do is not done for another."""


class User(Protocol):
    """Whoever uses a connection at present."""

    over: bool
    """It has ended, and wants to hear no more."""

    def fail(self, error: CommandError) -> None: ...
    def connected(self, now_ms: int) -> None: ...
    def written(self, now_ms: int) -> None: ...
    def received(self, data: bytes, now_ms: int) -> None: ...
    def lost(self, now_ms: int) -> None: ...


Tell = Callable[[User, Callable[[], None], int], None]
"""Called for each event, with what tells the user of it, and the time."""


class Target:
    """One connection, used by one at a time."""

    def __init__(self, address: Address, gone: Callable[[Target], None], tell: Tell) -> None:
        self.address = address
        self.database = -1
        """Which one is chosen there, as far as we know."""
        self.used_ms = 0
        self.user: User | None = None
        self._gone = gone
        self._tell = tell
        self._connection: Connection | None = None

    def open(self, port: Port, user: User) -> None:
        self.user = user
        host, number, _ = self.address
        self._connection = port.connect(host.decode("utf-8", "surrogateescape"), port_number(number), self)

    def send(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.send(data)

    def close(self) -> None:
        self.user = None
        if self._connection is not None:
            self._connection.close()
        self._gone(self)

    # -- what happens to it (node/ports/targets.py)

    def connected(self, now_ms: int) -> None:
        user = self.user
        if user is not None:
            self._tell(user, lambda: user.connected(now_ms), now_ms)

    def written(self, now_ms: int) -> None:
        user = self.user
        if user is not None:
            self._tell(user, lambda: user.written(now_ms), now_ms)

    def received(self, data: bytes, now_ms: int) -> None:
        user = self.user
        if user is None:
            self.close()  # nobody has asked anything
        else:
            self._tell(user, lambda: user.received(data, now_ms), now_ms)

    def lost(self, reason: str, now_ms: int) -> None:
        self._gone(self)
        user, self.user = self.user, None
        if user is not None:
            self._tell(user, lambda: user.lost(now_ms), now_ms)


class Targets:
    """The connections of one node to others that take its keys."""

    def __init__(self, port: Port, tell: Tell = lambda user, event, now_ms: event()) -> None:
        self._port = port
        self._tell = tell
        self._idle: dict[Target, None] = {}
        """In the order in which they were used last."""
        self._busy: dict[Target, None] = {}

    @property
    def count(self) -> int:
        return len(self._idle) + len(self._busy)

    def take(self, address: Address, user: User) -> Target | None:
        """One that is there already; None: none is free."""
        found = next((each for each in reversed(self._idle) if each.address == address), None)
        if found is not None:
            del self._idle[found]
            self._busy[found] = None
            found.user = user
        return found

    def connect(self, address: Address, user: User) -> Target:
        """A new one; the user will be told when it is there."""
        target = Target(address, self._gone, self._tell)
        self._busy[target] = None
        target.open(self._port, user)
        return target

    def give_back(self, target: Target, now_ms: int) -> None:
        """Nobody uses it at present, and everything that was asked has been answered."""
        target.user = None
        target.used_ms = now_ms
        del self._busy[target]
        self._idle[target] = None
        if len(self._idle) > MOST:
            next(iter(self._idle)).close()

    def tick(self, now_ms: int) -> None:
        """Close what has been idle for long."""
        for target in [each for each in self._idle if now_ms - each.used_ms > IDLE_MS]:
            target.close()

    def _gone(self, target: Target) -> None:
        self._idle.pop(target, None)
        self._busy.pop(target, None)


def port_number(text: bytes) -> int:
    """The port, 0 for what is none: nobody can be reached there."""
    number = int(text) if text.isdigit() and len(text) < 6 else 0
    return number if number <= 65535 else 0
