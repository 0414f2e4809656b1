"""Geo commands: places in a sorted set, scored by geohash.

GEORADIUS, GEORADIUSBYMEMBER, their _RO forms, GEOSEARCH and GEOSEARCHSTORE are one search (geosearch.py), asked for in
different words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.data.geo_texts import distance_text, position_reply, read_position, read_unit
from node.commands.data.geosearch import ask, read_georadius, read_geosearch
from node.commands.table.spec import command
from node.engine.types import geohash as positions
from node.engine.types.zset import ZSet
from node.replies import NULL_ARRAY, SYNTAX, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session


@command(
    "GEOADD",
    arity=-5,
    flags="write denyoom",
    keys="1 RW update",
    group="geo",
    since="3.2.0",
    summary="Add places, or move them.",
    complexity="O(log(N)) for each place, N: places in the index",
    args=(
        "key [(NX|XX)=condition @6.2.0] [change=CH @6.2.0] (longitude:float latitude:float "
        "member)=longitude_latitude_member..."
    ),
    history={"6.2.0": "`CH`, `NX` and `XX`."},
)
def geoadd(s: Session, argv: list[bytes]) -> Reply:
    at, options = 2, set()
    while at < len(argv) and argv[at].upper() in (b"NX", b"XX", b"CH"):
        options.add(argv[at].upper())
        at += 1
    if at == len(argv) or (len(argv) - at) % 3 or {b"NX", b"XX"} <= options:
        raise SYNTAX
    places = [(argv[i + 2], positions.encode(*read_position(argv[i : i + 2]))) for i in range(at, len(argv), 3)]
    zset = s.write(argv[1], ZSet)
    if zset is None:
        if b"XX" in options:
            return 0
        zset = ZSet()
        s.db.set(argv[1], zset)
    added, moved = _add(zset, places, options)
    if added or moved:
        s.changed(argv[1], "zadd", "z", added + moved)
    return added + moved if b"CH" in options else added


def _add(zset: ZSet, places: list[tuple[bytes, int]], options: set[bytes]) -> tuple[int, int]:
    """How many places are new, and how many others have moved."""
    added = moved = 0
    for member, score in places:
        old = zset.score(member)
        if old is None and b"XX" not in options:
            added += zset.set(member, score)
        elif old is not None and b"NX" not in options and old != score:
            zset.set(member, score)
            moved += 1
    return added, moved


@command(
    "GEODIST",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="3.2.0",
    summary="Return the distance between two places.",
    complexity="O(log(N)), N: places in the index",
    args="key member1 member2 [(M|KM|FT|MI)=unit]",
)
def geodist(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 5:
        raise SYNTAX
    metres = read_unit(argv[4]) if len(argv) == 5 else 1.0
    scores = _scores(s, argv[1], argv[2:4])
    if scores[0] is None or scores[1] is None:
        return None
    away_m = positions.distance(*positions.decode(scores[0]), *positions.decode(scores[1]))
    return distance_text(away_m / metres)


@command(
    "GEOHASH",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="3.2.0",
    summary="Return the geohash strings of places.",
    complexity="O(log(N)) for each place, N: places in the index",
    args="key member...",
)
def geohash(s: Session, argv: list[bytes]) -> Reply:
    return [None if score is None else positions.text(score) for score in _scores(s, argv[1], argv[2:])]


@command(
    "GEOPOS",
    arity=-2,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="3.2.0",
    summary="Return the coordinates of places.",
    complexity="O(N), N: places asked for",
    args="key member...",
)
def geopos(s: Session, argv: list[bytes]) -> Reply:
    scores = _scores(s, argv[1], argv[2:])
    return [NULL_ARRAY if score is None else position_reply(s, *positions.decode(score)) for score in scores]


def _scores(s: Session, key: bytes, members: list[bytes]) -> list[float | None]:
    zset = s.read(key, ZSet)
    return [None if zset is None else zset.score(member) for member in members]


@command(
    "GEORADIUS",
    arity=-6,
    flags="write denyoom",
    keys="1 RO access; STORE@6 OW update; STOREDIST@6 OW update",
    group="geo",
    since="3.2.0",
    summary="Return or store the places within a radius of a point.",
    complexity="O(N+log(M)), N: places in the box around the circle, M: places in the index",
    args=(
        "key longitude:float latitude:float radius:float (M|KM|FT|MI)=unit [WITHCOORD] [WITHDIST] [WITHHASH] "
        "[(COUNT count:int [ANY @6.2.0])=count] [(ASC|DESC)=order] [STORE key#1] [STOREDIST key#2]"
    ),
    history={"6.2.0": "`COUNT` with `ANY`.", "7.0.0": "Units in capitals."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
)
def georadius(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_georadius(s, argv, from_member=False, may_store=True))


@command(
    "GEORADIUS_RO",
    arity=-6,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="3.2.10",
    summary="Return the places within a radius of a point.",
    complexity="O(N+log(M)), N: places in the box around the circle, M: places in the index",
    args=(
        "key longitude:float latitude:float radius:float (M|KM|FT|MI)=unit [WITHCOORD] [WITHDIST] [WITHHASH] "
        "[(COUNT count:int [ANY @6.2.0])=count] [(ASC|DESC)=order]"
    ),
    history={"6.2.0": "`COUNT` with `ANY`."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` argument",
)
def georadius_ro(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_georadius(s, argv, from_member=False, may_store=False))


@command(
    "GEORADIUSBYMEMBER",
    arity=-5,
    flags="write denyoom",
    keys="1 RO access; STORE@5 OW update; STOREDIST@5 OW update",
    group="geo",
    since="3.2.0",
    summary="Return or store the places within a radius of another place.",
    complexity="O(N+log(M)), N: places in the box around the circle, M: places in the index",
    args=(
        "key member radius:float (M|KM|FT|MI)=unit [WITHCOORD] [WITHDIST] [WITHHASH] "
        "[(COUNT count:int [ANY])=count] [(ASC|DESC)=order] [STORE key#1] [STOREDIST key#2]"
    ),
    history={"7.0.0": "Units in capitals."},
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_georadius(s, argv, from_member=True, may_store=True))


@command(
    "GEORADIUSBYMEMBER_RO",
    arity=-5,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="3.2.10",
    summary="Return the places within a radius of another place.",
    complexity="O(N+log(M)), N: places in the box around the circle, M: places in the index",
    args=(
        "key member radius:float (M|KM|FT|MI)=unit [WITHCOORD] [WITHDIST] [WITHHASH] "
        "[(COUNT count:int [ANY])=count] [(ASC|DESC)=order]"
    ),
    doc_flags="deprecated",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember_ro(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_georadius(s, argv, from_member=True, may_store=False))


@command(
    "GEOSEARCH",
    arity=-7,
    flags="readonly",
    keys="1 RO access",
    group="geo",
    since="6.2.0",
    summary="Return the places inside a circle or a box.",
    complexity="O(N+log(M)), N: places in the box around the shape, M: places inside the shape",
    args=(
        "key (FROMMEMBER member|FROMLONLAT (longitude:float latitude:float)=longitude_latitude)=from "
        "((BYRADIUS radius:float (M|KM|FT|MI)=unit)=circle|(BYBOX width:float height:float "
        "(M|KM|FT|MI)=unit)=box)=by [(ASC|DESC)=order] [(COUNT count:int [ANY])=count] [WITHCOORD] [WITHDIST] "
        "[WITHHASH]"
    ),
    history={"7.0.0": "Units in capitals."},
)
def geosearch(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_geosearch(s, argv, store=False))


@command(
    "GEOSEARCHSTORE",
    arity=-8,
    flags="write denyoom",
    keys="1 OW update; 2 RO access",
    group="geo",
    since="6.2.0",
    summary="Store the places inside a circle or a box.",
    complexity="O(N+log(M)), N: places in the box around the shape, M: places inside the shape",
    args=(
        "destination:key source:key#1 (FROMMEMBER member|FROMLONLAT "
        "(longitude:float latitude:float)=longitude_latitude)=from "
        "((BYRADIUS radius:float (M|KM|FT|MI)=unit)=circle|(BYBOX width:float height:float "
        "(M|KM|FT|MI)=unit)=box)=by [(ASC|DESC)=order] [(COUNT count:int [ANY])=count] [STOREDIST]"
    ),
    history={"7.0.0": "Units in capitals."},
)
def geosearchstore(s: Session, argv: list[bytes]) -> Reply:
    return ask(s, read_geosearch(s, argv, store=True))
