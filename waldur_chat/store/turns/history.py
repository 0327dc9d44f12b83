"""What a model is told of a conversation: from the store alone, the newest messages that fit."""

from __future__ import annotations

from itertools import groupby

from waldur_chat.conf import Settings
from waldur_chat.messages import Message as Said
from waldur_chat.messages import Role, estimated_tokens
from waldur_chat.models import Message, Thread


def said_before(thread: Thread, index: int, settings: Settings) -> list[Said]:
    """The messages in front of this index, oldest first, as many as the settings allow. One query.

    Versions that were replaced are not among them. A model's template may ask for a user to begin and for the sides to
    take turns; so what one side said in a row is joined, and an answer whose question does not fit is left out, but for
    the greeting that opened the conversation.
    """
    current = Message.objects.filter(thread=thread, is_current=True, sequence_index__lt=index)
    newest = current.order_by("-sequence_index").values_list("sequence_index", "role", "text")
    fitting = _fitting(list(newest[: settings.history_messages]), settings.history_tokens)
    while fitting and fitting[-1][1] == "assistant" and fitting[-1][0] > 0:
        fitting.pop()
    opened = [Said(role="user", text=settings.opening_prompt)] if fitting and fitting[-1][1] == "assistant" else []
    return opened + [Said(role=_role(role), text=text) for _, role, text in reversed(fitting)]


def taking_turns(messages: list[Said]) -> tuple[Said, ...]:
    """The messages, those that one side said in a row joined."""
    return tuple(
        Said(role=role, text="\n\n".join(message.text for message in run))
        for role, run in groupby(messages, lambda message: message.role)
    )


def _fitting(newest: list[tuple[int, str, str]], tokens: int) -> list[tuple[int, str, str]]:
    fitting = []
    for index, role, text in newest:
        tokens -= estimated_tokens(text)
        if tokens < 0:
            break
        fitting.append((index, role, text))
    return fitting


def _role(role: str) -> Role:
    return "assistant" if role == Message.Role.ASSISTANT else "user"
