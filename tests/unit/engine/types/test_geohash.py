"""Geohashes: scores, texts and distances of redis-server 7.0.15, and the cover of a search."""

import random

import pytest

from node.engine.types import geohash
from node.engine.types.geohash import Shape

# From redis-server: position, score, text.
PLACES = [
    (13.361389, 38.115556, 3479099956230698, b"sqc8b49rny0"),
    (15.087269, 37.502669, 3479447370796909, b"sqdtr74hyu0"),
    (-122.4194, 37.7749, 1367859919124626, b"9q8yyk8ytp0"),
    (0.0, 0.0, 3377699720527872, b"s0000000000"),
    (180.0, 85.05112878, 13510798882111488, b"bp05b5048p0"),  # the corner of the map, one bit beyond 52
]


@pytest.mark.parametrize(("lon", "lat", "score", "text"), PLACES)
def test_scores_and_texts(lon: float, lat: float, score: int, text: bytes) -> None:
    assert geohash.encode(lon, lat) == score
    assert geohash.text(score) == text


def test_a_score_decodes_to_the_middle_of_its_cell() -> None:
    assert geohash.decode(3479099956230698) == (13.36138933897018433, 38.11555639549629859)
    rng = random.Random(3)
    for _ in range(1000):
        lon, lat = rng.uniform(-180, 180), rng.uniform(-85, 85)
        score = geohash.encode(lon, lat)
        near_lon, near_lat = geohash.decode(score)
        assert abs(near_lon - lon) < 180 / 2**26
        assert abs(near_lat - lat) < 90 / 2**26
        assert geohash.encode(near_lon, near_lat) == score


@pytest.mark.parametrize("score", [float("inf"), float("-inf"), -1.0, 2.0**63, 2.0**64, 1e300, 0.5])
def test_any_score_decodes_to_somewhere_on_the_map(score: float) -> None:
    lon, lat = geohash.decode(score)
    assert -180 <= lon <= 180
    assert -85.05112878 <= lat <= 85.05112878
    assert len(geohash.text(score)) == 11


def test_distance() -> None:
    palermo, catania = geohash.decode(3479099956230698), geohash.decode(3479447370796909)
    assert round(geohash.distance(*palermo, *catania), 4) == 166274.1516
    assert geohash.distance(5, 10, 5, 11) == pytest.approx(111226.3, abs=0.1)  # along a meridian
    assert geohash.distance(5, 10, 5, 10) == 0


def spots(rng: random.Random, count: int) -> list[tuple[bytes, float]]:
    places = []
    for i in range(count):
        lon, lat = rng.uniform(-180, 180), rng.uniform(-85, 85)
        places.append((b"spot-%d" % i, float(geohash.encode(lon, lat))))
    return sorted(places, key=lambda place: place[1])


def found(shape: Shape, places: list[tuple[bytes, float]]) -> list[bytes]:
    names = []
    for low, high in shape.cells():
        names += [spot[0] for spot in shape.inside((name, score) for name, score in places if low <= score < high)]
    return names


def test_a_circle_finds_what_looking_at_every_place_finds() -> None:
    """Away from the poles and the date line, where nine cells are known not to cover everything."""
    rng = random.Random(11)
    places = spots(rng, 2000)
    for _ in range(200):
        lon, lat = rng.uniform(-150, 150), rng.uniform(-60, 60)
        radius_km = 10 ** rng.uniform(1, 3)
        near = {n for n, s in places if geohash.distance(lon, lat, *geohash.decode(s)) <= radius_km * 1000}
        names = found(Shape(lon, lat, 1000, radius=radius_km), places)
        assert set(names) == near
        assert len(names) == len(near)


def test_a_box_is_bounded_by_height_and_width() -> None:
    centre = (20.0, 30.0)
    box = Shape(*centre, 1000, width=400, height=200)
    inside = {"centre": centre, "north": (20.0, 30.8), "east": (22.0, 30.0), "corner": (21.9, 30.8)}
    outside = {"north": (20.0, 31.0), "east": (22.2, 30.0), "corner": (21.9, 31.0)}
    for place in inside.values():
        assert found(box, [(b"x", float(geohash.encode(*place)))]) == [b"x"]
    for place in outside.values():
        assert found(box, [(b"x", float(geohash.encode(*place)))]) == []


def test_a_place_comes_with_its_distance_and_position() -> None:
    score = 3479447370796909.0
    [(name, same, away_m, lon, lat)] = Shape(15, 37, 1000, radius=200).inside([(b"Catania", score)])
    assert (name, same, (lon, lat)) == (b"Catania", score, geohash.decode(score))
    assert round(away_m / 1000, 4) == 56.4413


@pytest.mark.parametrize("lat", [-85.0, -70.0, 0.0, 70.0, 85.0])
@pytest.mark.parametrize("radius", [0.0, 1e-300, 1.0, 1e5, 1e7, 1e300, float("inf")])
def test_any_radius_gives_ranges(lat: float, radius: float) -> None:
    cells = Shape(179.9, lat, 1, radius=radius).cells()
    assert 1 <= len(cells) <= 9
    assert all(low < high for low, high in cells)
