"""The context of a task that outlives the request which starts it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any

from django.utils import translation


def detached() -> Callable[[], Context]:
    """What makes an empty context with the language and the trace of the caller, in the thread that will use it.

    A task inherits the context in which it is created, and with that the executor in which asgiref runs what is
    synchronous of a request. Once the request is over, whatever the task awaits there fails ("ThreadSensitiveContext
    has exited", asgiref 3.13) or gets a thread that nobody ends (older ones). In an empty context asgiref uses its one
    thread for tasks without a request.

    Called by whoever starts the task: from another thread, asgiref shows nothing of the caller's.
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
    """OpenTelemetry's way to enter a context, and the one that is current; None where nobody has imported it."""
    library: Any = sys.modules.get("opentelemetry.context")
    return (library.attach, library.get_current()) if library else None
