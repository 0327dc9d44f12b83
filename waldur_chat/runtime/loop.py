"""The background event loop of a process without one: under WSGI, in Celery, in commands.

One daemon thread per process runs it from its first use on. A forked child does not inherit the thread and starts its
own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.runtime.forked import PerProcess

GREENLETS = (("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread"))
"""Modules that can replace threads by greenlets: module, function that says whether it did, argument."""

ExitHook = Callable[[asyncio.AbstractEventLoop], None]

_exit_hooks: list[ExitHook] = []


class BackgroundLoop:
    """One event loop in one thread, stopped when the process exits."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="waldur-chat", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.close()

    def stop(self) -> None:
        """Call the exit hooks, then cancel the remaining tasks, so that their connections are closed."""
        # A forked child inherits the hook of atexit, but not the thread.
        if self.process == os.getpid() and not self.loop.is_closed():
            for hook in _exit_hooks:
                hook(self.loop)
            # The thread then cancels the remaining tasks in _run().
            self.loop.call_soon_threadsafe(self.loop.stop)
            # A daemon thread: a task that ignores its cancellation must not keep the process.
            self._thread.join(timeout=1)


class _LazyLoop:
    """Starts the background loop at its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._background: BackgroundLoop | None = None

    def get(self) -> BackgroundLoop:
        with self._lock:
            if self._background is None:
                self._background = BackgroundLoop()
            return self._background


background = PerProcess(_LazyLoop)


def background_loop() -> asyncio.AbstractEventLoop:
    """Return this process's background loop, started at its first use."""
    return background().get().loop


def call_at_exit(hook: ExitHook) -> None:
    """Call this hook with the background loop when the process exits, before the remaining tasks are cancelled."""
    _exit_hooks.append(hook)


def check_threads() -> None:
    """Raise `ImproperlyConfigured` if threads are greenlets.

    All greenlets share one thread and so would all count as running the background loop. Within a loop Django refuses
    database access, so the whole site would fail.
    """
    for module, function, name in GREENLETS:
        if module in sys.modules and getattr(sys.modules[module], function)(name):
            library = module.partition(".")[0]
            raise ImproperlyConfigured(
                f"An event loop cannot run beside the greenlets of {library}: use gunicorn's gthread workers, or ASGI."
            )
