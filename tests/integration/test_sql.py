"""Plain SQL writes and reads what the ORM would, and is sent in one where that can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Model
from django.db.models.signals import post_init, post_save, pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.integration.rest import Person
from tests.integration.stored import thread_of
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.runtime import shortcuts
from waldur_chat.store import locks, rows, sql

pytestmark = [pytest.mark.core, pytest.mark.django_db]


@contextmanager
def heard(*signals: Any) -> Iterator[list[tuple[str, int | None]]]:
    """What the signals of messages tell: the text of each, and its key then."""
    told: list[tuple[str, int | None]] = []

    def hear(instance: Message, **_: Any) -> None:
        told.append((instance.text, instance.pk))

    for signal in signals:
        signal.connect(hear, sender=Message)
    yield told
    for signal in signals:
        assert signal.disconnect(hear, sender=Message)


@pytest.fixture
def thread(alice: Person) -> Thread:
    return thread_of(alice.user, name="One", total_tokens=2**40)


def messages(thread: Thread, *texts: str) -> list[Message]:
    """Some that are not written yet."""
    return [Message(thread=thread, role="user", text=text, sequence_index=index) for index, text in enumerate(texts)]


def test_rows_are_written_in_one_statement(thread: Thread, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    new = messages(thread, "a", "b")
    with django_assert_num_queries(1):
        rows.insert_all(new)
    assert list(Message.objects.order_by("pk").values_list("pk", "text")) == [(one.pk, one.text) for one in new]


@pytest.mark.parametrize("signal", [pre_save, post_save])
def test_who_listens_hears_of_each_row(thread: Thread, signal: Any) -> None:
    new = messages(thread, "a", "b")
    with heard(signal) as told:
        rows.insert_all(new)
    assert told == [(one.text, None if signal is pre_save else one.pk) for one in new]
    assert all(one.pk for one in new)


def test_rows_are_written_one_by_one_where_the_database_does_not_tell_their_keys(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    new = messages(thread, "a", "b")
    with django_assert_num_queries(2):
        rows.insert_all(new)
    assert list(Message.objects.order_by("pk")) == new


def test_a_router_does_not_lead_new_rows_elsewhere(thread: Thread, settings: Any) -> None:
    (new,) = messages(thread, "a")
    settings.DATABASE_ROUTERS = [SimpleNamespace(db_for_write=lambda model, **hints: "elsewhere")]
    rows.insert(new)
    assert Message.objects.get().text == "a"


def read(model: type[Model], names: Sequence[str], key: int) -> Model:
    """The row that plain SQL reads."""
    statement = f"SELECT {sql.columns(model, tuple(names))} FROM {sql.table(model)} WHERE id = %s"
    return sql.build_instance(model, names, sql.fetch(statement, [key])[0])


@pytest.mark.parametrize(("model", "names"), [(Turn, locks.TURN_FIELDS), (Thread, locks.THREAD_FIELDS)])
def test_what_is_read_is_as_the_orm_reads_it(thread: Thread, model: type[Model], names: Sequence[str]) -> None:
    turn = Turn.objects.create(user=thread.session.user, thread=thread, expires=timezone.now(), is_new_question=True)
    key = (turn if model is Turn else thread).pk
    found, expected = read(model, names, key), model._default_manager.get(pk=key)
    assert [getattr(found, name) for name in names] == [getattr(expected, name) for name in names]
    assert [type(getattr(found, name)) for name in names] == [type(getattr(expected, name)) for name in names]
    assert found.get_deferred_fields() == {field.attname for field in model._meta.concrete_fields} - set(names)
    assert (found._state.adding, found._state.db) == (False, "default")


def test_who_listens_hears_of_rows_that_are_read(thread: Thread) -> None:
    rows.insert_all(messages(thread, "a"))
    with heard(post_init) as told:
        read(Message, ("id", "text"), Message.objects.values_list("pk", flat=True).get())
    assert [text for text, _ in told] == ["a"]


def test_several_statements_tell_how_many_rows_each_has_changed(thread: Thread) -> None:
    acts = [sql.update_statement(Thread, {"name": "Other"}, id=thread.pk, name=name) for name in ("One", "Other")]
    assert sql.execute_many(acts) == [1, 1]
    assert sql.execute_many(acts) == [0, 1]
    assert sql.execute_many([]) == []


def test_rows_are_read_once_others_were_changed(thread: Thread) -> None:
    reading = f"SELECT name FROM {sql.table(Thread)} WHERE id = %s"
    change = sql.update_statement(Thread, {"name": "Other"}, id=thread.pk)
    assert sql.fetch(reading, [thread.pk], after=[change]) == [("Other",)]


def test_rows_are_deleted_by_a_column(thread: Thread) -> None:
    rows.insert_all(messages(thread, "a", "b", "c"))
    uuids = list(Message.objects.filter(text__in="ab").values_list("uuid", flat=True))
    assert isinstance(uuids[0], UUID)
    assert (sql.delete(Message, "uuid", uuids), sql.delete(Message, "uuid", [])) == (2, 0)
    assert Message.objects.get().text == "c"


def connected(**words: Any) -> Any:
    """A stand-in for a connection to PostgreSQL by psycopg 3, but for these words."""
    driver = SimpleNamespace(ClientCursor=SimpleNamespace(nextset=None))
    usual = {"vendor": "postgresql", "settings_dict": {"OPTIONS": {}}, "Database": driver, "execute_wrappers": []}
    return SimpleNamespace(**{**usual, **words})


OTHERS = [
    {"vendor": "sqlite"},
    {"settings_dict": {"OPTIONS": {"server_side_binding": True}}},
    {"settings_dict": {"OPTIONS": {"cursor_factory": object}}},
    {"Database": SimpleNamespace()},
    {"Database": None},
    {"execute_wrappers": [print]},
]


def test_several_statements_are_sent_in_one_to_postgresql_by_psycopg_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "is_on", lambda name: True)  # It need not be installed here.
    assert sql.can_batch(connected())
    assert sql.can_batch(connected(settings_dict={}))


@pytest.mark.parametrize("words", OTHERS)
def test_they_are_sent_one_by_one_to_all_else(words: dict[str, Any]) -> None:
    assert not sql.can_batch(connected(**words))


@pytest.fixture
def not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortcut is turned off."""
    monkeypatch.setattr(shortcuts, "is_on", lambda name: False)


def test_they_are_sent_one_by_one_where_that_is_turned_off(thread: Thread, not_allowed: None) -> None:
    assert not sql.can_batch(connected())
    acts = [sql.update_statement(Thread, {"name": name}, id=thread.pk) for name in ("a", "b")]
    with CaptureQueriesContext(connection) as queries:
        assert sql.execute_many(acts) == [1, 1]
    assert len(queries) == 2


def test_who_wraps_statements_is_given_each_by_itself(thread: Thread) -> None:
    """Such as a host that counts or forbids them; two in one would look like one."""
    wrapped: list[str] = []

    def note(execute: Any, statement: str, *rest: Any) -> Any:
        wrapped.append(statement)
        return execute(statement, *rest)

    acts = [sql.update_statement(Thread, {"name": name}, id=thread.pk) for name in ("a", "b")]
    with connection.execute_wrapper(note):
        assert sql.execute_many(acts) == [1, 1]
    assert [statement.split()[0] for statement in wrapped] == ["UPDATE", "UPDATE"]
