"""Figures are said once: where they stand, who is asked, what RESETSTAT does, and the page that tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.figures.catalogue import catalogue
from node.monitoring import metrics
from node.monitoring.figure import Catalogue, Source, Table, by, counted, human, measured, shown
from node.monitoring.info import ALL, text
from node.monitoring.reference import markdown
from tests.support.embedded import Embedded


@dataclass
class Door:
    opened: int = 3
    guests: tuple[str, ...] = ("ann", "bob")
    locked: bool | None = None


@dataclass
class House:
    door: Door | None


DOOR: Table[Door] = (
    counted("stats", "opened", "opened", "How often it was opened.", metric="door_openings"),
    shown("stats", "locked", lambda door: door.locked, "Is it locked?"),
    shown("stats", "guest<N>", lambda door: {f"guest{n}": name for n, name in enumerate(door.guests)}, "Who came."),
    measured("guests", lambda door: by("name", [(name, 1) for name in door.guests]), "Who came."),
)
HOUSE: Table[House] = (
    shown("stats", "rooms", lambda house: 4, "Rooms.", after="opened", metric="rooms"),
    shown("stats", "floors", lambda house: 2, "Floors."),
    shown("memory", "used", lambda house: 7, "Memory."),
)
HOUSES: Catalogue[House] = Catalogue((Source(HOUSE, lambda house: house), Source(DOOR, lambda house: house.door)))


def fields(house: House, section: str = "stats") -> list[tuple[str, object]]:
    return list(HOUSES.read(house).fields(section))


def test_a_figure_stands_behind_the_one_it_names_or_the_one_before_it_in_its_table() -> None:
    door = [("opened", 3), ("rooms", 4), ("floors", 2), ("guest0", "ann"), ("guest1", "bob")]
    assert fields(House(Door())) == door
    assert fields(House(Door(locked=True, guests=()))) == [*door[:3], ("locked", True)]


def test_who_lacks_a_part_lacks_its_figures_but_no_others() -> None:
    assert fields(House(None)) == [("rooms", 4), ("floors", 2)]
    assert fields(House(None), "memory") == [("used", 7)]


def test_metrics_have_an_order_of_their_own() -> None:
    families = list(metrics.families(HOUSES.read(House(Door()))))
    assert [(each.name, each.kind, each.samples) for each in families] == [
        ("rooms", "gauge", [({}, 4)]),
        ("door_openings", "counter", [({}, 3)]),
        ("guests", "gauge", [({"name": "ann"}, 1), ({"name": "bob"}, 1)]),
    ]


def test_a_part_is_asked_for_once_a_look() -> None:
    asked: list[House] = []

    def find(house: House) -> Door | None:
        asked.append(house)
        return house.door

    reading = Catalogue((Source(DOOR, find),)).read(House(Door()))
    assert dict(reading.fields("stats"))["opened"] == 3
    assert len(list(reading.metrics())) == 2
    assert len(asked) == 1


def test_what_is_counted_begins_again() -> None:
    house = House(Door())
    HOUSES.reset(house)
    assert fields(house)[0] == ("opened", 0)
    HOUSES.reset(House(None))  # nothing to do, and no error


@pytest.mark.parametrize("table", [
    (shown("stats", "lost", lambda house: 0, "?", after="nowhere"),),
    (shown("stats", "twice", lambda house: 0, "?"), shown("stats", "twice", lambda house: 1, "?")),
    (measured("lost", lambda house: 0, "?", after="nowhere"),),
])  # fmt: skip
def test_a_figure_without_a_place_is_an_error(table: Any) -> None:
    with pytest.raises(ValueError, match=r"lost|twice"):
        Catalogue((Source(table, lambda house: house),))


def test_every_section_has_a_place_in_info_and_every_figure_a_sentence() -> None:
    assert catalogue().sections.keys() <= set(ALL)
    figures = [figure for section in catalogue().sections.values() for figure, _ in section]
    figures += [figure for figure, _ in catalogue().metrics]
    assert [figure for figure in figures if not figure.help.endswith(".")] == []


def test_everything_that_resetstat_clears_has_been_counted_and_is_cleared() -> None:
    node = Embedded()
    client = node.client()
    client("SET", "key", "value")
    client("GET", "key")
    client("GET", "nothing")
    client("LPUSH", "key", "x")
    before = dict(line.split(":", 1) for line in text(node.core.figures(), ["all"]).splitlines() if ":" in line)
    wanted = {
        "total_connections_received": "1",
        "keyspace_hits": "1",
        "keyspace_misses": "1",
        "total_error_replies": "1",
    }
    assert before.items() >= wanted.items()
    assert before["errorstat_WRONGTYPE"] == "count=1"
    assert before["cmdstat_get"].startswith("calls=2,")
    node.core.reset_stats()
    after = dict(line.split(":", 1) for line in text(node.core.figures(), ["all"]).splitlines() if ":" in line)
    assert after.items() >= dict.fromkeys(wanted, "0").items()
    assert not {"errorstat_WRONGTYPE", "cmdstat_get"} & after.keys()


def test_bytes_with_a_unit() -> None:
    assert [human(size) for size in (0, 1023, 1536, 3 << 20)] == ["0B", "1023B", "1.50K", "3.00M"]


def test_the_reference_page_is_current() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "figures.md"
    assert page.read_text(encoding="utf-8") == markdown(catalogue()), "run `make docs`"
