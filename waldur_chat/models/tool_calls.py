"""Calls of tools: what a model asked for, what became of it, and who allowed it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel
from waldur_chat.models.conversations import Thread
from waldur_chat.models.turns import Turn


class ToolCall(DefaultDatabaseModel):
    """One call of a tool. Its status is changed by compare-and-set only, so that a call is run and decided once.

    A call of a model belongs to a turn and its thread. `call_id` and `extra` are the model's own, to be sent back to it
    with the result. `round_number` and `number` count the requests of the turn to its model, and its calls; `position`
    is the number of characters of the answer before it. `arguments` is canonical JSON, `result` what the model was
    told, and `ui_data` what a page shows of it as the block `ui_component`.
    """

    class Status(models.TextChoices):
        """The state of a call. Unknown: its process died while it ran, or nobody waited for its end."""

        PROPOSED = "proposed"
        WAITING = "waiting"
        APPROVED = "approved"
        DENIED = "denied"
        EXPIRED = "expired"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        UNKNOWN = "unknown"

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    """Also the key by which what a tool does elsewhere is done once."""
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, null=True, related_name="+")
    # Turns are deleted without a thread only, and then have no calls: their deletion need not look for them.
    turn = models.ForeignKey(Turn, on_delete=models.DO_NOTHING, null=True, related_name="tool_calls", db_index=False)
    continuation = models.ForeignKey(Turn, on_delete=models.DO_NOTHING, null=True, related_name="+")
    """The turn that began with the user's decision: it runs the calls of `turn` that were approved, and goes on."""
    round_number = models.PositiveSmallIntegerField(default=0)
    number = models.PositiveSmallIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    call_id = models.CharField(max_length=64, default="", blank=True)
    extra: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    tool = models.CharField(max_length=100)
    schema_hash = models.CharField(max_length=64, default="", blank=True)
    """A hash of the schema that the model was offered."""
    arguments = models.TextField(default="{}")
    arguments_hash = models.CharField(max_length=64, default="", blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PROPOSED)
    summary = models.TextField(default="", blank=True)
    result = models.TextField(default="", blank=True)
    origins: models.JSONField[Any] = models.JSONField(null=True, blank=True)
    """Where the arguments of a call come from that has waited for its user; see `turns.tools.origins`."""
    thoughts: models.JSONField[Any] = models.JSONField(null=True, blank=True)
    """What the model thought before a call that waits, and in the rounds before: see `told_calls.KeptThoughts`."""
    ui_component = models.CharField(max_length=50, default="", blank=True)
    ui_data: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    is_touched = models.BooleanField(default=False)
    """Whether it has certainly written something, although its end is unknown."""
    created = models.DateTimeField(default=timezone.now, editable=False)
    ended = models.DateTimeField(null=True)
    expires = models.DateTimeField(null=True)
    """Until when it may be approved."""
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta(DefaultDatabaseModel.Meta):
        indexes = [models.Index(fields=("turn", "number"), name="waldur_chat_call_of_turn")]

    def __str__(self) -> str:
        return f"{self.tool}, {self.status}"


class ToolTrace(DefaultDatabaseModel):
    """A running call has written something: the row is inserted in the transaction of the write, and goes with its end.

    It is no column of the call, and refers to no row, so that a long transaction of a tool locks none.
    """

    call = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return self.call.hex
