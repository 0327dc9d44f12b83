"""Tools of hosts that run as processes: their effects are rows, and calls that wait are written without a model."""

from __future__ import annotations

import threading
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.utils import timezone

from tests.acceptance.databases import HOST
from waldur_chat.models import Message, Session, Thread, ToolCall, Turn
from waldur_chat.store.turns import tool_calls
from waldur_chat.tools import ToolContext, tool
from waldur_chat.turns.tools.schema_hash import schema_hash


def order(context: ToolContext, hangs: str = "", reached: str = "") -> str:
    """Writes a row. It hangs before or after that, once it has made the file."""
    if hangs == "before":
        _hang(reached)
    get_user_model().objects.create(username=f"effect {context.call} {uuid4().hex}")
    if hangs == "after":
        _hang(reached)
    return "Ordered."


def _hang(reached: str) -> None:
    Path(reached).touch()
    threading.Event().wait()


ordinary = tool(name="ordinary")(order)
atomic = tool(name="atomic", atomic=True)(order)
TOOLS = {one.name: {"BACKEND": f"{__name__}.{one.name}"} for one in (ordinary, atomic)}


def waiting(user: Any, name: str, **arguments: str) -> ToolCall:
    """A call of the user that waits, in a conversation of its own."""
    session, _ = Session.objects.using(HOST).get_or_create(user=user)
    thread = Thread.objects.using(HOST).create(session=session, message_count=2)
    said: Any = Message.objects.using(HOST)
    question = said.create(thread=thread, role="user", text="fake:tokens=3", sequence_index=0)
    answer = said.create(thread=thread, role="assistant", status="waiting", blocks=[], sequence_index=1)
    now = timezone.now()
    turn = Turn.objects.using(HOST).create(
        user=user, thread=thread, question=question, answer=answer, answer_index=1, status="finished",
        reason="waiting", expires=now, ended=now, tool_events=1,
    )  # fmt: skip
    text = tool_calls.canonical(arguments)
    return ToolCall.objects.using(HOST).create(
        user=user, thread=thread, turn=turn, tool=name, status="waiting", expires=now + timedelta(days=1),
        arguments=text, arguments_hash=sha256(text.encode()).hexdigest(), call_id="call00001",
        schema_hash=schema_hash(ordinary.schema),
    )  # fmt: skip


def effects(call: ToolCall) -> int:
    """How often the call had its effect."""
    return int(get_user_model().objects.using(HOST).filter(username__contains=call.uuid.hex).count())
