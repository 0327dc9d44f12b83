"""Threads of which a process has one of a kind, and which ask the database: where one stands still, another goes on.

A connection that is lost without a word (a failover, a firewall that forgot it) is waited for for minutes or hours. A
request is alone with that; but who keeps the turns of a whole process must not wait with it. What takes too long may be
slow only, since a table is locked: it is not interrupted, and its thread ends when it is done. Few are left behind so.
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

LOOK_SECONDS = 0.5

MOST_BLOCKED = 3
"""How many threads of a kind may stand still: each has a connection, and where all do, one more helps nobody."""


class Run:
    """The time of one thread at what it does. Used in that thread."""

    def __init__(self, thread: SupervisedThread) -> None:
        self.is_over = False
        """Whether another thread has its place, or nobody."""
        self._thread = thread

    @contextmanager
    def operation(self, late: Callable[[], None] = lambda: None) -> Iterator[None]:
        """What is done in this context should not take long. When it does, `late` is called, in another thread."""
        watchdog = watchdog_of_process()
        operation = _Operation(run=self, late=late, seconds=self._thread.timeout)
        watchdog.add(operation)
        try:
            yield
        finally:
            watchdog.discard(operation)

    @contextmanager
    def if_current(self) -> Iterator[bool]:
        """No other thread takes its place in this context. Gives whether none has."""
        with self._thread.lock:
            yield not self.is_over

    def leave(self) -> None:
        """Nobody does it any more, until somebody is asked to."""
        self._thread.leave(self)

    def replace(self) -> None:
        """Let another thread go on. Called by the lookout."""
        self._thread.replace(self)


class SupervisedThread:
    """Lets one thread do something, which looks whether its stint is over. Used from any thread.

    `patience` is how many seconds what it is at may take, until another thread has its place.
    """

    def __init__(self, name: str, do: Callable[[Run], None], timeout: float) -> None:
        self.timeout = timeout
        self.lock = threading.RLock()
        self._name, self._do = name, do
        self._current_run: Run | None = None
        self._blocked: set[Run] = set()

    @property
    def runs(self) -> bool:
        """Whether there is such a thread."""
        return self._current_run is not None

    def go(self) -> None:
        """Start a thread, unless there is one."""
        with self.lock:
            if self._current_run is None:
                self._start()

    def leave(self, run: Run) -> None:
        """See Run.leave()."""
        with self.lock:
            run.is_over = True
            self._blocked.discard(run)
            if self._current_run is run:
                self._current_run = None

    def replace(self, run: Run) -> None:
        """Let another thread go on in the place of this one, unless too many stand still."""
        with self.lock:
            if self._current_run is not run or len(self._blocked) == MOST_BLOCKED:
                return
            run.is_over = True  # Before the other begins: it must not take what that is to do.
            try:
                self._start()
            except RuntimeError:  # No thread can be started now.
                run.is_over = False
                return
            self._blocked.add(run)
        logger.error("%s has stood still for %g seconds: another thread goes on.", self._name, self.timeout)

    def _start(self) -> None:
        run = Run(self)
        threading.Thread(target=self._run, args=(run,), name=self._name, daemon=True).start()
        self._current_run = run

    def _run(self, run: Run) -> None:
        try:
            self._do(run)
        finally:
            self.leave(run)


@dataclass(slots=True, kw_only=True, eq=False)
class _Operation:
    """Something that is being done."""

    run: Run
    late: Callable[[], None]
    seconds: float
    since: float = field(default_factory=time.monotonic)


class _Watchdog:
    """Looks for what takes too long, in a thread of its own, which asks nobody and so cannot stand still."""

    def __init__(self) -> None:
        self._operations: set[_Operation] = set()
        self._is_busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, operation: _Operation) -> None:
        self._operations.add(operation)
        self._is_busy.set()
        with self._lock, suppress(RuntimeError):  # Without it what is done goes on all the same.
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="waldur-chat-lookout", daemon=True)
                thread.start()
                self._thread = thread

    def discard(self, operation: _Operation) -> None:
        self._operations.discard(operation)

    def _run(self) -> None:
        while True:
            self._is_busy.wait()
            self._is_busy.clear()
            time.sleep(LOOK_SECONDS)
            for operation in list(self._operations):
                self._is_busy.set()
                if time.monotonic() > operation.since + operation.seconds and not operation.run.is_over:
                    operation.since = time.monotonic()  # It is told again when that much more time has passed.
                    operation.late()
                    operation.run.replace()


watchdog_of_process = PerProcess(_Watchdog)
