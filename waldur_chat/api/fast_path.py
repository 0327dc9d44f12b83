"""Leads requests through Django's own middleware without asgiref, where they came through the door of `shedding`.

Django lets asgiref take each method of a middleware that is not asynchronous to a thread. Those that wait for
nothing cost less than what asgiref does about a call, even where it is spared the thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.utils.deprecation import MiddlewareMixin

from waldur_chat.api import executor, nonblocking
from waldur_chat.api.serving import REPLACED, serve

Test = Callable[..., bool]


def shorten(application: Any) -> None:
    """Serve by `serving`, and shorten the way through the middleware of Django's ASGI handler, where requests came so.

    Middleware that does not say what it has inside, such as a function, is as far as that goes.
    """
    if all(getattr(type(application), name, None) is getattr(ASGIHandler, name, None) for name in REPLACED):
        application.handle = partial(serve, application)
    for middleware in _within(getattr(application, "_middleware_chain", None)):
        tests = [nonblocking.test(getattr(middleware, name, None)) for name in ("process_request", "process_response")]
        if any(tests) and type(middleware).__acall__ is MiddlewareMixin.__acall__:
            middleware.__acall__ = partial(_through, middleware, *tests)
    for place, method in enumerate(views := getattr(application, "_view_middleware", [])):
        if isinstance(method, SyncToAsync) and (test := nonblocking.test(method.func)):
            views[place] = partial(_look, method, test)


def _within(step: Any) -> Iterator[Any]:
    while step is not None:
        yield step
        step = getattr(step, "__wrapped__", None) or getattr(step, "get_response", None)


async def _through(middleware: Any, looks_first: Test | None, looks_last: Test | None, request: Any) -> Any:
    """See MiddlewareMixin.__acall__(). What waits for nothing is called right here: a coroutine more costs as much."""
    if not executor.current():
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


async def _look(method: Any, test: Test, *args: Any) -> Any:
    """The method of a middleware that sees the view."""
    return method.func(*args) if executor.current() and test(*args) else await method(*args)
