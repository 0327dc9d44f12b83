"""Writes a provider's events to the event log of their turn."""

from __future__ import annotations

from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import AnswerTooLong, BudgetUsedUp, ProviderEmpty, ProviderError, ProviderRefusedQuestion
from waldur_chat.events import (
    FILTERED,
    LENGTH,
    CallRequested,
    Delta,
    Failed,
    Finished,
    ProviderEvent,
    Reasoning,
    ReasoningWasAnswer,
    Started,
    Stopped,
    ToolEvent,
    Usage,
    Warned,
    is_content,
)
from waldur_chat.runtime.fair_queue import SHARE, fair_queue
from waldur_chat.wire.thoughts import without_thoughts


class SurrogateJoiner:
    """Joins UTF-16 surrogate halves across parts of a text; an unpaired half becomes U+FFFD.

    A provider may cut a character outside the BMP into two JSON escapes, one in each part.
    """

    def __init__(self) -> None:
        self._high = ""

    def feed(self, part: str) -> str:
        """Return the part without a high half at its end, which is held back and precedes the next part."""
        if part.isascii() and not self._high:
            return part
        text, self._high = self._high + part, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._high = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def flush(self) -> str:
        """Return the rest at the end of the text."""
        return "\ufffd" if self._high else ""


def whole_characters(text: str) -> str:
    """The text with its surrogate halves joined; see `SurrogateJoiner`."""
    joiner = SurrogateJoiner()
    return joiner.feed(text) + joiner.flush()


ROUND_GAP = "\n\n"
"""Separates what the model says before and after its calls of tools."""


class AnswerWriter:
    """Joins surrogate halves, counts tokens and length, keeps the stop reason, and knows whether there is an answer.

    Before the first event it notifies the lifecycle that the answer has started, and adds `Started` to the log,
    and then the warning, if there is one.
    """

    __slots__ = (
        "_counter",
        "_has_content",
        "_has_started",
        "_joiner",
        "_length",
        "_lifecycle",
        "_log",
        "_max_length",
        "_needs_gap",
        "_share_end",
        "has_written_share",
        "is_left_to_user",
        "stop_reason",
        "warning",
    )

    def __init__(self, log: EventLog, counter: UsageCounter, max_length: int, lifecycle: Lifecycle) -> None:
        self.stop_reason = ""
        """The provider's stop reason; empty until it has reported one, and again if the answer goes on after it."""
        self.warning: Warned | None = None
        """What the reader should know of the answer, before it begins."""
        self.has_written_share = False
        """Whether it is the turn of other streams to write, see `give_way()`."""
        self._share_end = SHARE
        self._log = log
        self._counter = counter
        self._max_length = max_length
        self._lifecycle = lifecycle
        self._joiner = SurrogateJoiner()
        self._length = 0
        self._has_started = False
        self._has_content = False
        self._needs_gap = False
        self.is_left_to_user = False
        """Whether the turn ends with calls of tools that the user has to decide; then it needs no text."""

    @property
    def position(self) -> int:
        """The number of characters of the text so far."""
        return self._log.text.length

    def write(self, event: ProviderEvent) -> None:
        """Write one event. Raises `AnswerTooLong` if the answer has more than `max_length` characters."""
        match event:
            case Delta(text=text):
                if not self._has_content:
                    self._has_content = is_content(event)
                joined = self._joiner.feed(text)
                if self._needs_gap:
                    joined = self._after_gap(joined)
                self._add(joined, event if joined is text else Delta(text=joined))
            case Reasoning(text=text):
                self._add(text, event)
            case ReasoningWasAnswer(text=text):
                self._has_content = self._has_content or is_content(event)
                joined = self._joiner.feed(text)
                self._log.add(Delta(text=self._after_gap(joined) if self._needs_gap else joined))
            case CallRequested(name=name, arguments=arguments):
                self._add(name + arguments)
            case Usage():
                self._counter.report(event)
            case Stopped(reason=reason):
                self.stop_reason = reason

    async def give_way(self) -> None:
        """Let other streams write their share, and whatever else the event loop has to do."""
        await fair_queue().wait()
        self._share_end = self._length + SHARE
        self.has_written_share = False

    def finish(self) -> None:
        """Write the rest after the provider's last event."""
        reason = self.stop_reason
        rest = self._joiner.flush()
        self._add(rest, Delta(text=rest))
        self.stop_reason = reason

    def end_round(self) -> None:
        """The model has called tools, and will be asked again."""
        self.stop_reason = ""
        self._needs_gap = self._has_content
        self._counter.end_round()

    def announce(self, event: ToolEvent) -> None:
        """Write what becomes of a call. If the turn begins with calls, so does the answer."""
        if not self._has_started:
            self._start()
        self._log.add(event)

    def end(self, reason: str, usage: Usage | None) -> Finished | Failed:
        """The terminal event of an answer that has come to its end. One without content is a failure."""
        if self._is_empty():
            return Failed(error=empty_answer(self.stop_reason), usage=usage)
        return Finished(reason=reason, usage=usage)

    def end_of_tokens(self) -> str:
        """The stop reason of an answer for which no tokens are left. Raises `BudgetUsedUp` if it has no content."""
        if self._is_empty():
            raise BudgetUsedUp
        return LENGTH

    def _is_empty(self) -> bool:
        """Whether nothing of an answer was written, or nothing but thoughts."""
        if self.is_left_to_user or not self._has_content:
            return not self.is_left_to_user
        log = self._log
        if not log.keeps_everything or log.reasoning.length:
            return False
        return not without_thoughts(log.text.since(0)).strip()

    def _add(self, text: str, event: Delta | Reasoning | None = None) -> None:
        """Count what the model has written; it begins the answer, and goes on after a stop reason."""
        if text:
            self._length += len(text)
            if self._length > self._max_length:
                raise AnswerTooLong
            self.has_written_share = self._length >= self._share_end
            if not self._has_started:
                self._start()
            if self.stop_reason:
                self.stop_reason = ""
            self._counter.add_output(text)
            if event:
                self._log.add(event)

    def _after_gap(self, text: str) -> str:
        """The first text of a later round."""
        self._needs_gap = not text
        return text and ROUND_GAP + text

    def _start(self) -> None:
        self._has_started = True
        self._lifecycle.answer_started()
        record = self._lifecycle.record
        self._log.add(Started(turn=record.turn, thread=record.thread))
        if self.warning:
            self._log.add(self.warning)


def empty_answer(stop_reason: str) -> ProviderError:
    """The error for an answer in which there is nothing, by the reason why the model stopped."""
    if stop_reason == FILTERED:
        return ProviderRefusedQuestion("A filter of the provider left nothing of the answer.", about="content")
    return ProviderEmpty(f"The stream ended without an answer (stop reason {stop_reason or 'not given'}).")
