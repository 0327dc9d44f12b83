"""Export all conversations of one user: as JSON with every message version, as Markdown with the current ones.

Documents are generated one conversation at a time, so that a long export does not need to fit into memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from waldur_chat import users
from waldur_chat.models import Message, Thread


def as_json(user: Any) -> Iterator[str]:
    """One object: time of export, the user, and the threads with all versions of their messages."""
    head = {"exported": timezone.now().isoformat(), "user": _user(user)}
    # The object stays open, without its closing brace, until all threads are written.
    yield _to_json(head)[:-1] + ', "threads": ['
    for number, thread in enumerate(_threads(user)):
        yield (", " if number else "") + _to_json(_thread(thread))
    yield "]}\n"


def as_markdown(user: Any) -> Iterator[str]:
    """A readable document: each conversation under its name, each message with its role and time."""
    yield "# {}\n".format(_("Conversations of {user}").format(user=users.full_name_of(user) or user.get_username()))
    for thread in _threads(user):
        yield f"\n## {_in_one_line(thread.name)}\n\n{_format_time(thread.created)}\n"
        for message in _messages(thread).filter(is_current=True).iterator():
            yield f"\n**{message.get_role_display()}**, {_format_time(message.created)}:\n\n{message.text.strip()}\n"


FORMATS: dict[str, tuple[Callable[[Any], Iterator[str]], str, str]] = {
    "json": (as_json, "application/json", "conversations.json"),
    "markdown": (as_markdown, "text/markdown; charset=utf-8", "conversations.md"),
}
"""For each format: the generator, the media type, and the file name."""


def _threads(user: Any) -> Iterator[Thread]:
    """The user's threads, oldest first. Only their keys are held in memory; a thread may be deleted meanwhile."""
    keys = Thread.objects.filter(session__user=user.pk).order_by("created", "id").values_list("pk", flat=True)
    for key in list(keys):
        if thread := Thread.objects.filter(pk=key).first():
            yield thread


def _messages(thread: Thread) -> Any:
    return Message.objects.filter(thread=thread).select_related("replaces").order_by("sequence_index", "id")


def _user(user: Any) -> dict[str, str]:
    return {
        "uuid": users.uuid_of(user).hex,
        "username": user.get_username(),
        "full_name": users.full_name_of(user),
        "email": str(getattr(user, "email", "") or ""),
    }


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "uuid": thread.uuid.hex,
        "name": thread.name,
        "is_archived": thread.is_archived,
        "created": thread.created.isoformat(),
        "modified": thread.modified.isoformat(),
        "input_tokens": thread.input_tokens,
        "output_tokens": thread.output_tokens,
        "messages": [_message(message) for message in _messages(thread)],
    }


def _message(message: Message) -> dict[str, Any]:
    rated = message.feedback_submitted_at
    return {
        "uuid": message.uuid.hex,
        "role": message.role,
        "text": message.text,
        "sequence_index": message.sequence_index,
        "replaces": message.replaces.uuid.hex if message.replaces else None,
        "is_current": message.is_current,
        "created": message.created.isoformat(),
        "model": message.model,
        "input_tokens": message.input_tokens,
        "output_tokens": message.output_tokens,
        "warning": message.warning,
        "feedback_score": message.feedback_score,
        "feedback_comment": message.feedback_comment,
        "feedback_category": message.feedback_category,
        "feedback_submitted_at": rated.isoformat() if rated else None,
    }


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _format_time(moment: datetime) -> str:
    return date_format(timezone.localtime(moment) if timezone.is_aware(moment) else moment, "Y-m-d H:i")
