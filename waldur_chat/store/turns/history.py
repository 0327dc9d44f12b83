"""The history of a conversation for a prompt: the newest stored messages that fit into the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, groupby

from django.db.models import Exists, OuterRef, Q, QuerySet

from waldur_chat.conf import Settings
from waldur_chat.errors import ContextExceeded, ProviderRefusedQuestion
from waldur_chat.messages import Message as PromptMessage
from waldur_chat.messages import Role
from waldur_chat.models import Message, Thread
from waldur_chat.store.turns.calls import told_calls
from waldur_chat.text_size import estimated_tokens

REFUSED = (ProviderRefusedQuestion.code, ContextExceeded.code)
"""The codes with which a provider refuses a question for what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """The parts of a prompt: what is always told, and the history in between, which may be shortened."""

    instructions: list[PromptMessage]
    history: list[PromptMessage]
    question: PromptMessage
    answers: list[PromptMessage] = field(default_factory=list)
    """What was answered to the question already, with calls of tools, if the model goes on after them."""

    def shortened(self, fits: Callable[[Sequence[PromptMessage]], bool]) -> tuple[tuple[PromptMessage, ...], bool]:
        """The messages, with as much of the history as fits, and whether some of it was left out."""
        history = self.history
        while (
            not fits(told := merge_consecutive([*self.instructions, *history, self.question, *self.answers]))
            and history
        ):
            # Some chat templates require that a user message comes first.
            history = list(dropwhile(lambda message: message.role != "user", history[1:]))
        return told, history is not self.history


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is told of one stored message: itself, or an answer with its calls and their results."""

    index: int
    messages: list[PromptMessage]


def load_history(thread: Thread, index: int, settings: Settings) -> list[PromptMessage]:
    """The current messages before this index, oldest first, as many as the settings allow.

    One query, and another one if there are answers with calls of tools; these are told as the model has made them.

    A question that was refused is not told again, since every later question would be refused for it.

    Some chat templates require that a user message comes first. An answer whose question does not fit is therefore left
    out; a greeting that opened the conversation gets the opening prompt in front of it.
    """
    current = Message.objects.filter(thread=thread, is_current=True, sequence_index__lt=index)
    told = _without_refused(current).order_by("-sequence_index")
    newest = told.annotate(has_calls=Q(blocks__isnull=False)).values_list(
        "pk", "sequence_index", "role", "text", "has_calls"
    )
    fitting = _fitting(_told(list(newest[: settings.history_messages])), settings.history_tokens)
    # An answer at index 0 has no question: the assistant opened the conversation with it.
    while fitting and fitting[-1].messages[0].role == "assistant" and fitting[-1].index > 0:
        fitting.pop()
    starts_with_greeting = bool(fitting) and fitting[-1].messages[0].role == "assistant"
    opening = [PromptMessage(role="user", text=settings.opening_prompt)] if starts_with_greeting else []
    return opening + [message for told in reversed(fitting) for message in told.messages]


def merge_consecutive(messages: list[PromptMessage]) -> tuple[PromptMessage, ...]:
    """Join consecutive messages of the same role: some chat templates require that the roles alternate.

    Calls of tools and their results stay as they are.
    """
    return tuple(
        message
        for (role, is_joined), run in groupby(messages, lambda message: (message.role, _is_joined(message)))
        for message in ([PromptMessage(role=role, text=_joined(run))] if is_joined else run)
    )


def _is_joined(message: PromptMessage) -> bool:
    return message.role != "tool" and not message.calls


def _joined(messages: Iterable[PromptMessage]) -> str:
    return "\n\n".join(message.text for message in messages)


def _without_refused(current: QuerySet[Message]) -> QuerySet[Message]:
    """Leave out refused questions without an answer: one that is asked again keeps its earlier answer."""
    answer = Message.objects.filter(
        thread=OuterRef("thread"),
        is_current=True,
        sequence_index=OuterRef("sequence_index") + 1,
        role=Message.Role.ASSISTANT,
    )
    refused = Q(role=Message.Role.USER, status=Message.Status.FAILED, code__in=REFUSED)
    told: QuerySet[Message] = current.exclude(refused & ~Exists(answer))
    return told


def _told(rows: Sequence[tuple[int, int, str, str, bool]]) -> list[_Told]:
    """What is told of these rows: key, index, role, text, and whether there are calls."""
    calls = told_calls.of_answers(key for key, *_, has_calls in rows if has_calls)
    followers = [None, *(role for _, _, role, *_ in rows)]  # The rows are the newest first.
    return [
        _Told(
            index=index,
            messages=told_calls.messages_of(text, calls[key], goes_on=follower == Message.Role.ASSISTANT)
            if has_calls
            else [PromptMessage(role=_role(role), text=text)],
        )
        for (key, index, role, text, has_calls), follower in zip(rows, followers, strict=False)
    ]


def told_answers(answers: Sequence[Message]) -> list[PromptMessage]:
    """Answers with which the model goes on, with their whole results, and its thoughts."""
    calls = told_calls.of_answers(answer.pk for answer in answers)
    told = [told_calls.messages_of(one.text, calls[one.pk], goes_on=True, is_same_question=True) for one in answers]
    return [message for messages in told for message in messages]


def _fitting(newest: Sequence[_Told], tokens: int) -> list[_Told]:
    fitting = []
    for told in newest:
        tokens -= sum(estimated_tokens(message.counted_text) for message in told.messages)
        if tokens < 0:
            break
        fitting.append(told)
    return fitting


def _role(role: str) -> Role:
    return "assistant" if role == Message.Role.ASSISTANT else "user"
