"""Connections to other servers, to which MIGRATE sends keys (node/ports/targets.py)."""

from __future__ import annotations

import asyncio
from typing import cast

from node.aio.clock import unix_ms
from node.ports.targets import Events


class TargetConnections:
    """Those of one node."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: set[_Connection] = set()

    def connect(self, host: str, port: int, events: Events) -> _Connection:
        connection = _Connection(self._loop, events, self._open)
        connection.begin(host, port)
        return connection

    def stop(self) -> None:
        """The node ends."""
        for connection in list(self._open):
            connection.close()


class _Connection(asyncio.Protocol):
    """`events` is None once nothing more is to be told."""

    def __init__(self, loop: asyncio.AbstractEventLoop, events: Events, among: set[_Connection]) -> None:
        self._loop = loop
        self._events: Events | None = events
        self._among = among
        self._attempt: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._full = False

    def begin(self, host: str, port: int) -> None:
        self._among.add(self)
        self._attempt = self._loop.create_task(self._connect(host, port))

    async def _connect(self, host: str, port: int) -> None:
        try:
            await self._loop.create_connection(lambda: self, host, port)
        except (OSError, UnicodeError, OverflowError) as error:  # the latter two: no such name, or no such port
            self._end(str(error))

    # -- what the node does

    def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # that it was lost is told, or is about to be
        self._transport.write(data)
        if not self._full:
            self._loop.call_soon(self._tell_written)

    def close(self) -> None:
        self._events = None
        self._among.discard(self)
        if self._attempt is not None:
            self._attempt.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- what happens

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        if self._events is None:
            self._transport.abort()
        else:
            self._events.connected(unix_ms())

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._tell_written()

    def _tell_written(self) -> None:
        if self._events is not None and not self._full:
            self._events.written(unix_ms())

    def data_received(self, data: bytes) -> None:
        if self._events is not None:
            self._events.received(data, unix_ms())

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._end(str(error) if error else "connection lost")

    def _end(self, reason: str) -> None:
        self._among.discard(self)
        events, self._events = self._events, None
        if events is not None:
            events.lost(reason, unix_ms())
