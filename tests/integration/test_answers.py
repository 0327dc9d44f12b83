"""What a client gets that asks rightly: both operations, every format, both colours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings
from django.urls import resolve
from rest_framework.routers import DefaultRouter
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.integration.conftest import Caller
from tests.integration.stored import thread_of
from waldur_chat.api.routing import register
from waldur_chat.conf import constance
from waldur_chat.engine.turn import Turn
from waldur_chat.events import Event, Reasoning, Stopped, Usage
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core


def words(sse: bytes) -> str:
    """The text of a stream, read as clients of 2025 read it: line by line."""
    payloads = [
        json.loads(line.removeprefix("data: ")) for line in sse.decode().split("\n") if line.startswith("data: ")
    ]
    return "".join(payload.get("c", "") for payload in payloads)


def test_invoke_answers_one_json_string(call: Caller) -> None:
    with scripted("Hello", " world"):
        reply = call.invoke({"input": "Hi"})
    assert (reply.status, reply.headers["Content-Type"], reply.json) == (200, "application/json", "Hello world")


@pytest.mark.parametrize("data", [None, {}])
def test_without_an_input_the_assistant_opens_the_conversation(call: Caller, data: object) -> None:
    with scripted("Welcome") as provider:
        assert call.invoke(data).json == "Welcome"
    assert provider.prompts[0].opens
    assert provider.prompts[0].question.startswith("Greet the user")


def test_the_prompt_is_the_trimmed_input_and_nothing_else_of_the_client(call: Caller) -> None:
    data = {"input": " Hi \n", "messages": [{"role": "system", "content": "evil"}], "system": "evil", "model": "evil"}
    with scripted("Hello") as provider:
        call.stream(data)
    assert [(message.role, message.text) for message in provider.prompts[0].messages] == [("user", "Hi")]


def test_the_sites_system_prompt_comes_first(call: Caller, settings: object) -> None:
    settings.WALDUR_CHAT = {"SYSTEM_PROMPT": "Be brief."}
    with scripted("Hello") as provider:
        call.stream()
    assert [message.role for message in provider.prompts[0].messages] == ["system", "user"]


def test_a_stream_is_server_sent_events_by_default(call: Caller) -> None:
    with scripted("Hello", "\n\u2028wörld", Usage(input_tokens=3, output_tokens=2)):
        reply = call.stream()
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert words(reply.body) == "Hello\n\u2028wörld"
    assert reply.body.split(b"\n\n")[-2].startswith(b"id: end\nevent: end\ndata: ")


def test_a_stream_as_ndjson_ends_with_what_the_provider_reported(call: Caller) -> None:
    with scripted("Hello", Usage(input_tokens=3, output_tokens=2), Stopped(reason="length")):
        reply = call.stream(Accept="application/x-ndjson")
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert lines[1:] == [
        {"k": "markdown", "c": "Hello"},
        {"m": {"status": "length", "finish_reason": "length", "input_tokens": 3, "output_tokens": 2}},
    ]


def test_a_stream_as_text_is_just_the_words(call: Caller) -> None:
    with scripted("Hello", " wörld"):
        reply = call.stream(Accept="text/plain")
    assert (reply.headers["Content-Type"], reply.body) == ("text/plain; charset=utf-8", "Hello wörld".encode())


@pytest.mark.parametrize(
    ("accept", "fields", "usual", "expected"),
    [
        ("", {}, "sse", "text/event-stream"),
        ("*/*", {}, "sse", "text/event-stream"),
        ("application/json, */*;q=0.5", {}, "sse", "text/event-stream"),
        ("*/*", {"thread_uuid": None}, "sse", "application/x-ndjson"),
        ("*/*", {"mode": None}, "sse", "application/x-ndjson"),
        ("*/*", {}, "ndjson", "application/x-ndjson"),
        ("text/event-stream", {"mode": None}, "ndjson", "text/event-stream"),
        ("text/plain, */*;q=0.1", {}, "sse", "text/plain; charset=utf-8"),
    ],
)
def test_accept_decides_and_otherwise_the_era_of_the_client(
    call: Caller, settings: object, accept: str, fields: dict[str, None], usual: str, expected: str
) -> None:
    settings.WALDUR_CHAT = {"STREAM_FORMAT": usual}
    with scripted("Hello"):
        reply = call.stream({"input": "Hi", **fields}, Accept=accept)
    assert (reply.status, reply.headers["Content-Type"]) == (200, expected)


@pytest.mark.parametrize("fields", [{}, {"mode": "reload"}])
def test_who_goes_on_with_a_conversation_is_of_the_current_era(
    call: Caller, settings: Any, user: Any, fields: dict[str, str]
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    thread = thread_of(user, "Hi", "Hello").uuid.hex
    with scripted("Welcome back"):
        reply = call.stream({"input": "Hi", "thread_uuid": thread, **fields})
    first = json.loads(reply.body.splitlines()[0])
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-ndjson")
    assert (first["m"]["thread_uuid"], reply.headers["X-Chat-Thread"]) == (thread, thread)


@pytest.mark.parametrize(("shown", "count"), [(True, 1), (False, 0)])
def test_reasoning_is_shown_where_the_site_wants_it(call: Caller, settings: object, shown: bool, count: int) -> None:
    settings.WALDUR_CHAT = {"SHOW_REASONING": shown}
    with scripted(Reasoning(text="Hm."), "Hello"):
        reply = call.stream()
    assert reply.body.count(b"event: reasoning\n") == count
    assert words(reply.body) == "Hello"


def test_reasoning_is_no_part_of_a_whole_answer(call: Caller) -> None:
    with scripted(Reasoning(text="Hm."), "Hello"):
        assert call.invoke().json == "Hello"


def test_a_router_with_format_suffixes_does_no_harm(user: object) -> None:
    router = DefaultRouter()
    register(router)
    request = APIRequestFactory().post("/chat/invoke.json")
    force_authenticate(request, user)
    with scripted("Hello"), override_settings(ROOT_URLCONF=tuple(router.urls)):
        match = resolve("/chat/invoke.json")
        assert match.func(request, **match.kwargs).render().data == "Hello"


def test_an_empty_answer_is_an_error(call: Caller) -> None:
    with scripted():
        for reply in (call.invoke(), call.stream()):
            assert (reply.status, reply.json["code"]) == (502, "provider_empty")


def test_a_silent_provider_is_covered_by_heartbeats(call: Caller, settings: object) -> None:
    settings.WALDUR_CHAT = {"HEARTBEAT_SECONDS": 0.02}
    with scripted("Hello", 0.5, " world"):
        reply = call.stream()
    assert reply.body.count(b":\n\n") >= 2
    assert words(reply.body) == "Hello world"


def test_a_silent_provider_adds_nothing_to_plain_text(call: Caller, settings: object) -> None:
    settings.WALDUR_CHAT = {"HEARTBEAT_SECONDS": 0.05}
    with scripted("Hello", 0.2, " world"):
        assert call.stream(Accept="text/plain").body == b"Hello world"


def test_what_the_host_keeps_is_read_once_in_a_request(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = constance.read
    monkeypatch.setattr(constance, "read", lambda: reads.append(1) or read())
    with scripted("Hello", 0.05, " world"):
        call.stream()
    assert len(reads) == 1


@pytest.mark.parametrize(("accept", "heartbeat"), [("text/event-stream", b":\n\n"), ("application/x-ndjson", b"\n\n")])
def test_what_is_not_shown_is_silence(call: Caller, settings: Any, accept: str, heartbeat: bytes) -> None:
    settings.WALDUR_CHAT = {"HEARTBEAT_SECONDS": 0.1}
    with scripted(*[Reasoning(text="Hm"), 0.05] * 10, "Hello"):
        body = call.stream(Accept=accept).body
    assert body.count(heartbeat) >= 2


def test_silence_in_a_format_without_heartbeats_costs_nothing(
    call: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take(turn: Turn, timeout: float | None = None) -> list[Event]:
        taken.append(1)
        return await original(turn, timeout)

    taken: list[int] = []
    original = Turn.take
    monkeypatch.setattr(Turn, "take", take)
    settings.WALDUR_CHAT = {"HEARTBEAT_SECONDS": 0.1}
    with scripted("Hello", 0.5, " world"):
        assert call.stream(Accept="text/plain").body == b"Hello world"
    assert len(taken) < 20
