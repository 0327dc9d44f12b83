"""Where the synchronous parts of a request run under ASGI: in a thread that is kept for later requests.

Django makes a thread for each request and another that waits for its end, and goes there and back for every method of
every middleware that is not asynchronous. What waits for nothing is run where it is called, on the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from waldur_chat.api import nonblocking

MOST_KEPT = 64
"""Threads that wait for the next request; those that are beyond it end with theirs."""


class _Thread:
    """One thread. `connections` are its own of the database, open or not."""

    connections: Sequence[BaseDatabaseWrapper] = ()

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "waldur-chat-request", self._look)

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        return self._executor.submit(call)

    @property
    def is_in_transaction(self) -> bool:
        return any(connection.in_atomic_block for connection in self.connections)

    def rest(self) -> None:
        """Close what is open, and wait for the next request; end if too many do so, or in a transaction."""
        if any(connection.connection is not None for connection in self.connections):
            self._executor.submit(give_back_connections)
        if len(_resting) < MOST_KEPT and not self.is_in_transaction:
            _resting.append(self)
        else:
            self._executor.shutdown(wait=False)

    def _look(self) -> None:
        self.connections = connections.all()


def give_back_connections() -> bool:
    """Close this thread's connections (to a pool where there is one), except those within a transaction.

    Tells whether none is left open. Django opens them again when they are needed.
    """
    opened = connections.all(initialized_only=True)
    for connection in opened:
        if not connection.in_atomic_block:
            connection.close()
    return not any(connection.in_atomic_block for connection in opened)


_resting: list[_Thread] = []
os.register_at_fork(after_in_child=_resting.clear)


class RequestExecutor(Executor):
    """That of one request. Used on its event loop."""

    def __init__(self) -> None:
        self._thread: _Thread | None = None
        self._last: Future[Any] | None = None

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See Executor.submit(). What was done at once is given as a future of the event loop, which may be either."""
        if _is_nonblocking(call):
            return _done(call)
        if self._thread is None:
            self._thread = _rested()
        self._last = self._thread.submit(partial(call, *args, **kwargs))
        return self._last

    def rest(self) -> None:
        """Give the thread back when it has done what it does; whatever comes later gets one again.

        One with a transaction stays, and ends with its request.
        """
        thread, last = self._thread, self._last
        if thread and last and not thread.is_in_transaction:
            self._thread = self._last = None
            last.add_done_callback(lambda _: thread.rest())


def _rested() -> _Thread:
    with suppress(IndexError):  # Event loops of other threads take from it too.
        return _resting.pop()
    return _Thread()


@asynccontextmanager
async def request_executor() -> AsyncIterator[None]:
    """Within it a request has an executor of its own, unless it is in some other already."""
    async with ThreadSensitiveContext() as context:
        executor = RequestExecutor()
        if SyncToAsync.thread_sensitive_context.get() is context:
            SyncToAsync.context_to_thread_executor[context] = executor
        try:
            yield
        finally:
            SyncToAsync.context_to_thread_executor.pop(context, None)
            executor.rest()


def current() -> RequestExecutor | None:
    """That of the request which runs now; None for one that did not come through the door."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.get(context) if context else None
    return executor if isinstance(executor, RequestExecutor) else None


def _is_nonblocking(call: Any) -> bool:
    """Whether what asgiref wants to be called, by whatever it has put around it, waits for nothing."""
    function = call.args[-1] if isinstance(call, partial) and call.args else None
    test = nonblocking.test(getattr(function, "func", None))
    return test is not None and test(*function.args)  # type: ignore[union-attr]


def _done(call: Callable[[], Any]) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001  # Whoever awaits it gets it.
        future.set_exception(error)
    return future
