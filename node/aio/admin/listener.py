"""The port of the admin server, open from the start, and its libraries, which come with the first connection.

Most nodes in a test are never asked, and aiohttp would be a third of their memory. So what a connection says is kept
until a thread has imported what answers it (clients of the node are served meanwhile), and then both are handed over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from node.aio.admin.app import Application
    from node.core import NodeCore

ProtocolFactory = Callable[[], asyncio.Protocol]

ADMIN_CONNECTIONS = 16
"""How many may be open at once."""
KEPT_BYTES = 64 * 1024
"""What a client may say before it is answered; a request for a page is far shorter."""


class AdminListener:
    """Listens on admin-port for one node."""

    def __init__(self, node: NodeCore, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._servers: list[asyncio.Server] = []
        self._loading: asyncio.Task[ProtocolFactory] | None = None
        self._welcomes: set[asyncio.Task[None]] = set()
        self._application: Application | None = None
        self._open: list[asyncio.Transport] = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections at these listening sockets."""
        for each in sockets:
            self._servers.append(await self._loop.create_server(lambda: Arrival(self), sock=each))

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for welcome in self._welcomes:
            welcome.cancel()
        if self._application is not None:
            await self._application.close()

    def has_room_for(self, transport: asyncio.Transport) -> bool:
        """Whether one connection more may be served: who asks for pages must not take the files of all others."""
        self._open = [each for each in self._open if not each.is_closing()]
        if len(self._open) >= ADMIN_CONNECTIONS:
            return False
        self._open.append(transport)
        return True

    def arrived(self, arrival: Arrival) -> None:
        """A connection is there."""
        task = self._loop.create_task(self._welcome(arrival))
        self._welcomes.add(task)
        task.add_done_callback(self._welcomes.discard)

    async def _welcome(self, arrival: Arrival) -> None:
        if self._loading is None:
            self._loading = self._loop.create_task(self._load())
        factory = await asyncio.shield(self._loading)
        arrival.hand_over(factory)

    async def _load(self) -> ProtocolFactory:
        application = await self._loop.run_in_executor(None, _import_application)
        self._application = application(self._node)
        return await self._application.protocols()


def _import_application() -> type[Application]:
    from node.aio.admin import app

    return app.Application


class Arrival(asyncio.Protocol):
    """A connection before there is somebody to serve it."""

    def __init__(self, listener: AdminListener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._said = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._listener.has_room_for(self._transport):
            self._listener.arrived(self)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._said += data
        if len(self._said) > KEPT_BYTES and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def hand_over(self, factory: ProtocolFactory) -> None:
        """From here on the connection is that of a protocol which can answer."""
        transport, protocol = self._transport, factory()
        if transport is not None and not transport.is_closing():
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            if self._said:
                protocol.data_received(bytes(self._said))
