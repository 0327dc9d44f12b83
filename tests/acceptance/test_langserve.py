"""The LangServe provider against a real LangServe service."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running, free_port, host, process

httpx = needs.module("httpx")
for name in ("langserve", "fastapi", "sse_starlette", "uvicorn"):
    needs.module(name)


@pytest.fixture(scope="module")
def langserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.acceptance.langserve_app:app", "--port", str(port)]
    with process(command, port, tmp_path_factory.mktemp("langserve") / "log", {}) as running:
        yield running


@pytest.fixture(scope="module")
def chat_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start the host in front of the service at this address."""
    with ExitStack() as stack:

        @cache
        def chat_at(url: str, token: str = "t") -> Running:
            backend = "waldur_chat.providers.langserve.LangServeProvider"
            provider = {"BACKEND": backend, "OPTIONS": {"url": url, "token": token}}
            settings = {"PROVIDERS": {"default": provider}}
            return stack.enter_context(host("uvicorn", tmp_path_factory.mktemp("chat"), settings=settings))

        yield chat_at


def ask(server: Running, accept: str, operation: str = "stream") -> Any:
    headers = {"Authorization": f"Token {TOKEN}", "Accept": accept}
    address = f"{server.address}/api/chat/{operation}/"
    return httpx.post(address, json={"input": "What is Waldur?"}, headers=headers, timeout=60)


def last_event(response: Any) -> tuple[str, dict[str, Any]]:
    _, name, data = response.text.rstrip().rpartition("\n\n")[2].split("\n")
    return name, json.loads(data.removeprefix("data: "))


def test_the_words_arrive(langserve: Running, chat_at: Callable[..., Running]) -> None:
    answer = ask(chat_at(f"{langserve.address}/chat/stream"), "text/plain")
    assert answer.text == "Hello from LangServe"


def test_the_answer_is_finished(langserve: Running, chat_at: Callable[..., Running]) -> None:
    name, _ = last_event(ask(chat_at(f"{langserve.address}/chat/stream"), "text/event-stream"))
    assert name == "event: end"


def test_the_whole_answer_arrives(langserve: Running, chat_at: Callable[..., Running]) -> None:
    answer = ask(chat_at(f"{langserve.address}/chat/stream"), "application/json", "invoke")
    assert answer.json() == "Hello from LangServe"


def test_the_question_reaches_the_service(langserve: Running, chat_at: Callable[..., Running]) -> None:
    answer = ask(chat_at(f"{langserve.address}/counting/stream"), "text/plain")
    assert answer.text == "What is Waldur?"


def test_the_usage_arrives(langserve: Running, chat_at: Callable[..., Running]) -> None:
    _, payload = last_event(ask(chat_at(f"{langserve.address}/counting/stream"), "text/event-stream"))
    assert payload["additional_kwargs"] == {"usage_metadata": {"input_tokens": 2, "output_tokens": 3}}


def test_a_service_that_fails_in_the_middle_ends_the_stream_with_an_error(
    langserve: Running, chat_at: Callable[..., Running]
) -> None:
    name, payload = last_event(ask(chat_at(f"{langserve.address}/failing/stream"), "text/event-stream"))
    assert (name, payload["code"]) == ("event: error", "provider_failed")


def test_a_wrong_token_is_a_bad_gateway(langserve: Running, chat_at: Callable[..., Running]) -> None:
    answer = ask(chat_at(f"{langserve.address}/chat/stream", "wrong"), "text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_refused")


def test_an_unreachable_service_is_a_bad_gateway(chat_at: Callable[..., Running]) -> None:
    answer = ask(chat_at(f"http://127.0.0.1:{free_port()}/chat/stream"), "text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unreachable")
