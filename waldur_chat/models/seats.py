"""Places among the turns that run at once."""

from __future__ import annotations

from django.db import models

from waldur_chat.models.base import DefaultDatabaseModel


class Seat(DefaultDatabaseModel):
    """A running turn's place among those that all processes share: the `number`th of its scope, a user or the site.

    A process that dies leaves its seats behind; they count until they expire, when their turns would be over.
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
