"""What all models have: they are read where they are written."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

M = TypeVar("M", bound=models.Model)


class DefaultDatabaseManager(models.Manager[M]):
    """Reads the default database, whatever the site's routers say: a replica would lag behind what a turn decides.

    What belongs to a row of ours is read where that was read.
    """

    _hints: dict[str, Any]

    def get_queryset(self) -> models.QuerySet[M]:
        """See Manager.get_queryset()."""
        row = self._hints.get("instance", getattr(self, "instance", None))  # That of a reverse manager.
        using = self._db or (row._state.db if isinstance(row, DefaultDatabaseModel) else None) or DEFAULT_DB_ALIAS
        found: models.QuerySet[M] = super().get_queryset().using(using)
        return found


class DefaultDatabaseModel(models.Model):
    """A table of the default database."""

    objects = DefaultDatabaseManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
