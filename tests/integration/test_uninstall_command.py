"""`manage.py chat_uninstall`, without the migrations backwards that tests/acceptance/test_uninstalling.py tries."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command

from waldur_chat.management.commands import chat_uninstall


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls of `migrate`, which do nothing."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(chat_uninstall, "call_command", lambda *args, **_: calls.append(args))
    return calls


def uninstall(**options: Any) -> str:
    out = StringIO()
    call_command("chat_uninstall", stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_tables_and_references_are_removed(migrated: list[tuple[Any, ...]]) -> None:
    told = uninstall(yes=True)
    assert "waldur_chat_thread" in told
    assert migrated == [("migrate", "waldur_chat", "zero")]
    assert not ContentType.objects.filter(app_label="waldur_chat").exists()
    assert not Permission.objects.filter(content_type__app_label="waldur_chat").exists()


@pytest.mark.django_db
def test_whoever_does_not_say_yes_keeps_everything(
    migrated: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match=r"Nothing was deleted\."):
        uninstall()
    assert migrated == []


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["django.contrib.contenttypes", "django.contrib.admin"])
def test_apps_that_a_host_has_not_are_not_asked(
    migrated: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    installed = apps.is_installed
    monkeypatch.setattr(chat_uninstall.apps, "is_installed", lambda name: name != missing and installed(name))
    assert "are gone" in uninstall(yes=True)
    assert len(migrated) == 1
