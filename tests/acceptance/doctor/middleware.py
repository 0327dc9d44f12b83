"""Middleware of hosts that does what it must not do with streams."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.decorators import async_only_middleware


def reads_streams_whole(get_response: Callable[[Any], HttpResponseBase]) -> Callable[[Any], HttpResponseBase]:
    """Makes an ordinary response of a stream; `CommonMiddleware` before it adds its length."""

    def middleware(request: Any) -> HttpResponseBase:
        response = get_response(request)
        if response.streaming:
            return HttpResponse(b"".join(response), headers=dict(response.items()))
        return response

    return middleware


def gives_the_wrong_colour(get_response: Callable[[Any], HttpResponseBase]) -> Callable[[Any], HttpResponseBase]:
    """Puts what is synchronous around a stream: under ASGI Django reads it whole."""

    def middleware(request: Any) -> HttpResponseBase:
        response = get_response(request)
        if response.streaming:
            response.streaming_content = (piece for piece in response)
        return response

    return middleware


def drops_accept(get_response: Callable[[Any], HttpResponseBase]) -> Callable[[Any], HttpResponseBase]:
    """Takes every client for a browser."""

    def middleware(request: Any) -> HttpResponseBase:
        request.META["HTTP_ACCEPT"] = "*/*"
        return get_response(request)

    return middleware


@async_only_middleware
def compresses_streams(get_response: Any) -> Any:
    """Compresses whatever the answer says of that."""

    async def middleware(request: Any) -> HttpResponseBase:
        response = await get_response(request)
        if response.streaming and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.streaming_content = _compressed(response.streaming_content)
            response["Content-Encoding"] = "gzip"
        return response

    return middleware


async def _compressed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield gzip.compress(piece)


@async_only_middleware
def reads_ahead(get_response: Any) -> Any:
    """Makes another response of a stream, which it reads in a task that nobody ends."""

    async def middleware(request: Any) -> HttpResponseBase:
        response = await get_response(request)
        if response.streaming:
            return StreamingHttpResponse(_ahead(response.streaming_content), headers=dict(response.items()))
        return response

    return middleware


_tasks: set[asyncio.Task[None]] = set()


async def _ahead(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read() -> None:
        async for piece in pieces:
            queue.put_nowait(piece)
        queue.put_nowait(None)

    task = asyncio.create_task(read())
    _tasks.add(task)
    while (piece := await queue.get()) is not None:
        yield piece


def raises(get_response: Any) -> Any:
    """Fails at every request."""

    def middleware(request: Any) -> HttpResponseBase:
        raise ValueError

    return middleware
