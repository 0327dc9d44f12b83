"""Cut a result to what a model takes in, so that the model knows of it."""

from __future__ import annotations

import json
from typing import Any

NOTE = " [Cut: {shown} of {total} characters. {advice}]"
ROWS_NOTE = "Only the first {shown} of these {total} rows fit. {advice}"
ADVICE = "Ask for less, as by filters."


def text_within(value: Any, limit: int, advice: str = "") -> str:
    """A JSON value as text of at most `limit` characters; a string stays as it is.

    Of a list of rows, as many as fit are whole.
    """
    text = as_text(value)
    if len(text) <= limit:
        return text
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        shorter = _fewer_rows(value, limit, advice or ADVICE)
        if shorter:
            return shorter
    return _cut(text, limit, advice or ADVICE)


def as_text(value: Any) -> str:
    """A JSON value as compact text; a string as it is."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _fewer_rows(value: dict[str, Any], limit: int, advice: str) -> str:
    """The same with as many rows as fit; empty if not even one does."""
    rows: list[Any] = value["rows"]

    def text(number: int) -> str:
        more = ROWS_NOTE.format(shown=number, total=len(rows), advice=advice)
        return as_text({**value, "rows": rows[:number], "more": more})

    fits, too_many = 0, len(rows)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if len(text(middle)) <= limit else (fits, middle)
    return text(fits) if fits else ""


def _cut(text: str, limit: int, advice: str) -> str:
    note = NOTE.format(shown=limit, total=len(text), advice=advice)
    shown = max(0, limit - len(note))
    return (text[:shown] + NOTE.format(shown=shown, total=len(text), advice=advice))[:limit]
