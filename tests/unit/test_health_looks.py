"""Looks at what may block: shared, bounded, replaced, and their failures logged once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.aio import run
from waldur_chat.health import looks
from waldur_chat.health.looks import HANGS, Failure, SharedLooks


def found(shared: SharedLooks[Any]) -> Any:
    look = shared.current()
    look.join()
    return look.outcome


def raising(error: BaseException) -> Callable[[], Any]:
    def look() -> Any:
        raise error

    return look


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(1), StopIteration()])
def test_an_error_is_a_failure_by_name(error: BaseException) -> None:
    assert found(SharedLooks("sky", raising(error))) == Failure(type(error).__name__)


def test_a_failure_and_its_end_are_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(looks, "KEPT_SECONDS", 0.0)
    errors: list[Exception] = [OSError("secret"), OSError(), ValueError()]
    shared = SharedLooks("sky", lambda: raising(errors.pop(0))() if errors else 1)
    caplog.set_level("INFO")
    for _ in range(5):
        found(shared)
    assert caplog.messages == [
        "The look at the sky failed: OSError",
        "The look at the sky failed: ValueError",
        "The look at the sky succeeds again.",
    ]


def test_a_blocked_look_is_replaced_and_only_so_many_are_blocked(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(looks, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(looks, "REPLACED_SECONDS", 0.0)
    end, begun = threading.Event(), threading.Semaphore(0)

    def look() -> int:
        begun.release()
        end.wait()
        return 1

    shared = SharedLooks("sky", look)
    asked = [shared.current() for _ in range(looks.MAX_BLOCKED + 5)]
    assert len({id(one) for one in asked}) == looks.MAX_BLOCKED + 1
    assert [found(shared) for _ in range(3)] == [HANGS] * 3
    end.set()
    for one in asked:
        one._future.result(5)
    assert found(shared) == 1
    assert len(caplog.messages) == looks.MAX_BLOCKED
    assert shared.current() is asked[-1]


def test_a_look_is_not_replaced_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(looks, "KEPT_SECONDS", 0.0)
    end = threading.Event()
    shared = SharedLooks("sky", end.wait)
    assert found(shared) == HANGS
    first = shared.current()
    assert shared.current() is first
    end.set()
    first._future.result(5)
    assert shared.current() is not first


def test_without_a_thread_it_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: raising(RuntimeError())())
    assert found(SharedLooks("sky", lambda: 1)) == Failure("RuntimeError")


def test_an_event_loop_goes_on_while_a_look_is_awaited() -> None:
    end = threading.Event()
    shared = SharedLooks("sky", lambda: end.wait() and 1)

    async def main() -> list[Any]:
        look = shared.current()
        asking = [asyncio.create_task(look.ajoin()) for _ in range(3)]
        await asyncio.sleep(0)
        asking[0].cancel()  # Who leaves takes the outcome from nobody.
        end.set()
        await asyncio.gather(*asking[1:])
        await look.ajoin()
        return [look.outcome]

    assert run(main()) == [1]


def test_an_outcome_after_the_end_of_the_loop_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(looks, "WAIT_SECONDS", 0.01)
    end = threading.Event()
    look = SharedLooks("sky", lambda: end.wait() and 1).current()
    run(look.ajoin())
    assert look.outcome == HANGS
    end.set()
    assert look._future.result(5) == 1
    assert caplog.messages == []
