"""The fake service's answers, step by step, in both protocols."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.fake.behaviour import Behaviour
from tests.fake.sayings import chunk, event, say

Step = bytes | float | str
"""Of an answer: an event, a pause in seconds, or something to do to the connection (see `Behaviour.then`)."""


def openai_steps(behaviour: Behaviour) -> Iterator[Step]:
    """The answer as chat.completion.chunk events."""
    yield from _wrong(behaviour, 0)
    yield chunk({"role": "assistant", "content": ""})
    if behaviour.reasoning:
        yield chunk({behaviour.reasoning: "Let me think."})
    if behaviour.call:
        yield from _calls(behaviour)
        return
    for index, piece in enumerate(behaviour.pieces):
        yield from _broken(behaviour, index, say("error"))
        usage = {"usage": _usage(index + 1)} if behaviour.usage == "each" else {}
        yield chunk({"content": piece}, **usage)
        yield behaviour.delay
        yield from _wrong(behaviour, index + 1)
    if behaviour.end in ("both", "finish"):
        yield chunk({}, finish_reason="stop")
    yield from _wrong(behaviour, len(behaviour.pieces) + 1)
    usages = {"end": _usage(len(behaviour.pieces)), "negative": _usage(-10), "true": dict.fromkeys(_usage(0), True)}
    if usage := usages.get(behaviour.usage, {}):
        yield event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    if behaviour.end in ("both", "done"):
        yield b"data: [DONE]\n\n"


def langserve_steps(behaviour: Behaviour) -> Iterator[Step]:
    """The answer as LangServe sends it, with a ping among the events."""
    yield b'event: metadata\r\ndata: {"run_id": "r1"}\r\n\r\n'
    error = b'event: error\r\ndata: {"status_code": 500, "message": "Internal Server Error"}\r\n\r\n'
    for index, piece in enumerate(behaviour.pieces):
        yield from _broken(behaviour, index, [error])
        yield _langserve({"content": piece, "additional_kwargs": {}, "type": "AIMessageChunk"})
        yield b": ping\r\n\r\n"
        yield behaviour.delay
    usage = {"input_tokens": 7, "output_tokens": len(behaviour.pieces)}
    yield _langserve({"content": "", "additional_kwargs": {}, "usage_metadata": usage})
    if behaviour.end != "none":
        yield b"event: end\r\n\r\n"


def _calls(behaviour: Behaviour) -> Iterator[Step]:
    """Calls as OpenAI writes them, the arguments in two halves."""
    for index in range(behaviour.intro):
        yield chunk({"content": f"i{index} "})
        yield behaviour.delay
    half = len(behaviour.arguments) // 2
    for index, name in enumerate(behaviour.call.split(",")):
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": f"id{index}", "type": "function", "function": function}]})
        for part in (behaviour.arguments[:half], behaviour.arguments[half:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
            yield behaviour.delay
    yield chunk({}, finish_reason="tool_calls")
    if behaviour.usage != "none":
        yield event({"object": "chat.completion.chunk", "choices": [], "usage": _usage(5)})
    yield b"data: [DONE]\n\n"


def _broken(behaviour: Behaviour, position: int, error: Iterable[bytes]) -> Iterator[Step]:
    """The cut or the fault that is due before this token."""
    if position == behaviour.cut:
        yield "reset"
    if position == behaviour.fault:
        yield from error


def _wrong(behaviour: Behaviour, position: int) -> Iterator[Step]:
    """What is wrong after this token."""
    if position == behaviour.at:
        for piece in say(behaviour.say):
            yield piece
            yield behaviour.delay
        yield behaviour.then


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}


def _langserve(payload: dict[str, Any]) -> bytes:
    return b"event: data\r\ndata: " + json.dumps(payload).encode() + b"\r\n\r\n"
