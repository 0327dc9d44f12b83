"""The OpenAI provider against a real service that speaks every dialect, by each transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.unit.aio import PROMPT, FakeService, answer, answer_once, closing, fake_service, run
from waldur_chat.errors import (
    ChatNotConfigured,
    ProviderFailed,
    ProviderRefused,
    ProviderRefusedQuestion,
)
from waldur_chat.events import Delta, ProviderEvent, Reasoning, ReasoningWasAnswer, Stopped, Usage
from waldur_chat.messages import Message
from waldur_chat.providers.openai import OpenAIProvider

pytestmark = pytest.mark.usefixtures("transport")

KEY = "sk-very-secret"
USED = Usage(input_tokens=7, output_tokens=2)
ANSWER = [Delta(text="w0 "), Delta(text="w1 "), Stopped(reason="stop"), USED]


@asynccontextmanager
async def asking(model: str = "tokens=2", **options: Any) -> AsyncIterator[tuple[FakeService, OpenAIProvider]]:
    """The service, and a provider that asks it."""
    async with fake_service() as service:
        address = {"base_url": f"{service.address}/v1", "api_key": KEY}
        provider = OpenAIProvider(**{**address, "model": model, **options})
        async with closing(provider):
            yield service, provider


def asked(model: str = "tokens=2", **options: Any) -> tuple[list[ProviderEvent], dict[str, Any]]:
    """The answer of the service, and the last request that it saw."""

    async def main() -> tuple[list[ProviderEvent], dict[str, Any]]:
        async with asking(model, **options) as (service, provider):
            return await answer(provider), service.request

    return run(main())


def test_an_answer_becomes_events() -> None:
    events, _ = asked()
    assert events == ANSWER


def test_the_request_is_a_streamed_chat_completion() -> None:
    _, request = asked()
    assert request["target"] == "/v1/chat/completions"
    assert request["body"] == {
        "model": "tokens=2",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is a VPC?"}],
        "max_tokens": 4096,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_key_is_sent() -> None:
    _, request = asked()
    assert request["headers"]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("api_key", ["", None])
def test_a_service_without_keys_gets_none(api_key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    _, request = asked(api_key=api_key)
    assert KEY not in str(request)
    assert "authorization" not in request["headers"]


def test_without_options_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> dict[str, Any]:
        async with fake_service() as service:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{service.address}/v1")
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            await answer_once(OpenAIProvider())
            return service.request

    request = run(main())
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert request["body"]["max_tokens"] == 4096


def test_without_any_key_openai_is_not_asked() -> None:
    with pytest.raises(ChatNotConfigured):
        run(answer_once(OpenAIProvider()))


@pytest.mark.parametrize("client", [{"no_such_option": 1}, {"azure_endpoint": "http://x"}])
def test_client_options_that_do_not_work_are_told(client: dict[str, object]) -> None:
    with pytest.raises(ChatNotConfigured):
        run(answer_once(OpenAIProvider(api_key=KEY, client=client)))


def test_client_options_reach_the_client() -> None:
    _, request = asked(client={"organization": "acme", "default_headers": {"X-Site": "ours"}})
    assert (request["headers"]["openai-organization"], request["headers"]["x-site"]) == ("acme", "ours")


def test_azure_is_asked_its_own_way() -> None:
    async def main() -> tuple[list[ProviderEvent], dict[str, Any]]:
        async with fake_service() as service:
            client = {"azure_endpoint": service.address, "api_version": "2024-10-21"}
            provider = OpenAIProvider(api_key=KEY, model="tokens=2", client=client)
            return await answer_once(provider), service.request

    events, request = run(main())
    assert events == ANSWER
    assert request["target"].startswith("/openai/deployments/tokens=2/chat/completions?api-version=")
    assert request["headers"]["api-key"] == KEY
    assert request["body"]["max_completion_tokens"] == 4096


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 4096}),
    ],
)
def test_the_length_of_the_answer_is_always_limited(options: dict[str, Any], expected: dict[str, int]) -> None:
    _, request = asked(**options)
    assert {name: value for name, value in request["body"].items() if name.startswith("max_")} == expected


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "max_completion_tokens"),
        ({"base_url": "https://api.openai.com/v1"}, "max_completion_tokens"),
        ({"base_url": "https://us.openai.azure.com/openai/v1"}, "max_completion_tokens"),
        ({"client": {"azure_endpoint": "https://proxy"}}, "max_completion_tokens"),
        ({"base_url": "https://api.openai.com/v1", "max_tokens_field": "max_tokens"}, "max_tokens"),
        ({"base_url": "http://localhost:11434/v1"}, "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_service_knows(options: dict[str, Any], field: str) -> None:
    assert OpenAIProvider(**options)._max_tokens_field == field


def test_the_environments_address_decides_on_the_limits_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    assert OpenAIProvider()._max_tokens_field == "max_tokens"


@pytest.mark.parametrize(("asked_for", "sent"), [(None, 9), (5, 5), (20, 9)])
def test_a_prompt_may_ask_for_less_than_the_limit(asked_for: int | None, sent: int) -> None:
    async def main() -> dict[str, Any]:
        async with asking(max_output_tokens=9) as (service, provider):
            await answer(provider, replace(PROMPT, max_output_tokens=asked_for))
            return service.request

    assert run(main())["body"]["max_tokens"] == sent


def test_completion_options_are_sent_side_by_side() -> None:
    options = {"temperature": 0.5, "stop": ["\n"], "top_k": 3, "chat_template_kwargs": {"enable_thinking": False}}
    _, request = asked(completion=options)
    assert options.items() <= request["body"].items()
    assert "extra_body" not in request["body"]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_told(field: str) -> None:
    events, _ = asked(f"tokens=2&reasoning={field}")
    assert events == [Reasoning(text="Let me think."), *ANSWER]


def test_usage_in_every_chunk_is_told_each_time() -> None:
    events, _ = asked("tokens=2&usage=each")
    assert [event for event in events if isinstance(event, Usage)] == [Usage(input_tokens=7, output_tokens=1), USED]


def test_a_service_may_not_know_its_usage() -> None:
    events, _ = asked("tokens=2&usage=none")
    assert events == ANSWER[:-1]


def test_usage_is_not_asked_for_where_the_settings_say_so() -> None:
    _, request = asked(stream_options=False)
    assert "stream_options" not in request["body"]


def test_a_service_that_refuses_to_be_asked_for_usage_is_asked_without_from_then_on() -> None:
    async def main() -> None:
        async with asking("tokens=2&usage=refuse") as (service, provider):
            assert await answer(provider) == ANSWER[:-1]
            assert await answer(provider) == ANSWER[:-1]
            assert ["stream_options" in one["body"] for one in service.stats.requests] == [True, False, False]

    run(main())


@pytest.mark.parametrize("end", ["both", "done", "finish"])
def test_either_way_to_end_is_an_end(end: str) -> None:
    events, _ = asked(f"tokens=2&end={end}")
    assert events[:2] == ANSWER[:2]


@pytest.mark.parametrize("api_key", [KEY, ""])
def test_requests_have_nothing_of_those_before_them(api_key: str) -> None:
    async def main() -> None:
        async with asking("tokens=1", api_key=api_key) as (service, provider):
            first, second = [(await answer(provider, PROMPT), service.request)[1] for _ in range(2)]
            assert first == second
            await answer(provider, replace(PROMPT, messages=(Message(role="user", text="Ä \u2028 and more"),)))
            assert service.request["body"]["messages"] == [{"role": "user", "content": "Ä \u2028 and more"}]
            assert service.request["headers"].keys() == first["headers"].keys()

    run(main())


def test_a_slash_at_the_end_of_the_address_changes_nothing() -> None:
    async def main() -> str:
        async with fake_service() as service:
            await answer_once(OpenAIProvider(base_url=f"{service.address}/v1/", model="tokens=1"))
            return str(service.request["target"])

    assert run(main()) == "/v1/chat/completions"


def test_what_was_said_before_a_fault_is_told() -> None:
    async def main() -> None:
        async with asking("fault=2") as (_, provider), aclosing(provider.stream(PROMPT)) as events:
            assert [await anext(events), await anext(events)] == ANSWER[:2]
            with pytest.raises(ProviderFailed):
                await anext(events)

    run(main())


def test_a_service_that_takes_the_question_for_usage_is_not_asked_again_without_it() -> None:
    async def main() -> None:
        async with fake_service() as service:
            provider = OpenAIProvider(base_url=f"{service.address}/v1", model="tokens=1")
            async with closing(provider):
                await answer(provider)
                provider._completion["model"] = "status=400"
                with pytest.raises(ProviderRefusedQuestion):
                    await answer(provider)
            assert len(service.stats.requests) == 2

    run(main())


async def refused(body: bytes, *, status: int = 400) -> int:
    """How often a service is asked that refuses with this body."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises((ProviderRefused, ProviderRefusedQuestion)):
            await answer_once(OpenAIProvider(base_url=address))
        return asked


