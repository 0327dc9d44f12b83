"""A turn ends with exactly one terminal event, whatever happens."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from django.utils import translation

from tests.unit.aio import (
    PROMPT,
    FakeLifecycle,
    begin,
    begin_with,
    everything,
    run_ahead,
    scripted_spec,
    settings_with,
    turn_of,
    unrecorded,
    until,
)
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.event_log import CAPACITY
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import (
    AnswerTooLong,
    ChatBusy,
    ChatNotConfigured,
    ProviderBusy,
    ProviderEmpty,
    ProviderError,
    ProviderFailed,
    ProviderRefusedQuestion,
    ProviderSilent,
    ProviderTooSlow,
    ServerStopping,
    TurnCancelled,
    TurnTooLong,
)
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    ProviderEvent,
    Reasoning,
    ReasoningWasAnswer,
    Started,
    Stopped,
    StoredMessages,
    Terminal,
    Usage,
)
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.runtime.loop import background_loop
from waldur_chat.testing import Script, Step

USAGE = Usage(input_tokens=7, output_tokens=5)


def guessed(output_tokens: int) -> Usage:
    """What a turn estimates where its provider reports nothing."""
    return Usage(input_tokens=6, output_tokens=output_tokens, estimated=True)


def told(*steps: Step, **settings: Any) -> list[Event]:
    """What a turn tells of a provider that does these steps, after its beginning."""

    async def main() -> list[Event]:
        turn = begin(script, **settings)
        events = await everything(turn)
        assert [event for event in events if isinstance(event, Started)] in ([], [Started(turn=turn.id)])
        return [event for event in events if not isinstance(event, Started)]

    script = Script(steps=steps)
    events = run_ahead(main())
    assert script.opened == script.closed
    return events


def test_an_answer_is_passed_on() -> None:
    assert told("a", "b", USAGE, Stopped(reason="length")) == [
        Delta(text="a"),
        Delta(text="b"),
        Finished(reason="length", usage=USAGE),
    ]


def test_a_turn_begins_by_telling_its_id() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a"]))
        assert await turn.first() == Started(turn=turn.id)
        assert (await everything(turn))[0] == Started(turn=turn.id)

    run_ahead(main())


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([], ProviderEmpty),
        (["", Reasoning(text="")], ProviderEmpty),
        ([Stopped(reason="stop")], ProviderEmpty),
        ([Stopped(reason="tool_calls")], ProviderEmpty),
        ([Stopped(reason="content_filter")], ProviderRefusedQuestion),
    ],
)
def test_a_stream_without_text_and_thoughts_fails_before_it_begins(
    steps: list[Step], error: type[ProviderError]
) -> None:
    (failed,) = told(*steps)
    assert isinstance(failed, Failed)
    assert type(failed.error) is error
    assert failed.usage is None


@pytest.mark.parametrize("steps", [[Reasoning(text="Hm.")], [Reasoning(text="Hm."), " ", "\n"], ["Hm.\n</think>\n"]])
def test_an_answer_of_thoughts_alone_fails_at_its_end_and_is_counted(steps: list[Step]) -> None:
    lifecycle = FakeLifecycle()

    async def main() -> list[Event]:
        turn = turn_of(Script(steps=[*steps, USAGE]), lifecycle)
        turn.start(asyncio.get_running_loop())
        return await everything(turn)

    first, *_, failed = run_ahead(main())
    assert isinstance(first, Started)
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.usage) == (ProviderEmpty, USAGE)


def test_thoughts_that_were_the_answer_are_delivered_and_counted_once() -> None:
    steps = [Reasoning(text="12345678"), Stopped(reason="stop"), ReasoningWasAnswer(text="12345678")]
    assert told(*steps)[1:] == [Delta(text="12345678"), Finished(reason="stop", usage=guessed(2))]


def test_a_text_after_a_stop_reason_takes_it_back() -> None:
    assert told("a", Stopped(reason="length"), "b", Stopped(reason="stop"))[-1] == Finished(
        reason="stop", usage=guessed(1)
    )
    assert told("a", Stopped(reason="length"), "b")[-1] == Finished(reason="stop", usage=guessed(1))


def test_after_a_stop_reason_that_was_taken_back_silence_is_silence_again() -> None:
    events = told("a", Stopped(reason="stop"), 1, "b", 7, "c", silence_seconds=9)
    assert isinstance(events[-1], Finished)
    assert events[:-1] == [Delta(text="a"), Delta(text="b"), Delta(text="c")]
    failed = told("a", Stopped(reason="stop"), "b", 20, silence_seconds=9)[-1]
    assert isinstance(failed, Failed)
    assert type(failed.error) is ProviderSilent


def test_reasoning_is_passed_on() -> None:
    assert told(Reasoning(text="Hm."), Reasoning(text=""), "a")[:2] == [Reasoning(text="Hm."), Delta(text="a")]


def test_the_last_report_of_usage_counts() -> None:
    assert told(Usage(input_tokens=7, output_tokens=1), "a", USAGE)[-1] == Finished(reason="stop", usage=USAGE)


def test_a_character_in_two_pieces_is_joined() -> None:
    assert told("\ud83d", "\ude42")[:-1] == [Delta(text="🙂")]


def test_half_a_character_at_the_end_is_replaced() -> None:
    assert told("a\ud83d")[:-1] == [Delta(text="a"), Delta(text="\ufffd")]


def test_what_is_no_event_of_a_provider_is_not_passed_on() -> None:
    nonsense: Any = object()
    assert told(nonsense, "a")[:-1] == [Delta(text="a")]


@pytest.mark.parametrize("steps", [(), ("a", USAGE)])
def test_an_error_of_the_provider_ends_the_turn(steps: tuple[Step, ...]) -> None:
    error = ProviderBusy("status 429", retry_after=7)
    assert told(*steps, error)[-1] == Failed(error=error, usage=USAGE if steps else None)


def test_an_error_before_the_first_event_is_raised_to_who_waits_for_it() -> None:
    async def main() -> None:
        await begin(Script(steps=[ProviderBusy()])).first()

    with pytest.raises(ProviderBusy):
        run_ahead(main())


def test_settings_that_do_not_work_are_told() -> None:
    async def main() -> None:
        spec = ProviderSpec(name="default", backend="no.such.Provider", options={}, place="WALDUR_CHAT")
        await begin_with(spec).first()

    with pytest.raises(ChatNotConfigured, match="WALDUR_CHAT"):
        run_ahead(main())


@pytest.mark.parametrize("steps", [(), ("a",)])
def test_a_bug_of_the_provider_is_told_as_its_failure(
    steps: tuple[Step, ...], caplog: pytest.LogCaptureFixture
) -> None:
    last = told(*steps, ZeroDivisionError("a bug"))[-1]
    assert isinstance(last, Failed)
    assert type(last.error) is ProviderFailed
    assert "ZeroDivisionError" in caplog.text


def test_a_provider_that_does_not_begin_in_time_is_too_slow() -> None:
    (last,) = told(30, first_event_seconds=0.01)
    assert isinstance(last, Failed)
    assert type(last.error) is ProviderTooSlow


def test_a_provider_that_has_begun_may_pause() -> None:
    assert told("a", 0.1, "b", first_event_seconds=0.05)[-1] == Finished(reason="stop", usage=guessed(1))


def test_a_turn_that_takes_too_long_is_ended() -> None:
    events = told("a", USAGE, 30, turn_seconds=0.01)
    assert events[0] == Delta(text="a")
    assert isinstance(events[-1], Failed)
    assert type(events[-1].error) is TurnTooLong
    assert events[-1].usage == USAGE


def test_a_reader_who_does_not_read_is_no_excuse() -> None:
    async def main() -> list[Event]:
        script = Script(steps=["x" * CAPACITY, "y"])
        turn = begin(script, turn_seconds=0.05)
        await until(lambda: script.closed)
        return await everything(turn)

    last = run_ahead(main())[-1]
    assert isinstance(last, Failed)
    assert type(last.error) is TurnTooLong


def test_cancelling_closes_the_provider_and_tells_what_was_used() -> None:
    async def main() -> None:
        script = Script(steps=["a", USAGE, 30])
        turn = begin(script)
        assert await turn.first()
        await asyncio.sleep(0)
        turn.cancel()
        assert (await everything(turn))[-1] == Cancelled(usage=USAGE)
        assert (script.opened, script.closed) == (1, 1)

    run_ahead(main())


def test_a_turn_that_is_cancelled_at_once_has_its_end_too() -> None:
    async def main() -> None:
        turn = begin(Script(steps=[30]))
        turn.cancel()
        assert await everything(turn) == [Cancelled(usage=None)]

    run_ahead(main(), seconds=1)


def test_cancelling_what_has_ended_does_nothing() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a"]))
        assert isinstance((await everything(turn))[-1], Finished)
        turn.cancel()
        assert await turn.take(timeout=0.01) == []

    run_ahead(main())


def test_cancelling_what_was_never_begun_does_nothing() -> None:
    turn_of(Script(steps=[])).cancel()


def test_cancelling_when_the_loop_has_gone_does_nothing() -> None:
    async def main() -> Turn:
        turn = begin(Script(steps=["a"]))
        await everything(turn)
        return turn

    run_ahead(main()).cancel()


def test_a_loop_that_ends_closes_the_provider() -> None:
    async def main() -> Turn:
        turn = begin(script)
        await turn.first()
        return turn

    script = Script(steps=["a", 30])
    run_ahead(main())
    assert (script.opened, script.closed) == (1, 1)


def test_taking_is_not_for_ever_where_a_time_is_given() -> None:
    async def main() -> None:
        turn = begin(Script(steps=[30]))
        assert await turn.take(timeout=0.01) == []
        turn.cancel()
        await everything(turn)

    run_ahead(main())


def test_other_threads_can_take_too() -> None:
    turn = turn_of(Script(steps=[0.05, "a"]))
    turn.start(background_loop())
    events: list[Event] = turn.take_blocking(timeout=0.001)
    while not (events and isinstance(events[-1], Finished)):
        events += turn.take_blocking(timeout=30)
    assert events[1] == Delta(text="a")


def test_no_two_turns_have_the_same_id() -> None:
    ids = {turn_of(Script(steps=[])).id for _ in range(3)}
    assert len(ids) == 3


def test_a_turn_that_was_cancelled_before_it_began_says_so() -> None:
    async def main() -> None:
        turn = begin(Script(steps=[60]))
        turn.cancel()
        with pytest.raises(TurnCancelled):
            await turn.first()

    run_ahead(main())


def test_a_turn_that_is_cancelled_twice_lets_its_provider_close_in_peace() -> None:
    async def main() -> None:
        spec = ProviderSpec(name="default", backend=f"{__name__}.SlowToClose", options={}, place="here")
        turn = begin_with(spec, turn_seconds=0.1)
        await turn.first()
        turn.cancel()
        await asyncio.sleep(0.02)
        turn.cancel()
        assert (await everything(turn))[-1] == Cancelled(usage=guessed(2))
        assert SlowToClose.closed == 1

    SlowToClose.closed = 0
    run_ahead(main())


def test_a_provider_that_speaks_while_its_turn_is_stopped_closes_in_peace() -> None:
    async def main() -> None:
        spec = ProviderSpec(name="default", backend=f"{__name__}.SpeaksWhileStopped", options={}, place="here")
        turn = begin_with(spec)
        SpeaksWhileStopped.stop = turn.cancel
        assert await everything(turn) == [
            Started(turn=turn.id, thread=""),
            Delta(text="a"),
            Cancelled(usage=guessed(1)),
        ]
        assert SpeaksWhileStopped.closed == 1

    SpeaksWhileStopped.closed = 0
    run_ahead(main())


def test_a_provider_that_falls_silent_is_ended() -> None:
    events = told("a", USAGE, 30, silence_seconds=0.05)
    assert isinstance(events[-1], Failed)
    assert type(events[-1].error) is ProviderSilent
    assert events[-1].usage == USAGE


def test_a_provider_that_falls_silent_after_its_last_word_has_said_everything() -> None:
    events = told("a", Stopped(reason="length"), 30, silence_seconds=0.05)
    assert events[-1] == Finished(reason="length", usage=guessed(1))


def test_every_event_of_the_provider_breaks_the_silence() -> None:
    events = told("a", 0.3, USAGE, 0.3, "b", silence_seconds=0.5)
    assert isinstance(events[-1], Finished)


def test_words_that_wait_for_the_reader_are_no_silence() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["x" * CAPACITY, "y", 0.2, "z"]), silence_seconds=0.5)
        await asyncio.sleep(0.7)
        assert isinstance((await everything(turn))[-1], Finished)

    run_ahead(main())


def test_an_answer_may_not_be_endless() -> None:
    events = told("x" * 6, Reasoning(text="y" * 4), "z", answer_max_length=10)
    assert events[:2] == [Delta(text="x" * 6), Reasoning(text="y" * 4)]
    assert isinstance(events[2], Failed)
    assert type(events[2].error) is AnswerTooLong


def test_a_server_that_stops_gives_a_turn_time_to_finish() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a", 0.05, "b"]), shutdown_seconds=5)
        await turn.first()
        turn.on_server_stopping(0)
        turn.on_server_stopping(1)
        assert isinstance((await everything(turn))[-1], Finished)

    run_ahead(main())


def test_a_turn_that_does_not_finish_in_that_time_is_ended() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a", 30]), shutdown_seconds=5)
        await turn.first()
        turn.on_server_stopping(4.95)
        last = (await everything(turn))[-1]
        assert isinstance(last, Failed)
        assert (type(last.error), last.error.retry_after) == (ServerStopping, 1)

    run_ahead(main())


@pytest.mark.parametrize("provider", ["NeverCloses", "GoesOn"])
def test_the_reader_of_a_stopped_turn_does_not_wait_for_ever(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        turn = begin_with(ProviderSpec(name="default", backend=f"{__name__}.{provider}", options={}, place="here"))
        await turn.first()
        turn.cancel()
        assert isinstance((await everything(turn))[-1], Cancelled)
        assert await turn.take(timeout=0.05) == []

    monkeypatch.setattr("waldur_chat.engine.turn.CLOSING_SECONDS", 0.05)
    run_ahead(main(), seconds=5)


def test_a_turn_that_waits_for_room_can_be_stopped() -> None:
    async def main() -> None:
        settings = {"turns_per_process": 1}
        running = begin(Script(steps=["a", 30]), **settings)
        await running.first()
        waiting = begin(script, **settings)
        await asyncio.sleep(0.01)
        waiting.cancel()
        assert await everything(waiting) == [Cancelled(usage=None)]
        assert not script.opened
        running.cancel()
        await everything(running)

    script = Script(steps=["b"])
    run_ahead(main())


def test_a_turn_for_which_there_is_no_room_says_so() -> None:
    async def main() -> None:
        settings = {"turns_per_process": 1, "queue_length": 0}
        running = begin(Script(steps=["a", 30]), **settings)
        await running.first()
        with pytest.raises(ChatBusy):
            await begin(Script(steps=["b"]), **settings).first()
        running.cancel()
        await everything(running)

    run_ahead(main())


def test_a_turn_runs_within_its_seats_and_ends_after_it_gave_them_back() -> None:
    class WithSlots(FakeLifecycle):
        @asynccontextmanager
        async def room(self) -> AsyncIterator[None]:
            self.told.append("taken")
            yield
            self.told.append("given back")

    lifecycle = WithSlots()
    kept(lifecycle, "a")
    assert [one for one in lifecycle.told if one != "answer"] == ["begin", "taken", "given back", "finish", "report"]


def kept(lifecycle: FakeLifecycle, *steps: Step, **settings: Any) -> list[Event]:
    """What a turn tells that somebody keeps."""

    async def main() -> list[Event]:
        turn = Turn(settings_with(scripted_spec(Script(steps=steps)), **settings), PROMPT, lifecycle)
        turn.start(asyncio.get_running_loop())
        return await everything(turn)

    return run_ahead(main())


def test_a_turn_that_was_not_started_is_left_without_a_word() -> None:
    turn = Turn(settings_with(scripted_spec(Script(steps=()))), PROMPT, FakeLifecycle())
    assert turn.text_before_position() == ""
    turn.close()


def test_a_turn_that_is_kept_has_the_ids_that_its_keeper_knows() -> None:
    assert kept(FakeLifecycle(), "a")[0] == Started(turn="1" * 32, thread="7" * 32)


def test_a_keeper_is_told_when_a_turn_begins_and_is_answered_and_ends() -> None:
    lifecycle = FakeLifecycle()
    kept(lifecycle, "a", "b")
    assert lifecycle.told == ["begin", "answer", "finish", "report"]


def test_a_keeper_of_a_turn_that_fails_before_it_answers_is_told_of_no_answer() -> None:
    lifecycle = FakeLifecycle()
    kept(lifecycle, ProviderBusy())
    assert lifecycle.told == ["begin", "finish", "report"]


def test_the_reader_is_told_of_the_end_when_it_is_kept_and_where() -> None:
    lifecycle = FakeLifecycle(takes=0.05)
    last = kept(lifecycle, "a", "b", USAGE)[-1]
    assert lifecycle.kept == [("ab", Finished(reason="stop", usage=USAGE))]
    assert last == Finished(reason="stop", usage=USAGE, stored=StoredMessages(question="2" * 32, answer="3" * 32))


def test_reasoning_is_not_kept() -> None:
    lifecycle = FakeLifecycle()
    kept(lifecycle, Reasoning(text="Hm."), "a")
    assert lifecycle.kept[0][0] == "a"


def test_what_was_said_before_a_failure_is_kept() -> None:
    lifecycle = FakeLifecycle()
    kept(lifecycle, "a", ProviderBusy())
    text, terminal = lifecycle.kept[0]
    assert text == "a"
    assert isinstance(terminal, Failed)


def test_an_answer_that_reaches_what_was_promised_is_ended() -> None:
    lifecycle = FakeLifecycle(reserved=2)
    assert [one for one in kept(lifecycle, "x" * 4, "y" * 4, "z", 30) if isinstance(one, (Delta, Finished))] == [
        Delta(text="x" * 4 + "y" * 4),
        Finished(reason="length", usage=guessed(2), stored=StoredMessages(question="2" * 32, answer="3" * 32)),
    ]


def test_an_answer_within_what_was_promised_is_whole() -> None:
    last = kept(FakeLifecycle(reserved=2), "x" * 4)[-1]
    assert isinstance(last, Finished)
    assert last.reason == "stop"


def test_a_turn_of_which_nobody_keeps_anything_holds_no_text() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a"]))
        await everything(turn)
        assert turn.log.text.since(0) == ""

    run_ahead(main())


def test_a_turn_tells_what_it_has_used_so_far() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a", 30]))
        assert turn._counter.total() is None
        await turn.first()
        assert turn._counter.total() == guessed(1)
        turn.cancel()
        await everything(turn)

    run_ahead(main())


class NeverCloses(Provider):
    """Is not done with closing for a long time."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        try:
            yield Delta(text="a")
            await asyncio.sleep(30)
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(30)


