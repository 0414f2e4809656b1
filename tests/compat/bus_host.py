"""Real nodes to talk to each other: a redis-server process, and a host that runs only our bus and cluster."""

import asyncio
import contextlib
import random
import shutil
import socket
import subprocess

import hiredis

from cluster.agreement.state import ClusterSettings
from cluster.aio.nodesfile import NodesFile
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from cluster.views import ClusterViews
from gossip.aio.bus import Bus
from gossip.aio.clock import steady_clock
from gossip.effects import Note

REDIS_SERVER = shutil.which("redis-server")
NODE_TIMEOUT_MS = 1000


def free_port():
    """A port that is free together with its bus port."""
    while True:
        port = random.randrange(20000, 50000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10000))
            return port


async def eventually(condition, within_s=20.0):
    """Wait until `condition()` (may be a coroutine function) is true; it is asked again and again."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert asyncio.get_running_loop().time() < deadline, "not in time"
        await asyncio.sleep(0.02)


class Redis:
    """A redis-server in cluster mode."""

    def __init__(self, directory, *args):
        self.port = free_port()
        self.directory = directory
        self.args = args
        directory.mkdir(exist_ok=True)

    async def start(self):
        self.process = subprocess.Popen(
            [
                REDIS_SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory),
                "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--save", "",
                "--logfile", str(self.directory / "log"), *self.args,
            ]
        )  # fmt: skip
        await eventually(self._answers)
        return self

    def stop(self):
        self.process.kill()
        self.process.wait()

    async def _answers(self):
        assert self.process.poll() is None, "redis-server ended"
        with contextlib.suppress(OSError):
            return await self("PING") == b"PONG"

    async def __call__(self, *words):
        """One command; an error comes back as its text, in a str."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(hiredis.pack_command(tuple(words)))
            parser = hiredis.Reader(replyError=lambda text: text)
            while (reply := parser.gets()) is False:
                data = await reader.read(65536)
                assert data, "connection closed"
                parser.feed(data)
            return reply
        finally:
            writer.close()

    async def nodes(self):
        return (await self("CLUSTER", "NODES")).decode()


class Ours:
    """Our bus and cluster on real sockets, without the rest of a node."""

    def __init__(self, directory, **settings):
        self.port = free_port()
        directory.mkdir(exist_ok=True)
        self.settings = ClusterSettings(
            port=self.port, bus_port=self.port + 10000, node_timeout_ms=NODE_TIMEOUT_MS, **settings
        )
        self.file = NodesFile(directory / "nodes.conf")
        self.effects = []
        self.failures = []

    async def start(self):
        self.clock = steady_clock()
        self.core = ClusterCore(self.settings, random.Random(), self.clock(), self.file.open())
        self.orders, self.views = ClusterOrders(self.core), ClusterViews(self.core)
        self.bus = Bus(
            self.core,
            self.clock,
            write_config=self.file.write,
            carry_out=self._carry_out,
            on_fatal=self.failures.append,
        )
        await self.bus.start([socket.create_server(("127.0.0.1", self.settings.bus_port))])
        return self

    async def stop(self):
        await self.bus.stop()
        self.file.close()
        assert not self.failures

    def _carry_out(self, effect):
        if not isinstance(effect, Note):
            self.effects.append(effect)

    def do(self, operation, *args):
        result = getattr(self.orders, operation)(*args, self.clock())
        self.bus.run()
        return result

    @property
    def id(self):
        return self.core.myself.id

    def owner(self, slot):
        peer = self.core.slotmap.owners[slot]
        return peer.id if peer else None

    def nodes(self):
        return self.views.nodes().decode()
