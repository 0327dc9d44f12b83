"""Export all conversations of one user: as JSON with every message version, as Markdown with the current ones.

Documents are generated piece by piece, so that a long export does not need to fit into memory: with a handful of
queries for each hundred conversations, and without cursors of the server, which a pooler of connections may not keep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from waldur_chat import users
from waldur_chat.models import Message, Session, Thread
from waldur_chat.wire.fences import closed

FIRST_THREADS = 10
"""How many threads are fetched first, so that a download begins soon; afterwards it is `THREADS_PER_QUERY`."""

THREADS_PER_QUERY = 100
MESSAGES_PER_QUERY = 500
CHARACTERS_PER_QUERY = 1_000_000
"""Bounds of what is in memory: at least one message."""

ENDS = {
    Message.Status.STOPPED: gettext_noop("The answer was stopped."),
    Message.Status.FAILED: gettext_noop("The answer failed."),
    Message.Status.INTERRUPTED: gettext_noop("The answer was interrupted."),
    Message.Status.LENGTH: gettext_noop("The answer was cut off where it became too long."),
    Message.Status.FILTERED: gettext_noop("The answer was cut off by a content filter."),
}
"""What the Markdown says of an answer that is not complete, and of a question without an answer."""

COLUMNS = (
    "uuid",
    "role",
    "text",
    "blocks",
    "status",
    "code",
    "sequence_index",
    "is_current",
    "created",
    "model",
    "input_tokens",
    "output_tokens",
    "warning",
    "feedback_score",
    "feedback_comment",
    "feedback_category",
    "feedback_submitted_at",
)
Row = Mapping[str, Any]
"""A message: `COLUMNS`, `pk`, and `replaces_uuid`."""


_LINE_END = re.compile(r"\r\n|\r|\n")
"""Those of Markdown, which are fewer than Python's."""


class SessionGone(Exception):
    """The session is not there any more: all conversations were erased, or the schema of the tables is another one."""


def as_json(user: Any) -> Iterator[str]:
    """One object: time of export, the user, and the threads with all versions of their messages."""
    head = {"exported": timezone.now().isoformat(), "user": _user(user)}
    # Objects stay open, without their closing braces, until all that is in them is written.
    yield _to_json(head)[:-1] + ', "threads": ['
    for number, (thread, messages) in enumerate(_conversations(user, Q())):
        yield (", " if number else "") + _to_json(_thread(thread))[:-1] + ', "messages": ['
        for index, message in enumerate(messages):
            yield (", " if index else "") + _to_json(_message(message))
        yield "]}"
    yield "]}\n"


def as_markdown(user: Any) -> Iterator[str]:
    """A readable document: each conversation under its name, each message as a quotation after its role and time.

    Outside of quotations is nothing that a user or a model wrote but names, and a quotation ends whatever its message
    has left open: code, comments, lists.
    """
    name = _in_one_line(users.full_name_of(user) or user.get_username())
    yield "# {}\n".format(_("Conversations of {user}").format(user=name))
    for thread, messages in _conversations(user, Q(is_current=True)):
        yield f"\n## {_in_one_line(thread.name)}\n\n{_format_time(thread.created)}\n"
        for message in messages:
            head = f"\n{_role(message)}, {_format_time(message['created'])}:"
            yield f"{head}\n\n{_quoted(message['text'])}\n{_end(message)}"


FORMATS: dict[str, tuple[Callable[[Any], Iterator[str]], str, str]] = {
    "json": (as_json, "application/json", "conversations.json"),
    "markdown": (as_markdown, "text/markdown; charset=utf-8", "conversations.md"),
}
"""For each format: the generator, the media type, and the file name."""


