"""What Django does where a request begins and ends, and when that waits for nothing.

It tells its own receivers to close what is old of what the request's thread has open, and goes to that thread for it,
twice. Where nobody else is told, that can be left to whoever keeps the thread: he lets those do their work there,
before anything else does. On the event loop they find nothing that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import ReferenceType

from django.core.cache import BaseCache, caches, close_caches
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal
from django.http.response import HttpResponseBase

Receiver = Callable[..., object]
Closing = TypeVar("Closing", bound=Callable[..., None])

OWN: Sequence[Receiver] = (reset_queries, close_old_connections, close_caches, reset_urlconf)
"""Django's own receivers, which need no word of what they are told."""

_quick_closers: set[object] = {ASGIRequest.close}


def quick_closer(method: Closing) -> Closing:
    """Say of what a response calls when it is closed that it waits for nothing."""
    _quick_closers.add(method)
    return method


def own_receivers(signal: Signal) -> Sequence[Receiver] | None:
    """Whom a signal tells, where all are Django's own; None otherwise."""
    found = _receivers(signal)
    return found if all(one in OWN for one in found) else None


def closes_at_once(response: HttpResponseBase) -> bool:
    """Whether nothing that the response closes, and nobody who is told when it is closed, may wait."""
    return (
        type(response).close is HttpResponseBase.close
        and all(getattr(one, "__func__", None) in _quick_closers for one in response._resource_closers)  # type: ignore[attr-defined]
        and own_receivers(request_finished) is not None
        and all(type(one).close is BaseCache.close for one in caches.all(initialized_only=True))
    )


def part(response: HttpResponseBase, request: ASGIRequest) -> None:
    """Close a request that is needed no more; else its response keeps it, and all that middleware knows of it."""
    request.close()
    left = [one for one in response._resource_closers if one != request.close]  # type: ignore[attr-defined]
    response._resource_closers = left  # type: ignore[attr-defined]


def close(response: HttpResponseBase) -> None:
    """See HttpResponseBase.close(). Who would be told, where all are Django's own, has nothing to close here."""
    for closer in response._resource_closers:  # type: ignore[attr-defined]
        with suppress(Exception):
            closer()
    response._resource_closers.clear()  # type: ignore[attr-defined]
    response.closed = True


def _receivers(signal: Signal) -> list[Any]:
    references = (entry[1] for entry in signal.receivers)
    return [one() if isinstance(one, ReferenceType) else one for one in references]
