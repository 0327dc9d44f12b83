"""Whether the server of this process was told to stop, and what it is asked to wait for.

Nothing is installed for that. gunicorn's workers and uvicorn's servers handle SIGTERM with a method of their own, and
the object that it belongs to says whether it is stopping.
"""

from __future__ import annotations

import asyncio
import signal
import threading

from waldur_chat.runtime import shortcuts


def server_is_stopping() -> bool:
    """Whether the server was told to stop; False also where it does not tell."""
    server = _server()
    return getattr(server, "alive", True) is False or getattr(server, "should_exit", False) is True


def hold(task: asyncio.Task[None]) -> None:
    """Register the task with uvicorn, so that a graceful shutdown waits for it although it belongs to no request."""
    held = getattr(getattr(_server(), "server_state", None), "tasks", None)
    if isinstance(held, set) and threading.current_thread() is threading.main_thread():
        held.add(task)
        task.add_done_callback(held.discard)


def _server() -> object:
    if not shortcuts.is_on("server_shutdown"):
        return None
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
