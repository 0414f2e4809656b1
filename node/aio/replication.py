"""The connection of a replica to its primary, and the file in which a snapshot arrives."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import BinaryIO, cast

from node.aio.clock import unix_ms
from node.core import NodeCore

SYNC_EVERY_BYTES = 8 << 20
"""A long file is given to the disk bit by bit, or the end of it would wait for all."""


class ReplicationHost:
    """Carries out what node.following asks of the world."""

    def __init__(self, node: NodeCore, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.loop = loop
        self._connection: _Connection | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._file: BinaryIO | None = None
        self._unsynced = 0

    # -- the connection

    def connect(self, host: str, port: int) -> None:
        self.close()
        self._attempt = self.loop.create_task(self._connect(host, port))

    async def _connect(self, host: str, port: int) -> None:
        source = self.node.config["bind-source-addr"]
        try:
            await self.loop.create_connection(
                lambda: _Connection(self), host, port, local_addr=(source, 0) if source else None
            )
        except OSError as error:
            self._attempt = None
            self.node.space.now_ms = unix_ms()
            self.node.following.lost(error.strerror or str(error))

    def opened(self, connection: _Connection) -> None:
        self._attempt = None
        self._connection = connection
        self.node.space.now_ms = unix_ms()
        self.node.following.connected_to()

    def received(self, connection: _Connection, data: bytes) -> None:
        if connection is self._connection:
            self.node.space.now_ms = unix_ms()
            self.node.following.received(data)

    def ended(self, connection: _Connection, reason: str) -> None:
        if connection is self._connection:
            self._connection = None
            self.node.space.now_ms = unix_ms()
            self.node.following.lost(reason)

    def send(self, data: bytes) -> None:
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.write(data)

    def close(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        connection, self._connection = self._connection, None
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    # -- the file

    def _draft(self) -> str:
        return f"temp-replication-{os.getpid()}.rdb"

    def begin_file(self) -> None:
        self.drop_file()
        self._file = open(self._draft(), "wb")  # noqa: SIM115 (it is closed when the snapshot is whole, or dropped)
        self._unsynced = 0

    def store_file(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_EVERY_BYTES:
            self._unsynced = 0
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def finish_file(self, name: str) -> bytes:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        os.replace(self._draft(), name)
        folder = os.open(os.path.dirname(os.path.abspath(name)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        with open(name, "rb") as file:
            return file.read()

    def drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._draft())


class _Connection(asyncio.Protocol):
    def __init__(self, host: ReplicationHost) -> None:
        self.host = host
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.host.opened(self)

    def data_received(self, data: bytes) -> None:
        self.host.received(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.host.ended(self, str(error) if error else "connection lost")
