"""Geohashes: positions as 52-bit scores of a sorted set, and the search for those inside a circle or a box.

A position is two numbers of 26 bits, the parts of the way through the ranges of longitude and latitude, interleaved
(latitude in the even bits). A prefix of the bits is a cell of the map, and the members of a cell are one range of scores.
A search picks the cell size that fits the shape, takes the cell around the centre and its eight neighbours, leaves out
those that the shape cannot touch, and looks at the distance of every member of the rest.

Every floating-point operation stands in the order in which Redis does it: distances go to clients with four decimals, and
a member at the very edge must be in or out on both servers.
"""

from libc.math cimport M_PI, asin, cos, fabs, sin, sqrt
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    STEP_MAX = 26               # bits of each coordinate

cdef double LON_MIN = -180.0
cdef double LON_MAX = 180.0
cdef double LAT_MIN = -85.05112878          # the poles cannot be projected
cdef double LAT_MAX = 85.05112878
cdef double EARTH_RADIUS_M = 6372797.560856
cdef double MERCATOR_MAX_M = 20037726.37
cdef uint64_t EVEN_BITS = 0x5555555555555555
cdef uint64_t ODD_BITS = 0xAAAAAAAAAAAAAAAA
cdef const char* ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"


ctypedef struct Cell:
    uint64_t bits
    int step                    # bits of each coordinate that are known; 0: no cell


ctypedef struct Area:
    double lon_min, lon_max, lat_min, lat_max


# Bits.

cdef inline uint64_t spread(uint64_t x) noexcept nogil:
    """Bit i of the low 32 moves to bit 2i."""
    x = (x | (x << 16)) & 0x0000FFFF0000FFFFULL
    x = (x | (x << 8)) & 0x00FF00FF00FF00FFULL
    x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0FULL
    x = (x | (x << 2)) & 0x3333333333333333ULL
    return (x | (x << 1)) & EVEN_BITS


cdef inline uint32_t gather(uint64_t x) noexcept nogil:
    """The reverse: bit 2i moves to bit i."""
    x &= EVEN_BITS
    x = (x | (x >> 1)) & 0x3333333333333333ULL
    x = (x | (x >> 2)) & 0x0F0F0F0F0F0F0F0FULL
    x = (x | (x >> 4)) & 0x00FF00FF00FF00FFULL
    x = (x | (x >> 8)) & 0x0000FFFF0000FFFFULL
    return <uint32_t>(x | (x >> 16))


cdef inline Cell cell_at(double lon, double lat, double lat_min, double lat_max, int step) noexcept nogil:
    cdef Cell cell
    cdef double lat_part = (lat - lat_min) / (lat_max - lat_min)
    cdef double lon_part = (lon - LON_MIN) / (LON_MAX - LON_MIN)
    lat_part *= 1 << step
    lon_part *= 1 << step
    cell.bits = spread(<uint32_t>lat_part) | (spread(<uint32_t>lon_part) << 1)
    cell.step = step
    return cell


cdef inline Area area_of(Cell cell) noexcept nogil:
    cdef Area area
    cdef double lat_scale = LAT_MAX - LAT_MIN, lon_scale = LON_MAX - LON_MIN
    cdef double parts = <double>(1 << cell.step)
    cdef uint32_t lat = gather(cell.bits), lon = gather(cell.bits >> 1)
    area.lat_min = LAT_MIN + (lat * 1.0 / parts) * lat_scale
    area.lat_max = LAT_MIN + (<uint32_t>(lat + 1) * 1.0 / parts) * lat_scale
    area.lon_min = LON_MIN + (lon * 1.0 / parts) * lon_scale
    area.lon_max = LON_MIN + (<uint32_t>(lon + 1) * 1.0 / parts) * lon_scale
    return area


cdef inline double clamp(double x, double low, double high) noexcept nogil:
    return high if x > high else low if x < low else x


cdef inline void position_of(double score, double* lon, double* lat) noexcept nogil:
    """The middle of the cell that a score names. Any score decodes to something: ZADD may have stored nonsense."""
    cdef Cell cell
    cdef Area area
    cell.bits = <uint64_t>score
    cell.step = STEP_MAX
    area = area_of(cell)
    lon[0] = clamp((area.lon_min + area.lon_max) / 2, LON_MIN, LON_MAX)
    lat[0] = clamp((area.lat_min + area.lat_max) / 2, LAT_MIN, LAT_MAX)


