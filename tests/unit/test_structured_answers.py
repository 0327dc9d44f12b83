"""Answers in the form of a schema, for the host's own code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.aio import run
from tests.unit.replying import in_turn
from waldur_chat import chat
from waldur_chat.chat import Answer
from waldur_chat.chat.structured import Asked
from waldur_chat.chat.structured import ask as dialogue
from waldur_chat.errors import InvalidAnswer, ProviderError, ProviderRefused
from waldur_chat.events import (
    LENGTH,
    WAITING,
    Delta,
    Finished,
    Reasoning,
    Started,
    Stopped,
    ToolAnswered,
    ToolCalled,
    Usage,
)
from waldur_chat.messages import Question
from waldur_chat.schemas.answers import form_of
from waldur_chat.turns.host.options import HostOptions

USAGE = Usage(input_tokens=7, output_tokens=5)


@dataclass
class Place:
    city: str
    people: int = 0


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def invoke(text: str = "Where?", **options: Any) -> Answer:
    return chat.invoke(text, **options)


def ainvoke(text: str = "Where?", **options: Any) -> Answer:
    return run(chat.ainvoke(text, **options))


both = pytest.mark.parametrize("ask", [invoke, ainvoke])


@both
def test_a_value_of_a_schema_is_json(ask: Any) -> None:
    with in_turn('{"city": "Riga"}'):
        answer = ask(schema=CITY)
    assert (answer.value, answer.text) == ({"city": "Riga"}, '{"city": "Riga"}')


@both
def test_a_value_of_a_dataclass_is_an_instance(ask: Any) -> None:
    with in_turn('```json\n{"city": "Riga", "people": 600000}\n```'):
        assert ask(schema=Place).value == Place("Riga", 600_000)


def test_without_a_schema_there_is_no_value() -> None:
    with in_turn('{"city": "Riga"}'):
        assert invoke().value is None


@pytest.mark.parametrize(
    "answer", ['<think>\n{"city": 1}\n</think>\n{"city": "Riga"}', [Reasoning(text="Hm."), '{"city": "Riga"}']]
)
def test_thoughts_before_the_value_are_not_read(answer: Any) -> None:
    with in_turn(answer):
        assert invoke(schema=CITY).value == {"city": "Riga"}


def test_a_model_that_takes_no_schema_is_told_it_in_its_system_prompt() -> None:
    with in_turn('{"city": "Riga"}') as provider:
        invoke(schema=CITY, system="Be brief.")
    system, question = provider.prompts[0].messages
    assert system.text.startswith("Be brief.\n\nAnswer with one JSON value")
    assert '"required": ["city"]' in system.text
    assert question.text == "Where?"


@both
def test_an_answer_that_does_not_fit_is_asked_for_again(ask: Any) -> None:
    with in_turn(["In Riga.", USAGE], ['{"city": "Riga"}', USAGE]) as provider:
        answer = ask(schema=CITY)
    assert answer.value == {"city": "Riga"}
    assert answer.usage == Usage(input_tokens=14, output_tokens=10)
    again = provider.prompts[1].messages[-1]
    assert again.role == "user"
    assert again.text.startswith("Where?\n\nYou have answered this before")
    assert "In Riga." in again.text
    assert "It is not valid JSON" in again.text


@both
def test_a_second_answer_that_does_not_fit_is_an_error_that_keeps_the_text(ask: Any) -> None:
    with in_turn("In Riga.", '{"town": "Riga"}') as provider, pytest.raises(InvalidAnswer) as caught:
        ask(schema=CITY)
    assert (caught.value.text, caught.value.problem) == ('{"town": "Riga"}', "'city' is a required property.")
    assert (caught.value.code, isinstance(caught.value, ProviderError)) == ("invalid_answer", True)
    assert len(provider.prompts) == 2


def test_the_error_does_not_quote_the_answer() -> None:
    with in_turn("secret", "secret"), pytest.raises(InvalidAnswer) as caught:
        invoke(schema=CITY)
    assert "secret" not in str(caught.value)


def test_an_answer_that_was_cut_off_is_not_asked_for_again() -> None:
    with in_turn(['{"city": "Ri', Stopped(reason=LENGTH)]) as provider, pytest.raises(InvalidAnswer) as caught:
        invoke(schema=CITY)
    assert caught.value.problem.startswith("It was cut off (length). It is not valid JSON")
    assert len(provider.prompts) == 1


def test_an_error_of_the_second_question_is_raised() -> None:
    with in_turn("In Riga.", [ProviderRefused("no")]), pytest.raises(ProviderRefused):
        invoke(schema=CITY)


def conversation(*tellings: Any) -> Answer:
    """What becomes of these events of turns."""
    options = HostOptions(form=form_of(CITY))
    steps = dialogue(Asked(question=Question(text="Where?"), options=options))
    next(steps)
    try:
        for events in tellings:
            steps.send(events)
    except StopIteration as end:
        return end.value
    raise AssertionError("It asks for more.")


CALL = ToolCalled(call_uuid="c1", tool="find", arguments={})
RESULT = ToolAnswered(call_uuid="c1", tool="find", outcome="done")
WHERE = [Started(turn=""), Delta(text='{"a": 1} Let me look.'), CALL, RESULT]


def test_what_is_said_before_a_call_of_a_tool_is_no_part_of_the_value() -> None:
    answer = conversation([*WHERE, Delta(text='\n\n{"city": "Riga"}'), Finished(reason="stop", usage=None)])
    assert answer.value == {"city": "Riga"}
    assert answer.text.startswith('{"a": 1} Let me look.')


def test_calls_of_both_answers_are_told() -> None:
    first = [*WHERE, Delta(text="In Riga."), Finished(reason="stop", usage=USAGE)]
    answer = conversation(
        first, [Started(turn=""), Delta(text='{"city": "Riga"}'), Finished(reason="stop", usage=None)]
    )
    assert [call.tool for call in answer.calls] == ["find"]
    assert answer.usage == USAGE


def test_an_answer_that_waits_for_its_user_has_no_value() -> None:
    answer = conversation([Started(turn=""), CALL, Finished(reason=WAITING, usage=None)])
    assert (answer.status, answer.value) == ("waiting", None)


@both
@pytest.mark.parametrize("schema", ["city", int, {"type": "strng"}])
def test_a_wrong_schema_is_told_before_anything_is_asked(ask: Any, schema: Any) -> None:
    with in_turn() as provider, pytest.raises((TypeError, ValueError), match="schema"):
        ask(schema=schema)
    assert not provider.prompts
