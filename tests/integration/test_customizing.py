"""docs/customizing.md: what it shows works, and what it says of a site's own fields is true."""

from __future__ import annotations

import sys
from io import StringIO
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
import yaml
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from tests.integration.chatting import settled
from tests.integration.conftest import Caller
from tests.integration.customized import answering, urls
from tests.integration.test_documentation import blocks
from waldur_chat.api.serializers.chat import METADATA_MAX_BYTES, ChatRequestSerializer, InputField
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.messages import Question
from waldur_chat.models import Turn
from waldur_chat.turns import turn_request

CODE, URLS = blocks("customizing.md")
PROJECT = "57a1d0c4-0000-4000-8000-000000000001"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, settings: Any) -> ModuleType:
    """The site of the page."""
    package, module, site = (ModuleType(name) for name in ("mysite", "mysite.chat", "mysite.urls"))
    for each in (package, module, site):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    exec(CODE, vars(module))
    exec(URLS, vars(site))
    settings.ROOT_URLCONF = "mysite.urls"
    settings.WALDUR_CHAT = {"STORAGE": False, "PROVIDERS": {"default": {"BACKEND": "mysite.chat.ProjectProvider"}}}
    return module


def test_the_site_of_the_page_works(page: ModuleType, call: Caller, user: Any, client: Any) -> None:
    asked = {"input": "What is new", "project": PROJECT}
    assert call.invoke(asked).status == 403
    user.groups.add(Group.objects.create(name="engineers"))
    assert call.invoke(asked).json == f"What is new in {PROJECT}?"
    assert call.stream({**asked, "priority": "high"}).status == 200
    assert call.get("/api/chat-threads/").json == []
    assert b"Ask about a project" in client.get("/assistant/").content


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_the_fields_of_the_page_are_validated(page: ModuleType, call: Caller, user: Any, operation: str) -> None:
    user.groups.add(Group.objects.create(name="engineers"))
    for wrong in ({}, {"project": "x"}, {"project": PROJECT, "priority": "\ud800"}):
        reply = call.post(f"/api/chat/{operation}/", {"input": "Hi", **wrong})
        assert (reply.status, reply.json["code"]) == (400, "invalid")


class Further(ChatRequestSerializer):
    """A question with whatever else a site may want."""

    anything = serializers.JSONField(required=False)
    price = serializers.DecimalField(max_digits=5, decimal_places=2, required=False)
    colours = serializers.MultipleChoiceField(choices=["red", "green", "blue"], required=False)
    edit_message_uuid = None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**super().validate(attrs), "user": self.context["request"].user.get_username()}


@pytest.fixture
def script(settings: Any) -> Any:
    """A site with fields of its own, which stores conversations, and what its model is asked."""
    settings.ROOT_URLCONF = urls({"chat": type("Mine", (ChatViewSet,), {"serializer_class": Further})})
    return answering(settings, "Hello", STORAGE=True)


@pytest.fixture(params=["invoke", "stream"])
def ask(request: pytest.FixtureRequest, call: Caller, script: Any) -> Any:
    """Asks by both operations."""

    def send(data: Any, **headers: str) -> Any:
        return call.post(f"/api/chat/{request.param}/", data, **headers)

    yield send
    settled()


def test_further_fields_reach_the_provider_as_json(ask: Any, script: Any) -> None:
    sent = {"anything": {"a": [1, None]}, "price": "1.50"}
    assert ask({"input": "Hi", "colours": ["red", "blue"], "unknown": 1, **sent}).status == 200
    metadata = script.prompts[0].metadata
    assert {**metadata, "colours": sorted(metadata["colours"])} == {**sent, "colours": ["blue", "red"], "user": "alice"}


def test_a_question_without_further_fields_has_no_metadata(call: Caller, settings: Any) -> None:
    script = answering(settings, "Hello")
    assert [call.invoke().status, call.stream({"input": "Hi", "unknown": 1}).status] == [200, 200]
    assert [prompt.metadata for prompt in script.prompts] == [{}, {}]


def test_invoke_needs_no_input_and_stream_does(call: Caller, script: Any) -> None:
    assert call.invoke({"price": "1.00"}).status == 200
    assert script.prompts[0].opens
    assert call.stream({"price": "1.00"}).json["input"] == ["This field is required."]
    settled()


