"""Writes whose replies are remembered, so that after a crash it can be told what has to be there.

A batch holds commands on all types. What a client was told has to be there after the crash; of the one batch that was
under way, any first part may be, for its replies were not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.support.resp import CLOSED, Connection, pack

BUCKETS = 40
FAR_MS = 4_000_000_000_000

Line = list[str]


def command(number: int) -> Line:
    """The write of this number: each leaves a trace of its own."""
    bucket, n = number // 7 % BUCKETS, str(number)
    match number % 7:
        case 0:
            return ["SET", f"str:{n}", n, "PXAT", str(FAR_MS)]
        case 1:
            return ["RPUSH", f"list:{bucket}", n]
        case 2:
            return ["HSET", f"hash:{bucket}", n, n]
        case 3:
            return ["SADD", f"set:{bucket}", n, f"m{n}"]
        case 4:
            return ["ZADD", f"zset:{bucket}", n, n]
        case 5:
            return ["XADD", f"stream:{bucket}", f"{n}-1", "f", n]
        case _:
            return ["INCR", "counter"]


class Ledger:
    """What was sent and what was answered, in one connection of one database."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self._heard: list[tuple[float, int]] = []

    def write(self, connection: Connection, count: int) -> bool:
        """One batch; False: the server has died meanwhile."""
        first = self.sent
        self.sent += count
        try:
            connection.send_raw(b"".join(pack(command(number)) for number in range(first, first + count)))
        except OSError:
            return False
        for _ in range(count):
            reply = connection.read()
            if reply is CLOSED:
                return False
            assert not reply.is_error, reply.raw
            self.acknowledged += 1
        self._heard.append((time.monotonic(), self.acknowledged))
        return True

    def acknowledged_until(self, moment_s: float) -> int:
        """How many writes were acknowledged by then, on time.monotonic()'s clock."""
        return max((count for heard_s, count in self._heard if heard_s <= moment_s), default=0)

    def check(self, connection: Connection, sure: int | None = None, possible: int | None = None) -> int:
        """The first `sure` writes are there, in order, and none but the first `possible` ones: if not said otherwise,
        those that were acknowledged, and those that were sent. How many are there."""
        sure = self.acknowledged if sure is None else sure
        possible = self.sent if possible is None else possible
        found = _found(connection)
        for key, wanted in _traces(range(sure)).items():
            have = found.get(key, [])
            assert have[: len(wanted)] == wanted, f"{key}: {len(wanted)} are promised, there are {have[-3:]}"
        written = _traces(range(possible))
        for key, have in found.items():
            assert have == written.get(key, [])[: len(have)], f"{key} holds what was never written: {have[-3:]}"
        counter = int(connection.ask("GET", "counter").body or 0)
        assert _increments(sure) <= counter <= _increments(possible)
        return counter + sum(len(have) for have in found.values())


def _increments(count: int) -> int:
    return sum(number % 7 == 6 for number in range(count))


def _traces(numbers: Iterable[int]) -> dict[str, list[bytes]]:
    """By key, what these writes leave there, in order."""
    out: dict[str, list[bytes]] = {}
    for number in numbers:
        if number % 7 != 6:
            line = command(number)
            out.setdefault(line[1], []).append(str(number).encode())
    return out


def _found(connection: Connection) -> dict[str, list[bytes]]:
    """The same, read from the server."""
    out: dict[str, list[bytes]] = {}
    for bucket in range(BUCKETS):
        answers = {
            f"list:{bucket}": connection.ask("LRANGE", f"list:{bucket}", "0", "-1").value,
            f"hash:{bucket}": connection.ask("HVALS", f"hash:{bucket}").value,
            f"set:{bucket}": [each for each in connection.ask("SMEMBERS", f"set:{bucket}").value if each.isdigit()],
            f"zset:{bucket}": connection.ask("ZRANGE", f"zset:{bucket}", "0", "-1").value,
            f"stream:{bucket}": [entry[1][1] for entry in connection.ask("XRANGE", f"stream:{bucket}", "-", "+").value],
        }
        for key, values in answers.items():
            if values:
                out[key] = values if key.startswith("list") else sorted(values, key=int)
    for key in sorted(connection.ask("KEYS", "str:*").value):
        ttl_ms = connection.ask("PEXPIRETIME", key).value
        assert ttl_ms == FAR_MS, f"{key!r} expires at {ttl_ms}"
        out[key.decode()] = [connection.ask("GET", key).value]
    return out
