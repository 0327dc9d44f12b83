"""Tools of the OpenAI provider: what is sent, and a service that has none."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.unit.aio import PROMPT, answer, run
from tests.unit.test_openai_provider import asking
from waldur_chat.errors import ProviderRefusedQuestion
from waldur_chat.events import CallPending, CallRequested, Delta, ProviderEvent
from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.providers import openai_features
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.openai_messages import messages_of, prompt_tools, tools_of

pytestmark = pytest.mark.usefixtures("transport")

SCHEMA = {"type": "object", "properties": {"page": {"type": "integer"}}}
LIST = ToolSpec(name="list", description="Lists projects.", schema=SCHEMA)
OFFERING = replace(PROMPT, tools=(LIST,))
SIGNED = Call(id="call00001", name="list", arguments='{"page": 1}', extra={"extra_content": {"google": "sig"}})
CALLS = Message(role="assistant", text="", calls=(SIGNED,), reasoning="Hm.", reasoning_key="reasoning_content")
RESULT = Message(role="tool", text="[Alpha]", call_id="call00001")
ROUND = replace(OFFERING, messages=(*PROMPT.messages, CALLS, RESULT))


def sent(prompt: Prompt, model: str = "tokens=1", **options: Any) -> dict[str, Any]:
    """The body of the last request for this prompt."""

    async def main() -> dict[str, Any]:
        async with asking(model, **options) as (service, provider):
            await answer(provider, prompt)
            body: dict[str, Any] = service.request["body"]
            return body

    return run(main())


def test_tools_are_sent_as_functions() -> None:
    function = {"name": "list", "description": "Lists projects.", "parameters": SCHEMA}
    body = sent(OFFERING)
    assert body["tools"] == [{"type": "function", "function": function}]
    assert "tool_choice" not in body


def test_a_prompt_without_tools_is_sent_as_ever() -> None:
    assert {"tools", "tool_choice"}.isdisjoint(sent(PROMPT))


def test_calls_may_be_forbidden() -> None:
    assert tools_of(replace(OFFERING, tool_choice="none"))["tool_choice"] == "none"
    assert prompt_tools(replace(OFFERING, tool_choice="none"), in_text=True) is None


def test_tools_that_the_history_has_called_are_named_where_none_are_offered() -> None:
    fields = tools_of(replace(ROUND, tools=()))
    assert [tool["function"]["name"] for tool in fields["tools"]] == ["list"]
    assert fields["tool_choice"] == "none"


def test_calls_results_and_thoughts_go_back_as_they_came() -> None:
    call = {
        "extra_content": {"google": "sig"},
        "id": "call00001",
        "type": "function",
        "function": {"name": "list", "arguments": '{"page": 1}'},
    }
    assert sent(ROUND)["messages"][2:] == [
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call00001", "content": "[Alpha]"},
    ]


@pytest.mark.parametrize("key", ["", "role", "tool_calls"])
def test_thoughts_go_back_in_no_other_field(key: str) -> None:
    message = messages_of(Prompt(messages=(replace(CALLS, text="Wait.", reasoning_key=key),)))[0]
    assert {**message, "tool_calls": []} == {"role": "assistant", "content": "Wait.", "tool_calls": []}


@pytest.mark.parametrize("arguments", ["", "[1]", '{"page": ', "{" * 100_000])
def test_arguments_that_are_no_object_do_not_go_back(arguments: str) -> None:
    message = replace(CALLS, calls=(replace(SIGNED, arguments=arguments),))
    call = messages_of(Prompt(messages=(message,)))[0]["tool_calls"][0]
    assert call["function"]["arguments"] == "{}"


def test_a_call_becomes_an_event() -> None:
    async def main() -> tuple[list[ProviderEvent], list[ProviderEvent]]:
        async with asking('call=list&arguments={"page": 2}') as (_, provider):
            return await answer(provider, OFFERING), await answer(provider, ROUND)

    first, second = run(main())
    calls = [event for event in first if isinstance(event, CallRequested)]
    assert [(call.name, call.arguments) for call in calls] == [("list", '{"page": 2}')]
    assert first[0] == CallPending()
    assert not [event for event in second if isinstance(event, CallRequested)]


def test_calls_within_the_text_are_an_option() -> None:
    async def main(**options: Any) -> list[ProviderEvent]:
        async with asking('text={"name": "list"}', **options) as (_, provider):
            return await answer(provider, OFFERING)

    assert [event for event in run(main(calls_in_text=True)) if isinstance(event, CallRequested)]
    assert [event for event in run(main()) if isinstance(event, Delta)]


# A service without tools.

NONE = "tools=refuse&tokens=1"


@pytest.fixture(autouse=True)
def new_process() -> None:
    """Nothing was warned of in this process."""
    openai_features._warn.cache_clear()


def test_a_service_without_tools_is_asked_without_them_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> tuple[list[list[ProviderEvent]], bool, list[bool]]:
        async with asking(NONE) as (service, provider):
            said = [await answer(provider, ROUND)]
            supports = provider.supports_tools
            said.append(await answer(provider, ROUND.without_calls()))
            return said, supports, ["tools" in request["body"] for request in service.stats.requests]

    said, supports, offered = run(main())
    assert offered == [True, False, False]
    assert not supports
    assert all(Delta(text="w0 ") in events for events in said)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.name for record in warnings] == ["waldur_chat.providers.openai_features"]


def test_turns_that_learn_it_at_once_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with asking(NONE) as (_, provider):
            await asyncio.gather(*(answer(provider, OFFERING) for _ in range(5)))

    run(main())
    assert caplog.text.count("refuses tools") == 1


def test_results_are_told_in_the_question_where_there_are_no_tools() -> None:
    messages = sent(ROUND, NONE)["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[-1]["content"].endswith("Result of the tool list:\n[Alpha]")


def test_a_service_may_be_known_to_have_tools() -> None:
    async def main() -> int:
        async with asking(NONE, tools=True) as (service, provider):
            with pytest.raises(ProviderRefusedQuestion):
                await answer(provider, OFFERING)
            assert provider.supports_tools
            return service.stats.asked

    assert run(main()) == 1


def test_a_service_that_only_cannot_forbid_calls_keeps_its_tools() -> None:
    async def main() -> bool:
        async with asking(NONE) as (_, provider):
            await answer(provider, replace(ROUND, tool_choice="none"))
            return provider.supports_tools

    assert run(main())


def test_a_service_may_be_known_to_have_none() -> None:
    assert not OpenAIProvider(base_url="http://internal/v1", tools=False).supports_tools
    assert OpenAIProvider(base_url="http://internal/v1").supports_tools


@pytest.mark.parametrize("options", [{"tools": "auto"}, {"tools": 1}, {"calls_in_text": None}])
def test_wrong_options_are_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        OpenAIProvider(base_url="http://internal/v1", **options)
