"""Rows that SQL of our own reads are as the ORM reads them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from tests.integration.rest import Person
from tests.integration.stored import thread_of
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.store import fetched, sql

pytestmark = pytest.mark.django_db


def values(row: Model) -> dict[str, Any]:
    return {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize("has_times", [True, False])
@pytest.mark.parametrize("model", [Thread, Message, Turn])
def test_what_is_read_is_as_the_orm_reads_it(alice: Person, model: type[Model], has_times: bool) -> None:
    Turn.objects.create(user=alice.user, thread=thread_of(alice.user, "a", flags={"a": 1}), expires=timezone.now())
    expected = model._default_manager.get()
    columns = fetched.columns(model, has_times=has_times)
    (found,) = sql.rows(f"SELECT {columns} FROM {sql.table(model)} WHERE id = %s", [expected.pk])
    assert len(found) == fetched.size(model, has_times=has_times)
    read = fetched.instance(model, found, has_times=has_times)
    assert bool(read.get_deferred_fields()) is not has_times
    assert values(read) == values(expected)
    assert [type(value) for value in values(read).values()] == [type(value) for value in values(expected).values()]
    assert (read._state.adding, read._state.db) == (False, "default")
