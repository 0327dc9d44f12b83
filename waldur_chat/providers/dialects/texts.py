"""Find text and thoughts in the values that services send for them: strings, or lists of typed parts.

Parts as Mistral documents them: https://docs.mistral.ai/capabilities/reasoning; as OpenRouter does:
https://openrouter.ai/docs/use-cases/reasoning-tokens. A part of an unknown type without text is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from waldur_chat.events import Delta, Reasoning

Piece = Delta | Reasoning

_REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")
REASONING_KEYS = _REASONING_FIELDS[:3]
"""Those that hold a plain text, which may go back to the service."""

_TEXT_FIELDS = ("text", "content", "refusal")
_THOUGHT_FIELDS = ("thinking", "reasoning", "summary", *_TEXT_FIELDS)
_MAX_DEPTH = 5
"""How deeply parts may be nested; real ones have two levels."""


def pieces_of(message: Mapping[str, Any]) -> list[Piece]:
    """The thoughts and the text of a `delta` or a `message`.

    Services that rename the field of thoughts send them in both for a while, so only the first one is read.
    """
    thoughts = next((thought for name in _REASONING_FIELDS if (thought := _text(message.get(name)))), "")
    pieces: list[Piece] = [Reasoning(text=thoughts)] if thoughts else []
    pieces += content_pieces(message.get("content"))
    refusal = message.get("refusal")
    if refusal and isinstance(refusal, str):
        pieces.append(Delta(text=refusal))
    return pieces


def reasoning_key(message: Mapping[str, Any]) -> str:
    """The field in which the thoughts of a `delta` or a `message` go back; empty if it has none in such a field.

    OpenRouter takes the text of its `reasoning_details` as `reasoning`.
    """
    name = next((name for name in _REASONING_FIELDS if _text(message.get(name))), "")
    return name if name in REASONING_KEYS or not name else "reasoning"


def content_pieces(content: object) -> list[Piece]:
    """The pieces of a `content`, in their order; adjacent ones of the same kind are one."""
    if isinstance(content, str):
        return [Delta(text=content)] if content else []
    parts = content if isinstance(content, list) else [content]
    pieces = [piece for part in parts if (piece := _piece(part)) and piece.text]
    return [kind(text="".join(piece.text for piece in same)) for kind, same in groupby(pieces, type)]


def _piece(part: object) -> Piece | None:
    if isinstance(part, str):
        return Delta(text=part)
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    is_thought = isinstance(kind, str) and ("think" in kind or "reason" in kind)
    if is_thought or (kind is None and "thinking" in part):
        return Reasoning(text=_text(part))
    return Delta(text="".join(_strings(part, _TEXT_FIELDS)))


def _text(value: object, depth: int = 0) -> str:
    """The text in a string, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if depth < _MAX_DEPTH:
        if isinstance(value, list):
            return "".join(_text(part, depth + 1) for part in value)
        if isinstance(value, Mapping):
            return next((text for name in _THOUGHT_FIELDS if (text := _text(value.get(name), depth + 1))), "")
    return ""


def _strings(part: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    yield from (value for name in names if isinstance(value := part.get(name), str))
