"""A turn asks its model again with the results of the tools that it has called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from tests.unit.aio import PROMPT, FakeLifecycle, everything, run_ahead, settings_with, turn_of, until
from tests.unit.rounds import FakeRunner, Rounds, call, rounds, spec_of, told, turn_with
from waldur_chat.engine.rounds.tool_rounds import NO_RESULT, NOT_RUN, REPEATED
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import (
    BudgetUsedUp,
    ChatError,
    ProviderBusy,
    ProviderEmpty,
    ProviderSilent,
    ServerStopping,
    TurnTooLong,
)
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    Reasoning,
    ReasoningWasAnswer,
    Started,
    Stopped,
    ToolAnswered,
    ToolCalled,
    Usage,
)
from waldur_chat.messages import Call, Message
from waldur_chat.testing import Script

CALLED = ToolCalled(call_uuid="call00001", tool="list", arguments={})
ANSWERED = ToolAnswered(call_uuid="call00001", tool="list", outcome="done", summary="[1]")


def usage(input_tokens: int, output_tokens: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens)


def failure(events: list[Event]) -> ChatError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


def results(said: Rounds) -> list[str]:
    """The results that the model was told in its last round."""
    return [message.text for message in said.prompts[-1].messages if message.role == "tool"]


def test_results_are_told_to_the_model_and_what_it_then_says_is_the_answer() -> None:
    said = rounds(["Let me look.", call(arguments='{"a": 1}')], ["One project."])
    events = run_ahead(told(said))
    assert events[1:4] == [Delta(text="Let me look."), CALLED, ANSWERED]
    assert events[4] == Delta(text="\n\nOne project.")
    assert isinstance(events[5], Finished)
    assert said.prompts[1].messages[2:] == (
        Message(
            role="assistant", text="Let me look.", calls=(Call(id="call00001", name="list", arguments='{"a": 1}'),)
        ),
        Message(role="tool", text="[1]", call_id="call00001"),
    )
    assert said.prompts[1].tools == said.prompts[0].tools
    assert said.prompts[1].tool_choice == "auto"


def test_a_call_begins_the_answer() -> None:
    async def main() -> None:
        assert isinstance(await turn_with(rounds([call()], ["a"]), FakeRunner()).first(), Started)

    run_ahead(main())


def test_what_was_said_before_is_not_separated_from_nothing() -> None:
    assert Delta(text="a") in run_ahead(told(rounds(["\n", call()], ["", "a"])))


def test_thoughts_go_back_under_the_key_they_came_with() -> None:
    said = rounds([Reasoning(text="Hm."), call(reasoning_key="reasoning_content", extra={"x": 1})], ["a"])
    run_ahead(told(said))
    asked = said.prompts[1].messages[2]
    assert (asked.reasoning, asked.reasoning_key) == ("Hm.", "reasoning_content")
    assert asked.calls[0].extra == {"x": 1}


def test_thoughts_without_a_key_do_not_go_back() -> None:
    said = rounds([Reasoning(text="Hm."), call()], ["a"])
    run_ahead(told(said))
    assert said.prompts[1].messages[2].reasoning == ""


def test_thoughts_that_were_the_answer_go_back_as_its_text() -> None:
    said = rounds(["a", call(1)], [Reasoning(text="Hm."), ReasoningWasAnswer(text="Hm."), call(2)], ["b"])
    events = run_ahead(told(said))
    asked = said.prompts[2].messages[-2]
    assert (asked.text, asked.reasoning) == ("Hm.", "")
    assert Delta(text="\n\nHm.") in events


def test_usage_is_the_sum_of_all_rounds() -> None:
    end = run_ahead(told(rounds([call(), usage(7, 5)], ["a", usage(11, 2)])))[-1]
    assert isinstance(end, Finished)
    assert end.usage == usage(18, 7)


def test_usage_that_no_round_reports_is_estimated_for_each() -> None:
    end = run_ahead(told(rounds([call(), usage(7, 5)], ["12345678"])))[-1]
    assert isinstance(end, Finished)
    assert end.usage
    assert end.usage.estimated
    assert end.usage.input_tokens > 14
    assert end.usage.output_tokens == 7


def test_every_call_has_an_answer_before_the_model_is_asked_again() -> None:
    said = rounds([call(1), call(2)], ["a"])
    run_ahead(told(said, FakeRunner(answers=lambda request: request.id == "call00002")))
    assert results(said) == [NO_RESULT, "[1]"]


def test_the_last_round_forbids_calls() -> None:
    said = rounds([call(1)], [call(2, '{"page": 2}')], ["a"])
    run_ahead(told(said, tool_rounds=2))
    assert [prompt.tool_choice for prompt in said.prompts] == ["auto", "auto", "none"]


def test_calls_of_the_last_round_are_not_run() -> None:
    said, runner = rounds([call(1)], ["I know.", call(2)]), FakeRunner()
    events = run_ahead(told(said, runner, tool_rounds=1))
    assert isinstance(events[-1], Finished)
    assert len(runner.asked) == 1


def test_a_model_that_never_answers_has_failed() -> None:
    assert isinstance(failure(run_ahead(told(rounds([call(1)]), tool_rounds=1))), ProviderEmpty)


def test_calls_beyond_the_limit_are_answered_but_not_run() -> None:
    said, runner = rounds([call(1), call(2), call(3)], ["a"]), FakeRunner()
    run_ahead(told(said, runner, tool_calls=2))
    assert results(said) == ["[1]", "[1]", NOT_RUN]
    assert [one.id for one in runner.asked[0].requests] == ["call00001", "call00002"]
    assert said.prompts[-1].tool_choice == "none"


def test_the_same_call_with_the_same_result_is_told_and_then_forbidden() -> None:
    said = rounds([call(1, '{"a": 1, "b": 2}')], [call(2, '{"b":2,"a":1}')], [call(3, '{"a":1, "b":2}')], [call(4)])
    said.scripts[3].steps = [call(4, '{"a": 1, "b": 2}')]
    said = replace(said, scripts=[*said.scripts, Script(steps=["a"])])
    run_ahead(told(said))
    assert results(said) == ["[1]", "[1]", f"[1]\n\n{REPEATED}", f"[1]\n\n{REPEATED}"]
    assert [prompt.tool_choice for prompt in said.prompts] == ["auto"] * 4 + ["none"]


def test_arguments_that_are_no_json_are_compared_as_they_are() -> None:
    said = rounds(*[[call(number, "{no")] for number in range(4)], ["a"])
    run_ahead(told(said))
    assert said.prompts[-1].tool_choice == "none"


def test_a_runner_may_end_the_turn_without_a_text() -> None:
    said = rounds([call()], ["never"])
    events = run_ahead(told(said, FakeRunner(ends_turn=True)))
    assert events[1:] == [CALLED, ANSWERED, events[-1]]
    assert isinstance(events[-1], Finished)
    assert len(said.prompts) == 1


def test_a_failure_in_a_later_round_is_one_after_text() -> None:
    events = run_ahead(told(rounds(["a", call()], [ProviderBusy()])))
    assert events[1] == Delta(text="a")
    assert isinstance(failure(events), ProviderBusy)


def test_a_later_round_is_asked_again_too() -> None:
    said = rounds([call()], [ProviderBusy()], ["a"])
    events = run_ahead(told(said, attempts=2))
    assert Delta(text="a") in events
    assert said.prompts[1] == said.prompts[2]


def test_the_provider_that_has_answered_is_asked_first_in_the_next_round() -> None:
    async def main() -> None:
        turn = turn_with(away, FakeRunner(), None, spec_of(said, "other"))
        assert isinstance((await everything(turn))[-1], Finished)

    away, said = rounds([ProviderBusy()]), rounds([call()], ["a"])
    run_ahead(main())
    assert (len(away.prompts), len(said.prompts)) == (1, 2)


def test_silence_while_tools_run_is_none_of_the_provider() -> None:
    runner = FakeRunner(before=lambda: asyncio.sleep(50))
    assert isinstance(run_ahead(told(rounds([call()], ["a"]), runner, silence_seconds=5))[-1], Finished)


def test_a_provider_that_is_silent_in_a_later_round_is_ended() -> None:
    events = run_ahead(told(rounds([call()], ["a", 60]), silence_seconds=5))
    assert isinstance(failure(events), ProviderSilent)


def test_a_provider_that_never_ends_its_calls_is_silent() -> None:
    said = rounds([call(), Stopped(reason="tool_calls"), 60], ["a"])
    assert isinstance(failure(run_ahead(told(said))), ProviderSilent)


def test_tools_count_in_the_time_of_the_turn() -> None:
    runner = FakeRunner(before=lambda: asyncio.sleep(500))
    assert isinstance(failure(run_ahead(told(rounds([call()], ["a"]), runner))), TurnTooLong)


def endings() -> list[Any]:
    return [
        pytest.param(lambda turn: turn.cancel(), Cancelled, id="stopped"),
        pytest.param(lambda turn: turn.close(), Cancelled, id="left"),
        pytest.param(lambda turn: turn.on_server_stopping(20.0), ServerStopping, id="server"),
    ]


@pytest.mark.parametrize(("ends", "expected"), endings())
def test_a_turn_ends_within_a_call_as_within_an_answer(ends: Any, expected: type) -> None:
    async def main() -> None:
        waits = asyncio.Event()
        runner, lifecycle = FakeRunner(before=waits.wait), FakeLifecycle()
        lifecycle.record.thread = ""
        turn = turn_with(rounds([call(), usage(7, 5)], ["a"]), runner, lifecycle)
        await until(lambda: runner.asked)
        ends(turn)
        end = (await everything(turn))[-1]
        assert isinstance(end.error if isinstance(end, Failed) else end, expected)
        assert isinstance(end, (Failed, Cancelled))
        assert end.usage == usage(7, 5)
        assert len(runner.asked) == 1

    run_ahead(main())


def test_tools_that_break_are_a_failure_of_the_turn() -> None:
    async def breaks() -> None:
        raise ZeroDivisionError

    assert isinstance(failure(run_ahead(told(rounds([call()], ["a"]), FakeRunner(before=breaks)))), ChatError)


def test_a_round_is_reserved_before_it_is_asked_for() -> None:
    async def main() -> None:
        said, lifecycle = rounds(["a", call(), usage(7, 5)], ["never"]), FakeLifecycle(reserved=12)
        end = (await everything(turn_with(said, FakeRunner(), lifecycle)))[-1]
        assert isinstance(end, Finished)
        assert (end.reason, end.usage) == ("length", usage(7, 5))
        assert len(said.prompts) == 1

    run_ahead(main())


def test_a_model_with_few_tokens_left_has_to_answer_with_them() -> None:
    async def main() -> None:
        said, lifecycle = rounds(["a", call(), usage(7, 5)], ["b"]), FakeLifecycle(reserved=1000, room=400)
        await everything(turn_with(said, FakeRunner(), lifecycle))
        last = said.prompts[-1]
        assert last.tool_choice == "none"
        assert last.max_output_tokens
        assert 300 < last.max_output_tokens < 388

    run_ahead(main())


def steps_of(begin: Callable[[FakeLifecycle], Turn]) -> tuple[int, int]:
    """How often the loop calls back for a turn, and how many events it has."""

    async def main() -> tuple[int, int]:
        loop, calls = asyncio.get_running_loop(), []
        soon = loop.call_soon
        with mock.patch.object(loop, "call_soon", lambda *args, **kwargs: calls.append(args) or soon(*args, **kwargs)):
            turn = begin(FakeLifecycle())
            await everything(turn)
        return len(calls), turn.log.events

    return run_ahead(main())


def test_tools_that_are_not_called_cost_no_step_and_no_event() -> None:
    def begin(lifecycle: FakeLifecycle) -> Turn:
        turn = turn_of(Script(steps=["a", "b"]), lifecycle)
        turn.start(asyncio.get_running_loop())
        return turn

    plain = steps_of(begin)
    assert plain == steps_of(lambda lifecycle: turn_with(rounds(["a", "b"]), FakeRunner(), lifecycle))
    assert plain[1] == 4


class TestDecided:
    """A turn that goes on with calls on which the user has decided."""

    DECIDED = (Message(role="tool", text="done", call_id="call00001"),)

    @staticmethod
    def going_on(said: Rounds, lifecycle: FakeLifecycle | None = None) -> list[Event]:
        """All events of a turn whose prompt ends with a call, and an earlier one with the same id."""
        asked = Message(role="assistant", text="", calls=(Call(id="call00001", name="list"),))
        pending = Message(role="tool", text="pending", call_id="call00001")
        runner = FakeRunner(decided=TestDecided.DECIDED)
        question = Message(role="user", text="Go on")
        prompt = replace(PROMPT, messages=(question, asked, pending, asked, pending), tools=runner.specs)
        settings = settings_with(spec_of(said))

        async def events() -> list[Event]:
            turn = Turn(settings, prompt, lifecycle or FakeLifecycle(), runner)
            turn.start(asyncio.get_running_loop())
            return await everything(turn)

        return run_ahead(events())

    def test_the_results_come_first_and_take_their_place_in_the_prompt(self) -> None:
        said = rounds(["Done."])
        events = self.going_on(said)
        assert [type(event) for event in events] == [Started, ToolAnswered, Delta, Finished]
        assert results(said) == ["pending", "done"]

    def test_where_no_tokens_are_left_the_model_is_not_asked(self) -> None:
        said = rounds(["Done."])
        lifecycle = FakeLifecycle()
        lifecycle.allowance = mock.Mock(begin_round=lambda prompt: 0)
        events = self.going_on(said, lifecycle)
        assert said.prompts == []
        assert isinstance(failure(events), BudgetUsedUp)
