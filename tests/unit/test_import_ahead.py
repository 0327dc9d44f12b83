"""The SDK is imported in the background when the first request comes, where a provider will need it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.signals import request_started

from waldur_chat import import_ahead
from waldur_chat.conf import OFFLINE, OPENAI

ANSWERS = {"BACKEND": OPENAI, "OPTIONS": {"base_url": "http://localhost:1/v1", "client": {"timeout": 3}}}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What is imported, and whether in a thread of its own."""
    names: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        names.append((name, threading.current_thread() is not threading.main_thread()))
        raise ImportError

    monkeypatch.setattr(import_ahead, "import_module", note)
    return names


def send_requests() -> None:
    """Two requests of any kind, and time for what they began."""
    import_ahead.begin_with_first_request()
    for _ in range(2):
        request_started.send(sender=None)
    for thread in threading.enumerate():
        if thread.name == "waldur-chat-import":
            thread.join()


def test_the_first_request_imports_the_sdk(settings: Any, imported: list[Any]) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": ANSWERS}}
    send_requests()
    assert imported == [("openai", True)]


@pytest.mark.parametrize(
    "providers", [{"default": {"BACKEND": OFFLINE}}, {"spare": ANSWERS}, {"default": {"BACKEND": "no.such.Class"}}]
)
def test_what_nobody_will_need_is_not_imported(settings: Any, imported: list[Any], providers: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": providers}
    send_requests()
    assert imported == []


def test_a_fallback_will_need_it_too(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": OFFLINE, "FALLBACK": "spare"}, "spare": ANSWERS}}
    assert import_ahead.packages() == {"openai"}


def test_an_address_in_constance_is_not_read(settings: Any) -> None:
    settings.WALDUR_CHAT = {}
    settings.CONSTANCE_CONFIG = {"AI_ASSISTANT_API_URL": ("", "")}
    assert import_ahead.packages() in ({"openai"}, {"aiohttp"})
