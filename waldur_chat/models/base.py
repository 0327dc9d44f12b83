"""What all models have: they are read where they are written."""

from __future__ import annotations

from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, models

M = TypeVar("M", bound=models.Model)


class DefaultDatabaseManager(models.Manager[M]):
    """Reads the default database, whatever the site's routers say: a replica would lag behind what a turn decides."""

    def get_queryset(self) -> models.QuerySet[M]:
        """See Manager.get_queryset()."""
        found: models.QuerySet[M] = super().get_queryset().using(self._db or DEFAULT_DB_ALIAS)
        return found


class Stored(models.Model):
    """A table of the default database."""

    objects = DefaultDatabaseManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