def _conversations(user: Any, condition: Q) -> Iterator[tuple[Thread, Iterator[Row]]]:
    """The user's threads, oldest first, each with its messages, which must be consumed before the next thread.

    What is deleted meanwhile is left out.
    """
    session = Session.objects.filter(user=user.pk).values_list("uuid", flat=True).first()
    for threads in _threads(session) if session else ():
        keys: dict[int, list[tuple[int, int]]] = {thread.pk: [] for thread in threads}
        messages = Message.objects.filter(condition, thread__in=keys).order_by("thread", "sequence_index", "id")
        for thread_key, key, length in messages.values_list("thread", "pk", Length("text")):
            keys[thread_key].append((key, length))
        rows = _rows([one for of_thread in keys.values() for one in of_thread])
        for thread in threads:
            yield thread, (row for row in islice(rows, len(keys[thread.pk])) if row)


def _threads(session: UUID) -> Iterator[list[Thread]]:
    """The threads of the session in batches. Raises `SessionGone`.

    The session is found by its UUID: between two batches the connection is released, and the next one may be in another
    schema, where the user's primary key is that of somebody else.
    """
    of_session = Thread.objects.filter(session__uuid=session).order_by("created", "id")
    after, size = Q(), FIRST_THREADS
    while threads := list(of_session.filter(after)[:size]):
        yield threads
        last, size = threads[-1], THREADS_PER_QUERY
        # The bound of `created` stands alone: within an OR no index would find it, and each query would read all
        # earlier threads.
        after = Q(created__gte=last.created) & (Q(created__gt=last.created) | Q(pk__gt=last.pk))
    if not Session.objects.filter(uuid=session).exists():
        raise SessionGone


def _rows(keys: list[tuple[int, int]]) -> Iterator[Row | None]:
    """The messages with these keys, each given with the length of its text; None for one that is gone."""
    for wanted in _slices(keys):
        messages = Message.objects.filter(pk__in=wanted).annotate(replaces_uuid=F("replaces__uuid"))
        found = {row["pk"]: row for row in messages.values("pk", "replaces_uuid", *COLUMNS)}
        yield from (found.pop(key, None) for key in wanted)


def _slices(keys: list[tuple[int, int]]) -> Iterator[list[int]]:
    """The keys, as many at a time as may be in memory."""
    wanted: list[int] = []
    characters = 0
    for key, length in keys:
        characters += length
        if wanted and (len(wanted) == MESSAGES_PER_QUERY or characters > CHARACTERS_PER_QUERY):
            yield wanted
            wanted, characters = [], length
        wanted.append(key)
    if wanted:
        yield wanted


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
    }


def _message(row: Row) -> dict[str, Any]:
    rated, replaces = row["feedback_submitted_at"], row["replaces_uuid"]
    return {
        "uuid": row["uuid"].hex,
        "role": row["role"],
        "text": row["text"],
        "tool_calls": [block["tool"] for block in row["blocks"] or () if block["key"] == "tool"],
        "status": row["status"],
        "code": row["code"],
        "sequence_index": row["sequence_index"],
        "replaces": replaces.hex if replaces else None,
        "is_current": row["is_current"],
        "created": row["created"].isoformat(),
        "model": row["model"],
        "ai_generated": row["role"] == Message.Role.ASSISTANT,
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "warning": row["warning"],
        "feedback_score": row["feedback_score"],
        "feedback_comment": row["feedback_comment"],
        "feedback_category": row["feedback_category"],
        "feedback_submitted_at": rated.isoformat() if rated else None,
    }


def _role(row: Row) -> str:
    role = f"**{Message.Role(row['role']).label}**"
    return _("{role} (AI generated)").format(role=role) if row["role"] == Message.Role.ASSISTANT else role


def _end(row: Row) -> str:
    """A line that says how the answer ended; none if it is complete."""
    if row["status"] == Message.Status.COMPLETE:
        return ""
    code = f" ({row['code']})" if row["status"] == Message.Status.FAILED and row["code"] else ""
    return f"\n*{_(ENDS[Message.Status(row['status'])])}{code}*\n"


def _quoted(text: str) -> str:
    """The text as a quotation in Markdown; code that it leaves open is closed, for who takes it out of there."""
    lines = _LINE_END.split(closed(text.strip("\r\n")))
    return "\n".join(f"> {line}" if line else ">" for line in lines)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _format_time(moment: datetime) -> str:
    return date_format(timezone.localtime(moment) if timezone.is_aware(moment) else moment, "Y-m-d H:i")