class GoesOn(Provider):
    """Does not let itself be cancelled."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        yield Delta(text="a")
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        await asyncio.sleep(0.1)
        yield Delta(text="b")


class SlowToClose(Provider):
    """Awaits while it closes, as a client of HTTP does."""

    closed = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        try:
            yield Delta(text="Hello")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)  # Longer than the turn may take: its time limit is a third reason to cancel.
            type(self).closed += 1


class SpeaksWhileStopped(Provider):
    """Says something between the time its turn is told to stop and the time the turn's task is."""

    closed = 0
    stop: Callable[[], None]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        try:
            yield Delta(text="a")
            type(self).stop()
            await asyncio.sleep(0)
            yield Delta(text="b")
        finally:
            await asyncio.sleep(0.01)
            type(self).closed += 1


def test_what_a_provider_raises_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told(RuntimeError("secret"))
    assert "raised RuntimeError at " in caplog.text
    assert "secret" not in caplog.text


def test_a_turn_that_nobody_keeps_needs_no_end_when_it_is_dropped() -> None:
    script = Script(steps=["a"])
    turn_of(script).discard()
    assert script.opened == 0


@pytest.mark.parametrize("is_recorded", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize(
    ("steps", "settings", "cancel"),
    [
        (("a",), {}, False),
        ((ProviderBusy(),), {}, False),
        (("a", ProviderBusy()), {}, False),
        (("a", 60), {}, True),
        ((60,), {}, True),
        (("a", 60), {"silence_seconds": 0.01}, False),
        (("a", 60), {"turn_seconds": 0.01}, False),
        (("aaa",), {"answer_max_length": 2}, False),
    ],
    ids=["answered", "refused", "broken", "cancelled", "cancelled at first", "silent", "slow", "long"],
)
def test_a_turn_that_has_ended_does_not_wait_for_the_collector(
    steps: tuple[Step, ...], settings: dict[str, Any], cancel: bool, is_recorded: bool
) -> None:
    async def ended() -> str:
        given = settings_with(scripted_spec(Script(steps=steps)), **settings)
        turn = Turn(given, PROMPT, FakeLifecycle()) if is_recorded else unrecorded(given)
        turn.start(asyncio.get_running_loop())
        if cancel:
            await asyncio.sleep(0.02)
            turn.cancel()
        assert isinstance((await everything(turn))[-1], Terminal)
        return turn.id

    async def main() -> None:
        turn_id = await ended()
        await until(lambda: not [one for one in gc.get_objects() if type(one) is Turn and one.id == turn_id])

    gc.disable()
    try:
        # Asked for a language where none is active, asgiref 3.8 keeps its callers in a cycle on Python 3.10.
        with translation.override("en"):
            run_ahead(main())
    finally:
        gc.enable()