def test_metadata_has_room_for_4_kb(ask: Any, script: Any) -> None:
    around = len('{"anything": "", "user": "alice"}')
    assert METADATA_MAX_BYTES == 4096
    assert ask({"input": "Hi", "anything": "\u00e9" * ((4096 - around) // 2)}).status == 200
    reply = ask({"input": "Hi", "anything": "x" * (4096 - around + 1)})
    assert (reply.status, reply.json["code"]) == (400, "invalid")
    assert reply.json["non_field_errors"] == ["What was sent besides the question has 4097 bytes; 4096 are allowed."]
    assert script.opened == 1


@pytest.mark.parametrize("odd", ["\ud800", {"\udfff": 1}])
def test_metadata_that_cannot_be_written_is_refused(ask: Any, script: Any, odd: Any) -> None:
    reply = ask({"input": "Hi", "anything": odd})
    assert (reply.status, reply.json["non_field_errors"]) == (
        400,
        ["What was sent besides the question cannot be written as JSON."],
    )
    assert script.opened == 0


@pytest.mark.parametrize("odd", [object(), float("nan"), {UUID(int=0): 1}])
def test_metadata_that_is_no_json_is_refused(odd: Any) -> None:
    serializer = ChatRequestSerializer(data={"input": "Hi"})
    serializer.is_valid(raise_exception=True)
    serializer.validated_data["odd"] = odd
    with pytest.raises(serializers.ValidationError, match="cannot be written"):
        serializer.question()


def test_metadata_is_not_stored(call: Caller, script: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert call.invoke({"input": "Hi", "anything": "Whiskers"}).status == 200
        settled()
    assert Turn.objects.count() == 1
    assert queries.captured_queries
    assert not any("Whiskers" in query["sql"] for query in queries)


def test_metadata_tells_questions_with_one_key_apart(ask: Any, script: Any) -> None:
    statuses = [
        ask({"input": "Hi", **fields}, Idempotency_Key="a").status
        for fields in ({"anything": {"a": 1, "b": 2}}, {"anything": {"b": 2, "a": 1}}, {"anything": 1}, {})
    ]
    assert statuses == [200, 200, 422, 422]
    assert script.opened == 1


def test_a_question_without_metadata_has_the_fingerprint_it_always_had() -> None:
    """A process of an earlier release, on the same database, knows it."""
    assert turn_request.fingerprint(Question(text="Hi")) == (
        "b1237508fbfbd3eeb1b022267ba731137c796e84e544500fa7bc87958dd477a0"
    )


def test_words_of_a_site_stay_out_of_logs() -> None:
    question = Question(text="Hi", metadata={"a": "Whiskers"})
    assert "Whiskers" not in repr(question)
    assert hash(question) == hash(Question(text="Hi"))


def document() -> Any:
    """The OpenAPI document of the site."""
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return yaml.safe_load(output.getvalue())


def test_the_document_follows_the_subclass(page: ModuleType) -> None:
    described = document()
    components = described["components"]["schemas"]
    names = {
        operation: described["paths"][f"/api/chat/{operation}/"]["post"]["requestBody"]["content"]["application/json"]
        for operation in ("invoke", "stream")
    }
    assert names["stream"]["schema"]["$ref"].endswith("/ProjectQuestionRequest")
    assert names["invoke"]["schema"]["$ref"].endswith("/ProjectQuestionInvokeRequest")
    assert components["ProjectQuestionRequest"]["required"] == ["input", "project"]
    assert components["ProjectQuestionInvokeRequest"]["required"] == ["project"]
    assert components["ProjectQuestionRequest"]["properties"]["input"]["maxLength"] == 50_000


def test_the_limit_on_input_is_that_of_the_settings(call: Caller, settings: Any) -> None:
    for limit in (2, 3):
        answering(settings, "Hello", INPUT_MAX_LENGTH=limit)
        assert [call.stream({"input": "x" * length}).status for length in (limit, limit + 1)] == [200, 400]


@pytest.mark.parametrize("kind", [serializers.CharField, InputField])
def test_a_subclass_may_have_an_input_of_its_own(call: Caller, settings: Any, kind: Any) -> None:
    own = {"input": kind(max_length=2), "mode": None}
    serializer = type("Own", (ChatRequestSerializer,), own)
    settings.ROOT_URLCONF = urls({"chat": type("Mine", (ChatViewSet,), {"serializer_class": serializer})})
    answering(settings, "Hello")
    assert [call.invoke({"input": "xxx"}).status, call.invoke().status] == [400, 200]
    nothing = type("Nothing", (ChatRequestSerializer,), {"input": None})
    settings.ROOT_URLCONF = urls({"chat": type("Mine", (ChatViewSet,), {"serializer_class": nothing})})
    assert [call.invoke({"input": 1}).status, call.stream({"input": 1}).status] == [200, 200]


def test_validators_of_a_subclass_are_asked(call: Caller, settings: Any) -> None:
    def politely(attrs: dict[str, Any]) -> None:
        if "please" not in attrs["input"]:
            raise serializers.ValidationError("Say please.")

    meta = type("Meta", (), {"validators": [politely]})
    serializer = type("Polite", (ChatRequestSerializer,), {"Meta": meta})
    settings.ROOT_URLCONF = urls({"chat": type("Mine", (ChatViewSet,), {"serializer_class": serializer})})
    answering(settings, "Hello")
    assert [call.stream({"input": words}).status for words in ("Go on", "Go on, please")] == [400, 200]
