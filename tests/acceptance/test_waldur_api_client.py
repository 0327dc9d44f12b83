"""The published Python client of December 2025, and what its callers made of a stream (contract section 1)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.acceptance import needs
from tests.processes import TOKEN, Running

waldur = needs.module("waldur_api_client")
errors = needs.module("waldur_api_client.errors")
models = needs.module("waldur_api_client.models")
chat_invoke = needs.module("waldur_api_client.api.chat.chat_invoke")
chat_stream = needs.module("waldur_api_client.api.chat.chat_stream")
httpx = needs.module("httpx")

QUESTION = models.ChatRequestRequest(input_="string-value")
ANSWER = "w0 w1 w2 w3 w4 "


@dataclass
class Heard:
    """What a caller of December 2025 takes out of a stream."""

    text: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    failure: str = ""


def split_as_in_2025(body: bytes) -> Heard:
    heard = Heard()
    failing = False
    for line in body.decode().split("\n"):
        if line == "event: error":
            failing = True
        elif line.startswith("data: "):
            payload = json.loads(line[len("data: ") :])
            heard.text += payload.get("c") or payload.get("content") or ""
            heard.usage |= payload.get("additional_kwargs", {}).get("usage_metadata", {})
            heard.failure = payload["detail"] if failing else ""
    return heard


def standard_events(response: Any) -> list[tuple[str, dict[str, Any]]]:
    parser = needs.module("httpx_sse").EventSource(
        httpx.Response(200, headers=response.headers, content=response.content)
    )
    return [(event.event, event.json()) for event in parser.iter_sse()]


def client(server: Running, token: str = TOKEN) -> Any:
    return waldur.AuthenticatedClient(base_url=server.address, token=token, prefix="Token")


def refusal(server: Running, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    with pytest.raises(errors.UnexpectedStatus) as refused, client(server, token) as caller:
        chat_invoke.sync(client=caller)
    return refused.value.status_code, json.loads(refused.value.content)


def stream(server: Running) -> Any:
    with client(server) as caller:
        return chat_stream.sync_detailed(client=caller, body=QUESTION)


def test_invoke_returns_the_answer(chat: Running) -> None:
    with client(chat) as caller:
        assert chat_invoke.sync(client=caller) == ANSWER


def test_invoke_returns_the_answer_to_a_coroutine(chat: Running) -> None:
    async def invoke() -> object:
        async with client(chat) as caller:
            return await chat_invoke.asyncio(client=caller)

    assert asyncio.run(invoke()) == ANSWER


def test_stream_succeeds(chat: Running) -> None:
    assert stream(chat).status_code == 200


def test_a_stream_is_read_by_a_splitter_of_2025(chat: Running) -> None:
    assert split_as_in_2025(stream(chat).content).text == ANSWER


def test_a_stream_is_read_by_a_standards_parser(chat: Running) -> None:
    assert "".join(payload.get("c", "") for _, payload in standard_events(stream(chat))) == ANSWER


def test_a_stream_is_read_by_a_coroutine(chat: Running) -> None:
    async def ask() -> Any:
        async with client(chat) as caller:
            return await chat_stream.asyncio_detailed(client=caller, body=QUESTION)

    assert split_as_in_2025(asyncio.run(ask()).content).text == ANSWER


def test_a_splitter_of_2025_finds_the_usage(chat: Running) -> None:
    assert split_as_in_2025(stream(chat).content).usage == {"input_tokens": 7, "output_tokens": 5}


def test_a_whole_stream_names_no_failure(chat: Running) -> None:
    assert split_as_in_2025(stream(chat).content).failure == ""


def test_a_splitter_of_2025_sees_a_failure_within_the_stream(breaking_chat: Running) -> None:
    assert "model failed" in split_as_in_2025(stream(breaking_chat).content).failure


def test_a_standards_parser_sees_a_failure_within_the_stream(breaking_chat: Running) -> None:
    name, payload = standard_events(stream(breaking_chat))[-1]
    assert (name, payload["code"]) == ("error", "provider_failed")


def test_a_failure_before_the_answer_is_raised_with_its_code(failing_chat: Running) -> None:
    status, problem = refusal(failing_chat)
    assert (status, problem["code"]) == (502, "provider_failed")


def test_a_failure_before_the_answer_is_raised_with_a_sentence(failing_chat: Running) -> None:
    assert refusal(failing_chat)[1]["detail"] == "The language model failed to answer. Try again in a moment."


def test_a_wrong_token_is_raised_with_its_code(chat: Running) -> None:
    status, problem = refusal(chat, token="wrong")
    assert (status, problem["code"]) == (401, "authentication_failed")


def test_a_blank_question_is_raised_under_the_name_of_its_field(chat: Running) -> None:
    with pytest.raises(errors.UnexpectedStatus) as refused, client(chat) as caller:
        chat_stream.sync_detailed(client=caller, body=models.ChatRequestRequest(input_=" "))
    assert "input" in json.loads(refused.value.content)
