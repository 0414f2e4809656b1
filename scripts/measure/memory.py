"""Memory per item of four shapes of data, and of a server at rest.

An item is a string, a hash, a set, or a member of a sorted set. Its price is the growth of `used_memory` (what the
server accounts for) and of the resident memory (what the machine pays), each on a fresh server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scripts.measure.contest import Cores, resident_bytes, running
from tests.support.servers import Server

BATCH = 1000
ZSET_MEMBERS = 100_000
OK_HEADS = (b"+", b":")


@dataclass(frozen=True)
class Price:
    """Bytes per item on one server."""

    used: float
    resident: float


def request(*words: bytes) -> bytes:
    """One command in RESP."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def strings(item: int) -> bytes:
    return request(b"SET", b"key:%012d" % item, b"val:%012d" % item)


def hashes(item: int) -> bytes:
    fields = (b"name", b"n%06d" % (item % 10**6), b"age", b"%d" % (item % 90), b"city", b"c%04d" % (item % 5000))
    return request(b"HSET", b"user:%011d" % item, *fields, b"plan", b"pro", b"seen", b"%d" % (1_700_000_000 + item))


def sets(item: int) -> bytes:
    return request(b"SADD", b"tags:%011d" % item, *(b"tag%05d" % ((item * 7 + n * 911) % 100_000) for n in range(5)))


def sorted_sets(item: int) -> bytes:
    return request(b"ZADD", b"board:%d" % (item // ZSET_MEMBERS), b"%d" % (item * 7919 % 10**6), b"player:%09d" % item)


SHAPES: dict[str, Callable[[int], bytes]] = {
    "string, 16-byte key and value": strings,
    "hash of five fields": hashes,
    "set of five members": sets,
    "member of a sorted set of 100,000": sorted_sets,
}


class LoadFailed(Exception):
    """The server refused an item."""


def fill(server: Server, make: Callable[[int], bytes], items: int) -> None:
    """Write the items in batches over one connection."""
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        for batch in _batches(make, items):
            link.sendall(b"".join(batch))
            _expect(link, len(batch))


def _batches(make: Callable[[int], bytes], items: int) -> Iterator[list[bytes]]:
    for start in range(0, items, BATCH):
        yield [make(item) for item in range(start, min(start + BATCH, items))]


def _expect(link: socket.socket, replies: int) -> None:
    """Read that many one-line replies."""
    data = b""
    while data.count(b"\r\n") < replies:
        more = link.recv(1 << 16)
        if not more:
            raise LoadFailed("the server closed the connection")
        data += more
    for line in data.split(b"\r\n")[:-1]:
        if not line.startswith(OK_HEADS):
            raise LoadFailed(line.decode(errors="replace"))


def price(command: Sequence[str], name: str, cores: Cores, shape: str, items: int) -> Price:
    """What an item of this shape costs on a fresh server."""
    with running(name, command, cores) as server:
        used, resident = _used(server), resident_bytes(server.pid)
        fill(server, SHAPES[shape], items)
        return Price((_used(server) - used) / items, (resident_bytes(server.pid) - resident) / items)


def _used(server: Server) -> int:
    return int(server.info("memory")["used_memory"])


def at_rest(command: Sequence[str], name: str, cores: Cores) -> int:
    """The resident memory of a server that has just started."""
    with running(name, command, cores) as server:
        return resident_bytes(server.pid)
