"""Where a question and its answer stand in their conversation.

A question that is edited stays in its place until its new version is answered: then both new ones replace the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_noop

from waldur_chat.errors import QuestionRefused
from waldur_chat.messages import Question
from waldur_chat.models import Message, Thread

NOTHING_TO_RELOAD = gettext_noop("There is no answer to replace.")
NOT_THE_LAST = gettext_noop("This is not the last message of the user in this conversation.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePosition:
    """The message that is asked (None where the assistant opens), and the index of its answer.

    A question that is new is not written yet.
    """

    question: Message | None
    is_new: bool = False
    answer_index: int


def place(question: Question, thread: Thread, *, is_empty: bool = False) -> MessagePosition:
    """Find it, within a transaction that has locked the thread. Raises `QuestionRefused`.

    `is_empty` says that nothing was said in it yet.
    """
    newest = [] if is_empty else _newest(thread)
    match question.mode:
        case "reload":
            return _again(newest)
        case "edit":
            return _edited(question, thread, newest)
    index = newest[0].sequence_index + 1 if newest else 0
    if question.text is None:
        return MessagePosition(question=None, answer_index=index)
    asked = Message(thread=thread, role=Message.Role.USER, text=question.text, sequence_index=index)
    return MessagePosition(question=asked, is_new=True, answer_index=index + 1)


def _newest(thread: Thread) -> list[Message]:
    """The last two messages in force, the later first."""
    return list(Message.objects.filter(thread=thread, is_current=True).order_by("-sequence_index")[:2])


def _again(newest: list[Message]) -> MessagePosition:
    """Ask the last question again; one that has no answer yet gets its first."""
    if not newest:
        raise QuestionRefused("mode", NOTHING_TO_RELOAD)
    last = newest[0]
    if last.role == Message.Role.USER:
        return MessagePosition(question=last, answer_index=last.sequence_index + 1)
    asked = newest[1] if len(newest) > 1 and newest[1].role == Message.Role.USER else None
    return MessagePosition(question=asked, answer_index=last.sequence_index)


def _edited(question: Question, thread: Thread, newest: list[Message]) -> MessagePosition:
    """Write a new version of the last question, which is not in force yet."""
    last = next((message for message in newest if message.role == Message.Role.USER), None)
    if last is None or last.uuid != question.edited:
        raise QuestionRefused("edit_message_uuid", NOT_THE_LAST)
    asked = Message(
        thread=thread,
        role=Message.Role.USER,
        text=question.text or "",
        sequence_index=last.sequence_index,
        replaces=last,
        is_current=False,
    )
    return MessagePosition(question=asked, is_new=True, answer_index=last.sequence_index + 1)
