"""`manage.py chat_uninstall` leaves nothing behind, and the host goes on without the package."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from tests.acceptance.databases import HOST, new_user
from tests.acceptance.test_migrations import migrate, our_tables, row
from tests.processes import ROOT
from waldur_chat.management.commands import chat_uninstall

WITHOUT = """
from tests.host import settings
settings.INSTALLED_APPS.remove("waldur_chat")
import django; django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
print(User.objects.all().delete()[1]["auth.User"])
"""


@pytest.fixture
def installed(database: str) -> str:
    """The address of a host's database in which each of our tables holds something, and Django's own refer to them."""
    migrate()
    new_user()
    for model in apps.get_app_config("waldur_chat").get_models():
        row(model)
    kind = ContentType.objects.using(HOST).get(app_label="waldur_chat", model="thread")
    group = Group.objects.using(HOST).get_or_create(name="readers")[0]
    group.permissions.add(*Permission.objects.using(HOST).filter(content_type=kind))
    user = new_user()
    LogEntry.objects.using(HOST).all().delete()
    LogEntry.objects.using(HOST).create(user=user, content_type=kind, object_id="1", object_repr="-", action_flag=2)
    return database


def left() -> list[Any]:
    """What there is of ours."""
    kinds = ContentType.objects.using(HOST).filter(app_label="waldur_chat")
    permissions = Permission.objects.using(HOST).filter(content_type__app_label="waldur_chat")
    records = MigrationRecorder(connections[HOST]).migration_qs.filter(app="waldur_chat")
    entries = LogEntry.objects.using(HOST)
    return [sorted(our_tables()), kinds.count(), permissions.count(), records.count(), entries.count()]


def test_nothing_is_left_and_users_can_be_deleted(installed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(left())
    call_command("chat_uninstall", database=HOST, yes=True)
    assert left() == [[], 0, 0, 0, 0]
    assert "waldur_chat_thread" in capsys.readouterr().out
    call_command("chat_uninstall", database=HOST, yes=True)
    assert "to be deleted, with everything in them: none." in capsys.readouterr().out
    connections[HOST].close()
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": installed}
    command = [sys.executable, "-c", WITHOUT]
    deleted = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert int(deleted.stdout) >= 2


@pytest.mark.parametrize(("said", "is_done"), [("yes", True), ("y", False), ("", False)])
def test_it_asks(installed: str, monkeypatch: pytest.MonkeyPatch, said: str, is_done: bool) -> None:
    monkeypatch.setattr("builtins.input", lambda question: said)
    if is_done:
        call_command("chat_uninstall", database=HOST)
    else:
        with pytest.raises(CommandError, match="Nothing was deleted"):
            call_command("chat_uninstall", database=HOST)
    assert bool(our_tables()) is not is_done


def test_a_host_may_have_neither_content_types_nor_the_admin(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_uninstall.apps, "is_installed", lambda name: name == "django.contrib.contenttypes")
    call_command("chat_uninstall", database=HOST, yes=True)
    assert left()[1:3] == [0, 0]
    monkeypatch.setattr(chat_uninstall.apps, "is_installed", lambda name: False)
    assert chat_uninstall._delete_references(HOST) == 0
