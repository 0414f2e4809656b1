"""Ping extensions: typed, eight-byte aligned records behind the gossip sections of a PING, PONG or MEET.

Each is a length (of the whole record), a type and padding, then its data. Types that we do not know are skipped and
reported, so that newer nodes can talk to us. A node that predates a type skips it too, but Redis 7.0 writes a warning
to its log for each one, ten times a second; so only nodes known to understand extensions get more than the hostname.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from gossip.messages import NO_EXTENSIONS, Extensions, Heard, Places, WishStated
from gossip.places import decode_places, decode_wish, encode_places, encode_wish

T = TypeVar("T")

_RECORD = struct.Struct(">IHH")
_FORGOTTEN = struct.Struct(">40sQ")
_HEARD = struct.Struct(">40sQ")  # node id, age in milliseconds

HOSTNAME = 0
NODENAME = 1
FORGOTTEN_NODE = 2
SHARD_ID = 3
# Ours, far from the numbers that Redis and its successors count up.
WISH = 0x5301
PLACES = 0x5302
ASKED = 0x5303
HEARD = 0x5304

_ID_BYTES = 40


class ExtensionError(ValueError):
    """The extensions of a packet are malformed; the text says how."""


def encode_extensions(extensions: Extensions) -> tuple[int, bytes]:
    """The number of records, and their bytes."""
    records: list[bytes] = []
    if extensions.hostname:
        records.append(_record(HOSTNAME, _terminated(extensions.hostname)))
    if extensions.nodename:
        records.append(_record(NODENAME, _terminated(extensions.nodename)))
    for node_id, ttl_s in extensions.forgotten:
        records.append(_record(FORGOTTEN_NODE, _FORGOTTEN.pack(node_id.encode("latin-1"), ttl_s)))
    if extensions.shard_id:
        records.append(_record(SHARD_ID, extensions.shard_id.encode("latin-1")))
    if extensions.wish is not None:
        records.append(_record(WISH, encode_wish(extensions.wish)))
    if extensions.places is not None:
        records.append(_record(PLACES, encode_places(extensions.places)))
    for node_id in extensions.asked:
        records.append(_record(ASKED, node_id.encode("latin-1")))
    for node_id, age_ms in extensions.heard:
        records.append(_record(HEARD, _HEARD.pack(node_id.encode("latin-1"), age_ms)))
    return len(records), b"".join(records)


def decode_extensions(data: bytes, start: int, count: int) -> tuple[Extensions, int]:
    """The extensions in `data` from `start` on, and where they end."""
    if count == 0:
        return NO_EXTENSIONS, start
    texts: dict[int, str] = {}
    forgotten: list[tuple[str, int]] = []
    unknown: list[int] = []
    wish: WishStated | None = None
    places: Places | None = None
    asked: list[str] = []
    heard: list[Heard] = []
    at = start
    for _ in range(count):
        type_number, body, at = _next_record(data, at)
        if type_number in (HOSTNAME, NODENAME):
            texts[type_number] = _text(body, type_number)
        elif type_number == SHARD_ID:
            texts[type_number] = _sized(body, _ID_BYTES, type_number)[:_ID_BYTES].decode("latin-1")
        elif type_number == FORGOTTEN_NODE:
            node_id, ttl_s = _FORGOTTEN.unpack_from(_sized(body, _FORGOTTEN.size, type_number))
            forgotten.append((node_id.decode("latin-1"), ttl_s))
        elif type_number == WISH:
            wish = _understood(decode_wish, body, type_number)
        elif type_number == PLACES:
            places = _understood(decode_places, body, type_number)
        elif type_number == ASKED:
            asked.append(_sized(body, _ID_BYTES, type_number)[:_ID_BYTES].decode("latin-1"))
        elif type_number == HEARD:
            node_id, age_ms = _HEARD.unpack_from(_sized(body, _HEARD.size, type_number))
            heard.append(Heard(node_id.decode("latin-1"), age_ms))
        else:
            unknown.append(type_number)
    names = (texts.get(HOSTNAME), texts.get(NODENAME), texts.get(SHARD_ID))
    return Extensions(*names, tuple(forgotten), tuple(unknown), wish, places, tuple(asked), tuple(heard)), at


def _understood(decode: Callable[[bytes], T], body: bytes, type_number: int) -> T:
    try:
        return decode(body)
    except (struct.error, ValueError) as error:
        raise ExtensionError(f"extension {type_number:#x}: {error}") from None


def _next_record(data: bytes, at: int) -> tuple[int, bytes, int]:
    if len(data) - at < _RECORD.size:
        raise ExtensionError("an extension's head does not fit in the packet")
    length, type_number, _ = _RECORD.unpack_from(data, at)
    if length < _RECORD.size or length % 8:
        raise ExtensionError(f"an extension of {length} bytes is not padded to eight")
    if length > len(data) - at:
        raise ExtensionError(f"an extension of {length} bytes does not fit in the packet")
    return type_number, data[at + _RECORD.size : at + length], at + length


def _text(body: bytes, type_number: int) -> str:
    if not body or body[-1]:
        raise ExtensionError(f"the text of extension {type_number} lacks its terminating zero")
    return body[: body.index(0)].decode("latin-1")


def _sized(body: bytes, size: int, type_number: int) -> bytes:
    if len(body) < size:
        raise ExtensionError(f"extension {type_number} has {len(body)} bytes where {size} are needed")
    return body


def _terminated(text: str) -> bytes:
    return text.encode("latin-1", "replace") + b"\0"


def _record(type_number: int, body: bytes) -> bytes:
    padded = -len(body) % 8
    return _RECORD.pack(_RECORD.size + len(body) + padded, type_number, 0) + body + bytes(padded)
