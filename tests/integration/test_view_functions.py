"""Views called as functions, as tests of a site call them: without URLs, middleware and Django's handler."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncRequestFactory
from rest_framework.authtoken.models import Token
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.integration.chatting import settled
from tests.integration.conftest import JSON
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.errors import ProviderBusy
from waldur_chat.models import Message
from waldur_chat.testing import Step, scripted


def ask(operation: str, user: Any, *steps: Step) -> Any:
    """The response of the view."""
    request = APIRequestFactory().post("/anywhere/", {"input": "Hi"}, format="json")
    force_authenticate(request, user=user)
    with scripted(*steps):
        return ChatViewSet.as_view({"post": operation})(request)


def test_invoke_has_its_answer_before_and_after_rendering(user: Any) -> None:
    response = ask("invoke", user, "Hello")
    assert (response.status_code, response.data) == (200, "Hello")
    assert json.loads(response.render().content) == "Hello"


def test_a_failure_has_its_status(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"ATTEMPTS": 1}
    response = ask("invoke", user, ProviderBusy(retry_after=7))
    assert (response.status_code, response.data["code"], response["Retry-After"]) == (503, "provider_busy", "7")


def test_a_stream_has_its_events(user: Any) -> None:
    response = ask("stream", user, "Hello")
    assert (response.status_code, b"Hello" in b"".join(response.streaming_content)) == (200, True)


def test_a_request_of_asgi_is_rendered_by_its_test(user: Any) -> None:
    headers = {"Authorization": f"Token {Token.objects.create(user=user).key}"}
    request = AsyncRequestFactory().post("/anywhere/", json.dumps({"input": "Hi"}), JSON, headers=headers)
    with scripted("Hello"):
        response = ChatViewSet.as_view({"post": "invoke"})(request)
        assert json.loads(async_to_sync(response.render)().content) == "Hello"


@pytest.mark.parametrize("name", ["freezegun", "time_machine"])
def test_answers_come_while_time_stands_still(user: Any, settings: Any, name: str) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    module: Any = pytest.importorskip(name)
    frozen = (
        module.freeze_time("2031-05-06 12:00", real_asyncio=True)
        if name == "freezegun"
        else module.travel("2031-05-06 12:00Z", tick=False)
    )
    with frozen:
        assert ask("invoke", user, "Hello").data == "Hello"
        settled()
    assert {message.created.year for message in Message.objects.all()} == {2031}
