"""The base of all models: they are read from the database to which they are written."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

M = TypeVar("M", bound=models.Model)


class DefaultDatabaseManager(models.Manager[M]):
    """Queries the default database regardless of the site's routers: a replica lags behind what turns rely on.

    Rows related to an instance are queried in the database from which the instance was read.
    """

    _hints: dict[str, Any]

    def get_queryset(self) -> models.QuerySet[M]:
        # Forward relations pass the instance as a hint; managers of reverse relations have it as an attribute.
        row = self._hints.get("instance", getattr(self, "instance", None))
        using = self._db or (row._state.db if isinstance(row, DefaultDatabaseModel) else None) or DEFAULT_DB_ALIAS
        queryset: models.QuerySet[M] = super().get_queryset().using(using)
        return queryset


class DefaultDatabaseModel(models.Model):
    """A table of the default database."""

    objects = DefaultDatabaseManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
