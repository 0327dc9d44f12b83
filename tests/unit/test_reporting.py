"""Operators learn of every turn: one record in the log, two signals."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.dispatch import Signal

from tests.unit.aio import PROMPT, begin, everything, run, scripted_spec, settings_with, unrecorded, until
from waldur_chat import signals
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ProviderBusy
from waldur_chat.events import Usage
from waldur_chat.record import Caller, TurnRecord
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.testing import Script, Step
from waldur_chat.turns.lifecycle import TurnLifecycle

USAGE = Usage(input_tokens=7, output_tokens=5)


def logged(caplog: pytest.LogCaptureFixture, *steps: Step, stop: bool = False, **settings: Any) -> logging.LogRecord:
    """The one record of a turn whose provider does these steps."""

    async def main() -> None:
        caller = Caller(user_id="7", request_id="r-1")
        turn = unrecorded(settings_with(scripted_spec(Script(steps=steps)), **settings), caller)
        turn.start(asyncio.get_running_loop())
        if stop:
            await turn.first()
            turn.cancel()
        await everything(turn)

    caplog.set_level(logging.INFO, "waldur_chat.turns")
    run(main())
    (record,) = [one for one in caplog.records if one.name == "waldur_chat.turns"]
    return record


def test_a_whole_answer_has_its_record(caplog: pytest.LogCaptureFixture) -> None:
    record: Any = logged(caplog, "a", USAGE)
    assert (record.levelno, record.status, record.code, record.cause) == (logging.INFO, "finished", "", "")
    assert (record.user_id, record.request_id, record.provider, record.model) == ("7", "r-1", "default", "")
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (7, 5, False)
    assert (record.attempts, record.failed_attempts) == (1, "")
    assert 0 <= record.first_event_seconds <= record.seconds < 30
    assert f"turn={record.turn} request_id=r-1 user_id=7 provider=default status=finished" in record.getMessage()


def test_a_turn_of_a_conversation_names_it(caplog: pytest.LogCaptureFixture) -> None:
    threads: list[str] = []

    def receive(turn: TurnRecord, **kwargs: object) -> None:
        threads.append(turn.thread)

    async def main() -> None:
        settings = settings_with(scripted_spec(Script(steps=["a"])))
        started = StartedTurn(turn="", thread="cd", messages=())
        turn = Turn(settings, PROMPT, TurnLifecycle(settings, Caller(), started))
        turn.start(asyncio.get_running_loop())
        await everything(turn)
        await until(lambda: len(threads) == 2)

    caplog.set_level(logging.INFO, "waldur_chat.turns")
    with receiving(signals.turn_started, receive), receiving(signals.turn_ended, receive):
        run(main())
    record: Any = next(one for one in caplog.records if one.name == "waldur_chat.turns")
    assert ([record.thread_uuid], threads) == (["cd"], ["cd", "cd"])
    assert " thread_uuid=cd provider=default" in record.getMessage()


def test_a_turn_of_no_conversation_names_none(caplog: pytest.LogCaptureFixture) -> None:
    record: Any = logged(caplog, "a")
    assert record.thread_uuid == ""
    assert "thread_uuid=" not in record.getMessage()


def test_a_failure_is_a_warning_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    record: Any = logged(caplog, ProviderBusy("status 429"))
    assert (record.levelno, record.status, record.code) == (logging.WARNING, "failed", "provider_busy")
    assert (record.cause, record.first_event_seconds, record.input_tokens) == ("status 429", None, None)
    assert record.failed_attempts == "default:provider_busy"
    assert record.exc_info is None


def test_a_stopped_turn_has_its_record_too(caplog: pytest.LogCaptureFixture) -> None:
    record: Any = logged(caplog, "a", 30, stop=True)
    assert (record.levelno, record.status, record.code) == (logging.INFO, "cancelled", "cancelled")
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (6, 1, True)


def test_a_log_that_cannot_be_written_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(28, "No space left on device")

    logger, handler = logging.getLogger("waldur_chat.turns"), Full()
    logger.addHandler(handler)
    caplog.set_level(logging.INFO, "waldur_chat.turns")
    try:
        run(_one_turn())
    finally:
        logger.removeHandler(handler)


def test_a_site_that_logs_warnings_only_gets_no_record_of_a_whole_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "waldur_chat.turns")
    ended: list[str] = []

    def receive(turn: TurnRecord, **_: object) -> None:
        ended.append(turn.status)

    async def main() -> None:
        await _one_turn()
        await until(lambda: ended)

    with receiving(signals.turn_ended, receive):
        run(main())
    # Other tests of this process may have left tasks that log to other names.
    told = [record for record in caplog.records if record.name == "waldur_chat.turns"]
    assert (told, ended) == ([], ["finished"])


async def _one_turn() -> None:
    await everything(begin(Script(steps=["a"])))


@contextmanager
def receiving(signal: Signal, receiver: Any) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def test_signals_tell_of_beginning_and_end() -> None:
    seen: list[tuple[str, str, bool]] = []

    def receive(turn: TurnRecord, **kwargs: object) -> None:
        seen.append((turn.status, turn.provider, threading.current_thread() is threading.main_thread()))

    with receiving(signals.turn_started, receive), receiving(signals.turn_ended, receive):
        run(_and_wait(lambda: len(seen) == 2))
    assert seen == [("running", "", False), ("finished", "default", False)]


def test_a_receiver_that_fails_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def receive(**kwargs: object) -> None:
        raise ZeroDivisionError

    with receiving(signals.turn_ended, receive):
        run(_and_wait(lambda: "ZeroDivisionError" in caplog.text))


def test_a_stopped_turn_ends_with_its_signal_too() -> None:
    ended: list[str] = []

    def receive(turn: TurnRecord, **kwargs: object) -> None:
        ended.append(turn.status)

    async def main() -> None:
        turn = begin(Script(steps=["a", 30]))
        await turn.first()
        turn.cancel()
        await everything(turn)
        await until(lambda: ended)

    with receiving(signals.turn_ended, receive):
        run(main())
    assert ended == ["cancelled"]


async def _and_wait(condition: Any) -> None:
    await _one_turn()
    await until(condition)
