"""Deferred responses: the provider decides their status.

A view returns one at once, so that its transaction ends and its thread is free before a model is asked. Django renders
it after the view, and awaits `render` if that is a coroutine. Rendering runs the turn until the status is known, and
returns an ordinary response in its place.
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
from waldur_chat.conf import Settings, notice_text
from waldur_chat.engine.event_log import TextBuffer
from waldur_chat.engine.event_source import EventSource
from waldur_chat.errors import ChatError, TurnCancelled
from waldur_chat.events import APPROVAL_NEEDED, Delta, Event, Reasoning
from waldur_chat.runtime import tenants
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.loop import background_loop
from waldur_chat.wire.base import Encoder
from waldur_chat.wire.forms import form_text

RELEASE_AFTER_SECONDS = 0.05
"""How long a request keeps its thread while it waits for the turn. A fast answer then needs no second thread."""

T = TypeVar("T")


class ResponseMode(ABC, Generic[T]):
    """How a request is answered: what it waits for, and the response."""

    @abstractmethod
    async def wait_for_status(self, source: EventSource) -> T:
        """Wait for what decides the status, on the turn's event loop. Raises the turn's `ChatError`."""

    @abstractmethod
    def respond(self, request: HttpRequest, source: EventSource, result: T) -> HttpResponseBase:
        """The response, with an async body for a request under ASGI and a sync one under WSGI."""


class JsonAnswer(ResponseMode[Answer]):
    """The complete answer as one JSON string. It ends with what its user has to do: answer a form, approve a call."""

    def __init__(self) -> None:
        self._language = get_language()

    async def wait_for_status(self, source: EventSource) -> Answer:
        text = TextBuffer()
        thoughts: list[Event] = []
        forms: list[str] = []
        source.wait_for_end()
        while True:
            events = await source.take()
            text.add("".join(event.text for event in events if isinstance(event, Delta)))
            if not thoughts:
                thoughts += [event for event in events if isinstance(event, Reasoning)][:1]
            forms += filter(None, map(form_text, events))
            if ended(events):
                words = "\n\n".join(filter(None, [text.since(0), *forms]))
                return collect([*thoughts, Delta(text=words), events[-1]])

    def respond(self, request: HttpRequest, source: EventSource, result: Answer) -> HttpResponseBase:
        if result.status != "waiting":
            return Response(result.text)
        return Response("\n\n".join(filter(None, [result.text, _translate(self._language, APPROVAL_NEEDED)])))


class EventStream(ResponseMode[None]):
    """The events of the answer while it is written. The first event decides the status."""

    def __init__(self, encoder: type[Encoder], settings: Settings) -> None:
        self._encoder = encoder(partial(_translate, get_language()), notice_text(settings.notice))
        self._settings = settings

    async def wait_for_status(self, source: EventSource) -> None:
        await source.first()

    def respond(self, request: HttpRequest, source: EventSource, result: None) -> HttpResponseBase:
        body: AsyncBody | SyncBody
        if isinstance(request, ASGIRequest):
            body = AsyncBody(source, self._encoder, self._settings)
        else:
            body = SyncBody(source, self._encoder, self._settings, partial(has_hung_up, request.META))
        return StreamResponse(body)


class ResumedStream(EventStream):
    """The events of an existing turn for one more reader. The status is 200 at once, since the turn exists."""

    async def wait_for_status(self, source: EventSource) -> None:
        """Wait for nothing."""


class DeferredResponse(HttpResponse, Generic[T]):
    """A deferred response under WSGI, rendered in the request's thread. The turn runs on the background loop."""

    # Middleware expects these of every response with `render`, since Django's TemplateResponse has them.
    context_data = None
    template_name = None
    _is_unrendered = False

    def __init__(self, view: APIView, source: EventSource, mode: ResponseMode[T]) -> None:
        super().__init__()
        self.view = view
        self.source = source
        self.mode = mode
        self.tenant = tenants.current()
        keeps = executor.current() is not None
        self.holds_connections = not release_connections(keep_persistent=keeps) or keeps
        self._is_unrendered = True  # Set last: `__del__` runs after a failing `__init__` too.

    def __del__(self) -> None:
        """Discard the turn if the client disconnected during the view: then Django never renders the response."""
        if self._is_unrendered:
            self.source.discard()

    def render(self) -> HttpResponseBase:
        """Run the turn until the status is known, and return the response that replaces this one."""
        release_connections()
        try:
            result = self._wait()
        except ChatError as error:
            return self.refuse(error)
        else:
            return self.respond(result)

    def respond(self, result: T) -> HttpResponseBase:
        """The response to a turn that has started to answer."""
        return self._finalize(self.mode.respond(self.view.request._request, self.source, result))

    def refuse(self, error: ChatError) -> HttpResponseBase:
        """The error response of a turn that failed before it answered, made by the host's exception handler."""
        return self._finalize(self.view.handle_exception(error))

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_unrendered = False
        self.source.start(loop)

    def _wait(self) -> T:
        loop = background_loop()
        self._start(loop)
        waiting = asyncio.run_coroutine_threadsafe(self.mode.wait_for_status(self.source), loop)
        try:
            while not futures.wait([waiting], timeout=POLL_SECONDS).done:
                if has_hung_up(self.view.request._request.META):
                    raise TurnCancelled
            return waiting.result()
        except BaseException:
            self.source.close()
            raise

    def _finalize(self, response: HttpResponseBase) -> HttpResponseBase:
        del self.source  # Old releases of asgiref keep this response alive for long, and the answer with it.
        finalized: HttpResponseBase = self.view.finalize_response(self.view.request, cast("Response", response))
        return finalized.render() if isinstance(finalized, Response) else finalized


