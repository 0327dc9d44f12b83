"""The positions of a question and its answer in their conversation.

An edited question does not replace its earlier version at once: both new versions become current with the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_noop

from waldur_chat.errors import InvalidQuestion
from waldur_chat.messages import Question
from waldur_chat.models import Message, Thread
from waldur_chat.store.turns.approvals.superseding import forget_thoughts, supersede
from waldur_chat.store.turns.calls import told_calls

NOTHING_TO_RELOAD = gettext_noop("There is no answer to replace.")
NOT_THE_LAST = gettext_noop("This is not the last message of the user in this conversation.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePosition:
    """The message to be answered (None if the assistant opens the conversation), and the index of its answer.

    A new question is not saved yet. `goes_on_after` are earlier answers to the same message: the model goes on with
    them after calls of tools on which the user has decided.
    """

    question: Message | None
    is_new: bool = False
    answer_index: int
    goes_on_after: tuple[Message, ...] = ()

    @property
    def history_end(self) -> int:
        """The index at which the history ends."""
        first = self.question or next(iter(self.goes_on_after), None)
        return first.sequence_index if first else self.answer_index


def find_position(question: Question, thread: Thread, *, is_empty: bool = False) -> MessagePosition:
    """Find the position of a question, within a transaction that has locked the thread. Raises `InvalidQuestion`.

    `is_empty` means that the thread has no messages, which saves a query.
    """
    newest = [] if is_empty else _last_two(thread)
    supersede(next(iter(newest), None))
    match question.mode:
        case "reload":
            return _reload_position(thread, newest)
        case "edit":
            return _edit_position(question, thread, newest)
    forget_thoughts(newest)
    index = newest[0].sequence_index + 1 if newest else 0
    if question.text is None:
        return MessagePosition(question=None, answer_index=index)
    message = Message(thread=thread, role=Message.Role.USER, text=question.text, sequence_index=index)
    return MessagePosition(question=message, is_new=True, answer_index=index + 1)


def _last_two(thread: Thread) -> list[Message]:
    """The last two current messages, the later first."""
    return list(Message.objects.filter(thread=thread, is_current=True).order_by("-sequence_index")[:2])


def last_answers(thread: Thread) -> tuple[Message | None, list[Message]]:
    """The last message of the user, None without one, and the answers after it: several if calls have waited."""
    current = Message.objects.filter(thread=thread, is_current=True)
    question = current.filter(role=Message.Role.USER).order_by("-sequence_index").first()
    after = question.sequence_index if question else -1
    return question, list(current.filter(sequence_index__gt=after).order_by("sequence_index"))


def _reload_position(thread: Thread, newest: list[Message]) -> MessagePosition:
    """Answer the last question again, or for the first time if it has no answer."""
    if not newest:
        raise InvalidQuestion("mode", NOTHING_TO_RELOAD)
    last = newest[0]
    if last.role == Message.Role.USER:
        return MessagePosition(question=last, answer_index=last.sequence_index + 1)
    if any(message.blocks is not None for message in newest):
        return _reload_after_calls(thread)
    # If the assistant opened the conversation, its first answer has no question.
    message = newest[1] if len(newest) > 1 and newest[1].role == Message.Role.USER else None
    return MessagePosition(question=message, answer_index=last.sequence_index)


def _reload_after_calls(thread: Thread) -> MessagePosition:
    """Answer again from where the user has decided on calls: what they have approved is not done again."""
    question, answers = last_answers(thread)
    calls = told_calls.of_answers([answers[-1].pk])[answers[-1].pk]
    kept = answers if told_calls.have_waited(calls) else answers[:-1]
    index = kept[-1].sequence_index + 1 if kept else answers[0].sequence_index
    return MessagePosition(question=question, answer_index=index, goes_on_after=tuple(kept))


def _edit_position(question: Question, thread: Thread, newest: list[Message]) -> MessagePosition:
    """A new version of the last question, which is not current yet."""
    last = next((message for message in newest if message.role == Message.Role.USER), None)
    last = last or last_answers(thread)[0]
    if last is None or last.uuid != question.edited:
        raise InvalidQuestion("edit_message_uuid", NOT_THE_LAST)
    message = Message(
        thread=thread,
        role=Message.Role.USER,
        text=question.text or "",
        sequence_index=last.sequence_index,
        replaces=last,
        is_current=False,
    )
    return MessagePosition(question=message, is_new=True, answer_index=last.sequence_index + 1)
