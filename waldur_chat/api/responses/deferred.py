"""Responses whose status the provider decides.

A view returns one at once, so that its transaction ends and its thread is free before a model is asked. Django renders
a response after the view, and awaits a `render` that can be awaited: there the turn runs until its outcome is known,
and an ordinary response takes the place of the pending one.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from concurrent import futures
from functools import partial
from typing import Any, Generic, TypeVar, cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import get_language, gettext, override
from rest_framework.response import Response
from rest_framework.views import APIView

from waldur_chat.api.responses.disconnect import has_hung_up
from waldur_chat.api.responses.stream_body import POLL_SECONDS, AsyncBody, StreamResponse, SyncBody
from waldur_chat.asgi import executor
from waldur_chat.asgi.release_thread import release_request_thread
from waldur_chat.chat import Answer, collect, ended
from waldur_chat.conf import Settings
from waldur_chat.engine.event_log import TextBuffer
from waldur_chat.engine.event_source import EventSource
from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import Delta
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.loop import background_loop
from waldur_chat.wire.base import Encoder

PROMPT_SECONDS = 0.05
"""An answer that begins within this time finds the thread of its request where it was: another costs more to start."""

T = TypeVar("T")


class ResponseMode(ABC, Generic[T]):
    """What a request wants of its turn."""

    @abstractmethod
    async def reach(self, source: EventSource) -> T:
        """Wait, on the turn's event loop, for what decides the status. Raises the turn's `ChatError`."""

    @abstractmethod
    def respond(self, request: HttpRequest, source: EventSource, reached: T) -> HttpResponseBase:
        """The response, in the colour of the server that carries the request."""


class JsonAnswer(ResponseMode[Answer]):
    """The answer as one JSON string, when it is complete."""

    async def reach(self, source: EventSource) -> Answer:
        """See ResponseMode.reach()."""
        text = TextBuffer()
        source.wait_for_end()
        while True:
            events = await source.take()
            text.add("".join(event.text for event in events if isinstance(event, Delta)))
            if ended(events):
                return collect([Delta(text=text.since(0)), events[-1]])

    def respond(self, request: HttpRequest, source: EventSource, reached: Answer) -> HttpResponseBase:
        """See ResponseMode.respond()."""
        return Response(reached.text)


class EventStream(ResponseMode[None]):
    """The answer as it is written, from its first event on."""

    def __init__(self, encoder: type[Encoder], settings: Settings) -> None:
        self._encoder = encoder(partial(_translate, get_language()))
        self._settings = settings

    async def reach(self, source: EventSource) -> None:
        """See ResponseMode.reach()."""
        await source.first()

    def respond(self, request: HttpRequest, source: EventSource, reached: None) -> HttpResponseBase:
        """See ResponseMode.respond()."""
        body: AsyncBody | SyncBody
        if isinstance(request, ASGIRequest):
            body = AsyncBody(source, self._encoder, self._settings)
        else:
            body = SyncBody(source, self._encoder, self._settings, partial(has_hung_up, request.META))
        return StreamResponse(body)


class ResumedStream(EventStream):
    """An answer that somebody has come back to: there is a turn, so the response begins at once."""

    async def reach(self, source: EventSource) -> None:
        """See ResponseMode.reach()."""


class DeferredResponse(HttpResponse, Generic[T]):
    """Rendered in the thread of a WSGI request; the turn runs on the background loop."""

    # What middleware expects of a response that is rendered later.
    context_data = None
    template_name = None
    _is_dropped = False

    def __init__(self, view: APIView, source: EventSource, mode: ResponseMode[T]) -> None:
        super().__init__()
        self.view = view
        self.source = source
        self.mode = mode
        keeps = executor.current() is not None
        self.holds_connections = not release_connections(keep_persistent=keeps) or keeps
        self._is_dropped = True  # Unless somebody renders it.

    def __del__(self) -> None:
        """A client may leave while the view still writes his question: then Django drops this without a word."""
        if self._is_dropped:
            self.source.discard()

    def render(self) -> HttpResponseBase:
        """The response that takes this one's place."""
        release_connections()
        try:
            reached = self._wait()
        except ChatError as error:
            return self.refuse(error)
        else:
            return self.respond(reached)

    def respond(self, reached: T) -> HttpResponseBase:
        """The response to a turn that answers."""
        return self._finalized(self.mode.respond(self.view.request._request, self.source, reached))

    def refuse(self, error: ChatError) -> HttpResponseBase:
        """The response to a turn that failed before it answered, as the host's exception handler makes it."""
        return self._finalized(self.view.handle_exception(error))

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_dropped = False
        self.source.start(loop)

    def _wait(self) -> T:
        loop = background_loop()
        self._start(loop)
        reaching = asyncio.run_coroutine_threadsafe(self.mode.reach(self.source), loop)
        try:
            while not futures.wait([reaching], timeout=POLL_SECONDS).done:
                if has_hung_up(self.view.request._request.META):
                    raise TurnCancelled
            return reaching.result()
        except BaseException:
            self.source.close()
            raise

    def _finalized(self, response: HttpResponseBase) -> HttpResponseBase:
        del self.source  # Old releases of asgiref keep this response for long, and would keep the answer.
        finalized: HttpResponseBase = self.view.finalize_response(self.view.request, cast("Response", response))
        return finalized.render() if isinstance(finalized, Response) else finalized


class AsyncDeferredResponse(DeferredResponse[T]):
    """Rendered on the event loop of an ASGI server, where the turn runs too."""

    async def render(self) -> HttpResponseBase:  # type: ignore[override]  # Django takes both colours.
        """See DeferredResponse.render()."""
        loop = asyncio.get_running_loop()
        self._start(loop)
        own = executor.current()
        try:
            reached = await (self._reach(loop) if own is None or own.is_busy else self._reach_with(own, loop))
        except ChatError as error:
            return await sync_to_async(self.refuse)(error)
        except BaseException:
            self.source.close()
            raise
        else:
            return self.respond(reached)

    async def _reach_with(self, own: executor.RequestExecutor, loop: asyncio.AbstractEventLoop) -> T:
        """Wait for what decides the status. A thread that is kept for later requests is given back meanwhile."""
        timer = loop.call_later(PROMPT_SECONDS, own.release)
        try:
            return await self.mode.reach(self.source)
        finally:
            timer.cancel()

    async def _reach(self, loop: asyncio.AbstractEventLoop) -> T:
        """The same for another thread: to give that back, one has to wait for it."""
        reaching = loop.create_task(self.mode.reach(self.source))
        reaching.add_done_callback(_look_at)
        try:
            if not (await asyncio.wait({reaching}, timeout=PROMPT_SECONDS))[0]:
                await release_request_thread(holds_connections=self.holds_connections)
            return await reaching
        except BaseException:
            reaching.cancel()
            raise


def _look_at(reaching: asyncio.Task[Any]) -> None:
    """Of one that failed when nobody waited any more, nothing is to be said."""
    if not reaching.cancelled():
        reaching.exception()


def deferred(view: APIView, source: EventSource, mode: ResponseMode[Any]) -> HttpResponse:
    """A response that is not known yet, in the colour of the server that carries the view's request."""
    colour = AsyncDeferredResponse if isinstance(view.request._request, ASGIRequest) else DeferredResponse
    return colour(view, source, mode)


def _translate(language: str | None, sentence: str) -> str:
    """A sentence in the request's language, which Django has forgotten by the time the body is sent."""
    with override(language):
        return gettext(sentence)
