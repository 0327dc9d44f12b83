"""Threads of which a process has one of a kind, and which ask the database: where one stands still, another goes on.

A connection that is lost without a word (a failover, a firewall that forgot it) is waited for for minutes or hours. A
request is alone with that; but who keeps the turns of a whole process must not wait with it. What takes too long may be
slow only, since a table is locked: it is not interrupted, and its thread ends when it is done. Few are left behind so.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5

MOST_LEFT_BEHIND = 3
"""How many threads of a kind may stand still: each has a connection, and where all do, one more helps nobody."""


class Stint:
    """The time of one thread at what it does. Used in that thread."""

    def __init__(self, steady: Steady) -> None:
        self.is_over = False
        """Whether another thread has its place, or nobody."""
        self._steady = steady

    @contextmanager
    def at_work(self, late: Callable[[], None] = lambda: None) -> Iterator[None]:
        """What is done in this context should not take long. When it does, `late` is called, in another thread."""
        lookout = _lookout
        shift = _Shift(stint=self, late=late, seconds=self._steady.patience)
        lookout.add(shift)
        try:
            yield
        finally:
            lookout.discard(shift)

    @contextmanager
    def exclusively(self) -> Iterator[bool]:
        """No other thread takes its place in this context. Gives whether none has."""
        with self._steady.lock:
            yield not self.is_over

    def leave(self) -> None:
        """Nobody does it any more, until somebody is asked to."""
        self._steady.leave(self)

    def relieve(self) -> None:
        """Let another thread go on. Called by the lookout."""
        self._steady.relieve(self)


class Steady:
    """Lets one thread do something, which looks whether its stint is over. Used from any thread.

    `patience` is how many seconds what it is at may take, until another thread has its place.
    """

    def __init__(self, name: str, do: Callable[[Stint], None], patience: float) -> None:
        self.patience = patience
        self.lock = threading.RLock()
        self._name, self._do = name, do
        self._stint: Stint | None = None
        self._left_behind: set[Stint] = set()

    @property
    def runs(self) -> bool:
        """Whether there is such a thread."""
        return self._stint is not None

    def go(self) -> None:
        """Start a thread, unless there is one."""
        with self.lock:
            if self._stint is None:
                self._start()

    def leave(self, stint: Stint) -> None:
        """See Stint.leave()."""
        with self.lock:
            stint.is_over = True
            self._left_behind.discard(stint)
            if self._stint is stint:
                self._stint = None

    def relieve(self, stint: Stint) -> None:
        """Let another thread go on in the place of this one, unless too many stand still."""
        with self.lock:
            if self._stint is not stint or len(self._left_behind) == MOST_LEFT_BEHIND:
                return
            stint.is_over = True  # Before the other begins: it must not take what that is to do.
            try:
                self._start()
            except RuntimeError:  # No thread can be started now.
                stint.is_over = False
                return
            self._left_behind.add(stint)
        logger.error("%s has stood still for %g seconds: another thread goes on.", self._name, self.patience)

    def _start(self) -> None:
        stint = Stint(self)
        threading.Thread(target=self._run, args=(stint,), name=self._name, daemon=True).start()
        self._stint = stint

    def _run(self, stint: Stint) -> None:
        try:
            self._do(stint)
        finally:
            self.leave(stint)


@dataclass(slots=True, kw_only=True, eq=False)
class _Shift:
    """Something that is being done."""

    stint: Stint
    late: Callable[[], None]
    seconds: float
    since: float = field(default_factory=time.monotonic)


class _Lookout:
    """Looks for what takes too long, in a thread of its own, which asks nobody and so cannot stand still."""

    def __init__(self) -> None:
        self._shifts: set[_Shift] = set()
        self._is_busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, shift: _Shift) -> None:
        self._shifts.add(shift)
        self._is_busy.set()
        with self._lock, suppress(RuntimeError):  # Without it what is done goes on all the same.
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="waldur-chat-lookout", daemon=True)
                thread.start()
                self._thread = thread

    def discard(self, shift: _Shift) -> None:
        self._shifts.discard(shift)

    def _run(self) -> None:
        while True:
            self._is_busy.wait()
            self._is_busy.clear()
            time.sleep(LOOK_SECONDS)
            for shift in list(self._shifts):
                self._is_busy.set()
                if time.monotonic() > shift.since + shift.seconds and not shift.stint.is_over:
                    shift.since = time.monotonic()  # It is told again when that much more time has passed.
                    shift.late()
                    shift.stint.relieve()


_lookout = _Lookout()


def _forget() -> None:
    """Called in a forked child: the parent's thread is not here, and its lock may be held for ever."""
    global _lookout
    _lookout = _Lookout()


os.register_at_fork(after_in_child=_forget)
