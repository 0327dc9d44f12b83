"""Where what is synchronous of a chat request runs: in a thread that is leased from `thread_pool`.

Django makes a thread for each request, and another that waits for its end. asgiref takes an executor instead, from 3.13
on; with an older one requests go Django's way.
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

PATIENCE_SECONDS = 10.0
"""How long a request waits while none of those before it gets on."""


class RequestExecutor(Executor):
    """That of one request, which calls one function at a time.

    Until the request waits for its model all run in one thread: middleware may leave there what the view looks for.
    From then on each call gets a thread for itself: a stream that waits has none, unless a transaction is open.
    """

    is_over = False

    def __init__(self, leave: Callable[[], None] = lambda: None) -> None:
        self._leave = leave
        self._lock = threading.Lock()
        self._thread: RequestThread | None = None
        self._at_work = 0
        self._keeps_thread = True

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor.submit()."""
        with self._lock:
            if self._thread is None:
                self._thread = thread_pool.acquire()
            self._at_work += 1
            future = self._thread.submit(partial(call, *args, **kwargs))
        future.add_done_callback(self._done)
        return future

    @property
    def is_busy(self) -> bool:
        """Whether something runs in its thread: asked by the request itself, that somebody waits there for it."""
        return self._at_work > 0

    def release(self) -> None:
        """Give the thread back, as soon as nothing runs in it. Called on the event loop of the request."""
        self._leave()
        with self._lock:
            self._keeps_thread = False
            self._give_back()

    def end(self) -> None:
        """The request is over."""
        self.is_over = True
        self.release()

    def _done(self, _: Future[Any]) -> None:
        """Called in the thread itself, before whoever awaits the call goes on."""
        with self._lock:
            self._at_work -= 1
            self._give_back()

    def _give_back(self) -> None:
        thread = self._thread
        if thread is None or self._keeps_thread or self._at_work:
            return
        if self.is_over or not thread.is_in_transaction:
            self._thread = None
            thread_pool.release(thread)


class _Room:
    """As many requests of an event loop as have their view at once.

    Many that come together would each start a thread for its first call, and keep it until its last had its turn.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(thread_pool.MOST_RESTING)
        self._left = 0

    async def enter(self) -> bool:
        """Wait for a place; False where nobody has left for long: those inside may wait for this one."""
        if not self._places.locked():  # Then to wait costs nothing; a limit of time would cost a task.
            return await self._places.acquire()
        while True:
            left = self._left
            try:
                return await asyncio.wait_for(self._places.acquire(), PATIENCE_SECONDS)
            except asyncio.TimeoutError:
                if left == self._left:
                    return False

    def leave(self) -> None:
        """Make a place free."""
        self._left += 1
        self._places.release()


class _Turnstile:
    """Lets a request in when its body has arrived, and leave when it waits for its model, or is over."""

    _is_in = False

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        loop = asyncio.get_running_loop()
        if loop not in _rooms:
            _rooms[loop] = _Room()
        self._room = _rooms[loop]

    async def receive(self) -> Any:
        """See the ASGI protocol."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._is_in = await self._room.enter()
        return message

    def leave(self) -> None:
        """Make room, once."""
        if self._is_in:
            self._is_in = False
            self._room.leave()


_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = WeakKeyDictionary()


@asynccontextmanager
async def request_executor(receive: Receive) -> AsyncIterator[Receive]:
    """Serve a request within this: with an executor of its own, where asgiref takes one; gives its `receive`.

    No more requests are in the part that needs threads than there are threads to keep.
    """
    if not shortcuts.is_on("request_executor"):
        yield receive
        return
    turnstile = _Turnstile(receive)
    own = RequestExecutor(turnstile.leave)
    token = _current.set(own)
    try:
        async with sync.ThreadSensitiveContext(executor=own):
            yield turnstile.receive
    finally:
        _current.reset(token)
        own.end()


_current: ContextVar[RequestExecutor | None] = ContextVar("waldur_chat_executor", default=None)


def current() -> RequestExecutor | None:
    """That of the request which runs now; None where it has none, and after its end."""
    executor = _current.get()
    return None if executor is None or executor.is_over else executor
