"""Threads for what must not block an event loop: one of each name in a process, started on first use after a fork.

Acts are done one after the other, as they were asked for, also when who asked is cancelled meanwhile; and while the
process exits, when executors take nothing more.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

DRAIN_SECONDS = 5.0
"""How long a process that exits may take to do what was asked for."""

LINGER_SECONDS = 0.1
"""How long a connection waits for the next act: to make one takes longer than most acts do."""


class Worker:
    """One thread. It keeps a connection of the database only while there is something to do, and a moment longer."""

    def __init__(self, name: str) -> None:
        self._name = name
        atexit.register(self.drain)  # Before the background loop does: what its turns leave behind is asked for last.
        self._process = 0
        self._acts: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def do(self, act: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Ask for an act; await what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._process != os.getpid():  # Who comes second in the same moment starts another thread, which is as good.
            self._process, self._acts = os.getpid(), SimpleQueue()
            threading.Thread(target=self._run, args=(self._acts,), name=self._name, daemon=True).start()
        self._acts.put(partial(_do, loop, future, act, *args))
        return future

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Wait until everything that was asked for is done; for a process that exits."""
        if self._process == os.getpid():
            done = threading.Event()
            self._acts.put(done.set)
            done.wait(seconds)

    @staticmethod
    def _run(acts: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            acts.get()()
            with suppress(Empty):
                while True:
                    if acts.empty():
                        _close(_is_pooled)
                    acts.get(timeout=LINGER_SECONDS)()
            _close(_is_open)


def _do(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], act: Callable[..., Any], *args: object) -> None:
    try:
        _close(_is_broken)  # Its database may have gone away since.
        result = partial(_set, future, act(*args), None)
    except Exception as error:
        result = partial(_set, future, None, error)
    with suppress(RuntimeError):  # The loop is closed: nobody waits.
        loop.call_soon_threadsafe(result)


def _close(which: Callable[[BaseDatabaseWrapper], bool]) -> None:
    """Close those of this thread's connections that are so."""
    for connection in connections.all(initialized_only=True):
        with suppress(Error):
            if _is_open(connection) and which(connection):
                connection.close()


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    return connection.connection is not None


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    return not connection.is_usable()


def _is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether others may wait for it; to get one back costs next to nothing."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def _set(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if future.done():  # Who asked was cancelled.
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
