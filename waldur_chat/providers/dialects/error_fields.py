"""Collect what the body of an error says, in all the shapes in which services send one.

Shapes: OpenAI https://platform.openai.com/docs/guides/error-codes, Azure with `innererror`
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter, Gemini in a list with `status`
https://github.com/google-gemini/gemini-cli/issues/12214, llama.cpp with `n_ctx` https://github.com/ggml-org/llama.cpp/pull/15780,
FastAPI and Mistral with `detail`, vLLM and SGLang with `object: "error"`, OpenRouter with `metadata`, LangServe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waldur_chat.providers import untrusted

CODE_FIELDS = ("type", "code", "status", "status_code", "error_type", "error_code", "reason")
MESSAGE_FIELDS = ("message", "error_message", "detail", "error", "msg", "status_msg", "raw")
NESTED_FIELDS = (
    "error",
    "detail",
    "message",
    "innererror",
    "inner_error",
    "metadata",
    "details",
    "errors",
    "base_resp",
    "x_groq",
)
STATUS_FIELDS = ("code", "status", "status_code", "http_status_code", "error_code")
NO_CODES = ("error", "none", "null")
MAX_DEPTH = 6
MAX_TEXT = 10_000
MAX_CODES = 10
MAX_PARTS = 5
"""How many elements of a list of errors are read."""

REQUEST_FIELDS_OF_THE_QUESTION = ("messages", "prompt", "input", "contents", "content", "input_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFields:
    """Status (None if the body has none), codes as they were sent, words of the message in lower case.

    `parameter` is the field of the request that the error names; empty if it names none, or the question itself.
    `context_tokens` is a context size in a field of its own. The text may quote keys and prompts: it is read, and goes
    nowhere.
    """

    status: int | None
    codes: tuple[str, ...]
    text: str
    parameter: str
    context_tokens: int | None
    is_flagged: bool

    @property
    def words(self) -> set[str]:
        """The codes in lower case without separators, as `contextlengthexceeded`."""
        return {code.lower().replace("_", "").replace("-", "").replace(" ", "") for code in self.codes}


def is_error(chunk: Mapping[str, Any]) -> bool:
    """Whether an event of a stream is an error, and no chunk."""
    if chunk.get("error") or chunk.get("object") == "error":
        return True
    if untrusted.mapping(chunk.get("x_groq")).get("error"):  # Beside choices that are empty.
        return True
    if chunk.get("choices"):
        return False
    if any(chunk.get(name) for name in ("error_type", "error_message", "error_code", "detail")):
        return True
    failed = untrusted.mapping(chunk.get("base_resp")).get("status_code")
    return bool(failed) or ("choices" not in chunk and isinstance(chunk.get("message"), str) and "code" in chunk)


def error_fields(body: object) -> ErrorFields:
    """Read the body of an error, parsed from JSON."""
    objects = list(_objects(body))
    codes = [
        word
        for one in objects
        for name in CODE_FIELDS
        if (word := untrusted.word(one.get(name))) and word.lower() not in NO_CODES
    ]
    texts = [text for one in objects for name in MESSAGE_FIELDS if isinstance(text := one.get(name), str)]
    texts += [body] if isinstance(body, str) else []
    numbers = [number for one in objects for number in _numbers(one)]
    contexts = [size for one in objects if isinstance(size := one.get("n_ctx"), int) and size > 0]
    return ErrorFields(
        status=next(iter(numbers), None),
        codes=tuple(dict.fromkeys(codes))[:MAX_CODES],
        text=" ".join(text[:MAX_TEXT] for text in texts)[:MAX_TEXT].lower(),
        parameter=next((name for one in objects if (name := _parameter(one))), ""),
        context_tokens=next(iter(contexts), None),
        is_flagged=any("flagged_input" in one for one in objects),
    )


def _objects(value: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The object and those within it that describe the same error."""
    if depth == MAX_DEPTH:
        return
    if isinstance(value, list):
        for part in value[:MAX_PARTS]:
            yield from _objects(part, depth + 1)
    elif isinstance(value, Mapping):
        yield value
        for name in NESTED_FIELDS:
            yield from _objects(value.get(name), depth + 1)


def _numbers(one: Mapping[str, Any]) -> Iterator[int]:
    """The HTTP statuses among the codes of one object."""
    for name in STATUS_FIELDS:
        word = untrusted.word(one.get(name))
        if len(word) == 3 and word.isdigit() and 400 <= int(word) <= 599:
            yield int(word)


def _parameter(one: Mapping[str, Any]) -> str:
    """The field of the request that the error names: in `param`, or in FastAPI's `loc` (`["body", "stop"]`)."""
    place = one.get("loc")
    names = [untrusted.word(one.get("param")), *(map(untrusted.word, place) if isinstance(place, list) else ())]
    for name in names:
        field = name.partition(".")[0].partition("[")[0]
        if field and field != "body" and field.lower() not in NO_CODES:
            return "" if field in REQUEST_FIELDS_OF_THE_QUESTION else field
    return ""
