"""Starlette and aiohttp: the provider's bytes are passed through; nobody is asked who he is, nothing is understood."""

import os
from collections.abc import AsyncIterator

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

sessions: list[aiohttp.ClientSession] = []


async def stream(request: Request) -> StreamingResponse:
    question = (await request.json())["input"]
    return StreamingResponse(answer(question), media_type="text/event-stream")


async def answer(question: str) -> AsyncIterator[bytes]:
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}
    async with sessions[0].post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", json=body) as response:
        async for piece in response.content.iter_any():
            yield piece


app = Starlette(routes=[Route("/stream", stream, methods=["POST"])])
