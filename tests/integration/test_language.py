"""Error sentences follow the language of the request, also within a stream."""

from __future__ import annotations

import json

import pytest
from django.utils.translation import trans_real

from tests.integration.conftest import Caller
from waldur_chat.errors import ProviderFailed
from waldur_chat.testing import scripted

GERMAN = "Das Sprachmodell hat versagt."


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that has translated one sentence."""
    messages = trans_real.translation("de").gettext
    catalog = trans_real.translation("de")
    monkeypatch.setattr(catalog, "gettext", lambda text: GERMAN if text == ProviderFailed.sentence else messages(text))


def test_an_error_status_is_translated(call: Caller) -> None:
    with scripted(ProviderFailed()):
        assert call.stream(Accept_Language="de").json["detail"] == GERMAN


def test_an_error_event_is_translated(call: Caller) -> None:
    with scripted("Hello", 0.05, ProviderFailed()):
        reply = call.stream(Accept_Language="de", Accept="application/x-ndjson")
    assert json.loads(reply.body.splitlines()[-1])["e"] == GERMAN
