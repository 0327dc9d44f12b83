"""The Python API."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation

from tests.unit.aio import run, until
from waldur_chat import chat
from waldur_chat.chat import Answer, collect, ended
from waldur_chat.errors import ChatNotConfigured, ProviderBusy, TurnCancelled, TurnTooLong
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Started, Usage, Warned
from waldur_chat.runtime.loop import background_loop
from waldur_chat.testing import scripted

USAGE = Usage(input_tokens=7, output_tokens=5)


def invoke(text: str | None = None) -> Answer:
    return chat.invoke(text)


def ainvoke(text: str | None = None) -> Answer:
    return run(chat.ainvoke(text))


def stream(text: str | None = None) -> list[Event]:
    return list(chat.stream(text))


def astream(text: str | None = None) -> list[Event]:
    async def main() -> list[Event]:
        return [event async for event in chat.astream(text)]

    return run(main())


both_invokes = pytest.mark.parametrize("ask", [invoke, ainvoke])
both_streams = pytest.mark.parametrize("ask", [stream, astream])
all_four = pytest.mark.parametrize("ask", [invoke, ainvoke, stream, astream])


@both_invokes
def test_an_answer_is_its_text(ask: Any) -> None:
    with scripted("Hello", USAGE, " world"):
        answer = ask("Hi")
    assert str(answer) == "Hello world"
    assert answer == Answer(text="Hello world", reason="stop", usage=USAGE)


@pytest.mark.parametrize(
    ("reason", "status"),
    [("stop", "complete"), ("eos", "complete"), ("length", "length"), ("content_filter", "filtered")],
)
def test_an_answer_says_how_it_ended(reason: str, status: str) -> None:
    assert collect([Delta(text="Hello"), Finished(reason=reason, usage=None)]).status == status


@both_invokes
def test_without_a_whole_answer_the_error_is_raised(ask: Any) -> None:
    with scripted("Hello", ProviderBusy()), pytest.raises(ProviderBusy):
        ask("Hi")


@both_streams
def test_events_come_from_the_beginning_to_the_end(ask: Any) -> None:
    with scripted("Hello", 0.01, " world"):
        started, *deltas, end = ask("Hi")
    assert isinstance(started, Started)
    # Who reads late gets several words at once.
    assert "".join(event.text for event in deltas if isinstance(event, Delta)) == "Hello world"
    assert end == Finished(reason="stop", usage=Usage(input_tokens=1, output_tokens=3, estimated=True))


@both_streams
def test_a_failure_is_the_last_event(ask: Any) -> None:
    error = ProviderBusy()
    with scripted("Hello", error):
        assert ask("Hi")[-1] == Failed(error=error, usage=Usage(input_tokens=1, output_tokens=2, estimated=True))


@all_four
def test_a_text_is_asked_after_the_system_prompt(ask: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"SYSTEM_PROMPT": "Be kind."}
    with scripted("a") as provider:
        ask("Hi")
    (prompt,) = provider.prompts
    assert [(message.role, message.text) for message in prompt.messages] == [("system", "Be kind."), ("user", "Hi")]
    assert not prompt.opens


@all_four
def test_without_a_text_the_assistant_opens_the_conversation(ask: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"OPENING_PROMPT": "Say hello."}
    with scripted("a") as provider:
        ask()
    (prompt,) = provider.prompts
    assert [(message.role, message.text) for message in prompt.messages] == [("user", "Say hello.")]
    assert prompt.opens


@all_four
def test_an_empty_text_is_a_text(ask: Any) -> None:
    with scripted("a") as provider:
        ask("")
    assert not provider.prompts[0].opens


@all_four
@pytest.mark.parametrize("own", [{"PROVIDERS": {}}, {"PROVIDERS": 7}, 7])
def test_where_nothing_can_be_asked_that_is_raised(ask: Any, own: object, settings: Any) -> None:
    settings.WALDUR_CHAT = own
    with pytest.raises(ChatNotConfigured):
        ask("Hi")


@both_invokes
def test_the_sites_limits_hold(ask: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURN_SECONDS": 0.01}
    with scripted("a", 30), pytest.raises(TurnTooLong):
        ask("Hi")


def test_closing_a_stream_stops_the_turn() -> None:
    with scripted("a", 60) as provider:
        with closing(chat.stream("Hi")) as events:
            next(events)
        waiting = until(lambda: provider.closed)
        asyncio.run_coroutine_threadsafe(waiting, background_loop()).result(30)
    assert (provider.opened, provider.closed) == (1, 1)


def test_closing_an_asynchronous_stream_stops_the_turn() -> None:
    async def main() -> None:
        with scripted("a", 60) as provider:
            async with aclosing(chat.astream("Hi")) as events:
                await anext(events)
            await until(lambda: provider.closed)
            assert provider.opened == 1

    run(main())


def test_cancelling_the_caller_stops_the_turn() -> None:
    async def main() -> None:
        with scripted("a", 60) as provider:
            task = asyncio.create_task(chat.ainvoke("Hi"))
            await until(lambda: provider.opened)
            task.cancel()
            await until(lambda: provider.closed)
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


@pytest.mark.parametrize("ask", [chat.invoke, chat.stream])
def test_what_blocks_is_refused_where_a_loop_runs(ask: Any) -> None:
    async def main() -> None:
        ask("Hi")

    with pytest.raises(SynchronousOnlyOperation, match="use a"):
        run(main())


def test_an_answer_has_the_warning_of_its_turn() -> None:
    events = [Started(turn="1"), Warned(text="Mind."), Delta(text="a"), Finished(reason="stop", usage=None)]
    assert collect(events) == Answer(text="a", reason="stop", usage=None, warning="Mind.")


@pytest.mark.parametrize("events", [[], [Started(turn="1"), Delta(text="a")], [Cancelled(usage=None)]])
def test_what_never_finished_is_no_answer(events: list[Event]) -> None:
    with pytest.raises(TurnCancelled):
        collect(events)


@pytest.mark.parametrize(
    ("events", "over"),
    [([], False), ([Delta(text="a")], False), ([Delta(text="a"), Cancelled(usage=None)], True)],
)
def test_a_turn_has_ended_with_its_terminal_event(events: list[Event], over: bool) -> None:
    assert ended(events) is over
