"""A connection to one node, for tools: asyncio for the socket, hiredis for the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis

Word = str | bytes | int


class ReplyError(Exception):
    """The node answered with an error."""


class Unreachable(Exception):
    """The node cannot be connected to, or hung up, or did not answer in time."""


class Connection:
    """Requests to one node, one or many at a time. RESP2; replies are text, bytes that are not UTF-8 escaped."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self._parser = hiredis.Reader(encoding="utf-8", errors="surrogateescape", replyError=ReplyError)

    @classmethod
    async def open(cls, host: str, port: int, password: str = "", timeout_s: float = 5.0) -> Connection:
        """Connect, and log in where there is a password."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"cannot connect to {host}:{port}: {error or 'no answer in time'}") from None
        connection = cls(reader, writer, timeout_s)
        if password:
            try:
                await connection.call("AUTH", password)
            except BaseException:
                connection.close()
                raise
        return connection

    async def call(self, *words: Word) -> Any:
        """One command's reply; raises ReplyError for an error."""
        (reply,) = await self.pipeline([words])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """The replies of several commands sent together; errors stand in the list as ReplyError."""
        for words in commands:
            self._writer.write(hiredis.pack_command(tuple(words)))  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
                return [await self._reply() for _ in commands]
        except (OSError, TimeoutError, hiredis.ProtocolError) as error:
            self.close()
            raise Unreachable(f"no answer: {error or 'time is up'}") from None

    async def _reply(self) -> Any:
        while (reply := self._parser.gets()) is False:
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionResetError("the node closed the connection")
            self._parser.feed(data)
        return reply

    def close(self) -> None:
        self._writer.close()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()
