"""SQL of our own writes and reads what the ORM would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.db.models import JSONField, Model
from django.db.models.signals import post_save, pre_save
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.integration.rest import Person
from tests.integration.stored import thread_of
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.store import fetched, sql

pytestmark = [pytest.mark.core, pytest.mark.django_db]

MODELS = [Thread, Message, Turn]
Make = Callable[[type[Model]], Model]


@pytest.fixture
def make(alice: Person) -> Make:
    """Makes a row that is not written yet, with something in what is not text."""
    thread = thread_of(alice.user, "a", "b")

    def row(model: type[Model]) -> Model:
        if model is Thread:
            return Thread(session=thread.session, name="One", flags={"a": [1, "\u00e4"]}, total_tokens=2**40)
        if model is Message:
            return Message(thread=thread, role="user", text="c", sequence_index=9, pii_categories={"x": True})
        return Turn(user=alice.user, thread=thread, expires=timezone.now(), reserved=7, key="k", answer_index=3)

    return row


def values(row: Model) -> dict[str, Any]:
    return {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}


@contextmanager
def heard(model: type[Model]) -> Iterator[list[dict[str, Any]]]:
    """What the signals of a model that is saved tell, and the state of its row then."""
    told: list[dict[str, Any]] = []

    def hear(**words: Any) -> None:
        row = words.pop("instance")
        told.append({**words, "key": row.pk is None, "adding": row._state.adding, "db": row._state.db})

    for signal in (pre_save, post_save):
        signal.connect(hear, sender=model)
    yield told
    for signal in (pre_save, post_save):
        assert signal.disconnect(hear, sender=model)


@pytest.mark.parametrize("gives_key", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_what_is_inserted_is_there(
    make: Make,
    model: type[Model],
    gives_key: bool,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    if not gives_key:  # As MySQL and older SQLite.
        if connection.vendor == "postgresql":
            pytest.skip("PostgreSQL always gives it.")
        monkeypatch.setitem(vars(connection.features), "can_return_columns_from_insert", False)
    new = make(model)
    with django_assert_num_queries(1) as written:
        row = sql.insert(new)
    assert ("RETURNING" in written[0]["sql"]) == gives_key
    assert values(model.objects.get(pk=row.pk)) == values(row)  # type: ignore[attr-defined]


def test_what_points_to_a_row_that_is_not_written_is_refused(alice: Person) -> None:
    other, thread = Thread(session=thread_of(alice.user).session), Thread(session=thread_of(alice.user).session)
    with pytest.raises(ValueError, match="A Message points to a row that is not written"), transaction.atomic():
        sql.insert_all(thread, Message(thread=other, role="user", text="a", sequence_index=0))
    assert Message.objects.count() == 0


def test_a_row_follows_one_that_was_written_since(alice: Person) -> None:
    thread = Thread(session=thread_of(alice.user).session)
    asked = Message(thread=thread, role="user", text="a", sequence_index=0)
    sql.insert(thread)
    sql.insert(Thread(session=thread.session))
    sql.insert_all(asked, Message(thread=thread, role="assistant", text="b", sequence_index=1, replaces=None))
    assert list(thread.messages.values_list("text", flat=True).order_by("pk")) == ["a", "b"]


@pytest.mark.parametrize("model", MODELS)
def test_inserting_sends_the_signals_of_saving(make: Make, model: type[Model]) -> None:
    with heard(model) as of_sql:
        sql.insert(make(model))
    model._default_manager.filter(pk=model._default_manager.latest("pk").pk).delete()
    with heard(model) as of_django:
        make(model).save(force_insert=True)
    assert of_sql == of_django
    assert len(of_sql) == 2


@pytest.mark.parametrize("has_times", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_what_is_read_is_as_the_orm_reads_it(make: Make, model: type[Model], has_times: bool) -> None:
    key = sql.insert(make(model)).pk
    columns = fetched.columns(model, has_times=has_times)
    (found,) = sql.rows(f"SELECT {columns} FROM {sql.table(model)} WHERE id = %s", [key])
    assert len(found) == fetched.size(model, has_times=has_times)
    read, expected = fetched.instance(model, found, has_times=has_times), model._default_manager.get(pk=key)
    assert bool(read.get_deferred_fields()) is not has_times
    assert values(read) == values(expected)
    assert [type(value) for value in values(read).values()] == [type(value) for value in values(expected).values()]
    assert (read._state.adding, read._state.db) == (False, "default")


def test_several_statements_tell_how_many_rows_each_has_changed(make: Make) -> None:
    key, names = sql.insert(make(Thread)).pk, ("One", "Other")
    acts = [sql.updating(Thread, {"name": "Other"}, id=key, name=name) for name in names]
    assert sql.together(acts) == [1, 1]
    assert sql.together(acts) == [0, 1]
    assert sql.together([]) == []


@pytest.mark.parametrize("model", MODELS)
def test_the_driver_is_given_what_django_would_give_it(make: Make, model: type[Model]) -> None:
    row = make(model)
    written = {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key}
    for name, value in written.items():
        field: Any = row._meta.get_field(name)
        if not isinstance(field, JSONField):  # Its values are wrapped anew each time.
            assert sql.stored(model, name, value) == field.get_db_prep_save(value, connection), name


def test_a_time_without_a_zone_is_taken_as_django_takes_it() -> None:
    naive = datetime(2026, 1, 1)
    with pytest.warns(RuntimeWarning, match="received a naive datetime"):
        given = sql.stored(Turn, "expires", naive)
    assert given == Turn._meta.get_field("expires").get_db_prep_save(timezone.make_aware(naive), connection)


@pytest.mark.parametrize("model", MODELS)
def test_a_new_row_is_as_the_orm_makes_it(model: type[Model]) -> None:
    def made(row: Model) -> dict[str, Any]:
        return {name: value for name, value in values(row).items() if not isinstance(value, (UUID, datetime))}

    assert made(sql.new(model)) == made(model())
    assert sql.new(model, uuid=(uuid := uuid4())).uuid == uuid  # type: ignore[attr-defined]
