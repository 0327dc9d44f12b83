"""Conversations that nobody used for long go, and so does what turns leave behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.integration.stored import days_ago, first_word, thread_of, turn_in
from waldur_chat.models import DayOfUsage, Message, Reading, Seat, Session, Thread, Turn
from waldur_chat.store.conversations import retention

pytestmark = pytest.mark.django_db


def clean(*arguments: str) -> str:
    """What `manage.py chat_cleanup` prints."""
    output = StringIO()
    call_command("chat_cleanup", *arguments, stdout=output)
    return output.getvalue()


@pytest.fixture
def ninety_days(settings: Any) -> None:
    """The site keeps conversations for ninety days."""
    settings.WALDUR_CHAT = {"RETENTION_DAYS": 90}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in each batch."""
    monkeypatch.setattr(retention, "BATCH", 2)


def test_an_unused_conversation_goes_with_all_its_words(user: Any, ninety_days: None) -> None:
    thread = thread_of(user, "Hello", "Hello!", modified=days_ago(91))
    question, answer = thread.messages.order_by("sequence_index")
    Message.objects.create(
        thread=thread, role="assistant", text="Hi", sequence_index=1, replaces=answer, is_current=False
    )
    turn_in(thread, question=question, answer=answer, ended=days_ago(91))
    clean()
    assert (Thread.objects.count(), Message.objects.count(), Turn.objects.count()) == (0, 0, 0)


def test_the_last_use_counts_and_not_the_first(user: Any, ninety_days: None) -> None:
    thread_of(user, "Hello", created=days_ago(200), modified=days_ago(89))
    clean()
    assert Message.objects.count() == 1


def test_a_conversation_with_a_running_turn_stays(user: Any, ninety_days: None) -> None:
    turn_in(thread_of(user, "Hello", modified=days_ago(91)))
    clean()
    assert (Thread.objects.count(), Turn.objects.count()) == (1, 1)


def test_a_conversation_that_is_used_while_its_batch_is_deleted_stays(user: Any) -> None:
    thread = thread_of(user, "Hello", modified=days_ago(1))
    assert retention._delete_threads([thread.pk], days_ago(90)) == 0
    assert Message.objects.count() == 1


def test_sessions_the_ledger_and_the_audit_trail_stay(user: Any, ninety_days: None) -> None:
    thread = thread_of(user, modified=days_ago(91))
    DayOfUsage.objects.create(day=days_ago(91).date(), user=user, model="m")
    Reading.objects.create(owner=user, thread=thread.uuid, place="api", read=days_ago(91))
    clean()
    assert (Session.objects.count(), DayOfUsage.objects.count(), Reading.objects.count()) == (1, 1, 1)


def test_days_on_the_command_line_win(user: Any, ninety_days: None) -> None:
    thread_of(user, modified=days_ago(8))
    clean("--days", "7")
    assert not Thread.objects.exists()


def test_without_a_number_of_days_conversations_stay_and_it_says_why(user: Any) -> None:
    thread_of(user, modified=days_ago(9999))
    assert "RETENTION_DAYS" in clean()
    assert Thread.objects.count() == 1


@pytest.mark.parametrize("days", ["0", "-1", "x", "1.5", "99999999999"])
def test_days_that_cannot_be_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="whole number of days"):
        clean("--days", days)


def test_settings_that_cannot_be_are_named(settings: Any) -> None:
    settings.WALDUR_CHAT = {"RETENTION_DAYS": "long"}
    with pytest.raises(CommandError, match="RETENTION_DAYS"):
        clean()


def test_a_dry_run_counts_and_deletes_nothing(user: Any, ninety_days: None) -> None:
    for days in (1, 91, 92):
        thread_of(user, modified=days_ago(days))
    turn_in(None, ended=days_ago(2))
    said = clean("--dry-run")
    assert "It would delete 2 conversations" in said
    assert "1 ended turns without a conversation and 0 expired concurrency slots" in said
    assert (Thread.objects.count(), Turn.objects.count()) == (3, 1)