@pytest.mark.parametrize(
    ("body", "times"),
    [
        (b"", 2),
        (b'{"error": {"message": "Unrecognized request argument: stream_options"}}', 2),
        (b'{"error": {"code": "content_filter"}}', 1),
        (b'{"error": {"code": "context_length_exceeded"}}', 1),
        (b'{"error": {"code": "model_not_found"}}', 1),
    ],
)
def test_a_request_is_repeated_without_usage_where_that_may_have_been_refused(body: bytes, times: int) -> None:
    assert run(refused(body)) == times
    assert run(refused(body, status=404)) == 1


THINKING = "Okay.\n</think>\n\nHello."


def thinking(text: str, **options: Any) -> list[list[ProviderEvent]]:
    """What a provider says three times, the last time without thoughts."""

    async def main() -> list[list[ProviderEvent]]:
        async with asking("tokens=1", **options) as (_, provider):
            said = []
            for words in (text, text, "Just text."):
                question = Message(role="user", text=f"fake:usage=none&text={quote(words)}")
                said.append(await answer(provider, replace(PROMPT, messages=(question,))))
            return said

    return run(main())


def joined(events: list[ProviderEvent], kind: type[Delta | Reasoning | ReasoningWasAnswer]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def test_that_thoughts_have_no_opening_tag_is_learnt_from_the_first_answer() -> None:
    first, second, third = thinking(THINKING)
    assert joined(first, Delta) == THINKING
    assert (joined(second, Reasoning), joined(second, Delta)) == ("Okay.\n", "Hello.")
    assert (joined(third, Reasoning), joined(third, ReasoningWasAnswer)) == ("Just text.", "Just text.")


def test_where_thoughts_begin_open_nothing_needs_to_be_learnt() -> None:
    first, second, third = thinking(THINKING, reasoning_starts="open")
    assert joined(first, Delta) == joined(second, Delta) == "Hello."
    assert joined(third, ReasoningWasAnswer) == "Just text."


def test_where_thoughts_begin_with_a_tag_nothing_is_learnt() -> None:
    first, second, _ = thinking(THINKING, reasoning_starts="tag")
    assert joined(first, Delta) == joined(second, Delta) == THINKING


def test_after_three_answers_without_thoughts_none_are_expected() -> None:
    async def main() -> list[str]:
        async with asking("tokens=1") as (_, provider):
            said = []
            for words in (THINKING, "One.", "Two.", THINKING, "1.", "2.", "3.", "Four."):
                question = Message(role="user", text=f"fake:usage=none&text={quote(words)}")
                said.append(joined(await answer(provider, replace(PROMPT, messages=(question,))), Delta))
            return said

    assert run(main()) == [THINKING, "", "", "Hello.", "", "", "", "Four."]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "internal:8000/v1"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": 8000}, "base_url"),
        ({"reasoning_starts": "closed"}, "reasoning_starts"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"max_tokens_field": "max_length"}, "max_tokens_field"),
        ({"context_tokens": 0}, "context_tokens"),
        ({"context_tokens": True}, "context_tokens"),
        ({"context_tokens": "8192"}, "context_tokens"),
        ({"completion": {"temperatur": 1}}, "'temperatur' is not allowed. It takes chat_template_kwargs, freq"),
        ({"completion": {"stop": {"a", "b"}}}, "'stop' must be something that JSON can hold"),
        ({"completion": {"model": "another"}}, "'model' is not allowed"),
    ],
)
def test_wrong_options_are_told_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        OpenAIProvider(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://"},
        {"base_url": "http://[internal/v1"},
        {"base_url": "http://internal:port/v1"},
        {"api_key": "sk-secret\n"},
        {"api_key": "sk-sécret"},
        {"api_key": 7},
        {"completion": ["temperature"]},
    ],
)
def test_options_that_cannot_work_are_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        OpenAIProvider(**options)
