"""Bytes of the cluster bus, version 1, and the messages they stand for.

Every packet opens with the same 2256-byte header (signature, length, epochs, the sender's id, its slots as a bitmap,
addresses, flags) in network byte order. The structs below must lie at the offsets that Redis fixes for all versions;
that is asserted when this module is imported.

Published messages may have a header of sixteen bytes instead, between nodes that say so in their flags (from Valkey 8):
signature, length, version and type, at the same offsets, the type with a bit that marks it.

`decode` judges one whole packet. A body that does not fit its type is a `BadPacket`: the packet is dropped and the link
lives on, as in Redis, where the peer may simply be newer. Broken framing is worse and is the framer's affair.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gossip.extensions import ExtensionError, decode_extensions, encode_extensions
from gossip.messages import (
    EXT_DATA,
    OURS,
    AuthAck,
    AuthRequest,
    Fail,
    GossipEntry,
    Header,
    Kind,
    LightPublish,
    Meet,
    Message,
    MfStart,
    Module,
    Ping,
    Pong,
    Publish,
    PublishShard,
    Unknown,
    Update,
)

SIGNATURE = b"RCmb"
VERSION = 1
HEADER_BYTES = 2256
LIGHT_HEADER_BYTES = 16
LIGHT = 0x8000  # in the type
GOSSIP_BYTES = 104
SLOTS_BYTES = 2048

# signature, length, version, port, type, count, current epoch, config epoch, offset, sender
_HEAD = struct.Struct(">4sIHHHHQQQ40s")
# primary, ip, extensions, (data epoch, electorate,) unused, plain port, bus port, flags, state, message flags
_TAIL = struct.Struct(">40s46sHQQ14sHHHB3B")  # what stands in brackets is unused by Redis
_LIGHT_HEAD = struct.Struct(">4sIHHHH")  # signature, length, version, unused, type, unused
_GOSSIP = struct.Struct(">40sII46sHHHHH")
_PUBLISH = struct.Struct(">II")
_UPDATE = struct.Struct(">Q40s2048s")
_MODULE = struct.Struct(">8sIB")  # Redis does not convert the module id: it stays as the sender's machine wrote it

_SLOTS_AT = 80
_TAIL_AT = 2128
_TYPE_AT = 12
_COUNT_AT = 14
_NO_ID = bytes(40)

_NODE_ID = re.compile("[0-9a-z]{40}")
_ADDRESS = re.compile("[0-9A-Za-z.:_%-]*")

assert _HEAD.size == _SLOTS_AT
assert _LIGHT_HEAD.size == LIGHT_HEADER_BYTES
assert _SLOTS_AT + SLOTS_BYTES == _TAIL_AT
assert _TAIL_AT + _TAIL.size == HEADER_BYTES
assert _GOSSIP.size == GOSSIP_BYTES
assert struct.calcsize(">4sIHHH") == _COUNT_AT
assert _TAIL_AT + struct.calcsize(">40s46s") == 2214  # extensions
assert _TAIL_AT + struct.calcsize(">40s46sHQQ14s") == 2246  # plain port
assert _TAIL_AT + struct.calcsize(">40s46sHQQ14sHH") == 2250  # flags
assert _TAIL_AT + struct.calcsize(">40s46sHQQ14sHHHB") == 2253  # message flags


class BadPacket(ValueError):
    """One packet is malformed; the text says how. The link can go on."""


def encode(message: Message) -> bytes:
    """The packet that says `message`."""
    count, extensions, body = _BODY_WRITERS[type(message)](message)
    h = message.header
    head = _HEAD.pack(
        SIGNATURE,
        HEADER_BYTES + len(body),
        VERSION,
        h.port,
        message.kind,
        count,
        h.current_epoch,
        h.config_epoch,
        h.offset & 0xFFFFFFFFFFFFFFFF,
        h.sender.encode("latin-1"),
    )
    tail = _TAIL.pack(
        h.primary_id.encode("latin-1") if h.primary_id else _NO_ID,
        h.ip.encode("latin-1")[:45],
        extensions,
        h.data_epoch,
        h.electorate,
        b"",
        h.plain_port,
        h.bus_port,
        h.flags & 0xFFFF,
        h.state_fail,
        *h.mflags,
    )
    return b"".join((head, h.slots, tail, body))


def encode_light(message: LightPublish) -> bytes:
    """The packet with the short header that says `message`."""
    body = _publish_body(message.channel, message.message)
    length = LIGHT_HEADER_BYTES + len(body)
    return _LIGHT_HEAD.pack(SIGNATURE, length, VERSION, 0, message.kind | LIGHT, 0) + body


def decode(packet: bytes) -> Message | LightPublish | Unknown:
    """The message that `packet` (one whole packet, as the framer cuts them) says; BadPacket if it says nothing."""
    if len(packet) >= LIGHT_HEADER_BYTES and packet[_TYPE_AT] & LIGHT >> 8:
        return _decode_light(packet)
    if len(packet) < HEADER_BYTES:
        raise BadPacket(f"a packet of {len(packet)} bytes is shorter than the header")
    _, length, version, port, type_number, count, current, config, offset, sender = _HEAD.unpack_from(packet)
    if length != len(packet):
        raise BadPacket(f"a packet of {len(packet)} bytes says that it has {length}")
    reader = _BODY_READERS.get(type_number)
    if version != VERSION or reader is None:
        return Unknown(version, type_number)
    primary, ip, extensions, data_epoch, electorate, _, *rest = _TAIL.unpack_from(packet, _TAIL_AT)
    plain_port, bus_port, flags, state, *mflags = rest
    known = bool(mflags[1] & OURS)
    header = Header(
        sender=_node_id(sender),
        current_epoch=current,
        config_epoch=config,
        offset=offset,
        slots=packet[_SLOTS_AT:_TAIL_AT],
        primary_id=None if primary == _NO_ID else _node_id(primary),
        ip=_address(ip),
        port=port,
        plain_port=plain_port,
        bus_port=bus_port,
        flags=flags,
        state_fail=bool(state),
        mflags=(mflags[0], mflags[1], mflags[2]),
        data_epoch=data_epoch if known else 0,
        electorate=electorate if known else 0,
    )
    return reader(header, packet, count, extensions)


def _decode_light(packet: bytes) -> LightPublish | Unknown:
    _, length, version, _, type_number, _ = _LIGHT_HEAD.unpack_from(packet)
    if length != len(packet):
        raise BadPacket(f"a packet of {len(packet)} bytes says that it has {length}")
    kind = type_number & ~LIGHT
    if version != VERSION or kind not in (Kind.PUBLISH, Kind.PUBLISHSHARD):
        return Unknown(version, type_number)
    return LightPublish(Kind(kind), *_read_published(packet, LIGHT_HEADER_BYTES))


def valid_node_id(node_id: str) -> bool:
    """Forty characters, digits and small letters."""
    return _NODE_ID.fullmatch(node_id) is not None


def valid_address(text: str) -> bool:
    """Whether `text` may stand in an address field: an IP address, or a name announced in its place."""
    return _ADDRESS.fullmatch(text) is not None


# The same few ids and addresses come in every packet, so what they mean is remembered. The limit is for liars.
@lru_cache(maxsize=1024)
def _node_id(raw: bytes) -> str:
    node_id = raw.decode("latin-1")
    if not valid_node_id(node_id):
        raise BadPacket(f"{raw[:8]!r}... is not a node id")
    return node_id


@lru_cache(maxsize=1024)
def _address(raw: bytes) -> str:
    text = raw.split(b"\0", 1)[0].decode("latin-1")
    if not valid_address(text):
        raise BadPacket(f"{raw[:46]!r} is not an address")
    return text


# Bodies. A writer returns (count, number of extensions, bytes); a reader gets (header, packet, count, extensions).


def _write_ping(message: Ping) -> tuple[int, int, bytes]:
    sections = [
        _GOSSIP.pack(
            e.node_id.encode("latin-1"),
            e.ping_sent_s & 0xFFFFFFFF,
            e.pong_received_s & 0xFFFFFFFF,
            e.ip.encode("latin-1")[:45],
            e.port,
            e.bus_port,
            e.flags & 0xFFFF,
            e.plain_port,
            0,
        )
        for e in message.gossip
    ]
    extensions, tail = encode_extensions(message.extensions)
    sections.append(tail)
    return len(message.gossip), extensions, b"".join(sections)


def _ping_reader(kind: type[Ping]) -> Callable[[Header, bytes, int, int], Message]:
    def read(header: Header, packet: bytes, count: int, extension_count: int) -> Message:
        end = HEADER_BYTES + count * GOSSIP_BYTES
        if end > len(packet):
            raise BadPacket(f"{count} gossip sections do not fit in {len(packet)} bytes")
        gossip = _read_gossip(packet[HEADER_BYTES:end])
        wanted = extension_count if header.mflags[0] & EXT_DATA else 0
        try:
            extensions, end = decode_extensions(packet, end, wanted)
        except ExtensionError as error:
            raise BadPacket(str(error)) from None
        _expect_end(packet, end)
        return kind(header, tuple(gossip), extensions)

    return read


def _read_gossip(sections: bytes) -> tuple[GossipEntry, ...]:
    """The sections that make sense. One that does not must not cost us the news about the sender and the others."""
    found: list[GossipEntry] = []
    for node_id, ping_s, pong_s, ip, port, bus_port, flags, plain_port, _ in _GOSSIP.iter_unpack(sections):
        try:
            entry = GossipEntry(_node_id(node_id), ping_s, pong_s, _address(ip), port, bus_port, flags, plain_port)
        except BadPacket:
            continue
        found.append(entry)
    return tuple(found)


def _write_fail(message: Fail) -> tuple[int, int, bytes]:
    return 0, 0, message.node_id.encode("latin-1")


def _read_fail(header: Header, packet: bytes, count: int, extensions: int) -> Message:
    _expect_end(packet, HEADER_BYTES + 40)
    return Fail(header, _node_id(packet[HEADER_BYTES:]))


def _write_publish(message: Publish) -> tuple[int, int, bytes]:
    return 0, 0, _publish_body(message.channel, message.message)


def _publish_body(channel: bytes, message: bytes) -> bytes:
    return b"".join((_PUBLISH.pack(len(channel), len(message)), channel, message))


def _publish_reader(kind: type[Publish]) -> Callable[[Header, bytes, int, int], Message]:
    def read(header: Header, packet: bytes, count: int, extensions: int) -> Message:
        return kind(header, *_read_published(packet, HEADER_BYTES))

    return read


def _read_published(packet: bytes, at: int) -> tuple[bytes, bytes]:
    """Channel and message from the body that begins there."""
    start = at + _PUBLISH.size
    if len(packet) < start:
        raise BadPacket("a publish packet ends before its lengths")
    channel_bytes, message_bytes = _PUBLISH.unpack_from(packet, at)
    _expect_end(packet, start + channel_bytes + message_bytes)
    return packet[start : start + channel_bytes], packet[start + channel_bytes :]


def _write_update(message: Update) -> tuple[int, int, bytes]:
    return 0, 0, _UPDATE.pack(message.node_epoch, message.node_id.encode("latin-1"), message.node_slots)


def _read_update(header: Header, packet: bytes, count: int, extensions: int) -> Message:
    _expect_end(packet, HEADER_BYTES + _UPDATE.size)
    epoch, node_id, slots = _UPDATE.unpack_from(packet, HEADER_BYTES)
    return Update(header, _node_id(node_id), epoch, slots)


def _write_module(message: Module) -> tuple[int, int, bytes]:
    module_id = message.module_id.to_bytes(8, "little")
    return 0, 0, _MODULE.pack(module_id, len(message.payload), message.module_type) + message.payload


def _read_module(header: Header, packet: bytes, count: int, extensions: int) -> Message:
    start = HEADER_BYTES + _MODULE.size
    if len(packet) < start:
        raise BadPacket("a module packet ends before its payload")
    module_id, payload_bytes, module_type = _MODULE.unpack_from(packet, HEADER_BYTES)
    _expect_end(packet, start + payload_bytes)
    return Module(header, int.from_bytes(module_id, "little"), module_type, packet[start:])


def _write_nothing(message: Message) -> tuple[int, int, bytes]:
    return 0, 0, b""


def _bare_reader(kind: type[Message]) -> Callable[[Header, bytes, int, int], Message]:
    def read(header: Header, packet: bytes, count: int, extensions: int) -> Message:
        _expect_end(packet, HEADER_BYTES)
        return kind(header)

    return read


def _expect_end(packet: bytes, end: int) -> None:
    if len(packet) != end:
        raise BadPacket(f"a packet of {len(packet)} bytes should have {end}")


_BODY_WRITERS: dict[type[Message], Callable[[Any], tuple[int, int, bytes]]] = {
    Ping: _write_ping,
    Pong: _write_ping,
    Meet: _write_ping,
    Fail: _write_fail,
    Publish: _write_publish,
    PublishShard: _write_publish,
    Update: _write_update,
    Module: _write_module,
    AuthRequest: _write_nothing,
    AuthAck: _write_nothing,
    MfStart: _write_nothing,
}

_BODY_READERS: dict[int, Callable[[Header, bytes, int, int], Message]] = {
    Kind.PING: _ping_reader(Ping),
    Kind.PONG: _ping_reader(Pong),
    Kind.MEET: _ping_reader(Meet),
    Kind.FAIL: _read_fail,
    Kind.PUBLISH: _publish_reader(Publish),
    Kind.PUBLISHSHARD: _publish_reader(PublishShard),
    Kind.UPDATE: _read_update,
    Kind.MODULE: _read_module,
    Kind.AUTH_REQUEST: _bare_reader(AuthRequest),
    Kind.AUTH_ACK: _bare_reader(AuthAck),
    Kind.MFSTART: _bare_reader(MfStart),
}
