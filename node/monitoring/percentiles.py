"""Percentiles of latency histograms whose buckets double: bucket i counts durations below 2**i microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentiles_us(counts: Sequence[int], points: Iterable[float]) -> list[tuple[float, float]]:
    """(point, microseconds) for each percentile point: the upper end of the bucket that holds it."""
    total = sum(counts)
    out = []
    for point in points:
        need = max(1, -(-total * point // 100))
        seen = 0
        for i, count in enumerate(counts):
            seen += count
            if seen >= need:
                out.append((point, float(1 << i)))
                break
    return out


def cumulative(counts: Sequence[int]) -> dict[int, int]:
    """Microseconds -> calls that took at most so long, up to the bucket that holds the last call."""
    out: dict[int, int] = {}
    seen = 0
    total = sum(counts)
    for i, count in enumerate(counts):
        seen += count
        if count:
            out[1 << i] = seen
        if seen == total:
            break
    return out
