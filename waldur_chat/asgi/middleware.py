"""Run Django's own middleware on the event loop for chat requests, if a method does not block.

asgiref moves each method of synchronous middleware to a thread and back. Most of Django's own methods only look at the
request, and cost less than that detour. Only requests that arrive through `shedding` take this path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.utils.deprecation import MiddlewareMixin

from waldur_chat.asgi import middleware_table
from waldur_chat.runtime import shortcuts

Condition = Callable[..., bool]

_is_inline: ContextVar[bool] = ContextVar("waldur_chat_inline_middleware", default=False)


@contextmanager
def inline() -> Iterator[None]:
    """Serve a request within this context: its middleware runs inline, as far as `install` has prepared that."""
    token = _is_inline.set(True)
    try:
        yield
    finally:
        _is_inline.reset(token)


def install(application: Any) -> None:
    """Prepare the middleware of Django's ASGI handler for inline calls. Any other application is left unchanged.

    The walk ends at middleware that does not show what it wraps, such as a function.
    """
    if not shortcuts.is_on("inline_middleware"):
        return
    for middleware in _chain(getattr(application, "_middleware_chain", None)):
        conditions = [
            middleware_table.find_condition(getattr(middleware, name, None))
            for name in ("process_request", "process_response")
        ]
        # A subclass with an `__acall__` of its own does more than Django's, and keeps it.
        if any(conditions) and type(middleware).__acall__ is MiddlewareMixin.__acall__:
            middleware.__acall__ = partial(_call_middleware, middleware, *conditions)
    view_methods = getattr(application, "_view_middleware", None) or []
    for index, adapted in enumerate(view_methods):
        # Django has wrapped `process_view` with sync_to_async, which sets `__wrapped__`.
        method = getattr(adapted, "__wrapped__", None)
        if condition := middleware_table.find_condition(method):
            view_methods[index] = partial(_call_view_method, adapted, method, condition)


def _chain(step: Any) -> Iterator[Any]:
    """The middleware from the outermost one inwards."""
    while step is not None:
        yield step
        step = getattr(step, "__wrapped__", None) or getattr(step, "get_response", None)


async def _call_middleware(
    middleware: Any, request_condition: Condition | None, response_condition: Condition | None, request: Any
) -> Any:
    """Replace `MiddlewareMixin.__acall__()`: call a method directly if its condition holds.

    Both calls are written out, since a coroutine more would cost as much as is saved.
    """
    if not _is_inline.get():
        return await MiddlewareMixin.__acall__(middleware, request)
    response = None
    if method := getattr(middleware, "process_request", None):
        is_quick = request_condition and request_condition(request)
        response = method(request) if is_quick else await sync_to_async(method)(request)
    response = response or await middleware.get_response(request)
    if method := getattr(middleware, "process_response", None):
        is_quick = response_condition and response_condition(request, response)
        response = method(request, response) if is_quick else await sync_to_async(method)(request, response)
    return response


async def _call_view_method(adapted: Any, method: Any, condition: Condition, *args: Any) -> Any:
    """Call `process_view` of a middleware: directly if its condition holds, else as Django has adapted it."""
    return method(*args) if _is_inline.get() and condition(*args) else await adapted(*args)
