"""Makes what is stored, and those who ask for it: conversations with messages and turns, clients of users."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token

from waldur_chat.events import Usage
from waldur_chat.models import Message, Session, Thread, Turn
from waldur_chat.store import sql
from waldur_chat.store.budgets import accounts


def days_ago(days: float) -> datetime:
    """That time."""
    return timezone.now() - timedelta(days=days)


def thread_of(user: Any, *texts: str, **fields: Any) -> Thread:
    """A conversation of a user: a question, an answer, and so on."""
    thread = Thread.objects.create(session=Session.objects.get_or_create(user=user)[0], **fields)
    for index, text in enumerate(texts):
        role = Message.Role.ASSISTANT if index % 2 else Message.Role.USER
        Message.objects.create(thread=thread, role=role, text=text, sequence_index=index)
    return thread


def turn_in(thread: Thread | None, **fields: Any) -> Turn:
    """A turn, which runs unless it is said that it ended."""
    status = Turn.Status.FINISHED if "ended" in fields else Turn.Status.RUNNING
    return Turn.objects.create(thread=thread, expires=timezone.now(), **{"status": status, **fields})


def client_of(user: Any) -> Client:
    """Calls the API as this user."""
    return Client(headers={"Authorization": f"Token {Token.objects.get_or_create(user=user)[0].key}"})


def first_word(queries: CaptureQueriesContext) -> str:
    """Of the first statement, but for those that only begin a transaction."""
    words = (one["sql"].split()[0] for one in queries)
    return next(word for word in words if word not in ("BEGIN", "SAVEPOINT"))


def charge(user: Any, model: str, usage: Usage, *, turns: int = 1, reserved: int = 0) -> None:
    """Charge a user, as the end of a turn does; None for one who was deleted."""
    used = accounts.Charge(user_id=user and user.pk, model=model, usage=usage, turns=turns, reserved=reserved)
    with transaction.atomic():
        sql.execute_many(accounts.charge_statements([used]))
