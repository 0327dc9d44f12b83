"""The state of one answer that is read: its position, where to resume, and which events are new. Without I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from waldur_chat.client.answers import Event, status_of
from waldur_chat.client.decoding import decode_error, decode_event
from waldur_chat.client.errors import BrokenStream, ChatError, ConnectionLost, Unreachable
from waldur_chat.client.exchange import Exchange, RepeatableCall, is_transient
from waldur_chat.client.requests import Request, RequestBuilder
from waldur_chat.client.retry import Limits
from waldur_chat.errors import ProviderFailed
from waldur_chat.events import AnswerStatus, Cancelled, Delta, Reasoning, Started, ToolAnswered, ToolCalled, Warned
from waldur_chat.wire.sse_decoder import MAX_DIGITS, SSEDecoder

GATEWAY_STATUSES = {502, 503, 504}
"""Statuses with which a gateway answers if it does not know what happened to the request."""


class AnswerReader(Exchange):
    """Reads one answer: of a new question, or of an existing `turn` from `position`, in characters.

    `position` counts the characters that have arrived, `consumed` those returned by next_event(); `turn` and `thread`
    are empty until the server has named them.
    """

    def __init__(
        self,
        requests: RequestBuilder,
        limits: Limits,
        question: Request | None = None,
        *,
        turn: str = "",
        position: int = 0,
    ) -> None:
        super().__init__(limits)
        self._requests = requests
        self.events: deque[Event] = deque()
        self.turn = turn
        self.thread = ""
        self.status: AnswerStatus | None = None
        self.position = self.consumed = position
        self._question = question
        self._is_new = question is not None
        self._has_begun = False
        self._is_warned = False
        self._reasoning_length = 0
        self._tool_events: set[tuple[type, str]] = set()
        self._decoder = SSEDecoder()
        self._reasoning_here = 0

    @property
    def is_resumable(self) -> bool:
        """Whether the turn continues without this reader, so that it can be resumed."""
        return bool(self.thread) or self._question is None

    def request(self) -> Request:
        self._decoder = SSEDecoder(self.limits.event_max_bytes)
        self._reasoning_here = self._reasoning_length if self.position else 0
        if self._question and not self.is_resumable:
            return self._question
        return self._requests.events(self.turn, self.position)

    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status == 204:
            self.has_ended = True
            return
        if status != 200:
            error = decode_error(status, headers, body)
            raise ConnectionLost(error) if self._is_retryable(error) else error
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise BrokenStream("The server answers with something else than a stream of events.")
        self._note_ids(headers.get("x-chat-turn", ""), headers.get("x-chat-thread", ""))

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            raise ConnectionLost(Unreachable("The stream ended before the answer did."))
        try:
            for sent in self._decoder.feed(chunk):
                if (event := decode_event(sent.name, sent.data)) and not self.has_ended:
                    self._accept(event, self._decoder.last_id)
        except ProviderFailed as error:
            raise BrokenStream("The server sent an endless event.") from error
        finally:
            self._backoff.set_server_delay(self._decoder.retry)

    def retry_delay(self, error: Exception) -> float:
        self._is_new = False
        if self.turn and not self.is_resumable and not isinstance(error, ChatError):
            raise Unreachable("The connection broke, and this site stores no answers that could be resumed.") from error
        return super().retry_delay(error)

    def next_event(self) -> Event | None:
        """The next event, or None if none has arrived."""
        if not self.events:
            return None
        event = self.events.popleft()
        self.consumed += len(event.text) if isinstance(event, Delta) else 0
        return event

    def cancel_call(self) -> RepeatableCall:
        """The call that cancels the turn; it needs the `thread`."""
        return RepeatableCall(self._requests.cancel(self.thread), self.limits)

    def end_cancelled(self) -> None:
        """End a turn that is not stored: the server cancels it when its reader disconnects."""
        self.events.append(Cancelled(usage=None))
        self.status = "stopped"
        self.has_ended = True

    def _accept(self, event: Event, event_id: str) -> None:
        new: Event | None = event
        match event:
            case Started(turn=turn, thread=thread):
                self._skip_to(event_id)
                self._check_position(event_id, self.position)
                self._note_ids(turn, thread)
                new = None if self._has_begun else event
                self._has_begun = True
            case Warned():
                self._check_position(event_id, self.position)
                new = None if self._is_warned else event
                self._is_warned = True
            case Delta(text=text):
                self._check_position(event_id, self.position + len(text))
                self.position += len(text)
            case Reasoning(text=text):
                self._check_position(event_id, self.position)
                new = self._new_reasoning(text)
            case ToolCalled() | ToolAnswered():
                self._check_position(event_id, self.position)
                new = self._new_tool_event(event)
            case _:
                self._check_position(event_id, "end")
                self.status = status_of(event)
                self.has_ended = True
        if new:
            self.events.append(new)
            self._backoff.reset()

    def _skip_to(self, event_id: str) -> None:
        """Skip what the server does: thoughts at the beginning, which the answer does not have any more."""
        if event_id.isascii() and event_id.isdigit() and len(event_id) < MAX_DIGITS:
            skipped = max(int(event_id) - self.position, 0)
            self.position += skipped
            self.consumed += skipped

    def _check_position(self, event_id: str, expected: int | str) -> None:
        if event_id != str(expected):
            raise ConnectionLost(BrokenStream(f"The server sent the event {event_id!r} where {expected} was due."))

    def _new_reasoning(self, text: str) -> Reasoning | None:
        """The part of a reasoning event that is new: until there is text, a server repeats all reasoning on resume."""
        known = self._reasoning_length - self._reasoning_here
        self._reasoning_here += len(text)
        self._reasoning_length = max(self._reasoning_length, self._reasoning_here)
        return Reasoning(text=text[known:]) if len(text) > known else None

    def _new_tool_event(self, event: ToolCalled | ToolAnswered) -> Event | None:
        """The event, unless it is known: on resume a server repeats those at the position."""
        key = (type(event), event.call_uuid)
        is_known = key in self._tool_events
        self._tool_events.add(key)
        return None if is_known else event

    def _note_ids(self, turn: str, thread: str) -> None:
        self.turn = turn or self.turn
        self.thread = thread or self.thread

    def _is_retryable(self, error: ChatError) -> bool:
        """Whether to retry after this refusal. For a new question, only if the application did not refuse it."""
        if self._is_new:
            return not error.code and error.status in GATEWAY_STATUSES
        return is_transient(error)


class StreamPosition:
    """Position of a stream, and the IDs of its turn and conversation."""

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader

    @property
    def turn(self) -> str:
        """The ID of the turn; empty until the server has named it, with the first event at the latest."""
        return self._reader.turn

    @property
    def thread(self) -> str:
        """The ID of the conversation; empty until the server has named it, and if the site stores none."""
        return self._reader.thread

    @property
    def position(self) -> int:
        """How many characters of the answer were read; `Client.events()` resumes there."""
        return self._reader.consumed

    @property
    def status(self) -> AnswerStatus | None:
        """How the answer ended; None before its last event has arrived."""
        return self._reader.status
