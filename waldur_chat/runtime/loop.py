"""The event loop of processes that have none: under WSGI, in Celery, in commands.

One daemon thread per process runs it, from the first use on. A fork leaves it behind, so the child starts its own.
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
"""Modules that may have made threads share one of the system's, and how each is asked whether it has."""

ExitHook = Callable[[asyncio.AbstractEventLoop], None]

_exit_hooks: list[ExitHook] = []


class BackgroundLoop:
    """One loop in one thread, which ends with the process."""

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
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.close()

    def stop(self) -> None:
        """Call the exit hooks, then cancel what still runs, so that connections are closed and nothing complains."""
        if self.process == os.getpid() and not self.loop.is_closed():
            for hook in _exit_hooks:
                hook(self.loop)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout=1)


class _Lazily:
    """Starts the background loop when it is asked for the first time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._background: BackgroundLoop | None = None

    def get(self) -> BackgroundLoop:
        with self._lock:
            if self._background is None:
                self._background = BackgroundLoop()
            return self._background


background = PerProcess(_Lazily)


def background_loop() -> asyncio.AbstractEventLoop:
    """This process's background loop, started when it is asked for the first time."""
    return background().get().loop


def call_at_exit(hook: ExitHook) -> None:
    """Call this with the background loop when the process ends, before what runs there is cancelled."""
    _exit_hooks.append(hook)


def check_threads() -> None:
    """Raise `ImproperlyConfigured` where threads are greenlets.

    The loop of one would be that of all, and within a loop Django refuses to ask the database: the whole site fails.
    """
    for module, asked, name in GREENLETS:
        if module in sys.modules and getattr(sys.modules[module], asked)(name):
            library = module.partition(".")[0]
            raise ImproperlyConfigured(
                f"An event loop cannot run beside the greenlets of {library}: use gunicorn's gthread workers, or ASGI."
            )
