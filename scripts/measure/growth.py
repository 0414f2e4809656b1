"""What it costs to fill a table from another one, at two sizes: time must grow with the size, whatever the order.

Members leave a table in its own order, so that is the order in which the next one gets them: by commands that store,
through clients that read here and write there, in payloads, and in files. Each way is a function that prepares what it
needs and returns what is to be measured. The figure is the CPU that the server spends, the median of the rounds.

Four times the members take more than four times as long once they no longer fit into the processor's caches; an order
that piles up takes sixteen times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import redis

from scripts.measure.contest import Cores, cpu_us, running
from tests.support.servers import Server

BATCH = 1000
FILE_TIMEOUT_S = 300.0
DIRECTIVES = {"cluster-node-timeout": "60000", "aof-use-rdb-preamble": "no", "proto-max-bulk-len": "1gb"}

Action = Callable[[], object]


class GrowthFailed(Exception):
    """A server did not do what was measured."""


@dataclass(frozen=True)
class Growth:
    """CPU seconds of one way, by size."""

    way: str
    seconds: Sequence[float]

    @property
    def factor(self) -> float:
        """How much longer the largest size takes than the smallest."""
        return self.seconds[-1] / self.seconds[0] if self.seconds[0] else float("inf")


def _chunks(words: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(words)
    while chunk := list(islice(rest, size)):
        yield chunk


def _send(link: redis.Redis, command: str, key: str, words: Sequence[bytes]) -> None:
    pipe = link.pipeline(transaction=False)
    for chunk in _chunks(words, BATCH):
        pipe.execute_command(command, key, *chunk)
    pipe.execute()


def _fill_set(link: redis.Redis, size: int) -> None:
    _send(link, "SADD", "{t}s", [b"member:%d" % i for i in range(size)])


def _fill_hash(link: redis.Redis, size: int) -> None:
    _send(link, "HSET", "{t}h", [word for i in range(size) for word in (b"field:%d" % i, b"v")])


def sunionstore(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    return lambda: link.execute_command("SUNIONSTORE", "{t}d", "{t}s")


def zunionstore(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    return lambda: link.execute_command("ZUNIONSTORE", "{t}d", "1", "{t}s")


def sadd_in_order(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    link.set_response_callback("SMEMBERS", list)  # a set of Python's would have an order of its own
    members = link.execute_command("SMEMBERS", "{t}s")
    return lambda: _send(link, "SADD", "{t}d", members)


def hset_in_order(link: redis.Redis, size: int) -> Action:
    _fill_hash(link, size)
    pairs = link.execute_command("HGETALL", "{t}h")
    return lambda: _send(link, "HSET", "{t}d", [word for pair in pairs.items() for word in pair])


def restore(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    payload = link.dump("{t}s")
    return lambda: link.restore("{t}d", 0, payload)


def load_rdb(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    link.execute_command("SAVE")
    return lambda: link.execute_command("DEBUG", "RELOAD", "NOSAVE")


def load_aof(link: redis.Redis, size: int) -> Action:
    _fill_set(link, size)
    link.config_set("appendonly", "yes")
    deadline = time.monotonic() + FILE_TIMEOUT_S
    while link.info("persistence")["aof_rewrite_in_progress"] or link.info("persistence")["aof_rewrite_scheduled"]:
        if time.monotonic() > deadline:
            raise GrowthFailed("the append-only file is not written")
        time.sleep(0.05)
    return lambda: link.execute_command("DEBUG", "LOADAOF")


WAYS: dict[str, Callable[[redis.Redis, int], Action]] = {
    "SUNIONSTORE": sunionstore,
    "ZUNIONSTORE of a set": zunionstore,
    "SADD in SMEMBERS order": sadd_in_order,
    "HSET in HGETALL order": hset_in_order,
    "RESTORE": restore,
    "loading an RDB file": load_rdb,
    "loading an append-only file": load_aof,
}


def grow(command: Sequence[str], name: str, cores: Cores, way: str, sizes: Sequence[int], rounds: int) -> Growth:
    """One way at each of the sizes, each time on a fresh server."""
    runs = [[_once(command, name, cores, way, size) for _ in range(rounds)] for size in sizes]
    return Growth(way, [statistics.median(each) for each in runs])


def _once(command: Sequence[str], name: str, cores: Cores, way: str, size: int) -> float:
    with running(name, command, cores, DIRECTIVES) as server:
        link = redis.Redis(port=server.port, socket_timeout=FILE_TIMEOUT_S)
        try:
            action = WAYS[way](link, size)
            before = _settled_cpu_us(server)
            action()
            return (cpu_us(server.pid) - before) / 1e6
        except redis.RedisError as error:
            raise GrowthFailed(f"{way} on {name}: {error}") from error
        finally:
            link.close()


def _settled_cpu_us(server: Server) -> float:
    """The CPU used so far, once what the preparation has left to do in the background is done."""
    before = cpu_us(server.pid)
    for _ in range(50):
        time.sleep(0.1)
        now = cpu_us(server.pid)
        if now - before < 5000:
            return now
        before = now
    return before
