"""Serves a chat request on the event loop as Django's ASGI handler does, with fewer tasks and changes of thread.

Django makes one task that listens for a hang-up and one that answers, waits for both, and goes to a thread where the
request begins and where it ends. Here the task of the request answers, and who listens cancels it; to a thread it goes
only where somebody may wait there (see `edges`). What comes in one piece leaves in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.dispatch import Signal
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from waldur_chat.api import cycles, edges, executor

REPLACED = ("handle", "listen_for_disconnect", "run_get_response", "send_response")
"""The methods of Django's handler that are not called; one that has its own of them must be left to it."""

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def serve(handler: ASGIHandler, scope: Any, receive: Receive, send: Send) -> None:
    """See ASGIHandler.handle(), which serves those that did not come through the door."""
    own = executor.current()
    if own is None:
        await type(handler).handle(handler, scope, receive, send)
        return
    try:
        body = await handler.read_body(receive)
    except RequestAborted:
        return
    with closing(body):
        set_script_prefix(settings.FORCE_SCRIPT_NAME or scope.get("root_path") or "")
        if (due := edges.own_receivers(request_started)) is not None:
            own.due = due
        else:
            await _tell(request_started, handler, scope=scope)
        own.hears_hangups = True
        request, response = handler.create_request(scope, body)
        try:
            async with _Hearing(receive):
                response = response or await _answer(handler, request)
                if request is not None and not getattr(response, "needs_request", True):
                    edges.part(response, request)
                    cycles.break_up_request(request)
                    request = None
                    body.close()
                await _send(response, send)
        finally:
            await _end(handler, response)
            if request is not None:
                cycles.break_up_request(request)


class _Hearing:
    """A context that ends when the client hangs up, by cancelling the task that it runs in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False
        self._has_hung_up = False

    async def __aenter__(self) -> None:
        self._task: Any = asyncio.current_task()
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._is_over = True
        if not self._has_hung_up:
            self._hearing.cancel()
            return False
        self._hearing.result()
        is_cancelled_by_others = getattr(self._task, "uncancel", int)() > 0  # Python 3.10 does not tell.
        return kind is asyncio.CancelledError and not is_cancelled_by_others

    async def _hear(self) -> None:
        """Nothing but a hang-up can follow the body of a request."""
        try:
            await self._receive()
        except asyncio.CancelledError:
            pass  # A task keeps its error, and that the frames, which keep the task: all would wait for the collector.
        finally:
            if not self._is_over:
                self._has_hung_up = True
                self._task.cancel()


async def _answer(handler: ASGIHandler, request: Any) -> Any:
    response: Any = await handler.get_response_async(request)
    response._handler_class = type(handler)
    return response


async def _send(response: Any, send: Send) -> None:
    """See ASGIHandler.send_response()."""
    await send(_head(response))
    if response.streaming:
        async with aclosing(aiter(response)) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.body", "body": response.content})


def _head(response: HttpResponseBase) -> dict[str, Any]:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    headers += [(b"Set-Cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


async def _end(handler: ASGIHandler, response: HttpResponseBase | None) -> None:
    if response is None:
        await _tell(request_finished, handler)
    elif edges.closes_at_once(response):
        edges.close(response)
    else:
        await sync_to_async(response.close)()


async def _tell(signal: Signal, handler: ASGIHandler, **more: Any) -> None:
    tell: Any = getattr(signal, "asend", None) or sync_to_async(signal.send)  # Django 4 has no `asend`.
    await tell(sender=type(handler), **more)
