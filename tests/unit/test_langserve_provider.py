"""The LangServe provider against a real service, under each HTTP client of the SDK."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.processes import free_port
from tests.unit.aio import PROMPT, FakeService, answer, answer_once, closing, fake_service, run, until
from waldur_chat.errors import (
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)
from waldur_chat.events import Delta, ProviderEvent, Usage
from waldur_chat.messages import Message, Prompt
from waldur_chat.providers.langserve import LangServeProvider

pytestmark = pytest.mark.usefixtures("http_client")

TOKEN = "very-secret"
ANSWER = [Delta(text="w0 "), Delta(text="w1 "), Usage(input_tokens=7, output_tokens=2)]


@asynccontextmanager
async def asking(query: str = "tokens=2", token: str = TOKEN) -> AsyncIterator[tuple[FakeService, LangServeProvider]]:
    async with fake_service() as service:
        provider = LangServeProvider(url=f"{service.address}/langserve/stream?{query}", token=token)
        async with closing(provider):
            yield service, provider


def asked(query: str = "tokens=2", token: str = TOKEN) -> tuple[list[ProviderEvent], dict[str, Any]]:
    async def main() -> tuple[list[ProviderEvent], dict[str, Any]]:
        async with asking(query, token) as (service, provider):
            return await answer(provider), service.request

    return run(main())


def test_an_answer_becomes_events() -> None:
    events, _ = asked()
    assert events == ANSWER


def test_the_request_is_one_text() -> None:
    _, request = asked()
    assert request["body"] == {"input": "Be kind.\n\nWhat is a VPC?"}


def test_of_a_conversation_it_is_told_who_said_what() -> None:
    async def main() -> dict[str, Any]:
        said = [("user", "Hi"), ("assistant", "Hello"), ("user", "What is a VPC?")]
        messages = tuple(Message(role=role, text=text) for role, text in said)
        async with asking() as (service, provider):
            await answer(provider, Prompt(messages=messages))
            return service.request

    assert run(main())["body"] == {"input": "User: Hi\n\nAssistant: Hello\n\nUser: What is a VPC?"}


def test_the_token_is_sent() -> None:
    _, request = asked()
    assert request["headers"]["authorization"] == f"Token {TOKEN}"


def test_a_service_without_tokens_gets_none() -> None:
    _, request = asked(token="")
    assert "authorization" not in request["headers"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("end=none", ProviderIncomplete),
        ("html=1", ProviderIncomplete),
        ("cut=2", ProviderUnreachable),
        ("fault=2", ProviderFailed),
        ("status=302", ProviderRefused),
        ("status=403", ProviderRefused),
        ("status=429", ProviderBusy),
        ("status=500", ProviderFailed),
        ("status=504", ProviderTooSlow),
    ],
)
def test_every_fault_has_its_error(query: str, error: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as raised:
        asked(query)
    assert type(raised.value) is error


def test_a_redirect_is_not_followed() -> None:
    async def main() -> int:
        async with asking("status=307") as (service, provider):
            with pytest.raises(ProviderRefused):
                await answer(provider)
            return len(service.stats.requests)

    assert run(main()) == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/"])
def test_a_port_where_nobody_listens_is_unreachable(address: str) -> None:
    with pytest.raises(ProviderUnreachable):
        run(answer_once(LangServeProvider(url=address.format(port=free_port()))))


@pytest.mark.parametrize("query", ["tokens=9&delay=60", "head=60", "first=60"])
def test_hanging_up_reaches_the_service(query: str) -> None:
    async def main() -> None:
        async with asking(query) as (service, provider):
            task = asyncio.create_task(answer(provider))
            await until(lambda: service.stats.answering)
            await asyncio.sleep(0.05)
            task.cancel()
            await until(lambda: service.stats.left)

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


@pytest.mark.parametrize("query", ["tokens=2", "status=500", "cut=1"])
def test_the_log_knows_no_address_token_or_prompt(query: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        async with asking(query) as (service, provider):
            try:
                await answer(provider)
            except ProviderError as error:
                logging.getLogger("test").info("%s", error)
            return service.port

    caplog.set_level(logging.INFO)
    port = run(main())
    assert not [secret for secret in (str(port), TOKEN, "VPC", "Be kind") if secret in caplog.text]


def test_the_providers_repr_knows_nothing() -> None:
    assert repr(LangServeProvider(url="http://internal/", token=TOKEN)) == "<LangServeProvider>"


@pytest.mark.parametrize("url", ["", "internal:8000", None, 8000])
def test_a_wrong_address_is_told_at_once(url: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="url"):
        LangServeProvider(url=url)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://"},
        {"url": "http://[internal/"},
        {"url": "http://internal:port/"},
        {"token": "very-secret\n"},
        {"token": "very-sécret"},
        {"token": 7},
    ],
)
def test_options_that_cannot_work_are_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        LangServeProvider(**{"url": "http://internal/", **options})


def test_a_provider_that_was_never_asked_has_nothing_to_close() -> None:
    run(LangServeProvider(url="http://internal/").aclose())
