"""What the client makes of responses that are errors."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from waldur_chat.client.answers import Failed, collect
from waldur_chat.client.decoding import decode_error
from waldur_chat.client.errors import ChatError
from waldur_chat.client.requests import RequestBuilder
from waldur_chat.client.retry import Limits
from waldur_chat.events import Cancelled, Delta, Finished, Usage, Warned

REQUESTS = RequestBuilder("https://chat.example.com/api/", "secret", "chat", Limits())


def test_an_error_of_the_api_says_everything() -> None:
    body = {"detail": "Wait.", "code": "thread_busy", "turn_uuid": "ab"}
    error = decode_error(409, {"retry-after": "3"}, json.dumps(body).encode())
    assert (str(error), error.detail, error.code, error.status) == ("Wait.", "Wait.", "thread_busy", 409)
    assert (error.retryable, error.retry_after, error.body["turn_uuid"]) == (True, 3.0, "ab")


def test_what_is_wrong_with_fields_is_told() -> None:
    error = decode_error(400, {}, b'{"input": ["May not be blank.", "No."], "mode": ["Bad."], "code": "invalid"}')
    assert error.detail == "input: May not be blank. No. mode: Bad."
    assert not error.retryable


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_anything_may_be_an_error(body: bytes) -> None:
    error = decode_error(503, {}, body)
    assert (error.code, error.retryable, dict(error.body)) == ("", True, {})
    assert "503" in error.detail


@pytest.mark.parametrize(("code", "retryable"), [("throttled", True), ("invalid", False), ("novelty", False)])
def test_codes_that_are_not_known_go_by_their_status(code: str, retryable: bool) -> None:
    assert decode_error(429 if retryable else 418, {}, json.dumps({"code": code}).encode()).retryable == retryable


def test_the_time_to_come_back_may_be_a_date() -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 28 < (decode_error(503, {"retry-after": date}, b"").retry_after or 0) <= 30


@pytest.mark.parametrize("value", ["", "soon", "-1", "²"])
def test_a_time_that_is_none_is_passed_over(value: str) -> None:
    assert decode_error(503, {"retry-after": value}, b"").retry_after is None


def test_an_answer_is_collected() -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    events = [Warned(text="Mind."), Delta(text="a"), Delta(text="b"), Finished(reason="length", usage=usage)]
    answer = collect(events, "t", "h")
    assert answer.warning == "Mind."
    assert (str(answer), answer.reason, answer.usage, answer.turn, answer.thread) == ("ab", "length", usage, "t", "h")


@pytest.mark.parametrize("events", [[], [Cancelled(usage=None)]])
def test_an_answer_that_was_stopped_is_none(events: list[Cancelled]) -> None:
    with pytest.raises(ChatError) as stopped:
        collect(events, "t", "h")
    assert (stopped.value.code, stopped.value.status) == ("cancelled", 409)


def test_an_answer_that_failed_is_none() -> None:
    error = ChatError("No.", code="provider_failed")
    with pytest.raises(ChatError) as failed:
        collect([Delta(text="a"), Failed(error=error, usage=None)], "t", "h")
    assert failed.value is error


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({}, {}),
        ({"thread": "ab"}, {"thread_uuid": "ab"}),
        ({"thread": "ab", "reload": True}, {"thread_uuid": "ab", "mode": "reload"}),
        ({"thread": "ab", "edit": "cd"}, {"thread_uuid": "ab", "mode": "edit", "edit_message_uuid": "cd"}),
    ],
)
def test_a_question_says_where_it_stands(options: dict[str, object], body: dict[str, str]) -> None:
    request = REQUESTS.ask("Hi", **options)
    assert json.loads(request.content or b"") == {"input": "Hi", **body}
    assert request.url == "https://chat.example.com/api/chat/stream/"
    assert request.headers["Authorization"] == "Token secret"


def test_an_id_cannot_lead_elsewhere() -> None:
    assert "/turns/..%2F..%2F%3F/events/" in REQUESTS.events("../../?", 0).url


def test_without_a_token_there_is_no_authorization() -> None:
    assert "Authorization" not in RequestBuilder("http://a", "", "chat", Limits()).ask("Hi").headers


def test_an_address_must_be_one() -> None:
    with pytest.raises(ValueError, match="https"):
        RequestBuilder("chat.example.com/api", "", "chat", Limits())
