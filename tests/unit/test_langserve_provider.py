"""The LangServe provider against a real service, by each transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.unit.aio import FakeService, answer, closing, fake_service, run
from waldur_chat.events import Delta, ProviderEvent, Usage
from waldur_chat.messages import Message, Prompt
from waldur_chat.providers.langserve import LangServeProvider

pytestmark = pytest.mark.usefixtures("transport")

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
