"""PostgreSQL is asked once for several statements, where its driver can do so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.acceptance.databases import HOST, opened
from waldur_chat.models import Session, SystemPrompt, Thread, Turn
from waldur_chat.store import locks, sql


@pytest.fixture
def asked(postgresql_address: str, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection to PostgreSQL, through which the store asks."""
    with django_db_blocker.unblock(), opened(postgresql_address):
        call_command("migrate", database=HOST, verbosity=0)
        monkeypatch.setattr(sql, "database", lambda: connections[HOST])
        yield connections[HOST]


@pytest.mark.parametrize(("options", "times"), [({}, 1), ({"server_side_binding": True}, 3)])
def test_it_is_asked(asked: Any, monkeypatch: pytest.MonkeyPatch, options: Any, times: int) -> None:
    for name, value in options.items():
        monkeypatch.setitem(asked.settings_dict["OPTIONS"], name, value)
    SystemPrompt.objects.using(HOST).all().delete()
    for name in ("a", "b%s; c"):
        SystemPrompt.objects.using(HOST).create(name=name)
    acts = [sql.update_statement(SystemPrompt, {"name": f"{name}d"}, name=name) for name in ("a", "b", "b%s; c")]
    with CaptureQueriesContext(asked) as queries:
        assert sql.execute_many(acts) == [1, 0, 1]
    assert len(queries) == times
    reading = f"SELECT count(*) FROM {sql.table(SystemPrompt)} WHERE name LIKE %s"
    with CaptureQueriesContext(asked) as queries:
        assert sql.fetch(reading, ["ad"], after=[sql.update_statement(SystemPrompt, {"name": "a"}, name="ad")]) == [
            (0,)
        ]
    assert len(queries) == min(times, 2)
    assert sql.execute(*sql.update_statement(SystemPrompt, {"name": "ad"}, name="a")) == 1
    assert sorted(SystemPrompt.objects.using(HOST).values_list("name", flat=True)) == ["ad", "b%s; cd"]


def test_it_is_asked_once_for_many(asked: Any) -> None:
    SystemPrompt.objects.using(HOST).all().delete()
    names = [f"{number}%s; e" for number in range(60)]
    for name in names:
        SystemPrompt.objects.using(HOST).create(name=name)
    acts = [sql.update_statement(SystemPrompt, {"name": f"{name}d"}, name=name) for name in names]
    with CaptureQueriesContext(asked) as queries:
        assert sql.execute_many(acts) == [1] * len(names)
    assert len(queries) == 1
    assert set(SystemPrompt.objects.using(HOST).values_list("name", flat=True)) == {f"{name}d" for name in names}


def test_who_wraps_statements_is_given_each_by_itself(asked: Any) -> None:
    wrapped: list[str] = []

    def note(execute: Any, statement: str, *rest: Any) -> Any:
        wrapped.append(statement)
        return execute(statement, *rest)

    acts = [sql.update_statement(SystemPrompt, {"name": "x"}, name=name) for name in ("y", "z")]
    with asked.execute_wrapper(note):
        assert sql.execute_many(acts) == [0, 0]
        assert sql.fetch("SELECT 1", [], after=acts) == [(1,)]
    assert [statement.split()[0] for statement in wrapped] == ["UPDATE", "UPDATE", "UPDATE", "UPDATE", "SELECT"]


def test_threads_are_locked_in_the_order_of_their_keys(asked: Any) -> None:
    """Ends of turns and removals wait for each other, and never in a circle."""
    user = get_user_model().objects.db_manager(HOST).create_user("locked")
    session = Session.objects.using(HOST).create(user=user)
    threads = [Thread.objects.using(HOST).create(session=session) for _ in range(3)]
    turns = [Turn.objects.using(HOST).create(thread=thread, expires=timezone.now()) for thread in threads[::-1]]
    Thread.objects.using(HOST).filter(pk=threads[0].pk).update(name="Moved")  # Its row is the last of the table.
    uuids = [turn.uuid for turn in turns]
    with transaction.atomic(using=HOST), CaptureQueriesContext(asked) as queries:
        found = sql.fetch(locks._lock_threads_sql(len(uuids)), uuids)
        locks.lock(Thread.objects.using(HOST).filter(session=session))
    assert found == [(thread.pk,) for thread in threads]
    assert ["ORDER BY" in one["sql"] and " UPDATE" in one["sql"] for one in queries] == [True, True]
