"""The receive buffer of one link: bytes in, packets out.

Input is hostile until shown otherwise. What cannot be a packet at all (wrong signature, impossible length) is a
`FramingError`: there is no way to find the next packet, the link must be closed. What is a packet but makes no sense
is a `BadPacket`, already consumed: `next` can be called again.

A length is believed only as far as its type allows: whoever announces four gigabytes of PING is told so after sixteen
bytes, not after four gigabytes.
"""

from __future__ import annotations

import struct

from gossip.messages import Kind, LightPublish, Message, Unknown
from gossip.wire import GOSSIP_BYTES, HEADER_BYTES, LIGHT, LIGHT_HEADER_BYTES, SIGNATURE, VERSION, BadPacket, decode

__all__ = ["NEED_DATA", "BadPacket", "Framer", "FramingError"]

_START = struct.Struct(">4sIHHHH")

# PUBLISH carries what a client sent, so the largest bulk string decides; extensions are small texts.
MAX_PACKET_BYTES = 1 << 30
_MAX_EXTENSION_BYTES = 1 << 20
_PUBLISHED = (Kind.PUBLISH, Kind.PUBLISHSHARD, Kind.MODULE)
_PINGS = (Kind.PING, Kind.PONG, Kind.MEET)


class FramingError(ValueError):
    """The stream is not a cluster bus; the text says why. Close the link."""


class _NeedData:
    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA = _NeedData()


class Framer:
    """Cuts the stream of one link into packets."""

    __slots__ = ("_buffer", "_checked", "_length", "_max_packet_bytes")

    def __init__(self, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self._buffer = bytearray()
        self._length = 0  # of the packet at the start of the buffer; 0 while unknown
        self._checked = False
        self._max_packet_bytes = max_packet_bytes

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Message | LightPublish | Unknown | _NeedData:
        """The next message, or NEED_DATA. Raises FramingError and BadPacket as the module's text says."""
        if not self._length and not self._read_length():
            return NEED_DATA
        if not self._checked and len(self._buffer) >= _START.size:
            self._check_length()
        if len(self._buffer) < self._length:
            return NEED_DATA
        packet = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = 0
        self._checked = False
        return decode(packet)

    def _read_length(self) -> bool:
        have = len(self._buffer)
        if not SIGNATURE.startswith(self._buffer[:4]):
            raise FramingError("the bytes do not start with the signature of the cluster bus")
        if have < 8:
            return False
        length = int.from_bytes(self._buffer[4:8], "big")
        if length < LIGHT_HEADER_BYTES:
            raise FramingError(f"a packet of {length} bytes is shorter than the header")
        if length > self._max_packet_bytes:
            raise FramingError(f"a packet of {length} bytes is over the limit of {self._max_packet_bytes}")
        self._length = length
        return True

    def _check_length(self) -> None:
        _, length, version, _, type_number, count = _START.unpack_from(self._buffer)
        self._checked = True
        if length < HEADER_BYTES and not type_number & LIGHT:
            raise FramingError(f"a packet of {length} bytes is shorter than the header")
        if version != VERSION or type_number & ~LIGHT in _PUBLISHED:
            return
        most = HEADER_BYTES + 4096
        if type_number in _PINGS:
            most = HEADER_BYTES + count * GOSSIP_BYTES + _MAX_EXTENSION_BYTES
        elif type_number > max(Kind):
            most = HEADER_BYTES + _MAX_EXTENSION_BYTES
        if length > most:
            raise FramingError(f"a packet of type {type_number} cannot have {length} bytes")
