"""Worker threads for what must not block an event loop: one of each name per process, started at its first use.

Operations run one after the other in the order of submission, also if the caller is cancelled meanwhile, and while the
process exits, when executors accept nothing more. A batched operation takes all items that are waiting. If an operation
blocks, its caller gets an error although it may still be completed, and another thread continues.
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
"""How long an operation may take, before its caller gets an error and another thread runs the next one."""

DRAIN_SECONDS = 5.0
"""How long an exiting process may take to run what was submitted."""

LINGER_SECONDS = 0.1
"""How long a connection is kept for the next operation: connecting takes longer than most operations."""

MAX_BATCH = 50
"""Most items of a batch: its first item waits for the last."""

MAX_BATCH_SIZE = 4_000_000
"""The size from which a batch takes no more items, so that writing it takes a fraction of `TIMEOUT_SECONDS`."""


class Worker:
    """One thread. It holds a database connection only while there is work, and `LINGER_SECONDS` longer."""

    def __init__(self, name: str) -> None:
        self._name = name
        # atexit hooks run in reverse order: this one, registered at import, runs after that of the background loop,
        # whose turns submit their outcomes while they end.
        atexit.register(self.drain)
        self._process = 0
        self._queue: SimpleQueue[Callable[[Run], None]] = SimpleQueue()
        self._waiting: deque[_Job] = deque()

    def submit(self, operation: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Run an operation. The result raises `OperationalError` if it blocks."""
        job = _Job(args)
        self._running_queue().put(partial(_execute, lambda items: [operation(*args) for args in items], [job]))
        return job.future

    def submit_batched(
        self, operation: Callable[[Sequence[Item]], Sequence[T]], item: Item, group: object = None, *, size: int = 0
    ) -> asyncio.Future[T]:
        """Run an operation that returns one result for each waiting item of the group. A worker has one such operation.

        If it fails for several items, it is repeated for each alone. `size` is what the item holds, in characters.
        """
        job = _Job(item, group, size)
        queue, waiting = self._running_queue(), self._waiting
        waiting.append(job)
        queue.put(lambda run: _execute(operation, _take_batch(waiting), run))
        return job.future

    def _running_queue(self) -> SimpleQueue[Callable[[Run], None]]:
        """Return the queue of the thread, which is started if this process has none."""
        if self._process != os.getpid():  # Two threads may get here at once: both then start one, and both serve.
            self._process, self._queue, self._waiting = os.getpid(), SimpleQueue(), deque()
            SupervisedThread(self._name, partial(self._run, self._queue), TIMEOUT_SECONDS).start()
        return self._queue

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Wait until everything that was submitted has run. Called when the process exits."""
        if self._process == os.getpid():
            done = threading.Event()
            self._queue.put(lambda _: done.set())
            done.wait(seconds)

    @staticmethod
    def _run(queue: SimpleQueue[Callable[[Run], None]], run: Run) -> None:
        while not run.is_over:
            queue.get()(run)
            with suppress(Empty):
                while not run.is_over:
                    # Others may wait for a pooled connection, while a connection of this thread's own is worth keeping.
                    if queue.empty():
                        _close(_is_pooled)
                    queue.get(timeout=LINGER_SECONDS)(run)
            _close(_is_open)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class _Job:
    """An item, its size, and the future of its result."""

    __slots__ = ("future", "group", "item", "loop", "size")

    def __init__(self, item: Any, group: object = None, size: int = 0) -> None:
        self.item = item
        self.group = group
        self.size = size
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


def _take_batch(waiting: deque[_Job]) -> list[_Job]:
    """Take the first job and others of its group; the rest keep their order."""
    batch: list[_Job] = []
    others: list[_Job] = []
    size = 0
    with suppress(IndexError):
        while len(batch) < MAX_BATCH and size < MAX_BATCH_SIZE:
            job = waiting.popleft()
            if not batch or job.group == batch[0].group:
                batch.append(job)
                size += job.size
            else:
                others.append(job)
    waiting.extendleft(reversed(others))
    return batch


def _execute(operation: Callable[[Sequence[Any]], Sequence[object]], jobs: Sequence[_Job], run: Run) -> None:
    """Run an operation for the items of these jobs, and resolve their futures."""
    if not jobs:  # An earlier batch took them.
        return
    outcomes: Sequence[object]
    try:
        with run.operation(partial(_resolve_all, jobs, [_Failed(OperationalError("No answer in time."))] * len(jobs))):
            _close(_is_broken)  # The server may have closed it meanwhile.
            outcomes = operation([one.item for one in jobs])
    except Exception as error:
        outcomes = [_Failed(error)]
    # It failed for several items. If the run is over, the timeout has resolved them.
    if len(outcomes) < len(jobs):
        for one in jobs if not run.is_over else []:
            _execute(operation, [one], run)
        return
    _resolve_all(jobs, outcomes)


def _resolve_all(jobs: Sequence[_Job], outcomes: Sequence[object]) -> None:
    for loop in {one.loop for one in jobs}:
        resolved = [(one.future, outcome) for one, outcome in zip(jobs, outcomes, strict=True) if one.loop is loop]
        with suppress(RuntimeError):  # The loop is closed: no one awaits.
            loop.call_soon_threadsafe(_resolve, resolved)


def _close(which: Callable[[BaseDatabaseWrapper], bool]) -> None:
    """Close this thread's connections that match."""
    for connection in connections.all(initialized_only=True):
        with suppress(Error):
            if _is_open(connection) and which(connection):
                connection.close()


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    return connection.connection is not None


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    return not connection.is_usable()


def _is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection belongs to a pool: others may need it, and it is cheap to get again."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def _resolve(resolved: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in resolved:
        if future.done():  # The caller was cancelled, or got the timeout.
            continue
        if isinstance(outcome, _Failed):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)
