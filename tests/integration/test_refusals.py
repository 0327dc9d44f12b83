"""What a client gets that asks wrongly, or may not ask, or whose provider fails."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.authtoken.models import Token

from tests.integration.conftest import Caller
from tests.integration.stored import thread_of
from waldur_chat import errors
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core

SOME = "0" * 31 + "1"
"""A UUID that nothing has."""

EVERY_ERROR = [
    errors.ProviderUnreachable,
    errors.ProviderRefused,
    errors.ProviderFailed,
    errors.ProviderIncomplete,
    errors.ProviderBusy,
    errors.ProviderTooSlow,
]


@pytest.fixture(params=["invoke", "stream"])
def operation(request: pytest.FixtureRequest) -> str:
    """Both operations."""
    return str(request.param)


def test_checks_come_in_the_order_of_the_contract(call: Caller, settings: Any, operation: str, user: Any) -> None:
    path, token = f"/api/chat/{operation}/", call.token
    settings.WALDUR_CHAT = {"ENABLED": False, "PROVIDERS": {}}
    call.token = ""
    statuses = [call.post(path, b"nonsense").status]
    call.token = token
    statuses.append(call.post(path, b"nonsense").status)
    settings.WALDUR_CHAT = {"PROVIDERS": {}}
    statuses.append(call.post(path, b"nonsense").status)
    settings.WALDUR_CHAT = {}
    statuses.append(call.post(path, b"nonsense", Accept="image/png").status)
    statuses.append(call.post(path, {"input": "Hi"}, Accept="image/png").status)
    with scripted(errors.ProviderFailed()):
        statuses.append(call.post(path, {"input": "Hi"}).status)
    assert statuses == [401, 404, 409, 400, 406, 502]


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_what_fails_before_the_first_event_is_a_status(call: Caller, operation: str, error: type[Exception]) -> None:
    with scripted(error("secret")):
        reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"}, Accept="application/json, text/event-stream")
    assert (reply.status, reply.headers["Content-Type"]) == (error.status, "application/json")
    assert {name: reply.json[name] for name in ("detail", "code")} == {"detail": error.sentence, "code": error.code}
    assert (reply.json.get("retry_after") is None) == (reply.headers.get("Retry-After") is None)
    assert (reply.json.get("retry_after") is None) == (error.status not in (429, 503))


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_what_fails_later_is_an_event_with_the_same_code(call: Caller, error: type[Exception]) -> None:
    with scripted("Hello", 0.05, error("secret")):
        reply = call.stream()
    last = reply.body.decode().split("\n\n")[-2].split("\n")
    assert reply.status == 200
    assert last[1] == "event: error"
    assert json.loads(last[2].removeprefix("data: ")) == {
        "detail": error.sentence,
        "code": error.code,
        "retryable": error.retryable,
        "status": "failed",
        "additional_kwargs": {"usage_metadata": {"input_tokens": 2, "output_tokens": 2, "estimated": True}},
    }


def test_what_fails_later_is_a_status_of_a_whole_answer(call: Caller) -> None:
    with scripted("Hello", 0.05, errors.ProviderFailed()):
        assert call.invoke().status == 502


def test_an_exception_of_a_provider_is_its_failure(call: Caller, operation: str) -> None:
    with scripted(KeyError("secret")):
        reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    assert (reply.status, reply.json["code"]) == (502, "provider_failed")


@pytest.mark.parametrize(("retry_after", "expected"), [(7, "7"), (None, "1")])
def test_a_busy_provider_is_a_503_that_says_when_to_return(
    call: Caller, settings: Any, retry_after: int | None, expected: str
) -> None:
    settings.WALDUR_CHAT = {"ATTEMPTS": 1}
    with scripted(errors.ProviderBusy(retry_after=retry_after)):
        reply = call.stream()
    assert (reply.status, reply.headers["Retry-After"]) == (503, expected)


def test_a_provider_that_does_not_begin_in_time_is_a_504(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"FIRST_EVENT_SECONDS": 0.05}
    with scripted(60) as provider:
        reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    assert (reply.status, reply.json["code"], provider.closed) == (504, "provider_too_slow", 1)


def test_a_turn_that_takes_too_long_ends_with_an_error(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURN_SECONDS": 1.0}
    with scripted("Hello", 60) as provider:
        reply = call.stream(Accept="text/plain")
    assert reply.body.startswith(b"Hello\n[turn_too_long] ")
    assert provider.closed == 1


def test_settings_that_cannot_work_are_a_409_without_details(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": "secret.Provider"}}}
    reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    assert (reply.status, reply.json["code"]) == (409, "chat_not_configured")
    assert b"secret" not in reply.body


@pytest.mark.parametrize("own", [{"PROVIDERS": "nonsense"}, {"INPUT_MAX_LENGTH": "nonsense"}, ["nonsense"]])
def test_settings_that_cannot_be_are_a_409_and_are_logged(
    call: Caller, settings: Any, caplog: pytest.LogCaptureFixture, own: Any
) -> None:
    settings.WALDUR_CHAT = own
    assert call.stream().status == 409
    assert "The chat cannot work: WALDUR_CHAT" in caplog.text


@pytest.mark.parametrize(
    ("roles", "flags", "status"),
    [
        ("disabled", {"is_staff": True}, 404),
        ("staff", {}, 403),
        ("staff", {"is_staff": True}, 200),
        ("staff_and_support", {}, 403),
        ("staff_and_support", {"is_staff": True}, 200),
        ("all", {}, 200),
        ("anonymous", {}, 200),
    ],
)
def test_the_roles_of_the_site_decide(
    call: Caller, settings: Any, user: Any, roles: str, flags: dict[str, bool], status: int
) -> None:
    type(user).objects.filter(pk=user.pk).update(**flags)
    settings.WALDUR_CHAT = {"ENABLED_ROLES": roles}
    with scripted("Hello"):
        assert call.stream().status == status


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": " \n "}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a"]}, "input"),
        ({"input": "a\x00b"}, "input"),
        ({"input": "\ud800"}, "input"),
        ({"input": "a", "thread_uuid": "x"}, "thread_uuid"),
        ({"input": "a", "thread_uuid": ""}, "thread_uuid"),
        ({"input": "a", "thread_uuid": []}, "thread_uuid"),
        ({"input": "a", "mode": "again"}, "mode"),
        ({"input": "a", "mode": {}}, "mode"),
        ({"input": "a", "mode": "reload"}, "mode"),
        ({"input": "a", "thread_uuid": SOME, "mode": "edit"}, "edit_message_uuid"),
        ({"input": "a", "thread_uuid": SOME, "mode": "edit", "edit_message_uuid": "x"}, "edit_message_uuid"),
        ({"input": "a", "edit_message_uuid": SOME}, "edit_message_uuid"),
        ([], "non_field_errors"),
        (b"null", "non_field_errors"),
        (b"{", "detail"),
        (b"\xff", "detail"),
        (b"[" * 100_000, "detail"),
    ],
)
def test_a_bad_body_is_a_400_that_names_the_place(call: Caller, settings: Any, data: Any, wrong: str) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    with scripted("Hello") as provider:
        reply = call.stream(data)
    assert reply.status == 400
    assert set(reply.json) == {wrong, "code"}
    assert not provider.prompts


def test_an_edit_without_a_text_is_a_400_that_names_the_place(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    reply = call.invoke({"thread_uuid": SOME, "mode": "edit", "edit_message_uuid": SOME})
    assert (reply.status, set(reply.json)) == (400, {"input", "code"})


@pytest.mark.parametrize("fields", [{}, {"mode": "reload"}, {"mode": "edit", "edit_message_uuid": SOME}])
def test_a_conversation_that_is_not_ones_own_is_a_404(
    call: Caller, settings: Any, operation: str, fields: dict[str, str]
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    others = thread_of(get_user_model().objects.create_user("bob"), "Hi", "Hello").uuid.hex
    with scripted("Hello") as provider:
        for thread in (SOME, others):
            reply = call.post(f"/api/chat/{operation}/", {"input": "Hi", "thread_uuid": thread, **fields})
            assert (reply.status, reply.json["code"]) == (404, "thread_not_found")
    assert not provider.prompts


@pytest.mark.parametrize("fields", [{"thread_uuid": SOME}, {"mode": "reload"}])
def test_a_site_that_stores_nothing_refuses_what_needs_a_conversation(
    call: Caller, settings: Any, operation: str, fields: dict[str, str]
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    reply = call.post(f"/api/chat/{operation}/", {"input": "Hi", **fields})
    assert (reply.status, set(reply.json)) == (400, {*fields, "code"})


def test_too_long_an_input_is_a_400_that_names_the_limit(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"INPUT_MAX_LENGTH": 10}
    with scripted("Hello"):
        assert call.stream({"input": "x" * 10}).status == 200
        replies = [call.stream({"input": text}) for text in ("x" * 11, "x" + " " * 10)]
    assert [reply.status for reply in replies] == [400, 400]
    assert "10" in replies[0].json["input"][0]


def test_too_large_a_body_is_a_413(call: Caller, settings: Any, operation: str) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    reply = call.post(f"/api/chat/{operation}/", {"input": "x" * 100})
    assert (reply.status, reply.json["code"]) == (413, "body_too_large")


def test_who_hangs_up_while_he_sends_is_no_failure_of_the_server(operation: str, user: Any, client: Any) -> None:
    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    headers = {"Authorization": f"Token {Token.objects.create(user=user).key}"}
    sent = {"data": "{", "content_type": "application/json", "headers": headers, "wsgi.input": Cut()}
    assert client.post(f"/api/chat/{operation}/", **sent).status_code == 400


def test_a_site_without_a_limit_on_bodies_has_none(call: Caller, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    with scripted("Hello"):
        assert call.stream({"input": "x", "padding": "x" * 3_000_000}).status == 200


def test_a_body_that_is_not_json_is_a_415(call: Caller) -> None:
    reply = call.post("/api/chat/stream/", b"input=Hi", content_type="application/x-www-form-urlencoded")
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


def test_an_accept_that_cannot_be_met_is_a_406_in_json(call: Caller, operation: str) -> None:
    reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"}, Accept="application/xml")
    assert (reply.status, reply.headers["Content-Type"]) == (406, "application/json")
    assert reply.json["code"] == "not_acceptable"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_strangers_get_a_401(call: Caller, operation: str, token: str) -> None:
    call.token = token
    reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"}, Accept="text/event-stream")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Token")
    assert reply.json["code"] in ("not_authenticated", "authentication_failed")


def test_an_inactive_user_gets_a_401(call: Caller, user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    assert call.stream().status == 401
    assert Token.objects.count() == 1


def test_drf_speaks_the_language_of_the_request(call: Caller) -> None:
    call.token = ""
    assert call.stream(Accept_Language="de").json["detail"] == "Anmeldedaten fehlen."


def test_a_body_without_a_length_is_a_411(call: Caller, operation: str) -> None:
    reply = call.post(f"/api/chat/{operation}/", None, Transfer_Encoding="chunked")
    assert (reply.status, reply.json["code"]) == (411, "length_required")


@pytest.mark.parametrize("charset", ["zlib", "bz2", "rot13", "utf-16", "nonsense"])
def test_json_is_utf8_whatever_its_charset_claims(call: Caller, charset: str) -> None:
    with scripted("Hello"):
        reply = call.post("/api/chat/stream/", {"input": "Hi"}, content_type=f"application/json; charset={charset}")
    assert reply.status == 200
