"""Conversations, users and processes that go while a turn runs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests.integration.chatting import waiting
from tests.integration.stored import thread_of
from tests.integration.turning import begin, finish, said, stores  # noqa: F401  # A fixture.
from tests.processes import ROOT
from waldur_chat.events import Delta, Finished, Usage
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.store.conversations import deletion

pytestmark = pytest.mark.usefixtures("stores")

USAGE = Usage(input_tokens=7, output_tokens=5)

EXIT = """
import os, django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from waldur_chat import chat
from waldur_chat.testing import scripted

call_command("migrate", verbosity=0)
with scripted("Hel", 60):
    events = chat.stream("Hi", user=get_user_model().objects.create_user("alice"))
    next(events), next(events)
"""


@pytest.fixture(autouse=True)
def nobody_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns whose conversation is deleted are stopped soon; here they run to their end."""
    monkeypatch.setattr("waldur_chat.store.turns.leases.cancelled_turns", list)


def delete_conversation(user: Any) -> None:
    deletion.delete(Thread.objects.get())


def delete_its_row(user: Any) -> None:
    Thread.objects.get().delete()


def erase(user: Any) -> None:
    deletion.erase(user)


def delete_user(user: Any) -> None:
    get_user_model().objects.get(pk=user.pk).delete()


@pytest.mark.parametrize("go", [delete_conversation, delete_its_row, erase, delete_user])
def test_a_turn_that_has_lost_its_place_is_charged_and_leaves_nothing(user: Any, go: Callable[[Any], None]) -> None:
    gone = threading.Event()
    with waiting("Hel", gone, "lo", USAGE):
        turn = begin(user, "Hi")
        go(user)
        gone.set()
        events = finish(turn)
    assert isinstance(events[-1], Finished)
    assert events[-1].stored is None
    assert "".join(event.text for event in events if isinstance(event, Delta)).endswith("lo")
    assert not Message.objects.exists()
    assert not Turn.objects.exists()
    line = DayOfUsage.objects.get()
    assert (line.turns, line.input_tokens, line.output_tokens) == (1, 7, 5)
    assert line.user == (None if go is delete_user else user)
    assert Budget.objects.get(is_site=True).daily_tokens == 12


@pytest.mark.parametrize("go", [delete_conversation, delete_user])
def test_what_it_held_is_given_back(user: Any, settings: Any, go: Callable[[Any], None]) -> None:
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "SITE_TOKENS_DAILY": 10_000, "USER_TOKENS_DAILY": 10_000}
    gone = threading.Event()
    with waiting("Hel", gone, "lo", USAGE):
        turn = begin(user, "Hi")
        go(user)
        gone.set()
        finish(turn)
    assert [budget.reserved for budget in Budget.objects.all()] == [0] * (2 - (go is delete_user))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Only SQLite has one lock for all.")
def test_a_database_that_another_process_writes_to_is_waited_for(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    locked = threading.Event()
    with waiting("Fine", locked, "."):
        turn = begin(user, "How are you?", thread=thread.uuid)
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        locked.set()
        timer = threading.Timer(1.0, other.execute, ["ROLLBACK"])
        timer.start()
        finish(turn)
        timer.join()
        other.close()
    assert said(thread)[-1] == (3, "assistant", "Fine.", True)


def test_what_was_said_before_the_process_exits_is_stored(tmp_path: Path) -> None:
    database = tmp_path / "exit.sqlite3"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": str(database)}
    environment["WALDUR_CHAT_SETTINGS"] = '{"STORAGE": true}'
    done = subprocess.run(
        [sys.executable, "-c", EXIT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(database)) as left:
        assert left.execute("SELECT status FROM waldur_chat_turn").fetchall() == [("cancelled",)]
        assert left.execute("SELECT text FROM waldur_chat_message ORDER BY id").fetchall() == [("Hi",), ("Hel",)]
    assert "Traceback" not in done.stderr
    assert "destroyed" not in done.stderr
