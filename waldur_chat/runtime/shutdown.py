"""Detects that the server of this process is stopping, and delays its shutdown.

No signal handler is installed. gunicorn's workers and uvicorn's servers handle SIGTERM with a bound method, and the
object that it belongs to shows whether it is stopping. Neither server has a public API for applications: gunicorn has
hooks in its configuration (https://github.com/benoitc/gunicorn/issues/2462), which is the site's, and uvicorn a timeout
(https://github.com/Kludex/uvicorn/issues/451).
"""

from __future__ import annotations

import asyncio
import signal
import threading

from waldur_chat.runtime import shortcuts


def server_is_stopping() -> bool:
    """Whether the server is stopping; False if it does not show this."""
    server = _server()
    return getattr(server, "alive", True) is False or getattr(server, "should_exit", False) is True


def delay_until_done(task: asyncio.Task[None]) -> None:
    """Register the task with uvicorn, so that a graceful shutdown waits for it although it belongs to no request."""
    tasks = getattr(getattr(_server(), "server_state", None), "tasks", None)
    # Only on the loop of uvicorn, which runs in the main thread: its set is not thread-safe.
    if isinstance(tasks, set) and threading.current_thread() is threading.main_thread():
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _server() -> object:
    if not shortcuts.is_on("server_shutdown"):
        return None
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