class AsyncDeferredResponse(DeferredResponse[T]):
    """A deferred response under ASGI: rendered on the event loop of the server, where the turn runs too."""

    async def render(self) -> HttpResponseBase:  # type: ignore[override]  # Django accepts a coroutine function here.
        loop = asyncio.get_running_loop()
        self._start(loop)
        request_executor = executor.current()
        try:
            if request_executor is None or request_executor.is_busy:
                result = await self._wait_with_thread(loop)
            else:
                result = await self._wait_with_executor(request_executor, loop)
        except ChatError as error:
            return await sync_to_async(self._refuse_in_thread)(error)
        except BaseException:
            self.source.close()
            raise
        else:
            return self.respond(result)

    def _refuse_in_thread(self, error: ChatError) -> HttpResponseBase:
        """Refuse in a thread that may be another than the view's. The host's exception handler may use the database."""
        with tenants.within(self.tenant):
            return self.refuse(error)

    async def _wait_with_executor(
        self, request_executor: executor.RequestExecutor, loop: asyncio.AbstractEventLoop
    ) -> T:
        """Wait for the status. Returns the thread of the request to the pool if that takes longer."""
        timer = loop.call_later(RELEASE_AFTER_SECONDS, request_executor.release)
        try:
            return await self.mode.wait_for_status(self.source)
        finally:
            timer.cancel()

    async def _wait_with_thread(self, loop: asyncio.AbstractEventLoop) -> T:
        """Wait for the status. If that takes longer, release the thread that asgiref keeps for the request."""
        waiting = loop.create_task(self.mode.wait_for_status(self.source))
        waiting.add_done_callback(_ignore_failure)
        try:
            if not (await asyncio.wait({waiting}, timeout=RELEASE_AFTER_SECONDS))[0]:
                await release_request_thread(holds_connections=self.holds_connections)
            return await waiting
        except BaseException:
            waiting.cancel()
            raise


def _ignore_failure(waiting: asyncio.Task[Any]) -> None:
    """Retrieve the exception, which asyncio would log if the request was cancelled meanwhile."""
    if not waiting.cancelled():
        waiting.exception()


def deferred(view: APIView, source: EventSource, mode: ResponseMode[Any]) -> HttpResponse:
    """A deferred response for the view's request, asynchronous under ASGI."""
    kind = AsyncDeferredResponse if isinstance(view.request._request, ASGIRequest) else DeferredResponse
    return kind(view, source, mode)


def _translate(language: str | None, sentence: str) -> str:
    """Translate a sentence into the language of the request. Django deactivates it before the body is sent."""
    with override(language):
        return gettext(sentence)
