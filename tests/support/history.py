"""What clients were told about their writes, and what must be true because of it.

Every write has a key of its own: no later write covers for one that was lost, and a write whose reply was lost, which
may happen at any time or never, disturbs no other. An acknowledgement carries when it was asked for, when it came,
and from which node: that gives the outage that clients felt, and tells of two nodes that accepted writes side by side.

Times are those of time.monotonic, in seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.support.servers import wait_until

READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged write."""

    key: str
    node: str
    sent: float
    acked: float


@dataclass
class History:
    """All writes of a drill, by shard. Writers are threads: each appends, nobody changes what is there."""

    began: float = field(default_factory=time.monotonic)
    acks: dict[int, list[Ack]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)  # by first word of the error
    unknown: int = 0  # no reply came: it may have happened
    errors: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # the same by shard, in full
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def acknowledged(self, shard: int, key: str, node: str, sent: float) -> None:
        self.acks[shard].append(Ack(key, node, sent, time.monotonic()))

    def not_acknowledged(self, shard: int, error: str | None) -> None:
        """A write was refused with this error, or (None) nobody knows what became of it."""
        with self._lock:
            self.errors[shard][error or "no reply"] += 1
            if error is None:
                self.unknown += 1
            else:
                self.refused[error.split(" ", 1)[0]] += 1

    @property
    def count(self) -> int:
        return sum(map(len, list(self.acks.values())))

    def outage_s(self, shard: int, since: float = 0.0) -> float:
        """The longest time without an acknowledgement between `since`, or the first write, and the last one."""
        begin = max(since, self.began)
        times = [begin, *sorted(ack.acked for ack in self.acks[shard] if ack.acked > begin)]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def await_write(self, shard: int, since: float, timeout_s: float, not_at: str | None = None) -> Ack:
        """Wait until a write that was sent after `since` is acknowledged, by another node than `not_at`. Returns it."""

        def found() -> Ack | None:
            recent = reversed(self.acks[shard][-1000:])
            return next((ack for ack in recent if ack.sent > since and ack.node != not_at), None)

        return wait_until(found, f"shard {shard} accepts writes{f', not at {not_at}' if not_at else ''}", timeout_s)

    def owners(self, shard: int, since: float = 0.0) -> list[str]:
        """The nodes that accepted writes, in the order of their first. Fails if one accepted a write that was sent
        after its successor had acknowledged one: two owners at the same time."""
        acks = [ack for ack in self.acks[shard] if ack.sent >= since]
        first: dict[str, float] = {}
        for ack in sorted(acks, key=lambda ack: ack.acked):
            first.setdefault(ack.node, ack.acked)
        names = list(first)
        for ack in acks:
            successors = names[names.index(ack.node) + 1 :]
            for name in successors[:1]:
                late_ms = (ack.sent - first[name]) * 1000
                assert late_ms <= 0, f"{ack.node} accepted a write {late_ms:.1f} ms after {name} had accepted one"
        return names

    def lost(self, shard: int, read: Callable[[Sequence[str]], Sequence[bytes | None]]) -> list[Ack]:
        """The acknowledged writes that are not there; `read` gets the values of some keys from the shard's owner."""
        acks = sorted(self.acks[shard], key=lambda ack: ack.acked)
        out: list[Ack] = []
        for at in range(0, len(acks), READ_AT_ONCE):
            part = acks[at : at + READ_AT_ONCE]
            values = read([ack.key for ack in part])
            out += [ack for ack, value in zip(part, values, strict=True) if value != ack.key.encode()]
        return out
