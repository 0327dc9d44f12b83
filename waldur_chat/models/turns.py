"""Turns that leave something behind: an answer in a thread, or tokens that count."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel
from waldur_chat.models.conversations import Message, Thread
from waldur_chat.models.prompts import SystemPromptVersion


class Turn(DefaultDatabaseModel):
    """One request to a model: for an answer, or beside it for the title of its thread. It holds no words.

    While it runs, its process moves `expires` on, and its budget holds `reserved` tokens for it. One that has expired
    is of a process that died; whoever finds it ends it. A thread has one running answer at most.
    """

    class Purpose(models.TextChoices):
        """What was asked for."""

        ANSWER = "answer"
        TITLE = "title"

    class Status(models.TextChoices):
        """How far it is. Interrupted means that its process died."""

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
    """Whether the question was written for it; not where one is asked again."""
    answer = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="+")
    answer_index = models.PositiveIntegerField(default=0)
    """The `sequence_index` of its answer."""
    system_prompt = models.ForeignKey(SystemPromptVersion, on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.RUNNING)
    code = models.CharField(max_length=50, default="", blank=True)
    """The code of the error that ended it."""
    reason = models.CharField(max_length=50, default="", blank=True)
    """Why the model stopped writing."""
    key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  # Keys are unique, none is not.
    """The Idempotency-Key of its request, and what that asked, so that the same request again joins this turn."""
    fingerprint = models.CharField(max_length=64, default="", blank=True)
    is_cancelled = models.BooleanField(default=False)
    """Whether somebody asked to stop it."""
    started = models.DateTimeField(default=timezone.now, editable=False)
    expires = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    reserved = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=200, default="", blank=True)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    is_estimated = models.BooleanField(default=False)

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
    """What a running turn has written from `position` on, for readers in other processes, and should its own die.

    The pieces of a turn go when its answer is stored.
    """

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="pieces", db_index=False)
    position = models.PositiveIntegerField()
    text = models.TextField()

    class Meta(DefaultDatabaseModel.Meta):
        indexes = [models.Index(fields=("turn", "position"), name="waldur_chat_piece_of_turn")]
        verbose_name = "partial output"

    def __str__(self) -> str:
        return f"{self.turn}, {self.position}"
