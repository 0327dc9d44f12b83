"""Stored turns: those with an answer in a thread, or with tokens that count. And their partial output."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel
from waldur_chat.models.conversations import Message, Thread
from waldur_chat.models.prompts import SystemPromptVersion


class Turn(DefaultDatabaseModel):
    """One request to a model, for an answer or for the title of its thread. It contains no text of either.

    While it runs, its process renews the lease `expires`, and the accounts hold `reserved` tokens for it. If the lease
    stays the same for too long, the process has died, and the reaper of another one ends the turn. A thread has at most
    one running answer.
    """

    class Purpose(models.TextChoices):
        """What the model is asked for."""

        ANSWER = "answer"
        TITLE = "title"

    class Status(models.TextChoices):
        """The state of a turn. Interrupted means that its process died."""

        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"
        CANCELLED = "cancelled"
        INTERRUPTED = "interrupted"

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    thread = models.ForeignKey(Thread, on_delete=models.SET_NULL, null=True, related_name="turns")
    purpose = models.CharField(max_length=6, choices=Purpose.choices, default=Purpose.ANSWER)
    question = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="+")
    is_new_question = models.BooleanField(default=False)
    """Whether the question was written with this turn; False if an existing question is answered again."""
    answer = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="+")
    answer_index = models.PositiveIntegerField(default=0)
    """The `sequence_index` of its answer."""
    system_prompt = models.ForeignKey(SystemPromptVersion, on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.RUNNING)
    code = models.CharField(max_length=50, default="", blank=True)
    """The code of the error that ended it."""
    reason = models.CharField(max_length=50, default="", blank=True)
    """Why the model stopped: `finish_reason`."""
    text_start = models.PositiveIntegerField(default=0)
    """The number of characters that were streamed before the stored answer: thoughts that are not part of it."""
    key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  # Keys are unique, none is not.
    """The Idempotency-Key of its request. A repeated request with the same key and fingerprint resumes this turn."""
    fingerprint = models.CharField(max_length=64, default="", blank=True)
    """A hash of the question."""
    is_cancelled = models.BooleanField(default=False)
    """Whether its cancellation was requested."""
    started = models.DateTimeField(default=timezone.now, editable=False)
    expires = models.DateTimeField()
    """Its lease: a value that changes while its process lives, and that is compared with no clock."""
    ended = models.DateTimeField(null=True)
    reserved = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=200, default="", blank=True)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    is_estimated = models.BooleanField(default=False)
    has_tainted_context = models.BooleanField(default=False)
    """Whether its prompt held context of the site with words of strangers."""
    tool_events = models.PositiveIntegerField(default=0)
    """How often a call of a tool has begun or ended: readers in other processes look for calls where it has changed."""

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=("thread",),
                condition=models.Q(status="running", purpose="answer"),
                name="waldur_chat_thread_has_one_running_turn",
            ),
            models.UniqueConstraint(fields=("user", "key"), name="waldur_chat_key_has_one_turn"),
        ]
        indexes = [
            models.Index(fields=("expires",), condition=models.Q(status="running"), name="waldur_chat_turn_running")
        ]

    def __str__(self) -> str:
        return self.uuid.hex


class Piece(DefaultDatabaseModel):
    """Partial output of a running turn, from `position` on: for readers in other processes, and if its process dies.

    The rows are deleted when the answer is stored.
    """

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="pieces", db_index=False)
    position = models.PositiveIntegerField()
    text = models.TextField()

    class Meta(DefaultDatabaseModel.Meta):
        indexes = [models.Index(fields=("turn", "position"), name="waldur_chat_piece_of_turn")]
        verbose_name = "partial output"

    def __str__(self) -> str:
        return f"{self.turn}, {self.position}"
