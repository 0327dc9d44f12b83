"""Where the arguments of a call come from: the user's own words, a result, or the model.

A claim is made only where the whole value stands literally, for itself: "web-1" does not stand in "web-10", nor "5" in
"-5", "1,500" or "10:5". Whatever is in doubt was made by the model.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from waldur_chat.store.turns.calls.sources import EarlierResult, Sources

Origin = Mapping[str, str]
USER: Origin = {"source": "user"}
MODEL: Origin = {"source": "model"}

SHORTEST_WORDS = 2
"""Characters of a value that may be from the user: a single letter stands in any sentence. Numbers may have one."""

SHORTEST_OF_RESULT = 4
"""Characters of a value that may be from a result: results are full of small numbers, and of "OK"."""

BETWEEN = "\0"
"""Separates texts that are searched together; no argument has it, see `store.turns.tool_calls.storable`."""

MOST_VALUES = 100
MOST_PLACES = 1000
"""How many values of a call are looked for, and at how many places of a text each."""

JOINERS = "-.@+\N{NON-BREAKING HYPHEN}"
"""Signs within a word, if there is a letter or a digit behind them."""

DIGIT_JOINERS = (
    ",:/'\N{RIGHT SINGLE QUOTATION MARK}\N{EN DASH}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
)
"""Signs within a number, a time or a date."""

SIGNS = "-+.,\N{MINUS SIGN}\N{EN DASH}"
NUMBER = re.compile(r"-?\d[\d.,eE+-]*")
GROUP = re.compile(r" \d{3}(?!\d)")


def origins_of(arguments: Mapping[str, Any], sources: Sources) -> dict[str, list[Origin]]:
    """The origins of each argument: one, or several if it has parts of different origins."""
    own, known = BETWEEN.join(sources.own), [_Result(one) for one in sources.results]
    found: dict[str, list[Origin]] = {}
    left = MOST_VALUES
    for name, value in arguments.items():
        parts = list(_values(value))
        origins = [_origin(part, own, known) for part in parts[: max(left, 0)]]
        left -= len(parts)
        origins += [MODEL] if left < 0 or not parts else []
        found[name] = [one for at, one in enumerate(origins) if one not in origins[:at]]
    return found


class _Result:
    """The texts of a result, read once, and those with which its tool was called."""

    def __init__(self, earlier: EarlierResult) -> None:
        self.tool = earlier.tool
        self._asked = BETWEEN.join(_texts(_parsed(earlier.arguments)))
        self._told = BETWEEN.join(_texts(_parsed(earlier.text)))

    def has(self, text: str) -> bool:
        """Whether the value is from this result, and not one that the result repeats from its call."""
        return stands_in(text, self._told) and not stands_in(text, self._asked)


def _origin(value: Any, own: str, results: Sequence[_Result]) -> Origin:
    """The origin of a string or a number; of what is neither, the model's reading of words is all that is known."""
    if value is None or isinstance(value, bool):
        return MODEL
    text = value if isinstance(value, str) else json.dumps(value)
    if (len(text) >= SHORTEST_WORDS or text.isdecimal()) and stands_in(text, own):
        return USER
    if len(text) >= SHORTEST_OF_RESULT and (one := next((one for one in results if one.has(text)), None)):
        return {"source": "result", "tool": one.tool}
    return MODEL


def _values(value: Any) -> Iterator[Any]:
    """The values within an argument, and the names that it gives them."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield name
                yield from _values(inner)
        case list():
            for inner in value:
                yield from _values(inner)
        case _:
            yield value


def _texts(value: Any) -> Iterator[str]:
    """The strings and numbers in a JSON value, as texts; not the names of its fields."""
    match value:
        case Mapping():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case str():
            yield value
        case int() | float() if not isinstance(value, bool):
            yield json.dumps(value)


def _parsed(text: str) -> Any:
    """The JSON value of a text, or the text if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def stands_in(value: str, text: str) -> bool:
    """Whether the value stands in the text for itself, and not as a part of a longer word or number."""
    at = text.find(value)
    for _ in range(MOST_PLACES):
        if at < 0 or not value.strip():
            return False
        if _is_apart(value, text, at):
            return True
        at = text.find(value, at + 1)
    return False


def _is_apart(value: str, text: str, at: int) -> bool:
    end = at + len(value)
    if _is_joined(text[max(at - 2, 0) : at][::-1], value[0]) or _is_joined(text[end : end + 2], value[-1]):
        return False
    if not NUMBER.fullmatch(value):
        return True
    if at and text[at - 1] in SIGNS:
        return False
    is_group = re.fullmatch(r"\d{3}", value) and at > 1 and text[at - 1] == " " and text[at - 2].isdigit()
    return not (is_group or GROUP.match(text, end))


def _is_joined(beside: str, edge: str) -> bool:
    """Whether the two characters beside this edge of a value, the nearer one first, make it part of a longer word."""
    if not beside:
        return False
    if _is_in_word(beside[0]):
        return True
    further = beside[1:]
    if edge.isdigit() and further.isdigit() and beside[0] in DIGIT_JOINERS:
        return True
    return beside[0] in JOINERS and bool(further) and _is_in_word(further)


def _is_in_word(character: str) -> bool:
    """Letters, digits, and what changes the letter before it: marks, and characters without width."""
    return character.isalnum() or character == "_" or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")
