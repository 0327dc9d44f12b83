"""Writes what a provider says into the log of its turn."""

from __future__ import annotations

from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import AnswerTooLong
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Started, Stopped, Usage


class SurrogateJoiner:
    """Joins surrogate halves across pieces of text; a half that stays alone becomes U+FFFD.

    A provider may cut a character outside the BMP into two JSON escapes, one in each piece.
    """

    def __init__(self) -> None:
        self._high = ""

    def feed(self, piece: str) -> str:
        """The piece, with what an earlier one left in front, and without a half that may still find its other."""
        if piece.isascii() and not self._high:
            return piece
        text, self._high = self._high + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._high = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def flush(self) -> str:
        """What is left at the end of the text."""
        return "\ufffd" if self._high else ""


class AnswerWriter:
    """Joins characters that came in halves, counts tokens and length, and notes why the model stopped.

    Before the first event it tells the lifecycle that the answer begins, and the readers.
    """

    __slots__ = ("_counter", "_has_begun", "_joiner", "_length", "_lifecycle", "_log", "_max_length", "stop_reason")

    def __init__(self, log: EventLog, counter: UsageCounter, max_length: int, lifecycle: Lifecycle) -> None:
        self.stop_reason = ""
        """The provider's word; empty as long as it has not said that it stopped."""
        self._log = log
        self._counter = counter
        self._max_length = max_length
        self._lifecycle = lifecycle
        self._joiner = SurrogateJoiner()
        self._length = 0
        self._has_begun = False

    def write(self, event: ProviderEvent) -> None:
        """Write one event. Raises `AnswerTooLong` where the answer has become longer than `max_length` characters."""
        match event:
            case Delta(text=text):
                joined = self._joiner.feed(text)
                self._add(event if joined is text else Delta(text=joined))
            case Reasoning():
                self._add(event)
            case Usage():
                self._counter.report(event)
            case Stopped(reason=reason):
                self.stop_reason = reason

    def finish(self) -> None:
        """The provider has said everything: write what was left. An empty answer begins here."""
        self._add(Delta(text=self._joiner.flush()))
        if not self._has_begun:
            self._begin()

    def _add(self, event: Delta | Reasoning) -> None:
        if event.text:
            self._length += len(event.text)
            if self._length > self._max_length:
                raise AnswerTooLong
            if not self._has_begun:
                self._begin()
            self._counter.add_output(event.text)
            self._log.add(event)

    def _begin(self) -> None:
        self._has_begun = True
        self._lifecycle.answer()
        record = self._lifecycle.record
        self._log.add(Started(turn=record.turn, thread=record.thread))
