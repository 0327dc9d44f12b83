"""Limits as clients see them: statuses and headers that agree with what is enforced."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.http import Http404
from rest_framework.response import Response
from rest_framework.settings import api_settings

from tests.integration.conftest import Caller
from waldur_chat.api.exceptions import add_error_fields
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.errors import TooManyTurns
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def rates(settings: Any) -> Any:
    """The host's rates."""

    def set_rates(**rates: str) -> None:
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}

    yield set_rates
    api_settings.reload()


def test_a_host_without_rates_limits_none(call: Caller) -> None:
    with scripted("Hello"):
        replies = [call.invoke() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert "RateLimit" not in replies[0].headers
    assert "RateLimit-Policy" not in replies[0].headers


def test_a_rate_is_told_and_kept(call: Caller, rates: Any) -> None:
    rates(chat_stream="2/minute")
    with scripted("Hello"):
        replies = [call.stream() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["RateLimit"].split(";t=")[0] for reply in replies] == [
        '"chat_stream";r=1',
        '"chat_stream";r=0',
        '"chat_stream";r=0',
    ]
    assert {reply.headers["RateLimit-Policy"] for reply in replies} == {'"chat_stream";q=2;w=60'}
    refused = replies[2]
    assert refused.json["code"] == "throttled"
    assert refused.json["retry_after"] == int(refused.headers["Retry-After"])
    assert 0 < int(refused.headers["RateLimit"].split(";t=")[1]) <= 60


def test_a_rate_that_was_lowered_tells_when_there_is_room_again(call: Caller, rates: Any) -> None:
    rates(chat_stream="5/minute")
    with scripted("Hello"):
        for _ in range(5):
            call.stream()
    rates(chat_stream="2/minute")
    with scripted("Hello"):
        refused = call.stream()
    assert (refused.status, refused.headers["RateLimit-Policy"]) == (429, '"chat_stream";q=2;w=60')
    assert 0 < int(refused.headers["Retry-After"]) == refused.json["retry_after"] <= 60
    assert refused.headers["RateLimit"] == f'"chat_stream";r=0;t={refused.headers["Retry-After"]}'


def test_a_rate_of_nothing_refuses_all(call: Caller, rates: Any) -> None:
    rates(chat_stream="0/minute")
    assert (call.stream().status, call.stream().headers["Retry-After"]) == (429, "60")


def test_each_operation_has_its_own_rate(call: Caller, rates: Any) -> None:
    rates(chat_stream="1/minute")
    with scripted("Hello"):
        assert [call.stream().status, call.stream().status, call.invoke().status] == [200, 429, 200]


def test_a_cache_that_fails_limits_nothing(call: Caller, rates: Any, settings: Any) -> None:
    rates(chat_stream="1/minute")
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.Broken"}}
    with scripted("Hello"):
        replies = [call.stream() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert "RateLimit" not in replies[0].headers


class Broken:
    """A cache whose server has gone."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        """Take what Django gives to caches."""

    def get(self, *args: object) -> None:
        raise ConnectionError("redis://:secret@cache")

    def close(self, **kwargs: object) -> None:
        """Do nothing."""


def test_the_rule_on_running_turns_is_told(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_USER": 2}
    with scripted("Hello"):
        headers = call.invoke().headers
    assert headers["RateLimit-Policy"] == '"turns";q=2;qu="concurrent-requests"'
    assert "RateLimit" not in headers


def test_an_invalid_question_is_the_same_where_running_turns_are_limited(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_USER": 2}
    with scripted("Hello"):
        reply = call.post("/api/chat/invoke/", {"input": ["Hi"]})
    assert (reply.status, reply.json["code"]) == (400, "invalid")
    assert "RateLimit" not in reply.headers


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_too_many_turns_of_a_user_are_his_own_fault(
    call: Caller, settings: Any, operation: str, user: Any, rates: Any
) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_USER": 1}
    rates(chat_invoke="9/minute", chat_stream="9/minute")
    limiter_of_process()._turns_of[str(user.pk)] += 1
    try:
        with scripted("Hello") as provider:
            reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    finally:
        del limiter_of_process()._turns_of[str(user.pk)]
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert reply.json == {"detail": TooManyTurns.sentence, "code": "too_many_turns", "retry_after": 5}
    assert reply.headers["RateLimit"].endswith(', "turns";r=0;t=5')
    assert reply.headers["RateLimit-Policy"].endswith(';w=60, "turns";q=1;qu="concurrent-requests"')
    assert not provider.opened


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_a_full_process_is_ours(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 0}
    limiter_of_process()._running += 1
    try:
        with scripted("Hello") as provider:
            reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    finally:
        limiter_of_process()._running -= 1
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "chat_busy", "5")
    assert not provider.opened


def test_a_request_keeps_its_id_all_the_way(call: Caller) -> None:
    with scripted("Hello") as provider:
        reply = call.invoke(X_Request_ID="a-1.b:c/d")
    assert reply.headers["X-Request-ID"] == "a-1.b:c/d"
    assert provider.prompts[0].request_id == "a-1.b:c/d"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "ü", "a\tb", "<script>"])
def test_an_id_that_is_not_sane_is_replaced(call: Caller, sent: str) -> None:
    with scripted("Hello") as provider:
        found = call.invoke(X_Request_ID=sent).headers["X-Request-ID"]
    assert len(found) == 32
    assert provider.prompts[0].request_id == found


def test_refusals_have_an_id_too(call: Caller) -> None:
    call.token = ""
    assert len(call.invoke().headers["X-Request-ID"]) == 32


def test_an_error_of_django_itself_is_left_as_it_is() -> None:
    response = Response({"detail": "Not found."}, status=404)
    add_error_fields(response, Http404())
    assert response.data == {"detail": "Not found."}
