"""Read one `chat.completion.chunk`, or a whole `chat.completion`, from its JSON.

Only a few fields are read, so that servers may omit others or add their own. Usage is in the last chunk, in a separate
one without choices, in every chunk, or in a field of the service's own (Groq, Moonshot).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from waldur_chat.errors import ProviderFailed
from waldur_chat.events import Delta, Reasoning, Usage
from waldur_chat.providers import untrusted
from waldur_chat.providers.dialects import ends
from waldur_chat.providers.dialects.error_fields import is_error
from waldur_chat.providers.dialects.fragments import Fragment, fragments_in
from waldur_chat.providers.dialects.refusals import refusal_in_stream
from waldur_chat.providers.dialects.texts import Piece, pieces_of, reasoning_key


@dataclass(slots=True, kw_only=True)
class Chunk:
    """What a chunk says: new pieces; pieces of a whole message, which may repeat earlier ones; reason; usage.

    `calls` are fragments of calls, `whole_calls` those of a message; `reasoning_key` is the field of its thoughts.
    """

    new: list[Piece] = field(default_factory=list)
    message: list[Piece] = field(default_factory=list)
    reason: str = ""
    """As the service wrote it."""
    usage: Usage | None = None
    calls: list[Fragment] = field(default_factory=list)
    whole_calls: list[Fragment] = field(default_factory=list)
    reasoning_key: str = field(default="", compare=False)


def read_chunk(data: bytes) -> Chunk:
    """Read the data of one event. Raises `ProviderFailed` if it is not a JSON object, and the error that it reports."""
    return chunk_of(json_object(data))


def chunk_of(chunk: dict[str, Any]) -> Chunk:
    """Read a chunk. Raises the error that it reports."""
    if is_error(chunk):
        raise refusal_in_stream(chunk)
    choice = _first_choice(chunk.get("choices"))
    reason = choice.get("finish_reason")
    reason = reason if isinstance(reason, str) else ""
    if choice.get("error") or ends.known_meaning(reason) == ends.ERROR:
        raise refusal_in_stream(choice.get("error") or {"code": untrusted.word(reason)})
    delta, message = untrusted.mapping(choice.get("delta")), untrusted.mapping(choice.get("message"))
    new = pieces_of(delta) or _old_text(choice.get("text"))
    said = Chunk(new=new, reason=untrusted.word(reason), usage=_usage(chunk, choice), calls=fragments_in(delta))
    if message:
        said.message, said.whole_calls = pieces_of(message), fragments_in(message)
    if any(type(piece) is Reasoning for piece in new or said.message):
        said.reasoning_key = reasoning_key(delta) or reasoning_key(message)
    return said


def json_object(data: bytes) -> dict[str, Any]:
    """Parse an object, which Gemini puts into a list if it is an error. Raises `ProviderFailed` for anything else."""
    chunk = untrusted.parse(data)
    if isinstance(chunk, list) and chunk:
        chunk = chunk[0]
    if not isinstance(chunk, dict):
        raise ProviderFailed("The stream holds an event that is not a JSON object.")
    return chunk


def _old_text(text: object) -> list[Piece]:
    """The text of the older protocol of completions, which some services keep."""
    return [Delta(text=text)] if isinstance(text, str) and text else []


def _first_choice(choices: object) -> dict[str, Any]:
    return next((one for one in choices if isinstance(one, dict)), {}) if isinstance(choices, list) else {}


def _usage(chunk: dict[str, Any], choice: dict[str, Any]) -> Usage | None:
    places = (chunk.get("usage"), untrusted.mapping(chunk.get("x_groq")).get("usage"), choice.get("usage"))
    reported = next((usage for place in places if (usage := untrusted.mapping(place))), {})
    return untrusted.usage(
        reported.get("prompt_tokens"), reported.get("completion_tokens"), reported.get("total_tokens")
    )
