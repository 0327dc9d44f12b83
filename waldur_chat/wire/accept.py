"""Content negotiation (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

USUAL_LENGTH = 256
"""The longest `Accept` header whose result is cached. Longer ones would let a client fill the memory."""


def choose(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered media type that this `Accept` header prefers; None if it accepts none of them.

    At equal quality, an exact name is preferred to a wildcard, then the order of offers decides.
    """
    return (_chosen if len(accept) <= USUAL_LENGTH else _chosen.__wrapped__)(accept, offered)


@lru_cache(maxsize=64)
def _chosen(accept: str, offered: tuple[str, ...]) -> str | None:
    ranges = [_parse(one) for one in accept.split(",") if one.strip()] or [("*/*", 1.0)]
    ranked = [(_rank(media_type, ranges), media_type) for media_type in offered]
    (quality, _), best = max(ranked, key=lambda pair: pair[0])
    return best if quality > 0 else None


def _parse(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_range, _quality(value.strip())
    return media_range, 1.0


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0


def _rank(media_type: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """The quality that the most specific range gives to the type, and how specific that is."""
    for specificity, pattern in ((2, media_type), (1, media_type.partition("/")[0] + "/*"), (0, "*/*")):
        qualities = [quality for media_range, quality in ranges if media_range == pattern]
        if qualities:
            return max(qualities), specificity
    return 0.0, 0
