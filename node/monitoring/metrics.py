"""The figures of a node for Prometheus, as values; node/aio/admin writes them in its text format.

Names follow Prometheus' conventions: base units (bytes, seconds), `_total` for what only grows. They are said beside
what they are of, with INFO's; only the histograms of commands are made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.monitoring.figure import Kind, Reading, Samples
from node.monitoring.percentiles import cumulative

if TYPE_CHECKING:
    from node.engine.session.session import Command

PREFIX = "shardis_"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its samples by labels. `name` is without `shardis_` and, of a counter, without `_total`."""

    name: str
    kind: Kind
    help: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Histogram:
    """Calls of one command by duration: seconds -> calls that took at most so long, and all of them together."""

    command: str
    buckets: Mapping[float, int]
    calls: int
    total_s: float


def families(figures: Reading[Any]) -> Iterator[Family]:
    """Every metric but the histograms of commands."""
    for figure, samples in figures.metrics():
        yield Family(figure.metric, figure.kind, figure.help, samples)


def histograms(commands: Iterable[Command]) -> Iterator[Histogram]:
    """How long each command took that has been called."""
    for command in commands:
        counts = command.latencies()
        if counts:
            buckets = {us / 1e6: calls for us, calls in cumulative(counts).items()}
            yield Histogram(command.name.decode(), buckets, sum(counts), command.time_ns / 1e9)
