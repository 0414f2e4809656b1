"""What the checkers look at in a packet of the bus, without reading it whole."""

from __future__ import annotations

import struct

from gossip import flags
from gossip.messages import Kind

_EPOCHS = struct.Struct(">QQ")

PINGS = frozenset((Kind.PING, Kind.PONG, Kind.MEET))
AUTH_ACK = int(Kind.AUTH_ACK)

SLOTS = slice(80, 2128)


def peek(packet: bytes) -> tuple[int, int, int, bool]:
    """Kind, current epoch, config epoch, and whether the sender is a primary."""
    current_epoch, config_epoch = _EPOCHS.unpack_from(packet, 16)
    is_primary = int.from_bytes(packet[2250:2252], "big") & flags.PRIMARY
    return packet[13], current_epoch, config_epoch, bool(is_primary)
