"""Run the synchronous parts of a chat request in a thread that is leased from `thread_pool`.

Without this, Django starts a thread for each request (https://code.djangoproject.com/ticket/32889), and asgiref another
one that joins it. From asgiref 3.13 on `ThreadSensitiveContext` accepts an executor; with older releases the shortcut
is off.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from asgiref import sync

from waldur_chat.asgi import thread_pool
from waldur_chat.asgi.thread_pool import RequestThread
from waldur_chat.runtime import shortcuts

Receive = Callable[[], Awaitable[Any]]

STALL_SECONDS = 10.0
"""How long a request waits for a slot while no other request releases one. Then it goes on without a slot."""


class RequestExecutor(Executor):
    """The executor of one request. It runs one call at a time.

    Before the request waits for its model, all calls share one thread: middleware may leave there what the view looks
    for. Afterwards each call leases a thread for itself, so that a waiting stream occupies none. A thread with an open
    transaction stays with the request.
    """

    is_over = False

    def __init__(self, on_release: Callable[[], None] = lambda: None) -> None:
        self._on_release = on_release
        self._lock = threading.Lock()
        self._thread: RequestThread | None = None
        self._running_calls = 0
        self._keeps_thread = True

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            if self._thread is None:
                self._thread = thread_pool.acquire()
            self._running_calls += 1
            future = self._thread.submit(partial(call, *args, **kwargs))
        # Outside the lock: the callback runs here at once, and takes the lock, if the call has ended already.
        future.add_done_callback(self._done)
        return future

    @property
    def is_busy(self) -> bool:
        """Whether a call is running. For the request itself that means: middleware in the thread is waiting for it."""
        return self._running_calls > 0

    def release(self) -> None:
        """Return the thread to the pool as soon as no call runs in it. Called on the event loop of the request."""
        self._on_release()
        with self._lock:
            self._keeps_thread = False
            self._release_if_idle()

    def end(self) -> None:
        """Release the thread for good, since the request is over."""
        self.is_over = True
        self.release()

    def _done(self, _: Future[Any]) -> None:
        """Count a call as ended. Runs in the leased thread, before the task that awaits the call continues."""
        with self._lock:
            self._running_calls -= 1
            self._release_if_idle()

    def _release_if_idle(self) -> None:
        thread = self._thread
        if thread is None or self._keeps_thread or self._running_calls:
            return
        # The end of a transaction must run on its connection, and a connection belongs to a thread.
        if self.is_over or not thread.is_in_transaction:
            self._thread = None
            thread_pool.release(thread)


class _ViewLimiter:
    """Limits how many requests of an event loop are in their view at the same time.

    Without it, requests that arrive together would each start a thread for the first call, and occupy it until the
    last of them had its turn.
    """

    def __init__(self) -> None:
        self._semaphore = asyncio.Semaphore(thread_pool.MAX_IDLE)
        self._released = 0

    async def acquire(self) -> bool:
        """Wait for a slot. Return False if none was released for `STALL_SECONDS`.

        The requests that hold the slots may then wait for this one: a view may call its own site.
        """
        if not self._semaphore.locked():  # The common case needs no time limit, which would cost a task.
            return await self._semaphore.acquire()
        while True:
            released = self._released
            try:
                return await asyncio.wait_for(self._semaphore.acquire(), STALL_SECONDS)
            except asyncio.TimeoutError:
                if released == self._released:
                    return False

    def release(self) -> None:
        self._released += 1
        self._semaphore.release()


class _Admission:
    """The slot of one request: acquired when its body has arrived, released when it waits for its model or is over.

    A request whose body is still on its way holds no slot, or slow clients would block all others.
    """

    _is_admitted = False

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        loop = asyncio.get_running_loop()
        if loop not in _limiters:
            _limiters[loop] = _ViewLimiter()
        self._limiter = _limiters[loop]

    async def receive(self) -> Any:
        """Return the next ASGI message, the last one of the body only once there is a slot."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._is_admitted = await self._limiter.acquire()
        return message

    def release(self) -> None:
        """Release the slot. Further calls do nothing."""
        if self._is_admitted:
            self._is_admitted = False
            self._limiter.release()


# Each event loop has a limiter of its own, since an asyncio.Semaphore belongs to one loop.
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, _ViewLimiter] = WeakKeyDictionary()


@asynccontextmanager
async def request_executor(receive: Receive) -> AsyncIterator[Receive]:
    """Serve a request within this context: it gets an executor of its own, if asgiref accepts one.

    Yields the `receive` to serve it with, which limits the requests that need a thread to as many as the pool keeps.
    """
    if not shortcuts.is_on("request_executor"):
        yield receive
        return
    admission = _Admission(receive)
    executor = RequestExecutor(admission.release)
    token = _current.set(executor)
    try:
        async with sync.ThreadSensitiveContext(executor=executor):
            yield admission.receive
    finally:
        _current.reset(token)
        executor.end()


_current: ContextVar[RequestExecutor | None] = ContextVar("waldur_chat_executor", default=None)


def current() -> RequestExecutor | None:
    """The executor of the current request; None if it has none, or is over."""
    executor = _current.get()
    # A task that outlives its request, as a stored turn does, inherits the context variable.
    return None if executor is None or executor.is_over else executor
