"""The context of a task that outlives the request which starts it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any

from django.utils import translation


def detached() -> Callable[[], Context]:
    """Return a function that makes an empty context with the caller's language and trace.

    A task inherits the context in which it is created, and with it the executor for the synchronous parts of a request.
    After the request its `sync_to_async` calls fail ("ThreadSensitiveContext has exited", asgiref 3.13;
    https://github.com/django/asgiref/issues/526 for 3.9) or use a thread that is never ended (older releases). In an
    empty context asgiref uses its shared thread for tasks without a request.

    The caller of `detached()` is the request; the returned function is called in the thread of the task's event loop,
    since OpenTelemetry's and Django's state must be set there.
    """
    language, tracing = translation.get_language(), _tracing()

    def make() -> Context:
        context = Context()
        if language:
            context.run(translation.activate, language)
        if tracing:
            attach, trace = tracing
            context.run(attach, trace)
        return context

    return make


def _tracing() -> tuple[Callable[[Any], object], Any] | None:
    """Return OpenTelemetry's function to enter a context, and the current one; None if it was never imported."""
    library: Any = sys.modules.get("opentelemetry.context")
    return (library.attach, library.get_current()) if library else None
