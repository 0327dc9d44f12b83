"""Read one fragment of a call of a tool, and follow the JSON of its arguments over all of its fragments.

Shapes: `tool_calls` of a delta or a message, https://platform.openai.com/docs/guides/function-calling, and the older
`function_call`. Which fragments make a call is decided in `calls`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from waldur_chat.providers import untrusted

_KNOWN = ("index", "id", "type", "function")
_MARKS = re.compile(r'["\\{}\[\]]')
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one entry of `tool_calls` says; empty for what it does not say.

    `arguments` is JSON text, also where the service has sent an object. `extra` are the fields that are not OpenAI's,
    as Gemini's `extra_content`: they go back with the call. `is_old` is true for a `function_call`.
    """

    index: int | None = None
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    is_old: bool = False

    @property
    def says_something(self) -> bool:
        return bool(self.id or self.name or self.arguments or self.extra)


def fragments_in(message: Mapping[str, Any]) -> list[Fragment]:
    """The fragments in a `delta` or a `message`. Services that send both fields say the same in both."""
    calls, old = message.get("tool_calls"), message.get("function_call")
    if not (calls or old):  # As in nearly all chunks.
        return []
    found = [_fragment(call) for call in (calls if isinstance(calls, list) else [calls])]
    said = [fragment for fragment in found if fragment.says_something]
    return said or [one for one in [_fragment({"function": old}, is_old=True)] if one.says_something]


def _fragment(value: object, *, is_old: bool = False) -> Fragment:
    call = untrusted.mapping(value)
    function = untrusted.mapping(call.get("function"))
    index = call.get("index")
    return Fragment(
        index=index if type(index) is int else None,
        id=_id(call.get("id")),
        name=name.strip() if isinstance(name := function.get("name"), str) else "",
        arguments=arguments_text(function.get("arguments")),
        extra={name: value for name, value in call.items() if name not in _KNOWN and value is not None},
        is_old=is_old,
    )


def arguments_text(value: object) -> str:
    """Arguments as JSON text; empty for null."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _id(value: object) -> str:
    return str(value).strip() if type(value) in (str, int) else ""


class Extent:
    """Knows where in the JSON value the text read so far ends, whatever it is cut into."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._has_begun = False

    @property
    def is_open(self) -> bool:
        """Whether more of a value must follow."""
        return self._depth > 0 or self._is_in_string

    @property
    def is_closed(self) -> bool:
        """Whether there was an object or a list, which is whole."""
        return self._has_begun and not self.is_open

    def read(self, text: str) -> None:
        """Go on over the next part of the text."""
        escaped = 0 if self._is_escaped else -1
        for mark in _MARKS.finditer(text):
            if mark.start() == escaped:
                continue
            if mark.group() == "\\":
                escaped = mark.end() if self._is_in_string else -1
            else:
                self._step(mark.group())
        self._is_escaped = escaped == len(text)

    def _step(self, mark: str) -> None:
        if mark == '"':
            self._is_in_string = not self._is_in_string
        elif not self._is_in_string:
            self._depth += 1 if mark in "{[" else -1
            self._has_begun = True


def objects_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The JSON objects that follow each other in the text, with the text of each; none if it holds anything else."""
    found: list[tuple[str, dict[str, Any]]] = []
    text = text.strip()
    at = 0
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found.append((text[at:end], value))
        space = _SPACE.match(text, end)
        at = space.end() if space else end
    return found
