"""Threads that stand still are left behind: another goes on, and they end when they come back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any
from unittest import mock

import pytest

from waldur_chat.runtime import supervised_thread
from waldur_chat.runtime.supervised_thread import MAX_BLOCKED, Run, SupervisedThread


class Acts:
    """A steady thread that does what is put into a queue, and what has become of it."""

    def __init__(self, timeout: float = 0.05) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.late: list[object] = []
        self.ended = threading.Semaphore(0)
        self.thread = SupervisedThread("waldur-chat-test", self._run, timeout)
        self.thread.start()

    def put(self, act: Any) -> None:
        """Let the thread do this; where it takes too long, it is noted."""
        self.queue.put(act)

    def _run(self, run: Run) -> None:
        while not run.is_over and (act := self.queue.get()):
            with run.operation(lambda: self.late.append(act)):
                act()
        self.ended.release()


class Hanging:
    """An act that stands still until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.done = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.go.wait(10)
        self.done.set()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_thread, "POLL_SECONDS", 0.01)
    supervised_thread.watchdog_of_process.reset()


@pytest.fixture
def acts(request: pytest.FixtureRequest) -> Iterator[Acts]:
    made = Acts(*getattr(request, "param", ()))
    yield made
    made.put(None)
    assert made.ended.acquire(timeout=10)


@pytest.mark.parametrize("acts", [[60]], indirect=True, ids=["patient"])  # However busy the machine is.
def test_what_is_done_in_time_is_done_by_one_thread(acts: Acts) -> None:
    threads: SimpleQueue[int] = SimpleQueue()
    for _ in range(3):
        acts.put(lambda: threads.put(threading.get_ident()))
    assert len({threads.get(timeout=10) for _ in range(3)}) == 1
    acts.thread.start()
    assert acts.late == []


def test_where_one_stands_still_another_goes_on(acts: Acts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    hanging, next_one = Hanging(), threading.Event()
    acts.put(hanging)
    acts.put(next_one.set)
    assert next_one.wait(10)
    assert not hanging.done.is_set()
    assert acts.late[0] is hanging
    _until(lambda: "waldur-chat-test has been blocked for 0.05 seconds: another thread replaces it." in caplog.messages)
    hanging.go.set()
    assert acts.ended.acquire(timeout=10), "who was left behind ends"
    assert hanging.done.is_set()


def test_only_few_are_left_behind(acts: Acts) -> None:
    hanging = [Hanging() for _ in range(MAX_BLOCKED + 2)]
    for one in hanging:
        acts.put(one)
    assert hanging[-2].begun.wait(10)
    time.sleep(0.2)
    assert not hanging[-1].begun.is_set()
    hanging[0].go.set()
    assert hanging[-1].begun.wait(10), "there is room again"
    for one in hanging:
        one.go.set()
    for _ in range(MAX_BLOCKED + 1):
        assert acts.ended.acquire(timeout=10)


def test_where_no_other_can_be_started_it_goes_on_itself(acts: Acts, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, hanging, another = threading.Event(), Hanging(), Hanging()
    acts.put(begun.set)
    assert begun.wait(10)  # The lookout has its thread.
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        acts.put(hanging)
        _until(lambda: len(acts.late) > 1)
        hanging.go.set()
        acts.put(another)
        assert another.begun.wait(10)
    assert acts.ended.acquire(blocking=False) is False
    another.go.set()


def test_without_a_lookout_what_is_done_goes_on(acts: Acts, monkeypatch: pytest.MonkeyPatch) -> None:
    done = [threading.Event(), threading.Event()]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        acts.put(done[0].set)
        assert done[0].wait(10)
    hanging = Hanging()
    acts.put(hanging)
    acts.put(done[1].set)
    assert done[1].wait(10), "there is one as soon as it can be started"
    hanging.go.set()
    assert acts.ended.acquire(timeout=10)


def test_who_was_left_behind_does_nothing_that_another_does() -> None:
    release, told = threading.Event(), []

    def look(run: Run) -> None:
        with run.operation():
            if not told:
                told.append(None)
                release.wait(10)
        with run.if_current() as is_mine:
            told.append(is_mine)
        release.wait(10)

    one = SupervisedThread("waldur-chat-test", look, timeout=0.05)
    one.start()
    _until(lambda: told == [None, True])
    release.set()
    _until(lambda: told == [None, True, False])
    _until(lambda: not one.runs)


def test_a_thread_that_left_is_followed_by_another() -> None:
    stints: SimpleQueue[Run] = SimpleQueue()
    release = threading.Event()

    def leave(run: Run) -> None:
        run.finish()
        stints.put(run)
        release.wait(10)

    one = SupervisedThread("waldur-chat-test", leave, timeout=60)
    one.start()
    first = stints.get(timeout=10)
    assert first.is_over
    assert not one.runs
    one.start()
    assert stints.get(timeout=10) is not first
    release.set()


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
