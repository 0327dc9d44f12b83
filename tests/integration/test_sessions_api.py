"""Sessions over the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.db.models import QuerySet
from django.test import Client
from django.utils.dateparse import parse_datetime

from tests.integration.rest import Person
from tests.integration.stored import thread_of
from waldur_chat.models import Session
from waldur_chat.store.conversations import sessions
from waldur_chat.users import uuid_of

LIST = "chat-sessions/"
CURRENT = "chat-sessions/current/"


def test_the_current_session_has_the_fields_of_the_contract(alice: Person) -> None:
    shown = alice.get(CURRENT).json()
    session = Session.objects.get()
    times = [parse_datetime(shown.pop(name)) for name in ("created", "modified")]
    assert times == [session.created, session.modified]
    assert shown == {
        "uuid": session.uuid.hex,
        "user": uuid_of(alice.user).hex,
        "user_username": "alice",
        "user_full_name": "Alice Liddell",
    }


def test_the_current_session_stays_the_same(alice: Person, bob: Person) -> None:
    theirs = thread_of(bob.user).session
    assert alice.get(CURRENT).json()["uuid"] == alice.get(CURRENT).json()["uuid"] != theirs.uuid.hex
    assert bob.get(CURRENT).json()["uuid"] == theirs.uuid.hex


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_get_the_same_session(alice: Person) -> None:
    def ask(number: int) -> str:
        try:
            return str(alice.get(CURRENT).json()["uuid"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_a_head_of_the_current_session_counts_one(alice: Person) -> None:
    head = alice.head(CURRENT)
    assert (head.status_code, head.headers["X-Result-Count"], head.content) == (200, "1", b"")


def test_users_see_their_own_session_only(alice: Person, bob: Person) -> None:
    mine, theirs = (thread_of(person.user).session for person in (alice, bob))
    listed = alice.get(LIST)
    assert [session["uuid"] for session in listed.json()] == [mine.uuid.hex]
    assert listed.headers["X-Result-Count"] == "1"
    assert alice.get(f"{LIST}{mine.uuid}/").json() == listed.json()[0]
    assert alice.get(f"{LIST}{theirs.uuid}/").status_code == 404


def test_staff_and_support_see_all(alice: Person, staff: Person, support: Person) -> None:
    session = thread_of(alice.user).session
    for person in (staff, support):
        assert [one["user_username"] for one in person.get(LIST).json()] == ["alice"]
        assert person.get(f"{LIST}{session.uuid.hex}/").status_code == 200


def test_strangers_see_nothing(db: None) -> None:
    assert {Client().get(f"/api/{path}").status_code for path in (LIST, CURRENT, f"{CURRENT}export/")} == {401}
    assert Client().delete(f"/api/{CURRENT}").status_code == 401


def test_only_the_fields_that_were_asked_for_are_shown(alice: Person) -> None:
    assert list(alice.get(CURRENT, field=["uuid", "user"]).json()) == ["uuid", "user"]
    assert list(alice.get(LIST, field="user").json()[0]) == ["user"]
    assert list(alice.get(CURRENT, field="password").json()) == ["field", "code"]


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(
    alice: Person, staff: Person, count: int, django_assert_num_queries: Any, django_user_model: Any
) -> None:
    for number in range(count):
        thread_of(django_user_model.objects.create_user(str(number)))
    session = thread_of(alice.user).session
    for person, path, queries in (
        (staff, LIST, 3),
        (alice, CURRENT, 2),
        (alice, f"{LIST}{session.uuid}/", 2),
    ):
        with django_assert_num_queries(queries):
            assert person.get(path).status_code == 200


def test_a_session_that_is_erased_while_it_is_made_is_made_anew(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, calls = QuerySet.get_or_create, []

    def once_too_late(rows: Any, **values: Any) -> Any:
        calls.append(values)
        if len(calls) == 1:
            raise IntegrityError("Somebody else has made it.")
        return made(rows, **values)

    monkeypatch.setattr(QuerySet, "get_or_create", once_too_late)
    assert sessions.get_or_create(user).user_id == user.pk
