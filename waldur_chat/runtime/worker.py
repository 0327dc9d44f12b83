"""Threads for what must not block an event loop: one of each name in a process, started on first use after a fork.

Acts are done one after the other, as they were asked for, also when who asked is cancelled meanwhile; and while the
process exits, when executors take nothing more. One that can take several items takes all that wait. Who has asked for
an act that stands still is told that it failed, though it may yet be done; another thread goes on with the next.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from django.db import Error, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from waldur_chat.runtime.supervised_thread import Run, SupervisedThread

Item = TypeVar("Item")
T = TypeVar("T")

TIMEOUT_SECONDS = 6.0
"""How long an act may take, until who asked for it is told that it failed, and another thread goes on with the next."""

DRAIN_SECONDS = 5.0
"""How long a process that exits may take to do what was asked for."""

LINGER_SECONDS = 0.1
"""How long a connection waits for the next act: to make one takes longer than most acts do."""

MOST_TOGETHER = 50
"""How many items are taken at once: the first waits for the last."""


class Worker:
    """One thread. It keeps a connection of the database only while there is something to do, and a moment longer."""

    def __init__(self, name: str) -> None:
        self._name = name
        atexit.register(self.drain)  # Before the background loop does: what its turns leave behind is asked for last.
        self._process = 0
        self._acts: SimpleQueue[Callable[[Run], None]] = SimpleQueue()
        self._waiting: deque[_Asked] = deque()

    def submit(self, act: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Ask for an act; await what it returns or raises, or an `OperationalError` where it stands still."""
        asked = _Asked(args)
        self._ready().put(partial(_do, lambda items: [act(*args) for args in items], [asked]))
        return asked.future

    def submit_batched(self, act: Callable[[Sequence[Item]], Sequence[T]], item: Item) -> asyncio.Future[T]:
        """Ask for an act that gives something for each of the items that wait by then; a worker has one such act.

        Where it fails with several, it is done anew with each alone.
        """
        asked = _Asked(item)
        acts, waiting = self._ready(), self._waiting
        waiting.append(asked)
        acts.put(lambda run: _do(act, _taken(waiting), run))
        return asked.future

    def _ready(self) -> SimpleQueue[Callable[[Run], None]]:
        """What the thread, which runs from now on, goes through."""
        if self._process != os.getpid():  # Who comes second in the same moment starts another thread, which is as good.
            self._process, self._acts, self._waiting = os.getpid(), SimpleQueue(), deque()
            SupervisedThread(self._name, partial(self._run, self._acts), TIMEOUT_SECONDS).go()
        return self._acts

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Wait until everything that was asked for is done; for a process that exits."""
        if self._process == os.getpid():
            done = threading.Event()
            self._acts.put(lambda _: done.set())
            done.wait(seconds)

    @staticmethod
    def _run(acts: SimpleQueue[Callable[[Run], None]], run: Run) -> None:
        while not run.is_over:
            acts.get()(run)
            with suppress(Empty):
                while not run.is_over:
                    if acts.empty():
                        _close(_is_pooled)
                    acts.get(timeout=LINGER_SECONDS)(run)
            _close(_is_open)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class _Asked:
    """Who awaits what comes of an item."""

    __slots__ = ("future", "item", "loop")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


def _taken(waiting: deque[_Asked]) -> list[_Asked]:
    taken: list[_Asked] = []
    with suppress(IndexError):
        while len(taken) < MOST_TOGETHER:
            taken.append(waiting.popleft())
    return taken


def _do(act: Callable[[Sequence[Any]], Sequence[object]], asked: Sequence[_Asked], run: Run) -> None:
    """Do an act with the items of all who asked, if there are any, and tell them."""
    if not asked:  # They were taken before.
        return
    outcomes: Sequence[object]
    try:
        with run.operation(partial(_tell_all, asked, [_Failed(OperationalError("No answer in time."))] * len(asked))):
            _close(_is_broken)  # Its database may have gone away since.
            outcomes = act([one.item for one in asked])
    except Exception as error:
        outcomes = [_Failed(error)]
    if len(outcomes) < len(asked):  # It failed with several. Those of a stint that is over were told so.
        for one in asked if not run.is_over else []:
            _do(act, [one], run)
        return
    _tell_all(asked, outcomes)


def _tell_all(asked: Sequence[_Asked], outcomes: Sequence[object]) -> None:
    for loop in {one.loop for one in asked}:
        told = [(one.future, outcome) for one, outcome in zip(asked, outcomes, strict=True) if one.loop is loop]
        with suppress(RuntimeError):  # The loop is closed: nobody waits.
            loop.call_soon_threadsafe(_tell, told)


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


def _tell(told: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in told:
        if future.done():  # Who asked was cancelled, or told that it takes too long.
            continue
        if isinstance(outcome, _Failed):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)
