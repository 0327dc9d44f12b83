"""The history of a conversation for a prompt: the newest stored messages that fit into the limits."""

from __future__ import annotations

from itertools import groupby

from waldur_chat.conf import Settings
from waldur_chat.messages import Message as PromptMessage
from waldur_chat.messages import Role, estimated_tokens
from waldur_chat.models import Message, Thread


def load_history(thread: Thread, index: int, settings: Settings) -> list[PromptMessage]:
    """The current messages before this index, oldest first, as many as the settings allow. One query.

    Some chat templates require that a user message comes first. An answer whose question does not fit is therefore left
    out; a greeting that opened the conversation gets the opening prompt in front of it.
    """
    current = Message.objects.filter(thread=thread, is_current=True, sequence_index__lt=index)
    newest = current.order_by("-sequence_index").values_list("sequence_index", "role", "text")
    fitting = _fitting(list(newest[: settings.history_messages]), settings.history_tokens)
    # An answer at index 0 has no question: the assistant opened the conversation with it.
    while fitting and fitting[-1][1] == "assistant" and fitting[-1][0] > 0:
        fitting.pop()
    starts_with_greeting = bool(fitting) and fitting[-1][1] == "assistant"
    opening = [PromptMessage(role="user", text=settings.opening_prompt)] if starts_with_greeting else []
    return opening + [PromptMessage(role=_role(role), text=text) for _, role, text in reversed(fitting)]


def merge_consecutive(messages: list[PromptMessage]) -> tuple[PromptMessage, ...]:
    """Join consecutive messages of the same role: some chat templates require that the roles alternate."""
    return tuple(
        PromptMessage(role=role, text="\n\n".join(message.text for message in run))
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
