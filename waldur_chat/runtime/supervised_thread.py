"""Supervised singleton threads: a watchdog replaces one that is blocked in the database for too long.

If a connection is lost silently (a failover, a firewall that dropped it), a query blocks for minutes or hours. That may
delay one request, but not the thread that serves all turns of a process. A slow query, for example at a locked table,
looks the same: so it is not interrupted, and its thread ends when the query returns. The number of such threads is
limited.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from waldur_chat.runtime.forked import PerProcess

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5

MAX_BLOCKED = 3
"""How many threads of one kind may be blocked: each holds a connection, and if all block, one more does not help."""


class Run:
    """One thread's run. Used in that thread."""

    def __init__(self, thread: SupervisedThread) -> None:
        self.is_over = False
        """Whether the thread was replaced or has finished; it must then stop."""
        self._thread = thread

    @contextmanager
    def operation(self, on_timeout: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Watch the operation in this context. When it times out, the watchdog calls `on_timeout` in its own thread."""
        watchdog = watchdog_of_process()
        operation = _Operation(run=self, on_timeout=on_timeout, seconds=self._thread.timeout)
        watchdog.add(operation)
        try:
            yield
        finally:
            watchdog.discard(operation)

    @contextmanager
    def if_current(self) -> Iterator[bool]:
        """Prevent a replacement in this context. Yields whether the thread was not replaced before."""
        with self._thread.lock:
            yield not self.is_over

    def finish(self) -> None:
        """End this run; the next `start()` starts another thread."""
        self._thread.finish(self)

    def replace(self) -> None:
        """Start another thread instead of this one. Called by the watchdog."""
        self._thread.replace(self)


class SupervisedThread:
    """Keeps one thread running `target`, which must return once its run is over. Used from any thread.

    `timeout` is the number of seconds after which an operation counts as blocked and the thread is replaced.
    """

    def __init__(self, name: str, target: Callable[[Run], None], timeout: float) -> None:
        self.timeout = timeout
        self.lock = threading.RLock()
        self._name, self._target = name, target
        self._current_run: Run | None = None
        self._blocked: set[Run] = set()

    @property
    def runs(self) -> bool:
        """Whether there is a current thread."""
        return self._current_run is not None

    def start(self) -> None:
        """Start a thread, unless there is one."""
        with self.lock:
            if self._current_run is None:
                self._start()

    def finish(self, run: Run) -> None:
        """End a run: the thread has returned, or returns soon."""
        with self.lock:
            run.is_over = True
            self._blocked.discard(run)
            if self._current_run is run:
                self._current_run = None

    def replace(self, run: Run) -> None:
        """Replace the thread of this run, unless too many are blocked."""
        with self.lock:
            if self._current_run is not run or len(self._blocked) == MAX_BLOCKED:
                return
            run.is_over = True  # Before the other starts: it must not take the other's work.
            try:
                self._start()
            except RuntimeError:  # The system refuses to start a thread; the watchdog tries again.
                run.is_over = False
                return
            self._blocked.add(run)
        logger.error("%s has been blocked for %g seconds: another thread replaces it.", self._name, self.timeout)

    def _start(self) -> None:
        run = Run(self)
        threading.Thread(target=self._run, args=(run,), name=self._name, daemon=True).start()
        self._current_run = run

    def _run(self, run: Run) -> None:
        try:
            self._target(run)
        finally:
            self.finish(run)


@dataclass(slots=True, kw_only=True, eq=False)
class _Operation:
    """An operation that the watchdog observes."""

    run: Run
    on_timeout: Callable[[], None]
    seconds: float
    since: float = field(default_factory=time.monotonic)


class _Watchdog:
    """Observes operations in a thread of its own, which never uses the database and so cannot block."""

    def __init__(self) -> None:
        self._operations: set[_Operation] = set()
        self._has_operations = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, operation: _Operation) -> None:
        self._operations.add(operation)
        self._has_operations.set()
        with self._lock, suppress(RuntimeError):  # Without a watchdog the operation still runs.
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="waldur-chat-watchdog", daemon=True)
                thread.start()
                self._thread = thread

    def discard(self, operation: _Operation) -> None:
        self._operations.discard(operation)

    def _run(self) -> None:
        while True:
            self._has_operations.wait()
            self._has_operations.clear()
            time.sleep(POLL_SECONDS)
            for operation in list(self._operations):
                self._has_operations.set()
                if time.monotonic() > operation.since + operation.seconds and not operation.run.is_over:
                    operation.since = time.monotonic()  # Repeat after the same time, if it still runs.
                    operation.on_timeout()
                    operation.run.replace()


watchdog_of_process = PerProcess(_Watchdog)
