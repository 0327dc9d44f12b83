"""The protocol of the client without I/O: which request to send next, and how to interpret the response.

A connection sends `request()`, passes the response to `head()` and each piece of its body to `feed()`. If one of these
raises, or the connection fails, it sleeps for `retry_delay()` and starts again, until `has_ended`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from waldur_chat.client.decoding import decode_error
from waldur_chat.client.errors import ChatError, ConnectionLost, Unreachable
from waldur_chat.client.requests import Request
from waldur_chat.client.retry import Backoff, Limits

TRANSIENT_CODES = {"server_stopping", "chat_busy", "too_many_turns", "site_throttled", "throttled"}
"""Error codes that say nothing about the turn, and that a later request may not get."""


class Exchange(ABC):
    """An operation on the server that may need several connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.has_ended = False
        self._backoff = Backoff(limits.patience_seconds)

    @abstractmethod
    def request(self) -> Request:
        """The request to send now."""

    @abstractmethod
    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Receive the head of the response, and the body too if the status is not 200.

        Raises `ConnectionLost`, or the `ChatError` of a final refusal.
        """

    @abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Receive a piece of the body of a 200; an empty one means that the body has ended. Raises as head() does."""

    def retry_delay(self, error: Exception) -> float:
        """How many seconds to wait after this failure before the next request. Raises `ChatError` to give up."""
        match error:
            case ChatError():
                raise error
            case ConnectionLost(error=reason):
                return self._backoff.next_delay(reason)
            case _:
                return self._backoff.next_delay(Unreachable(str(error) or type(error).__name__))


class RepeatableCall(Exchange):
    """One idempotent request with a response that carries no information."""

    def __init__(self, request: Request, limits: Limits) -> None:
        super().__init__(limits)
        self._request = request

    def request(self) -> Request:
        return self._request

    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status not in (200, 204):
            error = decode_error(status, headers, body)
            raise ConnectionLost(error) if is_transient(error) else error
        self.has_ended = True

    def feed(self, chunk: bytes) -> None:
        """Ignore the body: a call ends with the head."""


def is_transient(error: ChatError) -> bool:
    """Whether the same request may succeed soon, at the server or at a proxy in front of it."""
    if error.code:
        return error.code in TRANSIENT_CODES
    return error.status == 429 or error.status >= 500
