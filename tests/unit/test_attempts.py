"""Before the first event: again where that helps, then the next in line; after it, never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partialmethod

import pytest

from tests.unit.aio import begin_with, everything, run_ahead, scripted_spec, until
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine import failover
from waldur_chat.engine.breaker import Breaker
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import (
    ChatError,
    ChatNotConfigured,
    ContextExceeded,
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderTooSlow,
    ProviderUnavailable,
    ProviderUnreachable,
)
from waldur_chat.events import Delta, Event, Failed, Finished, ProviderEvent, Reasoning, Started, Stopped, Usage
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.testing import Script, Step


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "FIRST_PAUSE_SECONDS", 0.01)


class Changing(Provider):
    """Does one script after the other, an attempt each, and the last one from then on."""

    model = "changing"

    def __init__(self, *, scripts: Sequence[Script]) -> None:
        self._scripts = list(scripts)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        script.opened += 1
        try:
            for step in script.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                else:
                    yield Delta(text=step) if isinstance(step, str) else step
        finally:
            script.closed += 1


def changing(*scripts: Sequence[Step], name: str = "default") -> ProviderSpec:
    """The settings of a provider that does these scripts, one after the other."""
    options = {"scripts": [Script(steps=steps) for steps in scripts]}
    return ProviderSpec(name=name, backend=f"{__name__}.Changing", options=options, place="here")


def told(*chain: ProviderSpec, **settings: object) -> tuple[list[Event], Turn]:
    """What the turn tells after its beginning, and the turn."""

    async def main() -> tuple[list[Event], Turn]:
        turn = begin_with(*chain, **{"attempts": 2, **settings})
        events = await everything(turn)
        return [event for event in events if not isinstance(event, Started)], turn

    events, turn = run_ahead(main())
    for script in (script for spec in chain for script in spec.options.get("scripts", ())):
        assert script.opened == script.closed
    return events, turn


def codes(turn: Turn) -> list[str]:
    return [f"{one.provider}:{one.code}" for one in turn.record.attempts]


def error_of(events: list[Event]) -> ChatError:
    (last,) = events
    assert isinstance(last, Failed)
    return last.error


@pytest.mark.parametrize(
    "error",
    [
        ProviderUnreachable(),
        ProviderFailed(),
        ProviderIncomplete(),
        ProviderBusy(),
        ProviderConnectTooSlow(),
        ProviderTooSlow(),
        ZeroDivisionError(),
    ],
)
def test_what_trying_again_can_mend_is_tried_again(error: Exception) -> None:
    events, turn = told(changing([error], ["Hello"]))
    assert events[0] == Delta(text="Hello")
    assert isinstance(events[1], Finished)
    assert len(codes(turn)) == 2
    assert codes(turn)[1] == "default:"


def test_a_refusal_is_not_tried_again() -> None:
    events, turn = told(changing([ProviderRefused()], ["Hello"]))
    assert type(error_of(events)) is ProviderRefused
    assert codes(turn) == ["default:provider_refused"]


def test_attempts_are_bounded() -> None:
    events, turn = told(changing([ProviderFailed()]), attempts=3)
    assert type(error_of(events)) is ProviderFailed
    assert codes(turn) == ["default:provider_failed"] * 3


@pytest.mark.parametrize("begun", ["Hello", Reasoning(text="Hm")])
def test_after_the_first_event_nothing_is_tried_again(begun: Step) -> None:
    events, turn = told(changing([begun, ProviderFailed()]), changing(["no"], name="spare"))
    assert isinstance(events[-1], Failed)
    assert codes(turn) == ["default:"]


def test_what_the_provider_reported_before_it_failed_counts_too() -> None:
    usage = Usage(input_tokens=7, output_tokens=0)
    events, _ = told(changing([usage, ProviderFailed()], ["Hello", Usage(input_tokens=7, output_tokens=2)]))
    assert events[-1] == Finished(reason="stop", usage=Usage(input_tokens=14, output_tokens=2))


def test_a_time_that_the_provider_asks_for_is_kept() -> None:
    async def main() -> float:
        turn = begin_with(changing([ProviderBusy(retry_after=1)], ["Hello"]), attempts=2)
        await everything(turn)
        assert turn.record.seconds is not None
        return turn.record.seconds

    assert run_ahead(main()) >= 1


def test_a_time_that_is_too_long_is_the_clients_to_wait() -> None:
    events, turn = told(changing([ProviderBusy(retry_after=60)], ["Hello"]), first_event_seconds=5)
    assert error_of(events).retry_after == 60
    assert codes(turn) == ["default:provider_busy"]


@pytest.mark.parametrize("error", [ProviderRefused(), ProviderFailed(), ProviderBusy(retry_after=600)])
def test_the_next_in_line_is_asked_when_one_fails(error: Exception) -> None:
    events, turn = told(changing([error]), changing(["Hello"], name="spare"), attempts=1)
    assert events[0] == Delta(text="Hello")
    assert (turn.record.provider, turn.record.model) == ("spare", "changing")


def test_the_next_in_line_is_asked_when_one_cannot_work() -> None:
    broken = ProviderSpec(name="default", backend="no.such.Provider", options={}, place="here")
    events, turn = told(broken, changing(["Hello"], name="spare"))
    assert events[0] == Delta(text="Hello")
    assert codes(turn) == ["default:chat_not_configured", "spare:"]


def test_the_error_of_the_last_in_line_is_told() -> None:
    chain = [changing([error], name=name) for name, error in (("default", ProviderFailed()), ("b", ProviderRefused()))]
    events, _ = told(*chain)
    assert type(error_of(events)) is ProviderRefused


@pytest.mark.parametrize("kind", [ContextExceeded, ProviderRefusedQuestion])
@pytest.mark.parametrize("other", [ProviderFailed, ProviderUnreachable, ProviderRefused])
def test_a_refusal_of_the_question_says_more_than_another_failure(
    kind: type[ProviderError], other: type[ProviderError]
) -> None:
    events, turn = told(changing([kind()]), changing([other()], name="spare"), attempts=1)
    assert type(error_of(events)) is kind
    assert len(codes(turn)) == 2


def test_the_last_refusal_of_the_question_is_told() -> None:
    events, _ = told(changing([ProviderRefusedQuestion()]), changing([ContextExceeded()], name="spare"))
    assert type(error_of(events)) is ContextExceeded


@pytest.mark.parametrize("kind", [ContextExceeded, ProviderRefusedQuestion])
def test_a_refused_question_is_not_asked_again_and_the_next_in_line_is(kind: type[ProviderError]) -> None:
    events, turn = told(changing([kind()], ["no"]), changing(["Hello"], name="spare"))
    assert events[0] == Delta(text="Hello")
    assert codes(turn) == [f"default:{kind.code}", "spare:"]


def test_an_empty_answer_is_tried_again_and_then_the_next_in_line() -> None:
    events, turn = told(changing([""]), changing([Reasoning(text=""), "Hello"], name="spare"))
    assert events[0] == Delta(text="Hello")
    assert codes(turn) == ["default:provider_empty", "default:provider_empty", "spare:"]


@pytest.mark.parametrize("steps", [[ProviderRefusedQuestion()], [ContextExceeded()], [Stopped(reason="stop")]])
def test_a_hundred_refused_questions_of_one_user_change_nothing_for_others(steps: Sequence[Step]) -> None:
    async def main() -> list[Event]:
        for _ in range(100):
            await everything(begin_with(spec, breaker_failures=5))
        return await everything(begin_with(spec, breaker_failures=5))

    spec = changing(*[steps] * 100, ["Hello"])
    assert isinstance(run_ahead(main())[-1], Finished)


def test_a_silent_provider_leaves_time_for_the_next() -> None:
    events, turn = told(changing([30]), changing(["Hello"], name="spare"), first_event_seconds=0.1)
    assert events[0] == Delta(text="Hello")
    assert codes(turn) == ["default:provider_too_slow", "spare:"]


def test_a_silent_provider_is_not_asked_again() -> None:
    events, turn = told(changing([30]), first_event_seconds=0.05)
    assert type(error_of(events)) is ProviderTooSlow
    assert codes(turn) == ["default:provider_too_slow"]


def test_without_a_provider_nothing_is_asked() -> None:
    async def main() -> list[Event]:
        turn = begin_with(scripted_spec(Script(steps=[]), name="default"))
        turn.settings.providers.clear()  # type: ignore[attr-defined]
        return await everything(turn)

    assert type(error_of(run_ahead(main()))) is ChatNotConfigured


def test_stopping_between_attempts_is_no_failure() -> None:
    async def main() -> None:
        turn = begin_with(changing([ProviderBusy(retry_after=9)], ["Hello"]), attempts=2)
        await until(lambda: turn.record.attempts)
        turn.cancel()
        await everything(turn)
        assert codes(turn) == ["default:provider_busy"]

    run_ahead(main())


def test_stopping_during_an_attempt_closes_it() -> None:
    async def main() -> Turn:
        turn = begin_with(spec)
        await until(lambda: spec.options["scripts"][0].opened)
        turn.cancel()
        await everything(turn)
        await until(lambda: spec.options["scripts"][0].closed)
        return turn

    spec = changing([30])
    assert codes(run_ahead(main())) == ["default:cancelled"]


def test_a_provider_that_keeps_failing_is_not_asked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        settings = {"breaker_failures": 3, "breaker_seconds": 60}
        for _ in range(3):
            await everything(begin_with(spec, **settings))
        turn = begin_with(spec, **settings)
        (last,) = await everything(turn)
        assert isinstance(last, Failed)
        assert type(last.error) is ProviderUnavailable
        assert last.error.retry_after == 60
        assert spec.options["scripts"][-1].opened == 0
        await asyncio.sleep(61)
        assert isinstance((await everything(begin_with(spec, **settings)))[-1], Finished)

    clock = partialmethod(Breaker.__init__, lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(Breaker, "__init__", clock)
    spec = changing([ProviderFailed()], [ProviderFailed()], [ProviderFailed()], ["Hello"])
    run_ahead(main())


def test_a_turn_does_not_wait_for_an_open_breaker() -> None:
    async def main() -> None:
        for _ in range(2):
            await everything(begin_with(dead, spare, breaker_failures=1))
        turn = begin_with(dead, spare, breaker_failures=1)
        await everything(turn)
        assert codes(turn) == ["default:provider_unavailable", "spare:"]

    dead, spare = changing([ProviderFailed()]), changing(["Hello"], name="spare")
    run_ahead(main())


class SlowToClose(Provider):
    """Never begins, and takes its time to close."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        try:
            await asyncio.sleep(30)
            yield Delta(text="never")
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)


def test_a_provider_that_is_slow_to_close_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "CLOSING_SECONDS", 0.05)
    slow = ProviderSpec(name="default", backend=f"{__name__}.SlowToClose", options={}, place="here")
    events, turn = told(slow, changing(["Hello"], name="spare"), first_event_seconds=0.2)
    assert events[0] == Delta(text="Hello")
    assert codes(turn) == ["default:provider_too_slow", "spare:"]
    assert turn.record.seconds is not None
    assert turn.record.seconds < 0.9
