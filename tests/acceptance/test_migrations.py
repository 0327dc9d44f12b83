"""The migrations, each forward and back, of an empty database and of one where every table holds something."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

import waldur_chat.migrations
from tests.acceptance.databases import HOST

NAMES = sorted(path.stem for path in Path(waldur_chat.migrations.__path__[0]).glob("[0-9]*.py"))

RELEASED = "0009_verbose_names"
"""The newest migration that a release before has."""

pytestmark = pytest.mark.usefixtures("database")


def migrate(*to: str) -> None:
    """Forward to the newest, or to where it is told."""
    call_command("migrate", *to, database=HOST, verbosity=0)


def our_tables() -> set[str]:
    """The tables of the app that the database has."""
    return {name for name in connections[HOST].introspection.table_names() if name.startswith("waldur_chat_")}


def models_at(migration: str) -> list[type[models.Model]]:
    """The models of the app as they were then."""
    state = MigrationLoader(connections[HOST]).project_state(("waldur_chat", migration))
    return list(state.apps.get_app_config("waldur_chat").get_models())


def row(model: type[models.Model]) -> Any:
    """One row of a model, made where there is none, with all that it refers to."""
    rows = model._base_manager.using(HOST)
    return rows.first() or rows.create(
        **{field.name: _value(field) for field in model._meta.concrete_fields if not field.primary_key}
    )


def _value(field: Any) -> Any:
    if field.is_relation:
        return None if field.related_model is field.model else row(field.related_model)
    if field.has_default():
        return field.get_default()
    match field:
        case models.DateTimeField():
            return timezone.now() + timedelta(hours=1)
        case models.DateField():
            return timezone.now().date()
        case models.UUIDField():
            return uuid4()
        case models.BooleanField() | models.IntegerField():
            return 1
        case _:
            return field.choices[0][0] if field.choices else "x"


@pytest.fixture(autouse=True)
def nothing_of_ours() -> None:
    """The database of a site that has yet to install the app."""
    migrate()
    migrate("waldur_chat", "zero")
    assert our_tables() == set()


def test_each_goes_forward_and_back_on_an_empty_database() -> None:
    migrate("waldur_chat")
    newest = our_tables()
    assert newest == {model._meta.db_table for model in apps.get_app_config("waldur_chat").get_models()}
    for name in NAMES:
        migrate("waldur_chat", name)
        assert our_tables() == {model._meta.db_table for model in models_at(name)}
        migrate("waldur_chat")
        assert our_tables() == newest


def test_each_goes_forward_over_what_older_versions_have_written_and_back() -> None:
    for name in NAMES:
        migrate("waldur_chat", name)
        written = [row(model) for model in models_at(name)]
        assert all(type(one)._base_manager.using(HOST).count() == 1 for one in written)
    for name in (*reversed(NAMES[:-1]), "zero"):
        migrate("waldur_chat", name)
    assert our_tables() == set()


def test_processes_of_the_release_before_still_write_while_a_site_is_deployed() -> None:
    if connections[HOST].vendor != "postgresql":
        pytest.skip("only there several machines share a database")
    migrate("waldur_chat")
    written = [row(model) for model in models_at(RELEASED)]
    assert all(type(one)._base_manager.using(HOST).count() == 1 for one in written)
