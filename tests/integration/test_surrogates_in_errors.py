"""Half a surrogate pair, which JSON may bring and UTF-8 cannot take away, is a 400 wherever an error quotes it."""

from __future__ import annotations

import json
from functools import cache
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError

from tests.integration.conftest import Caller
from tests.integration.customized import answering, urls
from tests.integration.stored import thread_of
from waldur_chat.api.exceptions import as_api_exception
from waldur_chat.api.serializers.chat import ChatRequestSerializer
from waldur_chat.api.views.chat import ChatViewSet

LONE = "\ud800"
VALID = {
    "input": "Hi",
    "name": "a",
    "content": "a",
    "role": "user",
    "score": False,
    "thread": "0" * 32,
    "user_uuid": "0" * 32,
}


@cache
def document() -> Any:
    """The OpenAPI document, which has all operations and fields."""
    output = StringIO()
    call_command("spectacular", stdout=output)
    return yaml.safe_load(output.getvalue())


def operations() -> list[tuple[str, str, Any]]:
    """Method, path and description of each."""
    found = document()["paths"].items()
    return [(method, path, described) for path, methods in found for method, described in methods.items()]


def fields_of(described: Any) -> list[str]:
    """Of the body that it takes."""
    if "requestBody" not in described:
        return []
    (content,) = described["requestBody"]["content"].values()
    name = content["schema"]["$ref"].rpartition("/")[2]
    return list(document()["components"]["schemas"][name]["properties"])


@pytest.fixture(autouse=True)
def host(settings: Any, call: Caller, user: Any) -> Any:
    """Staff, who may send everything, and a conversation."""
    answering(settings, "Hello", STORAGE=True)
    user.is_staff = True
    user.save()
    return thread_of(user, "Hello", "Hi")


@pytest.mark.parametrize("call", ["asgi"], indirect=True)
def test_every_field_of_every_body(call: Caller, host: Any) -> None:
    tried = set()
    for method, path, described in operations():
        for field in fields_of(described):
            for value in (LONE, [LONE], {LONE: LONE}, f"{'0' * 31}{LONE}"):
                body = json.dumps({**VALID, field: value}).encode()
                reply = call._send(method.upper(), _url(path, host), body, "application/json", {})
                told = (method, path, field, reply.status)
                assert reply.headers["Content-Type"] == "application/json", told
                assert reply.json["code"], told
                assert reply.status == 400 or (reply.status == 404 and "{uuid}" in path), told
                tried.add((path, field))
    assert {(path.rsplit("/", 2)[1], field) for path, field in tried} >= CHOICES


CHOICES = {("stream", "mode"), ("invoke", "mode"), ("chat-messages", "role"), ("feedback", "category")}


def _url(path: str, thread: Any) -> str:
    messages = thread.messages.order_by("sequence_index")
    message = messages.last() if "feedback" in path else messages.first()
    uuid = thread.uuid if "threads" in path else message.uuid
    return str(path.replace("{uuid}", uuid.hex))


@pytest.mark.parametrize(
    ("call", "odd"), [("wsgi", "%ED%A0%80"), ("asgi", "%FF"), ("wsgi", "%00"), ("asgi", "%5Cud800")], indirect=["call"]
)
def test_every_parameter_of_every_query(call: Caller, host: Any, odd: str) -> None:
    tried = set()
    for method, path, described in operations():
        if method != "get" or "{uuid}" in path:
            continue
        for parameter in described.get("parameters", ()):
            if parameter["in"] == "query":
                reply = call.get(f"{path}?{parameter['name']}={odd}")
                assert reply.headers["Content-Type"] == "application/json", (path, parameter["name"])
                assert reply.status in (200, 400, 404), (path, parameter["name"])
                tried.add(parameter["name"])
    assert tried >= {"o", "field", "max_severity", "scope", "user", "thread", "page", "page_size", "as", "user_uuid"}


@pytest.mark.parametrize("odd", ["%ED%A0%80", "%FF", "%5Cud800"])
def test_every_path(call: Caller, odd: str) -> None:
    for method, path, _ in operations():
        if "{uuid}" in path:
            reply = call._send(method.upper(), path.replace("{uuid}", odd), b"{}", "application/json", {})
            assert (reply.status, reply.headers["Content-Type"]) == (404, "application/json"), path


@pytest.mark.parametrize("name", ["Idempotency_Key", "Last_Event_ID", "X_Request_ID", "Accept"])
def test_headers(call: Caller, name: str) -> None:
    for path in ("/api/chat/stream/", "/api/chat/invoke/"):
        reply = call.post(path, {"input": "Hi"}, **{name: "\xed\xa0\x80" * 200})
        assert reply.status in (200, 400, 406)


def test_the_choice_is_quoted_escaped(call: Caller) -> None:
    reply = call.stream({"input": "a", "mode": f"a{LONE}b"})
    assert (reply.status, reply.json["mode"]) == (400, ['"a\\ud800b" is not a valid choice.'])


def test_fields_of_a_site_are_no_exception(call: Caller, settings: Any) -> None:
    own = {
        "mood": serializers.DictField(child=serializers.ChoiceField(["good"])),
        "many": serializers.MultipleChoiceField(choices=["good"], required=False),
    }
    serializer = type("Own", (ChatRequestSerializer,), own)
    settings.ROOT_URLCONF = urls({"chat": type("Mine", (ChatViewSet,), {"serializer_class": serializer})})
    reply = call.stream({"input": "a", "mood": {LONE: LONE}, "many": [LONE]})
    assert (reply.status, reply.json["mood"]) == (400, {"\\ud800": ['"\\ud800" is not a valid choice.']})


def test_what_can_be_written_stays_as_it_is() -> None:
    detail = {"a": ["b\u00e9\U0001f642"], "c": {"d": ["e"]}}
    error = as_api_exception(ValidationError(detail, code="f"))
    assert isinstance(error, ValidationError)
    assert error.detail == detail
    assert error.get_codes() == {"a": ["f"], "c": {"d": ["f"]}}


def test_codes_are_kept() -> None:
    error = as_api_exception(NotFound(f"No {LONE}.", code="gone"))
    assert isinstance(error, NotFound)
    assert (str(error), error.get_codes()) == ("No \\ud800.", "gone")
