"""Concurrency slots, which limit running turns across processes."""

from __future__ import annotations

from django.db import models

from waldur_chat.models.base import DefaultDatabaseModel


class Seat(DefaultDatabaseModel):
    """A concurrency slot that a running turn holds: slot `number` of its scope, which is a user or the site.

    The slots of a process that died count until they expire, which is when their turns would have reached their limit.
    """

    scope = models.CharField(max_length=150)
    number = models.PositiveIntegerField()
    turn = models.CharField(max_length=32, db_index=True)
    expires = models.DateTimeField(db_index=True)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [models.UniqueConstraint(fields=("scope", "number"), name="waldur_chat_seat_has_one_turn")]
        verbose_name = "concurrency slot"

    def __str__(self) -> str:
        return f"{self.scope}, {self.number}"
