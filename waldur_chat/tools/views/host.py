"""Send a request through the host's middleware to its view, in this process, and read the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.http import Http404, HttpResponse
from django.urls import set_script_prefix

from waldur_chat.store import sql
from waldur_chat.tools.effects import NoLongerRunning
from waldur_chat.tools.views.request import ToolRequest

TOO_LATE = "The call had been given up. What it did was rolled back."
FIRST_ERROR = 400

STREAM_BYTES = 1_000_000
"""How much of a stream is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """What the host has answered. `reason` is the phrase of the status; header names are in lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    is_cut: bool = False


class HostChain(BaseHandler):
    """The host's middleware and views, as a server's handler has them, without the signals of a server's request."""

    def resolve_request(self, request: Any) -> Any:
        """Resolve the address as the host's middleware has left it. Raises `Http404` if it leads to another view."""
        match = super().resolve_request(request)
        request.check_user()
        if not request.leads_to(match):
            raise Http404
        return match

    def make_view_atomic(self, view: Any) -> Any:
        """The view as Django calls it. If it may change something, the row of the call notes what it does."""
        if iscoroutinefunction(view):
            checked: Any = super().make_view_atomic(view)  # It refuses what it refuses over HTTP.
            wrapped = async_to_sync(checked)
            return lambda request, *args, **kwargs: _noted(request, lambda: wrapped(request, *args, **kwargs))

        @wraps(view)  # Also the attribute that exempts it from transactions.
        def noted(request: Any, *args: Any, **kwargs: Any) -> Any:
            return _noted(request, lambda: view(request, *args, **kwargs))

        return _atomic_if_asked(super().make_view_atomic(noted))


def _noted(request: ToolRequest, view: Callable[[], Any]) -> Any:
    """The response. Its writes leave traces. In a transaction it is rendered, and its success makes the call done."""
    effects, database = request.effects, sql.database()
    if effects is None:
        return view()
    with effects.traced():
        response = view()
        if not database.in_atomic_block:
            return response
        if callable(getattr(response, "render", None)):
            response = response.render()
        if response.status_code < FIRST_ERROR and not transaction.get_rollback(database.alias):
            effects.done()
        return response


def _atomic_if_asked(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view in a transaction if the tool wants one. It is rolled back if the call was given up meanwhile."""

    def called(request: ToolRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            if not (request.effects and request.is_atomic):
                return view(request, *args, **kwargs)
            with transaction.atomic(using=sql.database().alias):
                return view(request, *args, **kwargs)
        except NoLongerRunning:
            return HttpResponse(TOO_LATE, "text/plain", 503)

    return called


def call(request: ToolRequest) -> HostAnswer:
    """Send the request, in this thread. The caller closes the connections of the thread afterwards."""
    set_script_prefix(f"{request.META['SCRIPT_NAME'].rstrip('/')}/")
    response = _chain(tuple(settings.MIDDLEWARE)).get_response(request)
    try:
        body, is_cut = _body(response)
    finally:
        _close(response)
    return HostAnswer(
        status=response.status_code,
        reason=response.reason_phrase,
        headers={name.lower(): value for name, value in response.items()},
        body=body,
        is_cut=is_cut,
    )


@lru_cache(maxsize=8)
def _chain(middleware: tuple[str, ...]) -> HostChain:  # noqa: ARG001
    """The chain of this process. Its parts are created a second time, as Django's test client does."""
    chain = HostChain()
    chain.load_middleware()
    return chain


def _body(response: Any) -> tuple[bytes, bool]:
    if not response.streaming:
        return bytes(response.content), False
    if response.is_async:
        return async_to_sync(_read_async)(response)
    return _within_limit(iter(response.streaming_content))


def _within_limit(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > STREAM_BYTES:
            return bytes(body[:STREAM_BYTES]), True
    return bytes(body), False


async def _read_async(response: Any) -> tuple[bytes, bool]:
    body = bytearray()
    async for piece in response.streaming_content:
        body += piece
        if len(body) > STREAM_BYTES:
            return bytes(body[:STREAM_BYTES]), True
    return bytes(body), False


def _close(response: Any) -> None:
    """Close what the response holds. `close()` would also send `request_finished`, as if the asker's request ended."""
    for close in response._resource_closers:
        close()
