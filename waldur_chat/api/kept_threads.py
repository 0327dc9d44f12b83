"""Threads in which the synchronous parts of requests run, one request at a time, kept from one to the next."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from time import monotonic
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

MOST_KEPT = 64
"""Threads that wait for the next request; those that are beyond it end with theirs."""

EXIT_SECONDS = 5.0
"""How long a process that exits waits for what its threads do."""

_Calls = tuple[Sequence[Callable[[], Any]], "asyncio.Future[Any] | None"]
"""One after the other; the outcome of the last is that of the future."""


class KeptThread:
    """One thread. It is asked and left on the event loop of the request that has it.

    What a `ThreadPoolExecutor` does about a call, with two futures and their locks, costs more than most calls here.
    """

    connections: Sequence[BaseDatabaseWrapper] = ()
    """Its own of the database, open or not."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Calls | None] = SimpleQueue()
        self._due: Sequence[Callable[[], Any]] = ()
        self._at_work = 0
        self._is_left = False
        self.thread = threading.Thread(target=self._run, name="waldur-chat-request", daemon=True)
        _all.add(self)
        self.thread.start()

    def prepare(self, calls: Iterable[Callable[[], object]]) -> None:
        """Let it do first, before what it is asked for next, what is due where it has connections open."""
        self._due = tuple(calls) if self._opened() else ()

    def submit(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Ask for a call; its outcome is that of the future. One that is cancelled before it begins is not called."""
        future = asyncio.get_running_loop().create_future()
        self._at_work += 1
        self._calls.put(((*self._due, call), future))  # Not one by one: each would wake it.
        self._due = ()
        return future

    @property
    def is_in_transaction(self) -> bool:
        """Whether a connection of its own is."""
        return any(connection.in_atomic_block for connection in self.connections)

    def leave(self) -> None:
        """Let it rest as soon as it has done what it was asked for."""
        self._is_left = True
        if not self._at_work:
            self._rest()

    def end(self) -> None:
        """Let it end when it has done what it was asked for."""
        self._calls.put(None)

    def _rest(self) -> None:
        """Close what is open, and wait for the next request; end if too many do so, or in a transaction.

        A persistent connection stays open until it is too old, so that the next request has it.
        """
        self._is_left = False
        is_kept = len(_resting) < MOST_KEPT and not self.is_in_transaction
        opened = self._opened()
        if not (is_kept and all(_lasts(connection) for connection in opened)):
            self._calls.put(([partial(give_back_connections, keeps=is_kept)], None))
        elif opened:
            _close_oldest()
        if is_kept:
            _resting.append(self)
        else:
            self.end()

    def close_old(self) -> bool:
        """Close what is open and too old; tell whether anything is open."""
        opened = self._opened()
        if not all(_lasts(connection) for connection in opened):
            self._calls.put(([partial(give_back_connections, keeps=True)], None))
        return bool(opened)

    def _opened(self) -> list[BaseDatabaseWrapper]:
        return [connection for connection in self.connections if connection.connection is not None]

    def _run(self) -> None:
        self.connections = connections.all()
        try:
            while self._do_next():
                pass
        finally:
            _all.discard(self)

    def _do_next(self) -> bool:
        """Do what comes next; False where that is to end. While it waits, it holds nothing of what was before."""
        asked = self._calls.get()
        if asked is None:
            return False
        calls, future = asked
        result, error = None, None
        try:
            result = None if future and future.cancelled() else _in_turn(calls)
        except BaseException as raised:  # noqa: BLE001  # Whoever awaits it gets it.
            error = raised
        try:
            if future:
                future.get_loop().call_soon_threadsafe(self._tell, future, result, error)
        except RuntimeError:  # The event loop is closed: nobody waits, and nobody would leave this thread.
            return False
        finally:
            del asked, calls, future, result, error  # An error holds its frames, and this one would hold the error.
        return True

    def _tell(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._at_work -= 1
        if self._is_left and not self._at_work:
            self._rest()
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # A future takes anything else.
            future.set_exception(RuntimeError("A synchronous part of a request raised StopIteration."))
        else:
            future.set_exception(error)


def _in_turn(calls: Sequence[Callable[[], Any]]) -> Any:
    *due, call = calls
    for one in due:
        one()
    return call()


def rested() -> KeptThread:
    """One that waits for the next request, or a new one."""
    with suppress(IndexError):  # Event loops of other threads take from it too.
        return _resting.pop()
    _end_all_at_exit()
    return KeptThread()


def give_back_connections(*, keeps: bool = False) -> bool:
    """Close this thread's connections (to a pool where there is one), except those within a transaction.

    `keeps` says that the thread goes on to the next request: persistent ones (`CONN_MAX_AGE`) stay open then. Tells
    whether none is in a transaction. Django opens them again when they are needed.
    """
    opened = connections.all(initialized_only=True)
    for connection in opened:
        if connection.in_atomic_block:
            continue
        if keeps:
            connection.close_if_unusable_or_obsolete()
        else:
            connection.close()
    return not any(connection.in_atomic_block for connection in opened)


def _lasts(connection: BaseDatabaseWrapper) -> bool:
    """Whether the site wants it to be kept still."""
    return connection.close_at is None or connection.close_at > monotonic()


def _close_oldest() -> None:
    """Of the threads that rest, the one with a connection that has rested longest closes it when it is too old.

    After many requests at once most threads have one that no later request would ever ask for its age.
    """
    for one in _resting:
        if one.close_old():
            return


@cache
def _end_all_at_exit() -> None:
    """Once there are any: so it comes before what ends with the process, but was made before the first request."""
    atexit.register(_end_all)


def _end_all() -> None:
    """Let those at work finish; for a process that exits, which ends the others."""
    end = monotonic() + EXIT_SECONDS
    for one in list(_all):
        one.end()
    for one in list(_all):
        one.thread.join(max(0.0, end - monotonic()))


_all: set[KeptThread] = set()
_resting: list[KeptThread] = []
os.register_at_fork(after_in_child=_all.clear)
os.register_at_fork(after_in_child=_resting.clear)
