"""Writes a provider's events to the event log of their turn."""

from __future__ import annotations

from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import AnswerTooLong
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Started, Stopped, Usage


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


class AnswerWriter:
    """Joins surrogate halves, counts tokens and length, and stores the stop reason.

    Before the first event it notifies the lifecycle that the answer has started, and adds `Started` to the log.
    """

    __slots__ = ("_counter", "_has_started", "_joiner", "_length", "_lifecycle", "_log", "_max_length", "stop_reason")

    def __init__(self, log: EventLog, counter: UsageCounter, max_length: int, lifecycle: Lifecycle) -> None:
        self.stop_reason = ""
        """The provider's stop reason; empty until the provider has reported one."""
        self._log = log
        self._counter = counter
        self._max_length = max_length
        self._lifecycle = lifecycle
        self._joiner = SurrogateJoiner()
        self._length = 0
        self._has_started = False

    def write(self, event: ProviderEvent) -> None:
        """Write one event. Raises `AnswerTooLong` if the answer has more than `max_length` characters."""
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
        """Write the rest after the provider's last event. An empty answer starts here."""
        self._add(Delta(text=self._joiner.flush()))
        if not self._has_started:
            self._start()

    def _add(self, event: Delta | Reasoning) -> None:
        if event.text:
            self._length += len(event.text)
            if self._length > self._max_length:
                raise AnswerTooLong
            if not self._has_started:
                self._start()
            self._counter.add_output(event.text)
            self._log.add(event)

    def _start(self) -> None:
        self._has_started = True
        self._lifecycle.answer_started()
        record = self._lifecycle.record
        self._log.add(Started(turn=record.turn, thread=record.thread))
