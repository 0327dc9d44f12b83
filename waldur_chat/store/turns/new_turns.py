"""The rows of turns that begin, for an answer and for a title, before they are inserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from waldur_chat.messages import Message as PromptMessage
from waldur_chat.models import SystemPromptVersion, Thread, Turn
from waldur_chat.models.conversations import NEW_CHAT
from waldur_chat.store.budgets.reservations import Reservation, Reserved
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.position import MessagePosition
from waldur_chat.text_size import size_of, tokens_in


def make_turns(
    user: Any,
    thread: Thread,
    position: MessagePosition,
    system: SystemPromptVersion | None,
    messages: tuple[PromptMessage, ...],
    reservation: Reservation,
) -> list[Turn]:
    """The turn for the answer, and one for the title if none was asked for yet."""
    answer = Turn(
        user_id=user.pk,
        thread=thread,
        question=position.question,
        is_new_question=position.is_new,
        answer_index=position.answer_index,
        system_prompt=system,
        expires=leases.new_lease(),
        input_tokens=usual_input_tokens(messages),
    )
    if not (reservation.title_input_tokens and position.question and _wants_title(thread)):
        return [answer]
    title = Turn(user_id=user.pk, thread=thread, purpose=Turn.Purpose.TITLE, expires=leases.new_lease())
    return [answer, title]


def _wants_title(thread: Thread) -> bool:
    """Whether no model was asked for the title of this conversation yet.

    One that is asked just now is stopped: its service may answer one request at a time, and this question waits for it.
    """
    if thread.name != NEW_CHAT or thread.is_named:
        return False
    if thread._state.adding:
        return True
    titles = Turn.objects.filter(thread=thread, purpose=Turn.Purpose.TITLE)
    # The turn for a title ends without a model if its answer failed before the title was asked for.
    asked = list(titles.exclude(~Q(status=Turn.Status.RUNNING), model="").values_list("status", flat=True))
    if Turn.Status.RUNNING in asked:
        titles.filter(status=Turn.Status.RUNNING).update(is_cancelled=True)
    return not asked


def with_reservations(turns: list[Turn], reserved: Reserved | None, reservation: Reservation) -> list[Turn]:
    """The turns with what is likely needed for each."""
    if reserved:
        tokens = (reserved.tokens, reservation.title_tokens)
        for turn, likely in zip(turns, tokens, strict=False):  # Without a title there is only one turn.
            turn.reserved = likely
    return turns


def usual_input_tokens(messages: Sequence[PromptMessage]) -> int:
    """The input of a turn that ends without reported usage."""
    return tokens_in(sum(size_of(message.counted_text) for message in messages))
