"""Runs Django's own middleware for chat requests on the event loop, where it only looks at them.

Django lets asgiref take each method of a middleware that is not asynchronous to a thread and back. Most of its own
methods wait for nothing, and cost less than that way. Only requests that came through the door of `shedding` go so.
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

Test = Callable[..., bool]

_is_inline: ContextVar[bool] = ContextVar("waldur_chat_inline_middleware", default=False)


@contextmanager
def inline() -> Iterator[None]:
    """Serve a request within this: so it goes the shorter way, where there is one."""
    token = _is_inline.set(True)
    try:
        yield
    finally:
        _is_inline.reset(token)


def shorten(application: Any) -> None:
    """Make the shorter way through the middleware of Django's ASGI handler; anything else is left as it is.

    Middleware that does not say what it has inside, such as a function, is as far as that goes.
    """
    if not shortcuts.is_on("inline_middleware"):
        return
    for middleware in _within(getattr(application, "_middleware_chain", None)):
        tests = [
            middleware_table.test(getattr(middleware, name, None)) for name in ("process_request", "process_response")
        ]
        if any(tests) and type(middleware).__acall__ is MiddlewareMixin.__acall__:
            middleware.__acall__ = partial(_through, middleware, *tests)
    views = getattr(application, "_view_middleware", None) or []
    for place, method in enumerate(views):
        inside = getattr(method, "__wrapped__", None)
        if test := middleware_table.test(inside):
            views[place] = partial(_look, method, inside, test)


def _within(step: Any) -> Iterator[Any]:
    while step is not None:
        yield step
        step = getattr(step, "__wrapped__", None) or getattr(step, "get_response", None)


async def _through(middleware: Any, looks_first: Test | None, looks_last: Test | None, request: Any) -> Any:
    """See MiddlewareMixin.__acall__(). What waits for nothing is called right here: a coroutine more costs as much."""
    if not _is_inline.get():
        return await MiddlewareMixin.__acall__(middleware, request)
    response = None
    if look := getattr(middleware, "process_request", None):
        is_quick = looks_first and looks_first(request)
        response = look(request) if is_quick else await sync_to_async(look)(request)
    response = response or await middleware.get_response(request)
    if look := getattr(middleware, "process_response", None):
        is_quick = looks_last and looks_last(request, response)
        response = look(request, response) if is_quick else await sync_to_async(look)(request, response)
    return response


async def _look(method: Any, inside: Any, test: Test, *args: Any) -> Any:
    """The method of a middleware that sees the view."""
    return inside(*args) if _is_inline.get() and test(*args) else await method(*args)
