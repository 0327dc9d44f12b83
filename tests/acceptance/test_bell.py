"""PostgreSQL wakes those who wait for what other processes write."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone

from tests.acceptance.databases import HOST, opened
from waldur_chat.models import Piece, Turn
from waldur_chat.store import sql
from waldur_chat.store.turns import partials
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.turns import notifier
from waldur_chat.turns.notifier import ChangeNotifier


@pytest.fixture
def waiting(postgresql_address: str, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection to PostgreSQL, on which a bell listens and the store writes."""
    with django_db_blocker.unblock(), opened(postgresql_address):
        monkeypatch.setattr(notifier, "connection", connections[HOST])
        monkeypatch.setattr(sql, "database", lambda: connections[HOST])
        yield connections[HOST]


def ringing(postgresql: Any, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, postgresql.execute, [f"NOTIFY {partials.CHANNEL}"])
    timer.start()
    return timer


@pytest.fixture
def elsewhere(postgresql_address: str) -> Iterator[Any]:
    """Another connection to the same database."""
    import psycopg

    with psycopg.connect(postgresql_address, autocommit=True) as connection:
        yield connection


def test_who_begins_to_listen_looks_first(waiting: Any) -> None:
    began = time.monotonic()
    ChangeNotifier().wait(10)
    assert time.monotonic() < began + 1


def test_who_waits_is_woken(waiting: Any, elsewhere: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "LISTEN_SECONDS", 10.0)
    one, began = ChangeNotifier(), time.monotonic()
    one.wait(10)
    timer = ringing(elsewhere, 0.2)
    one.wait(10)
    timer.join()
    assert 0.1 < time.monotonic() - began < 5


def test_nobody_waits_for_ever(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "LISTEN_SECONDS", 0.1)
    one = ChangeNotifier()
    one.wait(10)
    one.wait(10)
    one.wait(10)


def test_a_connection_that_is_given_back_listens_no_more(waiting: Any) -> None:
    one = ChangeNotifier()
    one.wait(10)
    with mock.patch.object(notifier, "connections"):
        one.close()
    with waiting.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_listening_channels()")
        assert cursor.fetchone() == (0,)


def test_a_broken_connection_is_given_back_in_silence(waiting: Any, elsewhere: Any) -> None:
    one = ChangeNotifier()
    one.wait(10)
    elsewhere.execute("SELECT pg_terminate_backend(%s)", [waiting.connection.info.backend_pid])
    with mock.patch.object(notifier, "connections") as released:
        one.close()
    released.close_all.assert_called_once_with()


def test_a_new_connection_is_listened_on_anew(waiting: Any) -> None:
    one = ChangeNotifier()
    one.wait(10)
    waiting.close()
    one.wait(10)
    with waiting.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_listening_channels()")
        assert cursor.fetchone() == (1,)


def test_what_is_written_rings(waiting: Any, elsewhere: Any) -> None:
    from django.core.management import call_command

    call_command("migrate", database=HOST, verbosity=0)
    user = get_user_model().objects.using(HOST).create(username="alice")
    turn = Turn.objects.using(HOST).create(user=user, expires=timezone.now())
    elsewhere.execute(f"LISTEN {partials.CHANNEL}")
    partials.write(
        [
            PartialOutput(turn=turn.uuid.hex, position=0, text="a\0b"),
            PartialOutput(turn=turn.uuid.hex, position=3, text="c"),
        ]
    )
    assert list(Piece.objects.using(HOST).order_by("position").values_list("position", "text")) == [
        (0, "a\ufffdb"),
        (3, "c"),
    ]
    assert len(list(elsewhere.notifies(timeout=5, stop_after=1))) == 1
    sql.execute(*partials.delete_statement([turn.pk]))
    assert not Piece.objects.using(HOST).exists()
    assert len(list(elsewhere.notifies(timeout=5, stop_after=1))) == 1
