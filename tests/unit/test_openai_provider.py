"""The OpenAI provider against a real service that speaks every dialect, under each HTTP client of the SDK."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import openai
import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.processes import free_port
from tests.unit.aio import PROMPT, FakeService, answer, answer_once, closing, fake_service, run, until
from waldur_chat.errors import (
    ChatNotConfigured,
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
from waldur_chat.messages import Message
from waldur_chat.providers.openai import OpenAIProvider, _translated

pytestmark = pytest.mark.usefixtures("http_client")

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


def test_the_body_may_not_be_compressed_since_that_holds_events_back() -> None:
    _, request = asked()
    assert request["headers"]["accept-encoding"] == "identity"


def test_the_service_learns_nothing_of_the_machine() -> None:
    _, request = asked()
    assert not [name for name in request["headers"] if "stainless" in name]


def holders(words: bytes) -> list[type]:
    """What holds bytes with these words in them."""
    kinds = (bytes, bytearray)
    found = [one for one in gc.get_referents(*gc.get_objects()) if type(one) in kinds and words in one]
    return [
        type(holder) for one in found if one is not words for holder in gc.get_referrers(one) if holder is not found
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_an_answer_that_lasts_holds_no_prompt(is_first: bool) -> None:
    words = f"Be kind to {uuid4()}."  # Which no other test has asked.
    prompt = replace(PROMPT, messages=(Message(role="user", text=words),))

    async def main() -> None:
        async with asking("tokens=2&delay=30" if is_first else "tokens=1") as (_, provider):
            if not is_first:
                await answer(provider)
                provider._completion["model"] = "tokens=2&delay=30"
            async with aclosing(provider.stream(prompt)) as events:
                await anext(events)
                gc.collect()
                held_by = holders(words.encode())
                assert [kind for kind in held_by if kind.__name__ != "ByteStream"] == []  # httpx's connection has it.

    run(main())


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


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("end=none&usage=none", ProviderIncomplete),
        ("cut=2", ProviderUnreachable),
        ("at=-1&then=reset", ProviderUnreachable),
        ("at=0&then=close", ProviderUnreachable),
        ("fault=2", ProviderFailed),
        ("html=1", ProviderIncomplete),
        ("status=302", ProviderRefused),
        ("status=400", ProviderRefused),
        ("status=401", ProviderRefused),
        ("status=404", ProviderRefused),
        ("status=408", ProviderTooSlow),
        ("status=422", ProviderRefused),
        ("status=429", ProviderBusy),
        ("status=500", ProviderFailed),
        ("status=503", ProviderBusy),
        ("status=504", ProviderTooSlow),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_every_fault_has_its_error(model: str, error: type[ProviderError], is_first: bool) -> None:
    async def main() -> None:
        async with asking(model if is_first else "tokens=1") as (_, provider):
            if not is_first:
                await answer(provider)
                provider._completion["model"] = model
            with pytest.raises(ProviderError) as raised:
                await answer(provider)
            assert type(raised.value) is error

    run(main())


@pytest.mark.parametrize("api_key", [KEY, ""])
def test_the_second_request_is_like_the_first(api_key: str) -> None:
    async def main() -> None:
        async with asking("tokens=1", api_key=api_key, client={"default_headers": {"X-Site": "ours"}}) as (
            service,
            provider,
        ):
            first, second = [(await answer(provider, PROMPT), service.request)[1] for _ in range(2)]
            assert first == second
            assert first["headers"]["x-site"] == "ours"
            await answer(provider, replace(PROMPT, messages=(Message(role="user", text="Ä \u2028 and more"),)))
            assert service.request["body"]["messages"] == [{"role": "user", "content": "Ä \u2028 and more"}]
            assert service.request["headers"].keys() == first["headers"].keys()

    run(main())


def test_a_client_whose_headers_may_change_makes_each_request() -> None:
    async def main() -> None:
        async with asking("tokens=1", client={"max_retries": 0, "organization": "acme"}) as (service, provider):
            assert await answer(provider) == await answer(provider)
            assert service.request["headers"]["openai-organization"] == "acme"
            assert provider._template is None

    run(main())


def test_what_was_said_before_a_fault_is_told() -> None:
    async def main() -> None:
        async with asking("fault=2") as (_, provider), aclosing(provider.stream(PROMPT)) as events:
            assert [await anext(events), await anext(events)] == ANSWER[:2]
            with pytest.raises(ProviderFailed):
                await anext(events)

    run(main())


@pytest.mark.parametrize("status", [302, 307, 429, 500, 503])
def test_nothing_is_asked_twice_and_no_redirect_is_followed(status: int) -> None:
    async def main() -> int:
        async with asking(f"status={status}") as (service, provider):
            with pytest.raises(ProviderError):
                await answer(provider)
            return len(service.stats.requests)

    assert run(main()) == 1


def test_the_time_to_come_back_is_told() -> None:
    with pytest.raises(ProviderBusy) as raised:
        asked("status=429&retry_after=7")
    assert raised.value.retry_after == 7


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with pytest.raises(ProviderUnreachable):
        run(answer_once(OpenAIProvider(base_url=f"http://127.0.0.1:{free_port()}/v1")))


def test_a_port_that_does_not_speak_tls_is_unreachable() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            await answer_once(OpenAIProvider(base_url=f"https://127.0.0.1:{port}/v1"))

    with pytest.raises(ProviderUnreachable):
        run(main())


def test_a_port_that_does_not_even_shake_hands_takes_too_long_to_connect() -> None:
    async def main() -> None:
        async with fake_service() as service:
            provider = OpenAIProvider(base_url=f"{service.address.replace('http:', 'https:')}/v1")
            await answer_once(provider, replace(PROMPT, connect_seconds=0.1))

    with pytest.raises(ProviderConnectTooSlow):
        run(main())


def test_the_id_of_the_request_is_passed_on() -> None:
    async def main() -> None:
        async with asking("tokens=1") as (service, provider):
            await answer(provider, replace(PROMPT, request_id="r-1"))
            assert service.request["headers"]["x-request-id"] == "r-1"
            await answer(provider)
            assert "x-request-id" not in service.request["headers"]

    run(main())


def test_a_service_that_takes_the_question_for_usage_is_not_asked_again_without_it() -> None:
    async def main() -> None:
        async with fake_service() as service:
            provider = OpenAIProvider(base_url=f"{service.address}/v1", model="tokens=1")
            async with closing(provider):
                await answer(provider)
                provider._completion["model"] = "status=400"
                with pytest.raises(ProviderRefused):
                    await answer(provider)
            assert len(service.stats.requests) == 2

    run(main())


@pytest.mark.parametrize("model", ["tokens=9&delay=60", "head=60", "first=60"])
def test_hanging_up_reaches_the_service(model: str) -> None:
    async def main() -> None:
        async with asking(model) as (service, provider):
            task = asyncio.create_task(answer(provider))
            await until(lambda: service.stats.answering)
            await asyncio.sleep(0.05)
            task.cancel()
            await until(lambda: service.stats.left)
            assert service.stats.answers == 0

    run(main())


def test_closing_the_stream_hangs_up_though_the_provider_stays() -> None:
    async def main() -> None:
        async with asking("tokens=9&delay=60") as (service, provider):
            events = provider.stream(PROMPT)
            assert await anext(events) == Delta(text="w0 ")
            await events.aclose()
            await until(lambda: service.stats.left)

    run(main())


def test_a_connection_is_used_again() -> None:
    async def main() -> None:
        async with asking() as (service, provider):
            for _ in range(3):
                await answer(provider)
            assert service.stats.opened == 1

    run(main())


def test_many_turns_at_once_make_one_client() -> None:
    async def main() -> None:
        async with asking("tokens=2&delay=0.01") as (service, provider):
            assert await asyncio.gather(*(answer(provider) for _ in range(20))) == [ANSWER] * 20
            assert service.stats.answers == 20

    run(main())


@pytest.mark.parametrize("model", ["tokens=2", "status=401", "status=429", "cut=1", "usage=refuse"])
def test_the_log_knows_no_address_key_or_prompt(model: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        async with asking(model) as (service, provider):
            try:
                await answer(provider)
            except ProviderError as error:
                logging.getLogger("test").info("%s", error)
            return service.port

    caplog.set_level(logging.INFO)
    port = run(main())
    assert not [secret for secret in (str(port), KEY, "VPC", "Be kind") if secret in caplog.text]


def test_the_providers_repr_knows_nothing() -> None:
    assert repr(OpenAIProvider(base_url="http://internal/v1", api_key=KEY)) == "<OpenAIProvider>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "internal:8000/v1"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": 8000}, "base_url"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"max_tokens_field": "max_length"}, "max_tokens_field"),
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


def test_a_provider_that_was_never_asked_has_nothing_to_close() -> None:
    run(OpenAIProvider().aclose())


def errors_of_the_sdk(base: type[Exception] = openai.OpenAIError) -> list[type[Exception]]:
    return [base, *(one for direct in base.__subclasses__() for one in errors_of_the_sdk(direct))]


@pytest.mark.parametrize("kind", errors_of_the_sdk(), ids=lambda kind: str(kind.__name__))
def test_every_error_of_the_sdk_is_one_of_ours(kind: Any) -> None:
    error = kind.__new__(kind)
    if issubclass(kind, openai.APIStatusError):
        error.status_code, error.response = 418, type("Response", (), {"headers": {}})
    assert isinstance(_translated(openai, error), ProviderError)


def test_the_status_that_an_http_client_of_the_sites_own_lets_through_is_read_too() -> None:
    request = SimpleNamespace(method="POST", url="http://host")
    response = SimpleNamespace(status_code=429, headers={"retry-after": "7"}, request=request)
    error = _translated(openai, openai.RateLimitError("no", response=response, body=None))  # type: ignore[arg-type]
    assert (type(error), error.retry_after) == (ProviderBusy, 7)


def test_what_our_http_client_raised_is_found_below_the_error_of_an_older_sdk() -> None:
    refused = ProviderRefused("status 401", provider_status=401)
    with pytest.raises(openai.APIConnectionError) as raised:
        raise openai.APIConnectionError(request=SimpleNamespace()) from refused  # type: ignore[arg-type]
    assert _translated(openai, raised.value) is refused
