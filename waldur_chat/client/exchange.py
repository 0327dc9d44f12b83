"""What a client does next, without doing it: which request it sends, and what it makes of the response.

Whoever carries an exchange sends `request()`, hands over the `head()` of the response and then all that it `feed()`s,
and when that raises, or the connection fails, waits as long as `lost()` says and begins again, until `has_ended`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from waldur_chat.client.decoding import refusal
from waldur_chat.client.errors import ChatError, Lost, Unreachable
from waldur_chat.client.requests import Request
from waldur_chat.client.retry import Limits, Patience

PASSING = {"server_stopping", "chat_busy", "too_many_turns", "throttled"}
"""Codes of errors that say nothing of the turn one comes back to, and pass."""


class Exchange(ABC):
    """Something to do with the server, on as many connections as it takes."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.has_ended = False
        self._patience = Patience(limits.patience_seconds)

    @abstractmethod
    def request(self) -> Request:
        """What to send now."""

    @abstractmethod
    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take the head of the response, and its body where the status is not 200.

        Raises `Lost`, or the `ChatError` of a refusal that is final.
        """

    @abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Take what arrives of the body of a 200; nothing means that it has ended. Raises what head() raises."""

    def lost(self, error: Exception) -> float:
        """How many seconds to wait after this failure; then comes the next request. Raises `ChatError` to give up."""
        match error:
            case ChatError():
                raise error
            case Lost(error=reason):
                return self._patience.pause(reason)
            case _:
                return self._patience.pause(Unreachable(str(error) or type(error).__name__))


class Call(Exchange):
    """One request that does no harm when it is repeated, and whose answer says nothing."""

    def __init__(self, request: Request, limits: Limits) -> None:
        super().__init__(limits)
        self._request = request

    def request(self) -> Request:
        """See Exchange.request()."""
        return self._request

    def head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """See Exchange.head()."""
        if status not in (200, 204):
            error = refusal(status, headers, body)
            raise Lost(error) if passes(error) else error
        self.has_ended = True

    def feed(self, chunk: bytes) -> None:
        """See Exchange.feed(); a call has ended with the head."""


def passes(error: ChatError) -> bool:
    """Whether the same request may be answered in a moment, by the server or by what stands before it."""
    if error.code:
        return error.code in PASSING
    return error.status == 429 or error.status >= 500
