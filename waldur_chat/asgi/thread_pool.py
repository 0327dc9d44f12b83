"""Threads in which what is synchronous of chat requests runs, one request at a time, kept from one to the next."""

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

MOST_RESTING = 64
"""Threads that wait for the next request; those beyond it end with theirs."""

RESTING_SECONDS = 60.0
"""How long one waits. The last to come is the first to go, so those of a crowd are needed no more once it is over."""


class RequestThread:
    """A thread, and what it has open when it has done what it was asked for."""

    has_connections = False
    is_in_transaction = False
    rests_since = 0.0

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="waldur-chat-request")

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """See Executor.submit()."""
        return self._executor.submit(self._run, call)

    def end(self) -> None:
        """End it, with its connections, when it has done what it was asked for."""
        self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)

    def _run(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            opened = [one for one in connections.all(initialized_only=True) if one.connection is not None]
            self.has_connections = bool(opened)
            self.is_in_transaction = any(one.in_atomic_block for one in opened)


def acquire() -> RequestThread:
    """One that waits for the next request, or a new one."""
    with suppress(IndexError):  # Event loops of other threads take from it too.
        return _resting.pop()
    return RequestThread()


def release(thread: RequestThread) -> None:
    """Let it wait for the next request, which gets its persistent connections (`CONN_MAX_AGE`) too; others are closed.

    One in a transaction ends: nobody else may go on with that.
    """
    if thread.is_in_transaction:
        thread.end()
        return
    if thread.has_connections:
        thread.submit(partial(release_connections, keep_persistent=True))
    thread.rests_since = monotonic()
    _resting.append(thread)
    with suppress(IndexError):
        while len(_resting) > MOST_RESTING or _resting[0].rests_since < monotonic() - RESTING_SECONDS:
            _resting.popleft().end()


_resting: deque[RequestThread] = deque()
os.register_at_fork(after_in_child=_resting.clear)