cdef Cell neighbour(Cell cell, int east, int north) noexcept nogil:
    """The cell one step away; the map wraps around at its edges."""
    cdef int unused = 64 - cell.step * 2
    cdef uint64_t lon = cell.bits & ODD_BITS, lat = cell.bits & EVEN_BITS
    cdef uint64_t lon_gaps = EVEN_BITS >> unused, lat_gaps = ODD_BITS >> unused
    # Filling the other coordinate's bits lets the carry (or the borrow) run through them.
    if east > 0:
        lon += lon_gaps + 1
    elif east < 0:
        lon = (lon | lon_gaps) - (lon_gaps + 1)
    if north > 0:
        lat += lat_gaps + 1
    elif north < 0:
        lat = (lat | lat_gaps) - (lat_gaps + 1)
    if east:
        lon &= ODD_BITS >> unused
    if north:
        lat &= EVEN_BITS >> unused
    cell.bits = lon | lat
    return cell


# Distances.

cdef inline double radians(double degrees) noexcept nogil:
    return degrees * (M_PI / 180.0)


cdef inline double degrees(double radians) noexcept nogil:
    return radians / (M_PI / 180.0)


cdef inline double lat_distance(double lat1, double lat2) noexcept nogil:
    return EARTH_RADIUS_M * fabs(radians(lat2) - radians(lat1))


cdef double haversine(double lon1, double lat1, double lon2, double lat2) noexcept nogil:
    cdef double u, v = sin((radians(lon2) - radians(lon1)) / 2)
    cdef double lat1_r, lat2_r
    if v == 0.0:
        return lat_distance(lat1, lat2)
    lat1_r = radians(lat1)
    lat2_r = radians(lat2)
    u = sin((lat2_r - lat1_r) / 2)
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(u * u + cos(lat1_r) * cos(lat2_r) * v * v))


def encode(double lon, double lat) -> int:
    """The score of a position. The caller has checked the ranges."""
    return cell_at(lon, lat, LAT_MIN, LAT_MAX, STEP_MAX).bits


def decode(double score) -> tuple:
    """(longitude, latitude) of a score."""
    cdef double lon = 0, lat = 0
    position_of(score, &lon, &lat)
    return lon, lat


def text(double score) -> bytes:
    """The geohash as the rest of the world writes it: latitudes from -90 to 90, five bits a letter, eleven letters.

    Fifty-two bits fill ten letters; the eleventh is a zero, for the interface's sake.
    """
    cdef double lon = 0, lat = 0
    cdef char letters[11]
    cdef uint64_t bits
    cdef int i
    position_of(score, &lon, &lat)
    bits = cell_at(lon, lat, -90.0, 90.0, STEP_MAX).bits
    for i in range(10):
        letters[i] = ALPHABET[(bits >> (52 - (i + 1) * 5)) & 31]
    letters[10] = ALPHABET[0]
    return letters[:11]


def distance(double lon1, double lat1, double lon2, double lat2) -> float:
    """Metres along the great circle."""
    return haversine(lon1, lat1, lon2, lat2)


# Searching.

cdef int steps_for(double range_m, double lat) noexcept nogil:
    """How fine the cells may be so that nine of them cover the range: coarser towards the poles, where they narrow."""
    cdef int step = 1
    if range_m == 0:
        return STEP_MAX
    while range_m < MERCATOR_MAX_M:
        range_m *= 2
        step += 1
    step -= 2
    if lat > 66 or lat < -66:
        step -= 1
        if lat > 80 or lat < -80:
            step -= 1
    return min(max(step, 1), STEP_MAX)


