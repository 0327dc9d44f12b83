"""Where the synchronous parts of a request run under ASGI: in a thread that is kept for later requests.

Django makes a thread for each request and another that waits for its end, and goes there and back for every method of
every middleware that is not asynchronous. What waits for nothing is run where it is called, on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextvars import ContextVar, Token
from functools import partial
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext

from waldur_chat.api import edges, nonblocking
from waldur_chat.api.kept_threads import KeptThread, rested


class RequestExecutor(Executor):
    """That of one request, which runs within it, unless it is in some other already. Used on its event loop."""

    is_over = True
    """Whether its request is, or it was never that of one."""
    hears_hangups = False
    """Whether its request ends when its client hangs up, whatever release of Django that is."""

    def __init__(self) -> None:
        self._context: Any = ThreadSensitiveContext()  # Untyped.
        self._thread: KeptThread | None = None
        self.due: Sequence[edges.Receiver] = ()
        """What is to be done first in its thread."""
        self._token: Token[RequestExecutor | None]

    async def __aenter__(self) -> RequestExecutor:
        await self._context.__aenter__()
        if SyncToAsync.thread_sensitive_context.get() is self._context:
            SyncToAsync.context_to_thread_executor[self._context] = self
            self._token = _current.set(self)
            self.is_over = False
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.is_over:
            self.is_over = True
            _current.reset(self._token)
            SyncToAsync.context_to_thread_executor.pop(self._context, None)
            self.rest()
            if self._thread:  # It is in a transaction that nobody will end.
                self._thread.end()
        await self._context.__aexit__(None, None, None)

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See Executor.submit(). What it gives is a future of the event loop, as asgiref and asyncio take it too."""
        function, given = _asked(call)
        if (test := nonblocking.test(function)) and test(*given):
            return _done(call)
        if self._thread is None:
            self._thread = rested()
            self._thread.prepare(self.due)
            self.due = ()
        return self._thread.submit(partial(call, *args, **kwargs) if args or kwargs else call)

    def rest(self) -> None:
        """Give the thread back when it has done what it does; whatever comes later gets one again.

        One with a transaction stays, and ends with its request.
        """
        thread = self._thread
        if thread and not thread.is_in_transaction:
            self._thread = None
            thread.leave()


_current: ContextVar[RequestExecutor | None] = ContextVar("waldur_chat_executor", default=None)


def current() -> RequestExecutor | None:
    """That of the request which runs now; None for one that did not come through the door, and after its end."""
    executor = _current.get()
    return None if executor is None or executor.is_over else executor


def kept() -> RequestExecutor | None:
    """The same, unless somebody waits in the thread, as middleware of the site that is not asynchronous does."""
    own = current()  # First, since asgiref's answer that there is none may leave a cycle, with all frames, behind.
    return None if own is None or getattr(AsyncToSync.executors, "current", None) else own


def _asked(call: Any) -> tuple[object, Sequence[Any]]:
    """What asgiref wants to be called, and its arguments, within whatever it has put around it."""
    inside = call.args[-1] if isinstance(call, partial) and call.args else None
    return getattr(inside, "func", None), getattr(inside, "args", ())


def _done(call: Callable[[], Any]) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001  # Whoever awaits it gets it.
        future.set_exception(error)
    return future
