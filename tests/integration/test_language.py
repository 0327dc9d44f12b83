"""Error sentences follow the language of the request, also within a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils.translation import trans_real

from tests.integration.conftest import Caller
from tests.integration.stored import thread_of
from waldur_chat.errors import ProviderFailed
from waldur_chat.events import HISTORY_SHORTENED
from waldur_chat.models import Message
from waldur_chat.testing import scripted

GERMAN = "Das Sprachmodell hat versagt."


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that has translated two sentences."""
    messages = trans_real.translation("de").gettext
    catalog = trans_real.translation("de")
    translated = {ProviderFailed.sentence: GERMAN, HISTORY_SHORTENED: "Der Anfang fehlt."}
    monkeypatch.setattr(catalog, "gettext", lambda text: translated.get(text) or messages(text))


def test_an_error_status_is_translated(call: Caller) -> None:
    with scripted(ProviderFailed()):
        assert call.stream(Accept_Language="de").json["detail"] == GERMAN


def test_an_error_event_is_translated(call: Caller) -> None:
    with scripted("Hello", 0.05, ProviderFailed()):
        reply = call.stream(Accept_Language="de", Accept="application/x-ndjson")
    assert json.loads(reply.body.splitlines()[-2])["e"] == GERMAN


def test_the_warning_of_a_stored_message_is_translated(call: Caller, user: Any) -> None:
    thread = thread_of(user, "a", "b")
    Message.objects.filter(text="b").update(warning=HISTORY_SHORTENED)
    rows = call.get(f"/api/chat-messages/?thread={thread.uuid}", Accept_Language="de").json
    assert [row["warning"] for row in rows] == ["", "Der Anfang fehlt."]
