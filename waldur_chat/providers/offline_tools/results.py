"""What the offline provider says of the results of tools: a table, or what the tool has said."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from waldur_chat.messages import Message, Prompt
from waldur_chat.wire.framing import BEGIN, END

FRAME = re.compile(
    re.escape(BEGIN).replace(r"\{key\}", r"([\w-]+)") + r"\n(.*)\n" + re.escape(END).replace(r"\{key\}", r"\1"),
    re.DOTALL,
)
DENIED = "The user has denied this call."
"""How the result of a call begins that its user has denied; a test compares it."""
YOU_HAVE_DENIED = "You have denied this, so nothing was done."
MOST_COLUMNS, MOST_ROWS, CELL_LENGTH = 6, 20, 60


def told(prompt: Prompt) -> str:
    """The last results of this turn in markdown; empty without any."""
    results = [*takewhile(lambda message: message.role == "tool", reversed(prompt.messages))]
    return "\n\n".join(map(_told, reversed(results)))


def value_of(message: Message) -> Any:
    """The JSON of a result, without the marks around words of strangers; its text if it is none."""
    found = FRAME.fullmatch(message.text)
    text = found[2] if found else message.text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def rows_of(value: Any) -> list[dict[str, Any]] | None:
    """The rows of a list; None for what is no list of rows."""
    rows = value.get("rows") if isinstance(value, dict) else value
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _told(message: Message) -> str:
    value = value_of(message)
    rows = rows_of(value)
    if rows is not None:
        return _table(rows) if rows else "There is nothing to list."
    if isinstance(value, dict):
        return _table([value])
    if not isinstance(value, str):
        return f"The result is {json.dumps(value)}."
    return YOU_HAVE_DENIED if value.startswith(DENIED) else value.strip() or "It is done."


def _table(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(rows[0])[:MOST_COLUMNS]
    lines = [_row(columns), _row(["-"] * len(columns))]
    lines += [_row([row.get(name) for name in columns]) for row in rows[:MOST_ROWS]]
    left_out = f"\n\nThere are {len(rows) - MOST_ROWS} more." if len(rows) > MOST_ROWS else ""
    return "\n".join(lines) + left_out


def _row(values: Sequence[Any]) -> str:
    return "|" + "|".join(map(_cell, values)) + "|"


def _cell(value: Any) -> str:
    words = {True: "yes", False: "no", None: ""}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    return " ".join(text.split())[:CELL_LENGTH].replace("|", "\\|")
