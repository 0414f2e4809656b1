"""The network between simulated hosts: TCP connections that delay, stall, break and are refused, but never reorder.

What a connection carries arrives in order and exactly once, or the connection ends. A path from one host to another can
be blocked, in one direction or both: what is sent then waits, as it does in a kernel that sends it again and again, and
arrives some time after the path is free, unless the connection has been given up meanwhile. To open a connection both
directions must be free.

The end of a process is told to the others by its host (reset or end of file), and its ports refuse from then on. A host
without power says nothing and answers nothing; whoever writes to one of its old connections after it is back is reset.
A frozen process is not the network's affair: its host goes on accepting and receiving for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from gossip.effects import Closed
from tests.simulator.clock import MS, SECOND, Timeline

SYN_RETRY_US = SECOND
SYN_TRIES = 5
RESEND_MAX_US = 5 * SECOND

BUS, DATA = "bus", "data"
"""The two kinds of connections between nodes; a fault may strike one of them alone."""


class Arrival(Enum):
    """What a process hears about an end of a connection."""

    ACCEPTED = b"accepted"
    OPENED = b"opened"
    DATA = b"data"
    CLOSED = b"closed"


class Holder(Protocol):
    """A process, as the network sees it."""

    @property
    def host(self) -> Host: ...

    @property
    def ends(self) -> dict[End, None]: ...

    def arrived(self, end: End, what: Arrival, payload: Any) -> None:
        """Something came in on `end`."""


class Host(Protocol):
    """A machine, as the network sees it."""

    @property
    def number(self) -> int: ...

    @property
    def ip(self) -> str: ...

    @property
    def up(self) -> bool: ...

    def listener(self, channel: str) -> Holder | None:
        """The process that accepts connections of this kind, if one does."""


@dataclass(slots=True, eq=False)
class End:
    """One end of a connection."""

    holder: Holder
    channel: str
    remote: End | None = None
    open: bool = True
    free_us: int = 0  # nothing arrives here before this moment: that keeps the order


Path = tuple[str, int, int]  # channel, from host, to host


class Network:
    """All hosts by address, and the state of the paths between them."""

    def __init__(self, timeline: Timeline, rng: random.Random, base_us: int, jitter_us: int) -> None:
        self.timeline = timeline
        self._rng = rng
        self._base_us = base_us
        self._jitter_us = jitter_us
        self.hosts: Mapping[str, Host] = {}
        self._blocked: dict[Path, int] = {}  # how many faults block it
        self._blocked_since_us: dict[Path, int] = {}
        self._freed_us: dict[int, int] = {}  # host -> when a path from or to it was last unblocked
        self._held: dict[Path, list[tuple[End, Arrival, Any]]] = {}
        self._extra_us: dict[Path, int] = {}

    # Paths.

    def delay_us(self, path: Path) -> int:
        """How long a packet takes. Most are quick, a few are late."""
        chance = self._rng.random()
        chance *= chance
        delay_us = self._base_us + int(chance * chance * self._jitter_us)
        return delay_us + self._extra_us.get(path, 0) if self._extra_us else delay_us

    def block(self, paths: Iterable[Path]) -> None:
        """Let nothing through on these paths."""
        for path in paths:
            self._blocked[path] = self._blocked.get(path, 0) + 1
            self._blocked_since_us.setdefault(path, self.timeline.now_us)

    def unblock(self, paths: Iterable[Path]) -> None:
        """End one fault on these paths; what waited is sent again when its sender next tries."""
        for path in paths:
            self._blocked[path] -= 1
            if self._blocked[path]:
                continue
            del self._blocked[path]
            for number in path[1:]:
                self._freed_us[number] = self.timeline.now_us
            lasted_us = self.timeline.now_us - self._blocked_since_us.pop(path)
            resend_us = int(self._rng.random() * min(lasted_us, RESEND_MAX_US))
            for end, what, payload in self._held.pop(path, ()):
                self._deliver(end, what, payload, self.delay_us(path) + resend_us)

    def slow_down(self, paths: Iterable[Path], extra_us: int) -> None:
        """Make these paths slower by so much; 0 ends that."""
        for path in paths:
            if extra_us:
                self._extra_us[path] = extra_us
            else:
                self._extra_us.pop(path, None)

    def is_affected(self, number: int, for_us: int = 0) -> bool:
        """Whether some path from or to this host is blocked, or was within the last `for_us`."""
        freed_us = self._freed_us.get(number)
        recent = freed_us is not None and self.timeline.now_us - freed_us < for_us
        return recent or any(number in path for path in self._blocked)

    # Connections.

    def connect(self, holder: Holder, ip: str, channel: str) -> End:
        """Open a connection. The holder hears OPENED or CLOSED."""
        end = End(holder, channel)
        holder.ends[end] = None
        self._try_to_open(end, ip, 0)
        return end

    def _try_to_open(self, end: End, ip: str, attempt: int) -> None:
        if not end.open:
            return
        target = self.hosts.get(ip)
        if target is None or not target.up or self._swallows(end, target):
            if attempt == SYN_TRIES:
                self._arrive(end, Arrival.CLOSED, Closed.TIMEOUT)
            else:
                self.timeline.after(SYN_RETRY_US << attempt, self._try_to_open, end, ip, attempt + 1)
            return
        there_us = self.delay_us((end.channel, end.holder.host.number, target.number))
        back_us = there_us + self.delay_us((end.channel, target.number, end.holder.host.number))
        listener = target.listener(end.channel)
        if listener is None:
            self._deliver(end, Arrival.CLOSED, Closed.REFUSED, back_us)
            return
        other = End(listener, end.channel, remote=end)
        end.remote = other
        listener.ends[other] = None
        self._deliver(other, Arrival.ACCEPTED, None, there_us)
        self._deliver(end, Arrival.OPENED, None, back_us)

    def _swallows(self, end: End, target: Host) -> bool:
        here, there = end.holder.host.number, target.number
        return (end.channel, here, there) in self._blocked or (end.channel, there, here) in self._blocked

    def send(self, end: End, payload: Any, extra_us: int = 0) -> None:
        """Put something on a connection. One that is gone swallows it. `extra_us`: it is long, and takes this time."""
        if end.open and end.remote is not None:
            self._transmit(end, Arrival.DATA, payload, extra_us)

    def close(self, end: End, reason: Closed = Closed.EOF) -> None:
        """Close from this side; the other side hears `reason`."""
        if not end.open:
            return
        self._forget(end)
        if end.remote is not None:
            self._transmit(end, Arrival.CLOSED, reason)

    def process_ended(self, holder: Holder) -> None:
        """A process is gone; its host ends its connections."""
        for end in list(holder.ends):
            # Reset if something lay unread, else an ordinary end.
            self.close(end, Closed.RESET if self._rng.random() < 0.5 else Closed.EOF)

    def power_lost(self, holder: Holder) -> None:
        """A process is gone with its host: nobody is told."""
        for end in list(holder.ends):
            self._forget(end)

    def break_between(self, holder: Holder, other: Host) -> None:
        """Something on the way resets all connections of a process with another host."""
        for end in list(holder.ends):
            if end.remote is not None and end.remote.holder.host is other:
                for side in (end, end.remote):
                    self._deliver(side, Arrival.CLOSED, Closed.RESET, int(self._rng.random() * MS))

    def _transmit(self, end: End, what: Arrival, payload: Any, extra_us: int = 0) -> None:
        other = end.remote
        assert other is not None
        path = (end.channel, end.holder.host.number, other.holder.host.number)
        if path in self._blocked:
            self._held.setdefault(path, []).append((other, what, payload))
        else:
            self._deliver(other, what, payload, self.delay_us(path) + extra_us)

    def _deliver(self, end: End, what: Arrival, payload: Any, delay_us: int) -> None:
        end.free_us = max(self.timeline.now_us + delay_us, end.free_us)
        self.timeline.at(end.free_us, self._arrive, end, what, payload)

    def _arrive(self, end: End, what: Arrival, payload: Any) -> None:
        if end.open:
            if what is Arrival.CLOSED:
                self._forget(end)
            end.holder.arrived(end, what, payload)
        elif what is Arrival.DATA and end.holder.host.up and end.remote is not None and end.remote.open:
            self._transmit(end, Arrival.CLOSED, Closed.RESET)

    @staticmethod
    def _forget(end: End) -> None:
        end.open = False
        end.holder.ends.pop(end, None)
