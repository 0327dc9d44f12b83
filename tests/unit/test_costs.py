"""What a token costs, in things that are the same on every machine: calls of Python functions, pieces, wake-ups.

The bounds lie a little above what was counted when they were written. What needs more of them has to be worth it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from types import FrameType
from typing import Any

import pytest

from tests.unit.bodies import Response
from waldur_chat import conf
from waldur_chat.api.responses.stream_body import AsyncBody
from waldur_chat.engine.turn import Turn
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.transport import base
from waldur_chat.providers.transport.streaming import stream_events
from waldur_chat.wire.sse import SSEEncoder

TOKENS = 400
DONE = b"data: [DONE]\n\n"


def chunk(text: str) -> bytes:
    """A chunk as OpenAI sends it."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}
    return b"data: " + json.dumps({**fields, "choices": [choice]}).encode() + b"\n\n"


class Replaying(Provider):
    """Says what a test wants, as it came over the wire; who reads comes between any two pieces."""

    pieces: list[bytes] = []

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        return stream_events(self._ask, ChunkReader())

    async def _ask(self) -> base.Response:
        return Response(self._body())

    async def _body(self) -> AsyncGenerator[bytes, None]:
        for piece in self.pieces:
            yield piece
            await asyncio.sleep(0)
            await asyncio.sleep(0)


class Calls:
    """Counts the calls of Python functions."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        self.count += event == "call"


async def written(pieces: list[bytes]) -> tuple[list[bytes], int]:
    """What a stream of such an answer writes, and how many calls that took."""
    Replaying.pieces = pieces
    turn = Turn(conf.load(), Prompt(messages=()))
    calls = Calls()
    turn.start(asyncio.get_running_loop())
    body = AsyncBody(turn, SSEEncoder(), turn.settings)
    body._has_begun = True  # There is no request whose thread it would give back first.
    sys.setprofile(calls)
    try:
        found = [piece async for piece in body]
    finally:
        sys.setprofile(None)
    return found, calls.count


@pytest.fixture
def cost(settings: Any) -> Callable[[list[bytes]], tuple[list[bytes], int]]:
    settings.WALDUR_CHAT = {
        "STORAGE": False,
        "PROVIDERS": {"default": {"BACKEND": f"{__name__}.Replaying"}},
    }
    return lambda pieces: asyncio.run(written(pieces))


def each(cost: Callable[[list[bytes]], tuple[list[bytes], int]], pieces: Callable[[int], list[bytes]]) -> float:
    """Calls for each token that an answer is longer."""
    return (cost(pieces(TOKENS))[1] - cost(pieces(TOKENS // 2))[1]) / (TOKENS // 2)


def alone(tokens: int) -> list[bytes]:
    return [*(chunk(f"w{number} ") for number in range(tokens)), DONE]


def together(tokens: int) -> list[bytes]:
    return [b"".join(alone(tokens))]


def test_a_token_that_comes_alone_is_written_alone(cost: Any) -> None:
    found, _ = cost(alone(TOKENS))
    assert sum(b'"c":"w' in piece for piece in found) == TOKENS


def test_tokens_that_come_together_are_written_together(cost: Any) -> None:
    found, _ = cost(together(TOKENS))
    assert len(found) <= 3
    assert b"w0 w1 " in b"".join(found)


def test_a_token_that_comes_alone_takes_few_calls(cost: Any) -> None:
    assert each(cost, alone) <= 76  # 73 with Python 3.11, the event loop's own and the test's among them.


def test_tokens_that_come_together_take_next_to_none(cost: Any) -> None:
    assert each(cost, together) <= 1
