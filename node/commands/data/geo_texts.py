"""How the geo commands write positions and distances, and read them: the texts, not the mathematics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.engine.structures.numbers import parse_double
from node.replies import NOT_FLOAT, CommandError, Raw, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

LON_MAX = 180.0
LAT_MAX = 85.05112878

# Metres in one of each unit.
UNITS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}

WRONG_UNIT = CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")


def read_float(text: bytes, error: CommandError = NOT_FLOAT) -> float:
    value = parse_double(text)
    if value is None:
        raise error
    return value


def read_position(texts: Sequence[bytes]) -> tuple[float, float]:
    """Longitude and latitude, both within the map."""
    lon, lat = read_float(texts[0]), read_float(texts[1])
    if not (-LON_MAX <= lon <= LON_MAX and -LAT_MAX <= lat <= LAT_MAX):
        raise CommandError(f"ERR invalid longitude,latitude pair {lon:f},{lat:f}")
    return lon, lat


def read_unit(text: bytes) -> float:
    """How many metres the unit has."""
    metres = UNITS.get(text.lower())
    if metres is None:
        raise WRONG_UNIT
    return metres


def distance_text(distance: float) -> bytes:
    """Four decimals, halves to even."""
    return b"%d.%04d" % divmod(round(distance * 10000), 10000)


def position_reply(s: Session, lon: float, lat: float) -> Reply:
    """Two doubles. They have up to 17 decimals instead of 17 digits, so RESP3's own form of a double does not fit."""
    texts = [_decimals(lon), _decimals(lat)]
    return [Raw(b",%s\r\n" % text) for text in texts] if s.proto == 3 else texts


def _decimals(value: float) -> bytes:
    text = f"{value:.17f}".rstrip("0").rstrip(".")
    return b"0" if text == "-0" else text.encode()
