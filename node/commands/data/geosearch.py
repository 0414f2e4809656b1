"""The search behind GEORADIUS, GEOSEARCH and their relatives: read the request, find the places, reply or store.

Redis reads the arguments word by word and looks members up on the way, so the first mistake from the left decides which
error is told. Reading keeps that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.commands.data.geo_texts import distance_text, position_reply, read_float, read_position, read_unit
from node.commands.table.cursor import Cursor
from node.engine.structures.partsort import smallest
from node.engine.types.geohash import Shape, decode
from node.engine.types.zset import ZSet
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

UNKNOWN_MEMBER = CommandError("ERR could not decode requested zset member")
NEED_RADIUS = CommandError("ERR need numeric radius")
NEED_WIDTH = CommandError("ERR need numeric width")
NEED_HEIGHT = CommandError("ERR need numeric height")
NEGATIVE_RADIUS = CommandError("ERR radius cannot be negative")
NEGATIVE_BOX = CommandError("ERR height or width cannot be negative")
COUNT_TOO_LOW = CommandError("ERR COUNT must be > 0")
ANY_NEEDS_COUNT = CommandError("ERR the ANY argument requires COUNT argument")

FIRST_CHUNK, CHUNK_MAX = 8, 1024
"""Members looked at in one go when ANY asks to stop early: few at first, since most of them may lie inside."""

Place = tuple[bytes, float, float, float, float]
"""Member, score, distance from the centre in metres, longitude, latitude."""


@dataclass(slots=True)
class Search:
    """What was asked for. Lengths are in units of `metres` each."""

    source: ZSet | None
    centre: tuple[float, float] | None = None
    radius: float | None = None
    box: tuple[float, float] | None = None
    metres: float = 1.0
    count: int = 0
    any: bool = False
    order: bytes = b""
    withdist: bool = False
    withhash: bool = False
    withcoord: bool = False
    store_in: bytes | None = None
    store_distance: bool = False
    store_event: str = "georadiusstore"
    located: bool = field(default=False, init=False)
    """A FROM clause was given; its member may still be unknown because there is no source."""

    def locate(self, member: bytes) -> None:
        """Take a member's place for the centre. Without a source there is nothing to find, and no error either."""
        self.located = True
        if self.source is None:
            return
        score = self.source.score(member)
        if score is None:
            raise UNKNOWN_MEMBER
        self.centre = decode(score)

    def read_radius(self, args: Cursor) -> None:
        radius = read_float(args.take(), NEED_RADIUS)
        if radius < 0:
            raise NEGATIVE_RADIUS
        self.radius = radius
        self.metres = read_unit(args.take())

    def read_box(self, args: Cursor) -> None:
        width, height = read_float(args.take(), NEED_WIDTH), read_float(args.take(), NEED_HEIGHT)
        if width < 0 or height < 0:
            raise NEGATIVE_BOX
        self.box = (width, height)
        self.metres = read_unit(args.take())


# Reading the request.


def read_georadius(s: Session, argv: list[bytes], *, from_member: bool, may_store: bool) -> Search:
    """GEORADIUS key lon lat radius unit ..., GEORADIUSBYMEMBER key member radius unit ..."""
    search = Search(s.read(argv[1], ZSet))
    args = Cursor(argv, 2)
    if not from_member:
        search.centre = read_position(args.take_many(2))
        search.read_radius(args)
    elif search.source is not None:
        search.locate(args.take())
        search.read_radius(args)
    else:
        args.take_many(3)  # nothing to search in: only the options are looked at
    for word in args.words():
        if _read_common(search, word, args):
            continue
        if word not in (b"STORE", b"STOREDIST") or not args.left or not may_store:
            raise SYNTAX
        search.store_in = args.take()
        search.store_distance = word == b"STOREDIST"
    _check_store(search, "STORE option in GEORADIUS")
    _check_any(search)
    return search


