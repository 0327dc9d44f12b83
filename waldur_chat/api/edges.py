"""What Django does where a request begins and ends, and when that waits for nothing.

It tells its own receivers to close what is old of what the request's thread has open, and goes to that thread for it,
twice. Where nobody else is told, that can be left to whoever keeps the thread: he lets those do their work there,
before anything else does. On the event loop they find nothing that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def own_receivers(function: object) -> Sequence[Receiver] | None:
    """Those that a function of Django's signals is about to tell, where all are Django's own; None otherwise."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Signal):  # Django 4
        found = _receivers(owner) if getattr(function, "__name__", "") == "send" else None
    else:
        found = _enclosed(function).get("sync_receivers")
    return found if found is not None and all(one in OWN for one in found) else None


def closes_at_once(function: object) -> bool:
    """Whether this is the closing of a response, and nothing that it closes, and nobody who is told, may wait."""
    response = getattr(function, "__self__", None)
    return (
        isinstance(response, HttpResponseBase)
        and getattr(function, "__func__", None) is HttpResponseBase.close
        and all(getattr(one, "__func__", None) in _quick_closers for one in response._resource_closers)  # type: ignore[attr-defined]
        and all(one in OWN for one in _receivers(request_finished))
        and all(type(one).close is BaseCache.close for one in caches.all(initialized_only=True))
    )


def _enclosed(function: Any) -> dict[str, Any]:
    """What a function of Django's dispatcher has of the one in which it is written."""
    if getattr(function, "__module__", "") != Signal.__module__ or not getattr(function, "__closure__", None):
        return {}
    return {
        name: cell.cell_contents
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True)
        if name == "sync_receivers"
    }


def _receivers(signal: Signal) -> list[Any]:
    references = (entry[1] for entry in signal.receivers)
    return [one() if isinstance(one, ReferenceType) else one for one in references]
