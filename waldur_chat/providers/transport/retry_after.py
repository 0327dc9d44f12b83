"""When a provider wants to be asked again, in all the forms in which services say it.

`Retry-After` in seconds or as a date (RFC 9110, section 10.2.3; three forms of dates: section 5.6.7), with fractions of
seconds as some services send, and OpenAI's `retry-after-ms`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

MAX_RETRY_AFTER_SECONDS = 3600

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{0,9})?", re.ASCII)


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds, rounded up, from 0 to an hour; None if the response has none, or something else."""
    milliseconds = _number(headers.get("retry-after-ms"))
    given = headers.get("retry-after")
    seconds = _number(given) if milliseconds is None else milliseconds / 1000
    if seconds is None:
        seconds = _until(given, headers.get("date"))
    return None if seconds is None else min(max(math.ceil(seconds), 0), MAX_RETRY_AFTER_SECONDS)


def _number(value: str | None) -> float | None:
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])  # More digits are far above the limit anyway.
    return float(value) if _NUMBER.fullmatch(value) else None


def _until(date: str | None, sent_at: str | None) -> float | None:
    """Seconds from one date to the other: our clock may differ from the service's."""
    end, begin = _timestamp(date), _timestamp(sent_at)
    return None if end is None else end - (time.time() if begin is None else begin)


def _timestamp(date: str | None) -> float | None:
    try:
        parsed = parsedate_tz(date) if date else None
        return None if parsed is None else mktime_tz(parsed)
    except (ValueError, OverflowError):  # As the 99th of a month, or the year 99999.
        return None
