"""The event loop of processes that have none: under WSGI, in Celery, in commands.

One daemon thread per process runs it, from the first use on. A fork leaves it behind, so the child starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.engine import running_turns

GREENLETS = (("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread"))
"""Modules that may have made threads share one of the system's, and how each is asked whether it has."""

_lock = threading.Lock()
_background: _Background | None = None


class _Background:
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
        """Cancel what still runs, so that connections are closed and nothing complains at exit.

        Turns that nobody reads have their time: a server that was told to stop waits for its requests only.
        """
        if self.process == os.getpid() and not self.loop.is_closed():
            running_turns.wait_for_the_last(self.loop)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout=1)


def loop() -> asyncio.AbstractEventLoop:
    """This process's background loop, started when it is asked for the first time."""
    global _background
    with _lock:
        if _background is None or _background.process != os.getpid():
            _background = _Background()
        return _background.loop


def check() -> None:
    """Raise `ImproperlyConfigured` where threads are greenlets.

    The loop of one would be that of all, and within a loop Django refuses to ask the database: the whole site fails.
    """
    for module, asked, name in GREENLETS:
        if module in sys.modules and getattr(sys.modules[module], asked)(name):
            library = module.partition(".")[0]
            raise ImproperlyConfigured(
                f"An event loop cannot run beside the greenlets of {library}: use gunicorn's gthread workers, or ASGI."
            )


def _forget() -> None:
    """Called in a forked child: the parent's thread is not here, and its lock may be held for ever."""
    global _lock, _background
    _lock, _background = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
