"""A figure: something that a node tells about itself, said once, beside the part whose figure it is.

    def figures() -> Table[PubSub]:
        return (
            shown("stats", "pubsub_channels", lambda own: len(own.channels), "Channels with subscribers."),
        )

INFO, /metrics, CONFIG RESETSTAT and docs/figures.md derive from such lines; node/figures/catalogue.py lists the tables.
A figure stands behind the one before it in its table, or behind the one that it names (`after`), since INFO's sections
and /metrics mix the figures of many parts and keep their order. Rejected: one table of all figures, in their order. It
would be far from what is counted, and know the inside of every part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

Owner = TypeVar("Owner")
Node = TypeVar("Node")
Kind = Literal["gauge", "counter"]
Labels = Mapping[str, str]
Samples = list[tuple[Labels, float]]
"""A metric's values by labels."""


@dataclass(frozen=True, slots=True)
class Figure(Generic[Owner]):
    """INFO shows it as `field` in `section`, /metrics as `metric`; either may be empty."""

    read: Callable[[Owner], Any]
    """Its value now. None: the node does not have it, and it is left out rather than invented. Where `field` has a
    <placeholder> it is several fields: a dictionary of them."""
    help: str
    """A sentence, with the unit where the names do not say it."""
    section: str = ""
    field: str = ""
    after: str = ""
    metric: str = ""
    """Without `shardis_` and, of a counter, without `_total`. Base units (bytes, seconds) end it."""
    metric_after: str = ""
    kind: Kind = "gauge"
    reset: Callable[[Owner], object] | None = None
    """What CONFIG RESETSTAT does about it; None: nothing."""


Table = tuple[Figure[Owner], ...]


def shown(
    section: str,
    field: str,
    read: Callable[[Owner], Any],
    help: str,
    *,
    after: str = "",
    metric: str = "",
    metric_after: str = "",
    kind: Kind = "gauge",
    reset: Callable[[Owner], object] | None = None,
) -> Figure[Owner]:
    """A figure that INFO shows as it is read."""
    return Figure(read, help, section, field, after, metric, metric_after, kind, reset)


def counted(
    section: str,
    field: str,
    attribute: str,
    help: str,
    *,
    after: str = "",
    metric: str = "",
    metric_after: str = "",
) -> Figure[Any]:
    """What an attribute of its owner counts, from the start or the last CONFIG RESETSTAT."""

    def restart(own: Any) -> None:
        setattr(own, attribute, 0)

    return Figure(attrgetter(attribute), help, section, field, after, metric, metric_after, "counter", restart)


def measured(
    metric: str, read: Callable[[Owner], Any], help: str, *, after: str = "", kind: Kind = "gauge"
) -> Figure[Owner]:
    """A figure of /metrics alone: a number, or several of them (`by`)."""
    return Figure(read, help, metric=metric, metric_after=after, kind=kind)


def by(label: str, values: Iterable[tuple[str, float]]) -> Samples:
    """Numbers that differ in one label."""
    return [({label: each}, value) for each, value in values]


def human(size: int) -> str:
    """Bytes with a unit, as INFO shows them."""
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.2f}{unit}"
    return f"{size}B"


@dataclass(frozen=True, slots=True)
class Source(Generic[Node, Owner]):
    """A table of figures, and where a node has the part that they are of; None: it has none, and no such figures."""

    table: Table[Owner]
    find: Callable[[Node], Owner | None]


Placed = tuple[Figure[Any], int]
"""A figure and the number of its source."""

_NOT_ASKED = object()


class Catalogue(Generic[Node]):
    """All figures, in the order in which they are told. ValueError: one names a neighbour that is not there."""

    def __init__(self, sources: Iterable[Source[Node, Any]]) -> None:
        self.sources = tuple(sources)
        figures = [(each, number) for number, part in enumerate(self.sources) for each in part.table]
        by_section: dict[str, list[Placed]] = {}
        for figure, source in figures:
            if figure.section:
                by_section.setdefault(figure.section, []).append((figure, source))
        self.sections = {
            section: _ordered(members, lambda figure: figure.field, lambda figure: figure.after)
            for section, members in by_section.items()
        }
        self.metrics = _ordered(
            [(figure, source) for figure, source in figures if figure.metric],
            lambda figure: figure.metric,
            lambda figure: figure.metric_after,
        )
        self._resets = [(figure.reset, source) for figure, source in figures if figure.reset is not None]

    def read(self, node: Node) -> Reading[Node]:
        """What the node tells now."""
        return Reading(self, node)

    def reset(self, node: Node) -> None:
        """CONFIG RESETSTAT: what counts from there begins again."""
        reading = self.read(node)
        for reset, source in self._resets:
            own = reading.owner(source)
            if own is not None:
                reset(own)


class Reading(Generic[Node]):
    """One look at a node. Every part is asked for once, so that figures which are measured together agree."""

    def __init__(self, catalogue: Catalogue[Node], node: Node) -> None:
        self._catalogue = catalogue
        self._node = node
        self._owners: list[Any] = [_NOT_ASKED] * len(catalogue.sources)

    def owner(self, source: int) -> Any:
        own = self._owners[source]
        if own is _NOT_ASKED:
            own = self._owners[source] = self._catalogue.sources[source].find(self._node)
        return own

    def fields(self, section: str) -> list[tuple[str, object]]:
        """The fields of a section of INFO."""
        found: list[tuple[str, object]] = []
        for figure, value in self._values(self._catalogue.sections.get(section, [])):
            if isinstance(value, dict):
                found += value.items()
            else:
                found.append((figure.field, value))
        return found

    def metrics(self) -> Iterator[tuple[Figure[Any], Samples]]:
        """Every metric with its values."""
        for figure, value in self._values(self._catalogue.metrics):
            yield figure, value if isinstance(value, list) else [({}, value)]

    def _values(self, figures: list[Placed]) -> list[tuple[Figure[Any], Any]]:
        found, owners = [], self._owners
        for figure, source in figures:
            own = owners[source]
            if own is _NOT_ASKED:
                own = self.owner(source)
            if own is not None:
                value = figure.read(own)
                if value is not None:
                    found.append((figure, value))
        return found


Part = Callable[[Figure[Any]], str]


def _ordered(members: list[Placed], name_of: Part, after_of: Part) -> list[Placed]:
    """Each behind its neighbour. What names one comes before what merely follows it in its own table."""
    names = [name_of(figure) for figure, _ in members]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"figures that are told twice: {sorted(twice)}")
    chosen: dict[str, list[Placed]] = {}
    following: dict[str, list[Placed]] = {}
    first: list[Placed] = []
    before: dict[int, str] = {}
    for placed in members:
        figure, source = placed
        wanted = after_of(figure)
        if wanted:
            chosen.setdefault(wanted, []).append(placed)
        elif source in before:
            following.setdefault(before[source], []).append(placed)
        else:
            first.append(placed)
        before[source] = name_of(figure)
    ordered: list[Placed] = []
    waiting = first[::-1]
    while waiting:
        placed = waiting.pop()
        ordered.append(placed)
        name = name_of(placed[0])
        waiting += reversed([*chosen.get(name, ()), *following.get(name, ())])
    if lost := set(names) - {name_of(figure) for figure, _ in ordered}:
        raise ValueError(f"figures behind one that there is not: {sorted(lost)}")
    return ordered
