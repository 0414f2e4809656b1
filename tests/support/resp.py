"""A small RESP2/RESP3 client that keeps the bytes.

Client libraries hide what a server really wrote: whether a null was `$-1` or `*-1`, whether a score came as a double
or as a bulk string. Here every reply is a `Frame`: its raw bytes, its parts, and a Python value for those who want one.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SCALARS = b"+-:$_#,(=!"
AGGREGATES = b"*~>%|"


class NeedMore(Exception):
    """The buffer ends inside a frame."""


class BadReply(Exception):
    """The server sent bytes that are no RESP frame."""


class ErrorReply(str):
    """The text of an error reply; its first word is the code."""

    __slots__ = ()


@dataclass(slots=True)
class Frame:
    """One reply: `kind` is its type byte, `items` its parts (keys and values in turn for a map)."""

    kind: bytes
    raw: bytes
    body: bytes = b""
    items: list[Frame] = field(default_factory=list)
    null: bool = False

    @property
    def head(self) -> bytes:
        """The first line: type and length."""
        return self.raw.split(b"\r\n", 1)[0]

    @property
    def is_error(self) -> bool:
        return self.kind in (b"-", b"!")

    @property
    def value(self) -> Any:
        """The reply as Python sees it: bytes, int, float, bool, None, list, dict or ErrorReply."""
        if self.null:
            return None
        match self.kind:
            case b"-" | b"!":
                return ErrorReply(self.body.decode("utf-8", "replace"))
            case b":" | b"(":
                return int(self.body)
            case b",":
                return float(self.body)
            case b"#":
                return self.body == b"t"
            case b"=":
                return self.body[4:]
            case b"*" | b"~" | b">":
                return [item.value for item in self.items]
            case b"%":
                return {_hashable(k.value): v.value for k, v in zip(self.items[::2], self.items[1::2], strict=True)}
            case _:
                return self.body


CLOSED = Frame(b"", b"(connection closed)")


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def parse(buffer: bytes | bytearray, at: int = 0) -> tuple[Frame, int]:
    """The frame that starts at `at` and where the next one starts; NeedMore while it is incomplete."""
    line_end = buffer.find(b"\r\n", at)
    if line_end < 0:
        if len(buffer) > at and buffer[at] not in SCALARS + AGGREGATES:
            raise BadReply(repr(bytes(buffer[at : at + 60])))
        raise NeedMore
    kind, rest, after = bytes(buffer[at : at + 1]), bytes(buffer[at + 1 : line_end]), line_end + 2
    if kind in (b"$", b"=", b"!"):
        length = int(rest)
        if length < 0:
            return Frame(kind, bytes(buffer[at:after]), null=True), after
        if len(buffer) < after + length + 2:
            raise NeedMore
        if buffer[after + length : after + length + 2] != b"\r\n":
            raise BadReply(f"no line end after {length} bytes: {bytes(buffer[at : after + 60])!r}")
        return Frame(kind, bytes(buffer[at : after + length + 2]), bytes(buffer[after : after + length])), (
            after + length + 2
        )
    if kind in (b"*", b"~", b">", b"%", b"|"):
        count = int(rest)
        if count < 0:
            return Frame(kind, bytes(buffer[at:after]), null=True), after
        items, position = [], after
        for _ in range(count * 2 if kind in b"%|" else count):
            item, position = parse(buffer, position)
            items.append(item)
        return Frame(kind, bytes(buffer[at:position]), items=items), position
    if kind in (b"+", b"-", b":", b"_", b"#", b",", b"("):
        return Frame(kind, bytes(buffer[at:after]), rest, null=kind == b"_"), after
    raise BadReply(repr(bytes(buffer[at : at + 60])))


def parse_all(buffer: bytes) -> tuple[list[Frame], bytes]:
    """All complete frames of the buffer, and what is left over."""
    frames, at = [], 0
    while at < len(buffer):
        try:
            frame, at = parse(buffer, at)
        except NeedMore:
            break
        frames.append(frame)
    return frames, buffer[at:]


Word = bytes | str | int | float


def encode_word(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def pack(argv: Sequence[Word]) -> bytes:
    """A request as clients send it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(argv)]
    for word in map(encode_word, argv):
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


class Connection:
    """A blocking connection. Replies come as frames, in order, pushes among them."""

    def __init__(self, port: int, proto: int = 2, host: str = "127.0.0.1", timeout_s: float = 10) -> None:
        self.sock = socket.create_connection((host, port), timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        if proto != 2:
            self.hello = self.ask("HELLO", proto)

    def send(self, *argv: Word) -> None:
        self.sock.sendall(pack(argv))

    def send_raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> Frame:
        """The next frame; `CLOSED` when the server has hung up."""
        while True:
            if self.buffer:
                try:
                    frame, end = parse(self.buffer)
                except NeedMore:
                    pass
                else:
                    del self.buffer[:end]
                    return frame
            if not self._fill():
                return CLOSED

    def _fill(self) -> bool:
        """Wait for data, and take what is there up to twice what we have: a frame that is long in coming is parsed from
        its start only a few times. False: the server has hung up."""
        before = len(self.buffer)
        enough = 2 * before + (1 << 16)
        while True:
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            self.buffer += data
            if not data or len(self.buffer) >= enough or not select.select([self.sock], [], [], 0)[0]:
                return len(self.buffer) > before

    def ask(self, *argv: Word) -> Frame:
        self.send(*argv)
        return self.read()

    def call(self, *argv: Word) -> Any:
        """The reply as a Python value; an error reply raises."""
        frame = self.ask(*argv)
        if frame.is_error or frame is CLOSED:
            raise AssertionError(f"{b' '.join(map(encode_word, argv))[:200]!r} answered {frame.raw[:300]!r}")
        return frame.value

    def pipeline(self, commands: Iterable[Sequence[Word]]) -> list[Frame]:
        """Send all, then read one frame for each."""
        requests = [pack(argv) for argv in commands]
        self.sock.sendall(b"".join(requests))
        return [self.read() for _ in requests]

    def read_to_end(self) -> bytes:
        """Everything until the server hangs up."""
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                break
            if not data:
                break
            self.buffer += data
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def show(frame: Frame, indent: str = "") -> str:
    """A reply as redis-cli prints it, so that a transcript reads like a terminal."""
    if frame is CLOSED:
        return "(connection closed)"
    if frame.null:
        return "(nil)"
    match frame.kind:
        case b"-" | b"!":
            return f"(error) {frame.body.decode('utf-8', 'backslashreplace')}"
        case b":":
            return f"(integer) {frame.body.decode()}"
        case b",":
            return f"(double) {frame.body.decode()}"
        case b"#":
            return "(true)" if frame.body == b"t" else "(false)"
        case b"+":
            return frame.body.decode("utf-8", "backslashreplace")
        case b"*" | b"~" | b">" | b"%":
            if not frame.items:
                return {b"%": "(empty map)", b"~": "(empty set)"}.get(frame.kind, "(empty array)")
            lines = []
            for number, item in enumerate(frame.items, 1):
                mark = f"{number}) "
                text = show(item, indent + " " * len(mark))
                lines.append((indent if number > 1 else "") + mark + text)
            return "\n".join(lines)
        case _:
            return quoted(frame.body)


def quoted(data: bytes) -> str:
    """Bytes in double quotes, with escapes for what is not printable."""
    names = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return '"' + "".join(names.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data) + '"'
