"""The two extensions by which nodes of this project form a cluster: a wish, and the places in the map.

What they mean is the business of cluster/forming.py; here are only their bytes, in network byte order like all others.
"""

from __future__ import annotations

import struct

from gossip.messages import Place, Places, WishStated

_WISH = struct.Struct(">HH4x8s")  # shards, replicas, digest
_HEAD = struct.Struct(">QI4x")  # current epoch, number of places
_PLACE = struct.Struct(">40s40sQII")  # node, its primary or zeros, config epoch, number of slot ranges, unused
_RANGE = struct.Struct(">HH")
_NO_ID = bytes(40)


def encode_wish(stated: WishStated) -> bytes:
    return _WISH.pack(stated.shards, stated.replicas, stated.digest)


def decode_wish(body: bytes) -> WishStated:
    """struct.error if it is too short."""
    return WishStated(*_WISH.unpack_from(body))


def encode_places(places: Places) -> bytes:
    parts = [_HEAD.pack(places.current_epoch, len(places.places))]
    for place in places.places:
        primary = place.primary_id.encode("latin-1") or _NO_ID
        parts.append(_PLACE.pack(place.node_id.encode("latin-1"), primary, place.epoch, len(place.slots), 0))
        parts.extend(_RANGE.pack(*slots) for slots in place.slots)
    return b"".join(parts)


def decode_places(body: bytes) -> Places:
    """struct.error if it is cut; ValueError if a slot range makes no sense."""
    current_epoch, count = _HEAD.unpack_from(body)
    places: list[Place] = []
    at = _HEAD.size
    for _ in range(count):
        node_id, primary, epoch, range_count, _ = _PLACE.unpack_from(body, at)
        at += _PLACE.size
        slots: list[tuple[int, int]] = []
        for _ in range(range_count):
            first, last = _RANGE.unpack_from(body, at)
            if not first <= last < 16384:
                raise ValueError(f"{first}-{last} is not a range of slots")
            slots.append((first, last))
            at += _RANGE.size
        primary_id = "" if primary == _NO_ID else primary.decode("latin-1")
        places.append(Place(node_id.decode("latin-1"), primary_id, epoch, tuple(slots)))
    return Places(current_epoch, tuple(places))
