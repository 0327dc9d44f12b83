"""Detects that the server of this process is stopping, and delays its shutdown.

No signal handler is installed. gunicorn's workers and uvicorn's servers handle SIGTERM with a bound method, and the
object that it belongs to shows whether it is stopping. gunicorn's ASGI worker lets its event loop handle the signal,
so it is looked for among the tasks of that loop: it is `self` in the coroutine that serves. Neither server has a public
API for applications: gunicorn has hooks in its configuration (https://github.com/benoitc/gunicorn/issues/2462), which
is the site's, and uvicorn a timeout (https://github.com/Kludex/uvicorn/issues/451).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from weakref import WeakKeyDictionary

from waldur_chat.runtime import shortcuts


def server_is_stopping(loop: asyncio.AbstractEventLoop | None = None) -> bool:
    """Whether the server is stopping; False if it does not show this.

    `loop` is the one that the caller runs on, where it runs on one.
    """
    # Both, since uvloop too handles signals by a bound method, which is its own.
    servers = [_server(), _worker_on(loop) if loop else None]
    return any(getattr(one, "alive", True) is False or getattr(one, "should_exit", False) is True for one in servers)


def delay_until_done(task: asyncio.Task[None]) -> None:
    """Register the task with uvicorn, so that a graceful shutdown waits for it although it belongs to no request."""
    tasks = getattr(getattr(_server(), "server_state", None), "tasks", None)
    # Only on the loop of uvicorn, which runs in the main thread: its set is not thread-safe.
    if isinstance(tasks, set) and threading.current_thread() is threading.main_thread():
        tasks.add(task)
        task.add_done_callback(tasks.discard)


_workers: WeakKeyDictionary[asyncio.AbstractEventLoop, object] = WeakKeyDictionary()
"""The gunicorn worker of each event loop that was asked for; None where another server runs the loop."""


def _worker_on(loop: asyncio.AbstractEventLoop) -> object:
    """The ASGI worker of gunicorn that serves on this loop, None if there is none; looked for once."""
    if loop not in _workers:
        owners = [_owner(task) for task in asyncio.all_tasks(loop)] if _may_look() else []
        _workers[loop] = next((one for one in owners if type(one).__module__.startswith("gunicorn.workers.")), None)
    return _workers[loop]


def _owner(task: asyncio.Task[object]) -> object:
    """The object whose method the task runs."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("self") if frame else None


def _server() -> object:
    if not _may_look():
        return None
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)


def _may_look() -> bool:
    return shortcuts.is_on("server_shutdown")
