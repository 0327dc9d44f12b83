"""One reader of one answer: where he is, where he goes on, and what is new to him. Without a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from waldur_chat.client.answers import Event
from waldur_chat.client.decoding import event_of, refusal
from waldur_chat.client.errors import BrokenStream, ChatError, Lost, Unreachable
from waldur_chat.client.exchange import Call, Exchange, passes
from waldur_chat.client.requests import Request, Requests
from waldur_chat.client.retry import Limits
from waldur_chat.errors import ProviderFailed
from waldur_chat.events import Cancelled, Delta, Reasoning, Started
from waldur_chat.wire.sse_decoder import SSEDecoder

GATEWAY = {502, 503, 504}
"""What a gateway answers where it does not know what became of the request."""


class Reader(Exchange):
    """One reader of one answer: from its question on, or of a `turn` and with so many characters of its answer.

    `position` is how many characters have arrived, `given` how many were taken; `turn` and `thread` are empty until the
    server has named them.
    """

    def __init__(
        self, requests: Requests, limits: Limits, question: Request | None = None, *, turn: str = "", position: int = 0
    ) -> None:
        super().__init__(limits)
        self._requests = requests
        self.events: deque[Event] = deque()
        self.turn = turn
        self.thread = ""
        self.position = self.given = position
        self._question = question
        self._is_new = question is not None
        self._has_begun = False
        self._thoughts = 0
        self._decoder = SSEDecoder()
        self._thoughts_here = 0

    @property
    def is_kept(self) -> bool:
        """Whether the turn goes on without this reader, so that he can come back to it."""
        return bool(self.thread) or self._question is None

    def request(self) -> Request:
        """See Exchange.request()."""
        self._decoder = SSEDecoder(self.limits.event_max_bytes)
        self._thoughts_here = self._thoughts if self.position else 0
        if self._question and not self.is_kept:
            return self._question
        return self._requests.events(self.turn, self.position)

    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """See Exchange.head()."""
        if status == 204:
            self.has_ended = True
            return
        if status != 200:
            error = refusal(status, headers, body)
            raise Lost(error) if self._may_come_back(error) else error
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise BrokenStream("The server answers with something else than a stream of events.")
        self._learn(headers.get("x-chat-turn", ""), headers.get("x-chat-thread", ""))

    def feed(self, chunk: bytes) -> None:
        """See Exchange.feed()."""
        if not chunk:
            raise Lost(Unreachable("The stream ended before the answer did."))
        try:
            for sent in self._decoder.feed(chunk):
                if (event := event_of(sent.name, sent.data)) and not self.has_ended:
                    self._take(event, self._decoder.last_id)
        except ProviderFailed as error:
            raise BrokenStream("The server sent an endless event.") from error
        finally:
            self._patience.heed(self._decoder.retry)

    def lost(self, error: Exception) -> float:
        """See Exchange.lost()."""
        self._is_new = False
        if self.turn and not self.is_kept and not isinstance(error, ChatError):
            raise Unreachable("The connection broke, and this site keeps no answers to come back to.") from error
        return super().lost(error)

    def take(self) -> Event | None:
        """The next event, where one has arrived."""
        if not self.events:
            return None
        event = self.events.popleft()
        self.given += len(event.text) if isinstance(event, Delta) else 0
        return event

    def cancelling(self) -> Call:
        """What stops the turn, where it has a conversation."""
        return Call(self._requests.cancel(self.thread), self.limits)

    def stop(self) -> None:
        """The reader has stopped a turn that ends with him."""
        self.events.append(Cancelled(usage=None))
        self.has_ended = True

    def _take(self, event: Event, event_id: str) -> None:
        new: Event | None = event
        match event:
            case Started(turn=turn, thread=thread):
                self._check(event_id, self.position)
                self._learn(turn, thread)
                new = None if self._has_begun else event
                self._has_begun = True
            case Delta(text=text):
                self._check(event_id, self.position + len(text))
                self.position += len(text)
            case Reasoning(text=text):
                self._check(event_id, self.position)
                new = self._new_thoughts(text)
            case _:
                self._check(event_id, "end")
                self.has_ended = True
        if new:
            self.events.append(new)
            self._patience.renew()

    def _check(self, event_id: str, expected: int | str) -> None:
        if event_id != str(expected):
            raise Lost(BrokenStream(f"The server sent the event {event_id!r} where {expected} was due."))

    def _new_thoughts(self, text: str) -> Reasoning | None:
        """Until there is text, a server tells all thoughts again to who comes back."""
        known = self._thoughts - self._thoughts_here
        self._thoughts_here += len(text)
        self._thoughts = max(self._thoughts, self._thoughts_here)
        return Reasoning(text=text[known:]) if len(text) > known else None

    def _learn(self, turn: str, thread: str) -> None:
        self.turn = turn or self.turn
        self.thread = thread or self.thread

    def _may_come_back(self, error: ChatError) -> bool:
        """Whether this refusal passes; where the question is new, what the application says is the answer to it."""
        if self._is_new:
            return not error.code and error.status in GATEWAY
        return passes(error)


class Reading:
    """How far a stream has come."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def turn(self) -> str:
        """The id of the turn; empty until the server has named it, with the first event at the latest."""
        return self._reader.turn

    @property
    def thread(self) -> str:
        """The id of the conversation; empty until the server has named it, and where it stores none."""
        return self._reader.thread

    @property
    def position(self) -> int:
        """How many characters of the answer were read; `Client.events()` goes on there."""
        return self._reader.given
