"""A token is found as Django's own query finds it, with a statement that is composed once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import DjangoAssertNumQueries
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token

from tests.integration.conftest import Caller
from waldur_chat.api.request import auth
from waldur_chat.store import tokens
from waldur_chat.testing import scripted

pytestmark = pytest.mark.django_db


class Elsewhere:
    """A router of a site that keeps its tokens in another database."""

    def db_for_read(self, model: type[models.Model], **hints: object) -> str | None:
        return "tokens" if model is Token else None


class Shape(models.TextField):  # type: ignore[type-arg]
    """A field that databases give in a form of their own, as those of GeoDjango are."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        return f"ST_AsBinary({sql})", params


class Few(models.Manager):  # type: ignore[type-arg]
    """A manager that shows some only."""


@pytest.fixture
def key(user: Any) -> str:
    return Token.objects.get_or_create(user=user)[0].key


def state(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_token_and_user_are_those_of_the_orm(
    user: Any, key: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    expected = Token.objects.select_related("user").get(key=key)
    with django_assert_num_queries(1):
        found = tokens.with_user(Token, key)
        assert state(found) == state(expected)
        assert state(found.user) == state(expected.user)
    assert not found.user._state.fields_cache
    assert (found._state.db, found._state.adding) == ("default", False)
    assert found == expected
    assert type(found.user) is get_user_model()


def test_a_token_that_is_none_is_not_found(key: str) -> None:
    assert tokens.with_user(Token, "x" * 40) is None
    assert tokens.with_user(Token, "' OR 1=1 --") is None


def test_a_site_that_keeps_tokens_elsewhere_is_left_alone(key: str, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    assert tokens.with_user(Token, key) is None


def model(name: str, *parents: type[models.Model], **attributes: object) -> type[models.Model]:
    """A model of the site's."""
    meta = type("Meta", (), {"app_label": "host"})
    return type(name, parents or (models.Model,), {"__module__": __name__, "Meta": meta, **attributes})


@isolate_apps("tests.host")
def test_models_that_are_not_like_those_of_the_framework_are_left_alone() -> None:
    def key(**options: Any) -> Any:
        return models.CharField(max_length=40, **options)

    def user(**options: Any) -> Any:
        return models.ForeignKey(get_user_model(), models.CASCADE, related_name="+", **options)

    odd = [
        model("Filtered", key=key(unique=True), user=user(), objects=Few()),
        model("InTwoTables", model("FirstTable", key=key(unique=True)), user=user()),
        model("Shared", key=key(), user=user()),
        model("Nobodys", key=key(unique=True), user=user(null=True)),
        model("Nameless", user=user()),
        model("Shaped", key=key(unique=True), user=user(), shape=Shape()),
    ]
    assert [tokens.with_user(each, "x") for each in odd] == [None] * len(odd)


def test_who_is_inactive_or_unknown_is_told_so_as_before(call: Caller, user: Any) -> None:
    with scripted("Hello"):
        assert call.invoke().json == "Hello"
    user.is_active = False
    user.save()
    refused = call.invoke()
    assert (refused.status, refused.json["detail"]) == (401, "User inactive or deleted.")
    call.token = "unknown"
    refused = call.invoke()
    assert (refused.status, refused.json["detail"]) == (401, "Invalid token.")


def test_authentication_that_looks_for_tokens_itself_is_asked() -> None:
    class Own(TokenAuthentication):
        def authenticate_credentials(self, key: str) -> Any:
            return "user", key

    assert auth._quick(Own()).authenticate_credentials("key") == ("user", "key")  # type: ignore[attr-defined]
