"""Call the site's `CONTEXT`: in a thread of its own, or on the event loop if it is asynchronous."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.utils import translation
from django.utils.module_loading import import_string

from waldur_chat.context import ContextQuery, ContextText
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.own_thread import run_in_own_thread
from waldur_chat.runtime.tenants import Tenant, within

MOST_THREADS = 200
"""Calls that may have a thread in one process, those past their time limit too. Others wait for a place."""

WAIT_SECONDS = 0.05
_places = PerProcess(lambda: threading.BoundedSemaphore(MOST_THREADS))
is_asking: ContextVar[bool] = ContextVar("waldur_chat_is_asking_for_context", default=False)
"""Whether this code runs within the callable: a model that it asks, as for a better query, gets no context itself."""

Received = Callable[[tuple[ContextText, ...]], None]


async def ask(path: str, query: ContextQuery, tenant: Tenant | None, received: Received) -> tuple[ContextText, ...]:
    """The texts that the callable gives. Raises what it raises, and `ImportError`, `TypeError`.

    `received` gets them in a thread with connections of its own, before they are returned.
    """
    target = import_string(path)

    def take(value: Any) -> Any:
        """Called in a thread, since a generator of texts or a queryset may do its work only now."""
        if inspect.isawaitable(value):
            return value
        texts = as_texts(value)
        received(texts)
        return texts

    if _is_async(target):
        given = target(query)
    else:
        given = await _in_thread(query, tenant, lambda: take(target(query)))
    if inspect.isawaitable(given):
        value = await _awaited(given)
        given = await _in_thread(query, tenant, lambda: take(value))
    texts: tuple[ContextText, ...] = given
    return texts


async def _awaited(given: Awaitable[Any]) -> Any:
    token = is_asking.set(True)
    try:
        return await given
    finally:
        is_asking.reset(token)
        await sync_to_async(release_connections)()


async def _in_thread(query: ContextQuery, tenant: Tenant | None, function: Callable[[], Any]) -> Any:
    places = _places()
    while not places.acquire(blocking=False):  # noqa: ASYNC110  # Threads give them back, of any event loop.
        await asyncio.sleep(WAIT_SECONDS)
    return await run_in_own_thread("waldur-chat-context", partial(_within, query, tenant, function), places)


def _within(query: ContextQuery, tenant: Tenant | None, function: Callable[[], Any]) -> Any:
    """Call it in the user's language and the tenant's schema."""
    is_asking.set(True)
    with within(tenant), translation.override(query.language or translation.get_language()):
        return function()


def as_texts(value: Any) -> tuple[ContextText, ...]:
    """What a callable gave as texts: one or several of them, strings too. Raises `TypeError` for anything else."""
    if value is None:
        return ()
    given = [value] if isinstance(value, (str, ContextText)) else value
    texts = tuple(ContextText(one) if isinstance(one, str) else one for one in given)
    for one in texts:
        if not (isinstance(one, ContextText) and isinstance(one.text, str)):
            raise TypeError(f"CONTEXT gives texts, not {type(one).__name__}.")
    return tuple(one for one in texts if one.text.strip())


def _is_async(target: Any) -> bool:
    return bool(iscoroutinefunction(target) or iscoroutinefunction(getattr(target, "__call__", None)))  # noqa: B004
