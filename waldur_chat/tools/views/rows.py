"""Lists as rows: `{"rows": [...], "total": 812, "more": "call again with page=2"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOTALS = ("x-result-count", "x-total-count")
"""Headers with the number of all rows."""


def as_rows(value: Any, headers: Mapping[str, str], query: str, most: int) -> Any:
    """A list, or a page of DRF's, as rows; another value as it is.

    `query` is that of the call: what is different in the link to the next page tells how to get it. More rows than
    `most` are left out.
    """
    rows, total, link = _page(value, headers)
    if rows is None:
        return value
    shown = {"rows": rows[:most], "total": len(rows) if total is None and not link else total}
    if len(rows) > most:
        more = f"{len(rows) - most} more rows of this answer are left out: ask for fewer, as by filters."
    else:
        more = _how_to_go_on(link, query)
    return {**shown, "more": more} if more else shown


def summary_of(value: Any) -> str:
    """How many rows there are; empty for other values."""
    if not isinstance(value, dict) or not isinstance(value.get("rows"), list):
        return ""
    total = value.get("total")
    return f"{len(value['rows'])} rows." if total is None else f"{len(value['rows'])} of {total} rows."


def with_fields(value: Any, fields: Sequence[str]) -> Any:
    """The value, or each of its rows, with these fields only."""
    if not fields:
        return value
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        return {**value, "rows": [with_fields(row, fields) for row in value["rows"]]}
    return {name: value[name] for name in fields if name in value} if isinstance(value, dict) else value


def _page(value: Any, headers: Mapping[str, str]) -> tuple[list[Any] | None, int | None, str]:
    """The rows, the number of all rows, and the link to the next page; None if it is no list."""
    if isinstance(value, list):
        total = next((headers[name] for name in TOTALS if headers.get(name, "").isdecimal()), None)
        return value, None if total is None else int(total), _next_of_header(headers.get("link", ""))
    if isinstance(value, dict) and isinstance(value.get("results"), list) and "next" in value:
        total = value.get("count")
        return value["results"], total if isinstance(total, int) else None, str(value["next"] or "")
    return None, None, ""


def _next_of_header(link: str) -> str:
    """The address of `rel="next"` (RFC 8288)."""
    found = re.search(r'<([^>]*)>[^,]*;\s*rel="?next"?', link)
    return found[1] if found else ""


def _how_to_go_on(link: str, query: str) -> str:
    """Which parameters lead to the next page; empty if there is none."""
    if not link:
        return ""
    now = parse_qsl(query, keep_blank_values=True)
    different = [pair for pair in parse_qsl(urlsplit(link).query, keep_blank_values=True) if pair not in now]
    return f"call again with {' and '.join(f'{name}={value}' for name, value in different)}" if different else ""
