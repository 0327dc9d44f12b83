"""A database in which turns cannot be stored: questions are refused, unless nothing is to be stored or limited."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.integration.conftest import Caller
from waldur_chat.models import Budget, Turn
from waldur_chat.store import support
from waldur_chat.store.conversations import system_prompts
from waldur_chat.testing import scripted

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def unsuitable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "VENDORS", ())


def test_a_question_is_refused_and_the_log_has_the_reason(call: Caller, caplog: Any) -> None:
    reply = call.invoke({"input": "Hi"})
    assert (reply.status, reply.json["code"]) == (409, "chat_not_configured")
    reason = f"The chat cannot work: Turns cannot be stored in this kind of database ({connection.vendor})"
    assert any(line.startswith(reason) for line in caplog.messages)
    assert not Turn.objects.exists()


def test_without_storage_and_limits_it_is_answered(call: Caller, user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    system_prompts.activate(system_prompts.create(user, name="Pirate", custom_instructions="Talk like a pirate."))
    with scripted("Ahoy") as provider:
        assert call.invoke({"input": "Hi"}).status == 200
    assert provider.prompts[0].messages[0].text == "Talk like a pirate."
    assert not Turn.objects.exists()


@pytest.mark.parametrize("of_staff", [True, False])
def test_limits_are_refused_without_storage_too(call: Caller, settings: Any, of_staff: bool) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False} | ({} if of_staff else {"SITE_TOKENS_DAILY": 100_000})
    if of_staff:
        Budget.objects.create(is_site=True, daily_limit=100_000)
    assert call.invoke({"input": "Hi"}).status == 409
