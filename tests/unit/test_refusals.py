"""What is refused, by whom, and what it means: of HTTP statuses and within streams alike."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.errors import (
    ContextExceeded,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderTooSlow,
)
from waldur_chat.providers.dialects.error_fields import MAX_TEXT, error_fields, is_error
from waldur_chat.providers.dialects.refusals import refusal_in_stream, refusal_of_status

TOO_LONG: list[tuple[Any, int | None]] = [
    ({"error": {"code": "context_length_exceeded", "message": "maximum context length is 8192 tokens"}}, 8192),
    ({"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192, "code": 400}}, 8192),
    ({"error": {"message": "request (8708 tokens) exceeds the available context size (8192 tokens)"}}, 8192),
    ({"error": {"message": "The input (9000 tokens) is longer than the model's context length (8192 tokens)."}}, 8192),
    ({"error": {"object": "error", "message": "The input is longer than the context.", "code": 400}}, None),
    ({"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, 200_000),
    ([{"error": {"message": "The input token count (9) exceeds the maximum number of tokens allowed (1,048,576)."}}],
     1_048_576),
    ({"detail": [{"loc": ["body", "messages"], "msg": "The prompt is too long."}]}, None),
    ({"error": {"metadata": {"raw": '{"message": "maximum context length is 4096 tokens"}'}}}, 4096),
    ({"object": "error", "message": {"detail": "context length of 99999999999999"}}, None),
    ("input length exceeds the context length", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "tokens"), TOO_LONG)
def test_a_question_that_is_too_long_is_told_as_such(body: Any, tokens: int | None) -> None:
    for error in (refusal_of_status(400, body), refusal_of_status(500, body), refusal_in_stream(body)):
        assert isinstance(error, ContextExceeded)
        assert error.context_tokens == tokens


def test_a_request_that_is_too_large_is_too_long() -> None:
    assert isinstance(refusal_of_status(413), ContextExceeded)


QUESTION: list[Any] = [
    {"error": {"code": "content_filter", "param": "prompt", "status": 400}},
    {"error": {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    {"error": {"code": 400, "message": "The response was filtered: content management policy"}},
    {"error": {"code": 403, "message": "no", "metadata": {"reasons": ["x"], "flagged_input": "secret"}}},
    {"error": {"type": "BadRequestError", "code": 400}},
    {"error": {"type": "invalid_request_error", "param": "messages.[0].content"}},
    {"error_type": "invalid_request_error", "error_message": "no"},
    {"detail": [{"loc": ["body", "messages", 0, "content"], "type": "string_type"}], "code": 422},
]


@pytest.mark.parametrize("body", QUESTION)
def test_what_is_about_the_question_is_told_to_who_asked(body: Any) -> None:
    for error in (refusal_of_status(400, body), refusal_in_stream(body)):
        assert type(error) is ProviderRefusedQuestion
        assert not error.retryable


OPERATOR: list[tuple[Any, str]] = [
    ({"error": {"code": "invalid_api_key", "type": "invalid_request_error"}}, "key"),
    ({"error": {"code": 401}}, "key"),
    ({"error": {"code": 402, "message": "Insufficient credits"}}, "key"),
    ({"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, "key"),
    ([{"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}], "key"),
    ({"error": {"message": "API key not valid."}}, "key"),
    ({"error": {"code": "model_not_found"}}, "model"),
    ({"error": {"code": 400, "message": "The model `x` does not exist"}}, "model"),
    ({"error": {"code": 400, "param": "model"}}, "model"),
    ({"error": {"code": "unsupported_parameter", "param": "max_tokens"}}, "parameter"),
    ({"error": {"code": 400, "param": "temperature", "type": "invalid_request_error"}}, "parameter"),
    ({"error": {"code": 400, "message": "Unrecognized request argument supplied: stream_options"}}, "parameter"),
    ({"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}, "parameter"),
]


@pytest.mark.parametrize(("body", "about"), OPERATOR)
def test_what_is_about_the_settings_is_for_the_operator(body: Any, about: str) -> None:
    for error in (refusal_of_status(error_fields(body).status or 400, body), refusal_in_stream(body)):
        assert isinstance(error, ProviderRefused)
        assert error.about == about


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 409, 418])
def test_a_status_of_the_operators_is_theirs(status: int) -> None:
    assert type(refusal_of_status(status, {"error": {"type": "invalid_request_error"}})) is ProviderRefused


OTHER: list[tuple[Any, type[ProviderError]]] = [
    ({"error": {"code": 429}}, ProviderBusy),
    ({"error": {"code": "503"}}, ProviderBusy),
    ({"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, ProviderBusy),
    ({"type": "error", "error": {"type": "overloaded_error"}}, ProviderBusy),
    ({"error": {"status": "RESOURCE_EXHAUSTED"}}, ProviderBusy),
    ({"error": {"code": 500, "type": "server_overloaded"}}, ProviderBusy),
    ({"error": {"code": 504}}, ProviderTooSlow),
    ({"error": {"type": "timeout_error"}}, ProviderTooSlow),
    ({"error": {"code": 500}}, ProviderFailed),
    ({"error": {"message": "the GPU is on fire"}}, ProviderFailed),
    ({"error": "boom"}, ProviderFailed),
    ({"error": True}, ProviderFailed),
    ({"base_resp": {"status_code": 1000, "status_msg": "unknown"}}, ProviderFailed),
    (None, ProviderFailed),
]


@pytest.mark.parametrize(("body", "kind"), OTHER)
def test_what_is_the_providers_is_a_failure(body: Any, kind: type[ProviderError]) -> None:
    assert type(refusal_in_stream(body)) is kind


def test_a_429_is_never_the_questions() -> None:
    body = {"error": {"message": "Request too large for context length", "code": "rate_limit_exceeded"}}
    assert type(refusal_of_status(429, body, retry_after=3)) is ProviderBusy


@pytest.mark.parametrize("body", [body for body, _ in [*TOO_LONG, *OPERATOR, *OTHER]])
def test_of_a_message_nothing_is_told(body: Any) -> None:
    error = refusal_of_status(400, body)
    assert not [word for word in ("fire", "boom", "filtered", "not valid") if word in str(error)]


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": "x"},
        {"object": "error"},
        {"error_type": "x"},
        {"error_message": "x", "choices": []},
        {"detail": "x"},
        {"code": 1, "message": "x"},
        {"base_resp": {"status_code": 1}, "choices": None},
        {"x_groq": {"error": "x"}, "choices": [{"delta": {}}]},
    ],
)
def test_an_error_in_any_dress_is_one(chunk: dict[str, Any]) -> None:
    assert is_error(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"error": None, "choices": []},
        {"choices": [{}], "detail": "x", "message": "x", "code": 1},
        {"base_resp": {"status_code": 0}},
        {"message": "x"},
        {"choices": [], "message": "x", "code": 1},
    ],
)
def test_a_chunk_is_no_error(chunk: dict[str, Any]) -> None:
    assert not is_error(chunk)


def test_no_more_is_read_of_an_error_than_is_needed() -> None:
    nested: Any = {"code": "deep"}
    for _ in range(10):
        nested = {"error": [nested] * 9}
    assert error_fields(nested).codes == ()
    assert len(error_fields({"message": "x" * 2 * MAX_TEXT}).text) == MAX_TEXT