def read_geosearch(s: Session, argv: list[bytes], *, store: bool) -> Search:
    """GEOSEARCH key ..., GEOSEARCHSTORE destination key ..."""
    search = Search(s.read(argv[2 if store else 1], ZSet), store_event="geosearchstore")
    if store:
        search.store_in = argv[1]
    args = Cursor(argv, 3 if store else 2)
    by_member = by_position = False
    for word in args.words():
        if _read_common(search, word, args):
            continue
        match word:
            case b"STOREDIST" if store:
                search.store_distance = True
            case b"FROMMEMBER" if args.left and not by_position:
                search.locate(args.take())
                by_member = True
            case b"FROMLONLAT" if args.left >= 2 and not by_member:
                search.centre = read_position(args.take_many(2))
                by_position = True
            case b"BYRADIUS" if args.left >= 2 and search.box is None:
                search.read_radius(args)
            case b"BYBOX" if args.left >= 3 and search.radius is None:
                search.read_box(args)
            case _:
                raise SYNTAX
    _check_store(search, "GEOSEARCHSTORE")
    name = argv[0].decode("utf-8", "surrogateescape")
    if not (by_member or by_position):
        raise CommandError(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
    if search.radius is None and search.box is None:
        raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
    _check_any(search)
    return search


def _read_common(search: Search, word: bytes, args: Cursor) -> bool:
    """The options that every form has; False: it is another word."""
    match word:
        case b"WITHDIST":
            search.withdist = True
        case b"WITHHASH":
            search.withhash = True
        case b"WITHCOORD":
            search.withcoord = True
        case b"ANY":
            search.any = True
        case b"ASC" | b"DESC":
            search.order = word
        case b"COUNT" if args.left:
            search.count = args.take_int()
            if search.count <= 0:
                raise COUNT_TOO_LOW
        case _:
            return False
    return True


def _check_store(search: Search, what: str) -> None:
    if search.store_in is not None and (search.withdist or search.withhash or search.withcoord):
        raise CommandError(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")


def _check_any(search: Search) -> None:
    if search.any and not search.count:
        raise ANY_NEEDS_COUNT


# Finding and replying.


def ask(s: Session, search: Search) -> Reply:
    """Carry the search out."""
    places = _find(search)
    if search.store_in is not None:
        return _store(s, search, search.store_in, places)
    if not (search.withdist or search.withhash or search.withcoord):
        return [place[0] for place in places]
    return [_describe(s, search, place) for place in places]


def _find(search: Search) -> list[Place]:
    if search.source is None or search.centre is None:
        return []
    width, height = search.box or (0.0, 0.0)
    shape = Shape(*search.centre, search.metres, radius=search.radius, width=width, height=height)
    places: list[Place] = []
    for low, high in shape.cells():
        if search.any:
            _gather_some(search.source, shape, low, high, search.count, places)
        else:
            places += shape.inside(search.source.range_by_score(low, False, high, True))
    # The closest are wanted unless any will do.
    if search.order or (search.count and not search.any):
        return _sorted(places, search.count or len(places), search.order == b"DESC")
    return places[: search.count] if search.count else places


def _sorted(places: list[Place], count: int, descending: bool) -> list[Place]:
    """By distance. Like Redis: equals keep their order when all are wanted, and move about when only some are."""
    if count < len(places):
        return [places[i] for i in smallest([place[2] for place in places], count, descending)]
    return sorted(places, key=lambda place: place[2], reverse=descending)


def _gather_some(source: ZSet, shape: Shape, low: float, high: float, enough: int, places: list[Place]) -> None:
    """Add the places of one range of scores until there are enough of them."""
    offset, chunk = 0, min(enough - len(places) + FIRST_CHUNK, CHUNK_MAX)
    while len(places) < enough:
        members = source.range_by_score(low, False, high, True, offset=offset, count=chunk)
        places += shape.inside(members)
        if len(members) < chunk:
            break
        offset += chunk
        chunk = min(2 * chunk, CHUNK_MAX)
    del places[enough:]


def _describe(s: Session, search: Search, place: Place) -> Reply:
    member, score, away_m, lon, lat = place
    reply: list[Reply] = [member]
    if search.withdist:
        reply.append(distance_text(away_m / search.metres))
    if search.withhash:
        reply.append(_as_int64(score))
    if search.withcoord:
        reply.append(position_reply(s, lon, lat))
    return reply


def _as_int64(score: float) -> int:
    """A score as C converts it to a 64-bit integer; ZADD can store scores that are no geohashes."""
    return int(score) if abs(score) < 2**63 else -(2**63)


def _store(s: Session, search: Search, key: bytes, places: list[Place]) -> int:
    if not places:
        if s.db.delete(key):
            s.changed(key, "del", "g")
        return 0
    result = ZSet()
    for member, score, away_m, _, _ in places:
        result.set(member, away_m / search.metres if search.store_distance else score)
    s.db.set(key, result)
    s.changed(key, search.store_event, "z", len(places))
    return len(places)