cdef class Shape:
    """What a search looks into: a circle (`radius`) or a box around a centre. Lengths are in units of `metres` each."""

    cdef readonly double metres
    cdef double lon, lat, radius, width, height
    cdef bint is_circle

    def __init__(self, double lon, double lat, double metres, *, radius=None, double width=0.0, double height=0.0):
        self.lon = lon
        self.lat = lat
        self.metres = metres
        self.is_circle = radius is not None
        self.radius = radius if self.is_circle else 0.0
        self.width = width
        self.height = height

    cdef Area bounds(self) noexcept:
        """The rectangle of degrees around the shape: as wide as its side that is nearer to the pole needs."""
        cdef Area area
        cdef double height = self.metres * (self.radius if self.is_circle else self.height / 2)
        cdef double width = self.metres * (self.radius if self.is_circle else self.width / 2)
        cdef double up = degrees(height / EARTH_RADIUS_M)
        cdef double at_top = degrees(width / EARTH_RADIUS_M / cos(radians(self.lat + up)))
        cdef double at_bottom = degrees(width / EARTH_RADIUS_M / cos(radians(self.lat - up)))
        cdef double aside = at_bottom if self.lat < 0 else at_top
        area.lon_min = self.lon - aside
        area.lon_max = self.lon + aside
        area.lat_min = self.lat - up
        area.lat_max = self.lat + up
        return area

    cdef double reach_m(self) noexcept:
        """From the centre to the farthest point."""
        cdef double reach = self.radius
        if not self.is_circle:
            reach = sqrt((self.width / 2) * (self.width / 2) + (self.height / 2) * (self.height / 2))
        return reach * self.metres

    def cells(self) -> list:
        """The ranges of scores to look through: (low, included; high, excluded), centre first, without repetitions."""
        cdef Area bounds = self.bounds(), area
        cdef int step = steps_for(self.reach_m(), self.lat)
        cdef Cell centre = cell_at(self.lon, self.lat, LAT_MIN, LAT_MAX, step), cell
        cdef bint wanted
        cdef uint64_t low, high
        if step > 1 and not neighbours_cover(centre, bounds):
            step -= 1
            centre = cell_at(self.lon, self.lat, LAT_MIN, LAT_MAX, step)
        area = area_of(centre)
        ranges = []
        # Near a pole, or with a huge shape, neighbours coincide; what equals the cell before it is left out. (The centre
        # itself is not compared with: Redis counts a member twice there too.)
        previous = None
        for east, north in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            cell = neighbour(centre, east, north)
            wanted = step < 2 or not (
                (north < 0 and area.lat_min < bounds.lat_min)
                or (north > 0 and area.lat_max > bounds.lat_max)
                or (east < 0 and area.lon_min < bounds.lon_min)
                or (east > 0 and area.lon_max > bounds.lon_max)
            )
            if not wanted or cell.bits == previous:
                continue
            low = cell.bits << (52 - step * 2)
            high = (cell.bits + 1) << (52 - step * 2)
            ranges.append((<double>low, <double>high))
            previous = cell.bits if (east, north) != (0, 0) else None
        return ranges

    cdef bint covers(self, double lon, double lat, double* away_m) noexcept nogil:
        if self.is_circle:
            away_m[0] = haversine(self.lon, self.lat, lon, lat)
            return not away_m[0] > self.radius * self.metres
        # The cheap test first: how far north or south.
        if lat_distance(lat, self.lat) > self.height * self.metres / 2:
            return False
        if haversine(lon, lat, self.lon, lat) > self.width * self.metres / 2:
            return False
        away_m[0] = haversine(self.lon, self.lat, lon, lat)
        return True

    def inside(self, scored) -> list:
        """Those of the (member, score) pairs that lie within the shape, as (member, score, distance in metres, lon, lat)."""
        cdef double score, lon = 0, lat = 0, away = 0
        found = []
        for member, score in scored:
            position_of(score, &lon, &lat)
            if self.covers(lon, lat, &away):
                found.append((member, score, away, lon, lat))
        return found


cdef bint neighbours_cover(Cell centre, Area bounds) noexcept nogil:
    return not (
        area_of(neighbour(centre, 0, 1)).lat_max < bounds.lat_max
        or area_of(neighbour(centre, 0, -1)).lat_min > bounds.lat_min
        or area_of(neighbour(centre, 1, 0)).lon_max < bounds.lon_max
        or area_of(neighbour(centre, -1, 0)).lon_min > bounds.lon_min
    )