def test_progress_is_shown_after_each_batch(user: Any, ninety_days: None, small_batches: None) -> None:
    for _ in range(5):
        thread_of(user, "Hello", modified=days_ago(91))
    said = clean().splitlines()
    assert said[:3] == [f"{number} of 5 conversations deleted" for number in (2, 4, 5)]
    assert said[3].startswith("Deleted 5 conversations that nobody used since ")


def test_a_second_run_finds_nothing(user: Any, ninety_days: None) -> None:
    thread_of(user, modified=days_ago(91))
    clean()
    assert "Deleted 0 conversations" in clean()


def test_two_at_once_delete_each_conversation_once(user: Any, small_batches: None) -> None:
    for _ in range(6):
        thread_of(user, "Hello", modified=days_ago(91))
    first = retention.delete_threads(days_ago(90))
    begun = next(first)
    assert begun + sum(retention.delete_threads(days_ago(90))) + sum(first) == 6
    assert not Message.objects.exists()


def test_a_batch_has_a_fixed_number_of_queries(user: Any, django_assert_num_queries: Any, ninety_days: None) -> None:
    threads = [thread_of(user, "Hello", "Hello!", modified=days_ago(91)) for _ in range(20)]
    locking = 1 if connection.features.has_select_for_update_skip_locked else 2
    with django_assert_num_queries(locking + 4 + 2):  # A savepoint begins and ends, within this test's transaction.
        assert retention._delete_threads([thread.pk for thread in threads], days_ago(90)) == 20


def test_ended_turns_without_a_conversation_go_after_a_day(small_batches: None) -> None:
    for days in (0.5, 2, 3, 4):
        turn_in(None, ended=days_ago(days))
    turn_in(None)
    assert retention.delete_leftovers() == retention.Leftovers(turns=3, slots=0)
    assert Turn.objects.count() == 2


def test_expired_seats_go() -> None:
    for number, seconds in enumerate((-1, 60)):
        Seat.objects.create(scope="site", number=number, turn="x", expires=timezone.now() + timedelta(seconds=seconds))
    assert retention.delete_leftovers() == retention.Leftovers(turns=0, slots=1)


@pytest.mark.django_db(transaction=True)
def test_what_another_cleaner_holds_is_left_to_it(user: Any) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("this test needs a database in which rows can be locked")
    held, free = (thread_of(user, "Hello", modified=days_ago(91)) for _ in range(2))
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM waldur_chat_thread WHERE id = %s FOR UPDATE", [held.pk])
        assert retention._delete_threads([held.pk, free.pk], days_ago(90)) == 1
        assert list(Message.objects.values_list("thread", flat=True)) == [held.pk]
    finally:
        other.rollback()
        other.close()


def test_a_batch_writes_before_it_reads(user: Any) -> None:
    """SQLite refuses who has read in a transaction and then writes beside another writer."""
    thread = thread_of(user, modified=days_ago(91))
    with CaptureQueriesContext(connection) as queries:
        retention._delete_threads([thread.pk], days_ago(90))
    assert first_word(queries) == ("SELECT" if connection.features.has_select_for_update_skip_locked else "UPDATE")


@pytest.fixture
def cleanup(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The task, as it is in front of a stand-in for Celery; the real one is in the acceptance tests."""
    monkeypatch.setitem(sys.modules, "celery", SimpleNamespace(shared_task=lambda **options: lambda task: task))
    sys.modules.pop("waldur_chat.tasks", None)
    yield import_module("waldur_chat.tasks").cleanup
    del sys.modules["waldur_chat.tasks"]


def test_the_task_does_the_same(user: Any, ninety_days: None, cleanup: Any) -> None:
    thread_of(user, modified=days_ago(91))
    cleanup()
    assert not Thread.objects.exists()
