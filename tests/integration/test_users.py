"""Users of every host: by UUID, whatever their keys are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, models
from django.test.utils import isolate_apps
from django.utils.functional import SimpleLazyObject

from waldur_chat import users
from waldur_chat.users import NAMESPACE, find, full_name_of, sees_all, uuid_of

Host = Callable[..., Any]


@pytest.fixture
def host(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Makes the users of a host that has these fields."""
    made: list[Any] = []

    def make(**fields: Any) -> Any:
        meta = type("Meta", (), {"app_label": "host"})
        with isolate_apps("tests.host"):
            made.append(type("Person", (models.Model,), {"__module__": __name__, "Meta": meta, **fields}))
        with connection.schema_editor() as editor:
            editor.create_model(made[-1])
        monkeypatch.setattr(users, "get_user_model", lambda: made[-1])
        return made[-1].objects

    yield make
    for model in made:
        with connection.schema_editor() as editor:
            editor.delete_model(model)


def test_a_user_is_found_by_his_uuid(user: Any) -> None:
    assert find(uuid_of(user)) == user


def test_a_number_stands_in_the_uuid_as_it_is() -> None:
    uuid = uuid_of(get_user_model()(pk=255))
    assert (str(uuid), uuid.version) == ("57a1d0c4-0000-8000-8000-0000000000ff", 8)


@pytest.mark.parametrize("key", [-1, 1 << 62])
def test_a_number_that_does_not_fit_makes_a_uuid(key: int) -> None:
    assert uuid_of(get_user_model()(pk=key)) == uuid5(NAMESPACE, str(key))


@pytest.mark.parametrize("uuid", [UUID(int=0), uuid4(), UUID(int=NAMESPACE.int | 999)])
def test_nobody_has_a_uuid_that_was_made_up(user: Any, uuid: UUID) -> None:
    assert find(uuid) is None


def test_a_host_may_have_uuids_of_its_own(host: Host) -> None:
    user = host(uuid=models.UUIDField(default=uuid4)).create()
    assert uuid_of(user) == user.uuid
    assert find(user.uuid) == user


def test_a_host_may_write_its_uuids_as_text(host: Host) -> None:
    user = host(uuid=models.CharField(max_length=32)).create(uuid=uuid4().hex)
    assert uuid_of(user) == UUID(user.uuid)
    assert find(UUID(user.uuid)) == user


@pytest.mark.parametrize("value", [None, "", "not a UUID"])
def test_a_value_that_is_no_uuid_falls_back_to_the_key(host: Host, value: str | None) -> None:
    user = host(uuid=models.CharField(max_length=36, null=True)).create(uuid=value)
    assert uuid_of(user) == UUID(int=NAMESPACE.int | user.pk)
    assert find(uuid_of(user)) == user


def test_a_null_falls_back_to_a_key_that_is_a_uuid(host: Host) -> None:
    fields = {"id": models.UUIDField(primary_key=True, default=uuid4), "uuid": models.UUIDField(null=True)}
    user = host(**fields).create()
    assert find(uuid_of(user)) == user
    assert uuid_of(user) == user.pk


def test_who_has_a_uuid_is_not_found_by_their_key(host: Host) -> None:
    user = host(uuid=models.UUIDField(default=uuid4)).create()
    assert find(UUID(int=NAMESPACE.int | user.pk)) is None


def test_a_host_may_write_its_uuids_with_dashes(host: Host) -> None:
    user = host(uuid=models.CharField(max_length=36)).create(uuid=str(uuid4()))
    assert find(UUID(user.uuid)) == user


def test_a_key_that_is_a_uuid_is_the_users(host: Host) -> None:
    user = host(id=models.UUIDField(primary_key=True, default=uuid4)).create()
    assert uuid_of(user) == user.pk
    assert find(user.pk) == user


def test_a_key_of_text_makes_a_uuid(host: Host) -> None:
    user = host(name=models.CharField(max_length=9, primary_key=True)).create(name="alice")
    assert uuid_of(user).version == 5
    assert find(uuid_of(user)) == user


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_keys_are_read_in_batches(host: Host, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(users, "KEYS_PER_QUERY", batch)
    people = host(name=models.CharField(max_length=9, primary_key=True))
    made = [people.create(name=name) for name in ("alice", "bob", "carol")]
    assert [find(uuid_of(user)) for user in made] == made


def test_nobody_has_a_uuid_that_no_key_makes(host: Host) -> None:
    host(name=models.CharField(max_length=9, primary_key=True)).create(name="alice")
    assert find(uuid4()) is None


class Passed:
    """A user as some hosts pass them on: an object in front of an instance."""

    def __init__(self, user: Any) -> None:
        self._user = user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._user, name)


def test_who_is_known_is_an_instance_of_the_model(user: Any) -> None:
    proxy: Any = SimpleLazyObject(lambda: user)
    assert all(users.is_known(one) and users.has_row(one) for one in (user, proxy, Passed(user)))
    assert not users.is_known(SimpleNamespace(is_authenticated=True, pk=user.pk))
    bare_key = SimpleNamespace(pk=user.pk)
    assert (users.is_known(bare_key), users.has_row(bare_key)) == (True, False)


@pytest.mark.parametrize(("key", "known"), [("alice", False), (10**40, False), (77, True)])
def test_an_instance_that_was_made_up_has_no_row(transactional_db: None, key: Any, known: bool) -> None:
    made_up = get_user_model()(pk=key)
    assert users.is_known(made_up) is known
    assert not users.has_row(made_up)


def test_an_instance_that_was_made_up_of_a_row_has_one(user: Any) -> None:
    assert users.has_row(get_user_model()(pk=user.pk))


def test_a_name_is_what_the_host_says_it_is() -> None:
    assert full_name_of(SimpleNamespace(full_name="Alice L.")) == "Alice L."
    assert full_name_of(get_user_model()(first_name="Alice", last_name="Liddell")) == "Alice Liddell"
    assert full_name_of(get_user_model()()) == ""
    assert full_name_of(SimpleNamespace(full_name=lambda: "Alice L.")) == "Alice L."
    assert full_name_of(SimpleNamespace(email="alice@example.com")) == ""


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ({}, False),
        ({"is_staff": False, "is_support": False}, False),
        ({"is_staff": True}, True),
        ({"is_support": True}, True),
    ],
)
def test_staff_and_support_see_all(who: dict[str, bool], sees: bool) -> None:
    assert sees_all(SimpleNamespace(**who)) is sees
