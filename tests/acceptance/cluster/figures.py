"""How many, and how long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered: Sequence[float] = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def spread(values: Iterable[float]) -> str:
    """Seconds in words."""
    found = list(values)
    p50, p99, most = percentile(found, 0.5), percentile(found, 0.99), max(found, default=0.0)
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {most * 1000:.0f} ms"
