"""The protocol of clients, as much of it as a replica and its primary say to each other."""

from __future__ import annotations

PING = b"*1\r\n$4\r\nPING\r\n"
GETACK = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
MULTI = b"*1\r\n$5\r\nMULTI\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"


def set_request(number: int, slot: int) -> bytes:
    """One write of the stream."""
    key, value = b"%d" % number, b"%d" % slot
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value)


def request(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Malformed(Exception):
    """What came is no request."""


class Requests:
    """Takes requests out of bytes that come in pieces, cut anywhere."""

    def __init__(self) -> None:
        self._buffer = b""

    def add(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> tuple[list[bytes], int] | None:
        """The next request that is whole, and its length in bytes. An empty line is one without words."""
        buffer = self._buffer
        end = buffer.find(b"\r\n" if buffer[:1] == b"*" else b"\n")
        if end < 0:
            return None
        if buffer[:1] != b"*":
            self._buffer = buffer[end + 1 :]
            return buffer[:end].split(), end + 1
        words: list[bytes] = []
        at = end + 2
        for _ in range(int(buffer[1:end])):
            end = buffer.find(b"\r\n", at)
            if end < 0:
                return None
            if buffer[at : at + 1] != b"$":
                raise Malformed(f"no word: {buffer[at : at + 20]!r}")
            begin = end + 2
            end = begin + int(buffer[at + 1 : end])
            if len(buffer) < end + 2:
                return None
            words.append(buffer[begin:end])
            at = end + 2
        self._buffer = buffer[at:]
        return words, at
