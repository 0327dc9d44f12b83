"""How many pieces a stream writes for its tokens. How many calls these take: tests/benchmarks/calls.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.unit.aio import unrecorded
from tests.unit.bodies import Response
from waldur_chat import conf
from waldur_chat.api.responses.stream_body import AsyncBody
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.transport import base
from waldur_chat.providers.transport.streaming import stream_events
from waldur_chat.wire.sse import SSEEncoder

TOKENS = 400
DONE = b"data: [DONE]\n\n"
SETTINGS = {"STORAGE": False, "PROVIDERS": {"default": {"BACKEND": f"{__name__}.Replaying"}}}


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


async def body_of(pieces: list[bytes]) -> AsyncBody:
    """The body of a stream of such an answer."""
    Replaying.pieces = pieces
    turn = unrecorded(conf.load())
    turn.start(asyncio.get_running_loop())
    body = AsyncBody(turn, SSEEncoder(), turn.settings)
    body._has_started = True  # There is no request whose thread it would give back first.
    return body


async def written(pieces: list[bytes]) -> list[bytes]:
    """What it writes."""
    return [piece async for piece in await body_of(pieces)]


@pytest.fixture(autouse=True)
def replays(settings: Any) -> None:
    settings.WALDUR_CHAT = SETTINGS


def alone(tokens: int) -> list[bytes]:
    return [*(chunk(f"w{number} ") for number in range(tokens)), DONE]


def together(tokens: int) -> list[bytes]:
    return [b"".join(alone(tokens))]


def test_a_token_that_comes_alone_is_written_alone() -> None:
    found = asyncio.run(written(alone(TOKENS)))
    assert sum(b'"c":"w' in piece for piece in found) == TOKENS


def test_tokens_that_come_together_are_written_together() -> None:
    found = asyncio.run(written(together(TOKENS)))
    assert len(found) <= 3
    assert b"w0 w1 " in b"".join(found)
