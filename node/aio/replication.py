"""The connection of a replica to its primary, and the file in which a snapshot arrives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import traceback
from collections.abc import Callable
from typing import BinaryIO, cast

from cluster.aio.durable import flush, put_in_place
from gossip.aio.source import local_address
from node.aio.clock import unix_ms
from node.aio.stepping import run_in_slices
from node.config import Config
from node.monitoring.log import Log
from node.ports.primary import Events, Progress
from node.ports.steps import CannotLoad, Steps

SYNC_EVERY_BYTES = 8 << 20
"""A long file is given to the disk bit by bit, or the end of it would wait for all."""
Done = Callable[[Exception | None, int], None]

MIN_PATIENCE_MS = 1000
"""A connection is not given up before the kernel has repeated its first packet."""


class ReplicationHost:
    """What the replication of a node asks of the world (node/ports/primary.py)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, config: Config, log: Log) -> None:
        self.loop = loop
        self.config = config
        self.log = log
        self._connection: _Connection | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._load: asyncio.Task[None] | None = None
        self._file: BinaryIO | None = None
        self._unsynced = 0

    # -- the connection

    def connect(self, host: str, port: int, events: Events) -> None:
        self.close()
        self._attempt = self.loop.create_task(self._connect(host, port, events))

    async def _connect(self, host: str, port: int, events: Events) -> None:
        patience_ms = self._patience_ms()
        try:
            async with asyncio.timeout(patience_ms / 1000 if patience_ms else None):
                source = await local_address(self.config["bind-source-addr"])
                await self.loop.create_connection(lambda: _Connection(self, events), host, port, local_addr=source)
        except (OSError, UnicodeError) as error:  # the latter: a label of the name is empty or too long
            self._attempt = None
            events.lost(getattr(error, "strerror", None) or str(error) or "no answer", unix_ms())

    def _patience_ms(self) -> int:
        """For how long a network may be silent before the connection is given up and a new one tried; 0: as TCP does.

        TCP repeats what was lost after ever longer pauses. Where a cut of 15 seconds has healed, it would be silent for
        10 more, and with it all writes that wait for this replica (`min-acks`). So a member of a cluster tries anew.
        """
        config = self.config
        return max(config["cluster-node-timeout"], MIN_PATIENCE_MS) if config["cluster-enabled"] else 0

    def opened(self, connection: _Connection) -> None:
        sock = cast(asyncio.Transport, connection.transport).get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._patience_ms())
        self._attempt = None
        self._connection = connection
        connection.events.connected_to(unix_ms())

    def received(self, connection: _Connection, data: bytes) -> None:
        if connection is self._connection:
            connection.events.received(data, unix_ms())

    def ended(self, connection: _Connection, reason: str) -> None:
        if connection is self._connection:
            self._connection = None
            connection.events.lost(reason, unix_ms())

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

    def stop(self) -> None:
        """The node ends: leave neither a task nor half a file behind."""
        self.close()
        self.cancel_load()
        self.drop_file()

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

    def finish_file(self, name: str) -> None:
        assert self._file is not None
        flush(self._file)
        self._file.close()
        self._file = None
        put_in_place(self._draft(), name)

    def remove_file(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name)

    def drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                os.unlink(self._draft())


    # -- loading it

    def load(self, steps: Steps[None], progress: Progress, done: Done) -> None:
        self._load = self.loop.create_task(self._run_load(steps, progress, done))

    async def _run_load(self, steps: Steps[None], progress: Progress, done: Done) -> None:
        failure: Exception | None = None
        try:
            await run_in_slices(steps, progress, self.config)
        except Exception as error:
            # Whatever it is, the link must not wait for ever for an end of this.
            failure = error
            if not isinstance(error, (CannotLoad, OSError)):
                self.log.warning(f"Internal error while loading: {error!r}\n{traceback.format_exc()}")
        self._load = None
        done(failure, unix_ms())

    def cancel_load(self) -> None:
        if self._load is not None:
            self._load.cancel()
            self._load = None

    def read(self, on: bool) -> None:
        transport = self._connection.transport if self._connection is not None else None
        if transport is None or transport.is_closing() or transport.is_reading() == on:
            return
        if on:
            transport.resume_reading()
        else:
            transport.pause_reading()


class _Connection(asyncio.Protocol):
    def __init__(self, host: ReplicationHost, events: Events) -> None:
        self.host = host
        self.events = events
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.host.opened(self)

    def data_received(self, data: bytes) -> None:
        self.host.received(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.host.ended(self, str(error) if error else "connection lost")
