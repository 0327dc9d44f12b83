"""A pool of threads for the synchronous parts of chat requests. A thread serves one request at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from django.db import connections

from waldur_chat.runtime.connections import release_connections

MAX_IDLE = 64
"""The number of idle threads that the pool keeps. Further threads end with their request."""

MAX_IDLE_SECONDS = 60.0
"""How long a thread may be idle. The pool is a stack, so the threads of a peak are no longer used when it is over."""


class RequestThread:
    """A thread, and the state of its database connections after the last call."""

    has_connections = False
    is_in_transaction = False
    idle_since = 0.0

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="waldur-chat-request")

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        return self._executor.submit(self._run, call)

    def end(self) -> None:
        """Close the connections and end the thread, after the calls that were submitted before."""
        self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)

    def _run(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            # Noted here, since other threads do not see the connections of this one.
            opened = [one for one in connections.all(initialized_only=True) if one.connection is not None]
            self.has_connections = bool(opened)
            self.is_in_transaction = any(one.in_atomic_block for one in opened)


def acquire() -> RequestThread:
    """Return an idle thread, or a new one."""
    # No check before the pop: event loops in other threads take from the same pool.
    with suppress(IndexError):
        return _idle.pop()
    return RequestThread()


def release(thread: RequestThread) -> None:
    """Keep the thread for the next request, with its persistent connections (`CONN_MAX_AGE`); others are closed.

    A thread with an open transaction ends instead: the next request must not continue that transaction.
    """
    if thread.is_in_transaction:
        thread.end()
        return
    if thread.has_connections:
        thread.submit(partial(release_connections, keep_persistent=True))
    thread.idle_since = monotonic()
    _idle.append(thread)
    with suppress(IndexError):
        while len(_idle) > MAX_IDLE or _idle[0].idle_since < monotonic() - MAX_IDLE_SECONDS:
            _idle.popleft().end()


_idle: deque[RequestThread] = deque()
# A forked child has none of its parent's threads.
os.register_at_fork(after_in_child=_idle.clear)
