"""Starlette and httpx, line by line: what a first version usually looks like."""

import os
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=100))


async def stream(request: Request) -> StreamingResponse:
    question = (await request.json())["input"]
    return StreamingResponse(answer(question), media_type="text/event-stream")


async def answer(question: str) -> AsyncIterator[str]:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": question}]}
    async with client.stream("POST", f"{os.environ['OPENAI_BASE_URL']}/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line:
                yield f"{line}\n\n"


app = Starlette(routes=[Route("/stream", stream, methods=["POST"])])
