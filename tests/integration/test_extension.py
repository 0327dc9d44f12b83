"""The Waldur plugin's own steps, in front of a stand-in for Waldur; a whole host is in the acceptance tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

STAND_IN = Path(__file__).resolve().parent.parent / "waldur"


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The plugin's class, loaded as Waldur loads it."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setattr(apps.get_app_config("waldur_chat"), "problem", "")
    from waldur_chat.extension import WaldurChatExtension

    yield WaldurChatExtension
    for name in [name for name in sys.modules if name.startswith(("waldur_core", "waldur_chat.extension"))]:
        del sys.modules[name]


def problem() -> str:
    """What the plugin could not do."""
    return str(apps.get_app_config("waldur_chat").problem)


def test_it_brings_the_app_and_its_settings(extension: Any) -> None:
    assert (extension.django_app(), extension.Settings.WALDUR_CHAT) == ("waldur_chat", {})


@pytest.mark.parametrize("prefix", ["chat", "ai/chat"])
def test_it_registers_the_api_below_the_prefix(extension: Any, settings: Any, prefix: str) -> None:
    settings.WALDUR_CHAT = {"URL_PREFIX": prefix}
    router = DefaultRouter()
    extension.rest_urls()(router)
    names = ["", *(f"-{name}" for name in ("threads", "messages", "sessions", "quota", "system-prompts", "tools"))]
    paths = [f"{prefix}{name}" for name in ("/config", "/health", "/ready", *names, "-tool-calls")]
    assert [registered for registered, *_ in router.registry] == paths


@pytest.mark.parametrize("prefix", ["chat", "chat-quota"])
def test_it_steps_aside_for_a_prefix_of_the_hosts(extension: Any, prefix: str) -> None:
    router = DefaultRouter()
    router.register(prefix, ViewSet, basename=prefix)
    extension.rest_urls()(router)
    assert len(router.registry) == 1
    assert "'chat'" in problem()


def test_it_steps_aside_for_a_chat_that_the_host_registers_later(extension: Any) -> None:
    from waldur_chat.extension import _is_taken

    assert _is_taken(["chat", "chat-quota"], DefaultRouter(), ["auth", "chat"])
    assert not _is_taken(["ai", "ai-quota"], DefaultRouter(), ["auth", "chat"])


def test_what_goes_wrong_is_kept_and_not_raised(
    extension: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WALDUR_CHAT = {"URL_PREFIX": "("}
    extension.rest_urls()(DefaultRouter())
    assert "URL_PREFIX" in problem()
    assert "could not be registered" in caplog.text


@pytest.mark.parametrize("has_celery", [True, False])
def test_its_beat_entry_is_due_at_a_time_of_day(
    extension: Any, monkeypatch: pytest.MonkeyPatch, has_celery: bool
) -> None:
    schedules: Any = ModuleType("celery.schedules")
    schedules.crontab = dict
    monkeypatch.setitem(sys.modules, "celery", ModuleType("celery"))
    monkeypatch.setitem(sys.modules, "celery.schedules", schedules if has_celery else None)
    (entry,) = extension.celery_tasks().values()
    assert entry["task"] == "waldur_chat.cleanup"
    assert entry["schedule"] == ({"hour": "3", "minute": "30"} if has_celery else timedelta(days=1))
