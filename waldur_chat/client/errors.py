"""What a client may be told instead of an answer.

ChatError            the server's own words: an error response, or the end of a turn that failed
├── Unreachable      there is no connection, or it broke and the answer cannot be come back to
└── BrokenStream     what arrives is no stream of this API
"""

from __future__ import annotations

from collections.abc import Mapping


class ChatError(Exception):
    """A question that has no whole answer.

    `status` is the HTTP status, also of an error that came after the first byte; 0 where the server said nothing.
    `code` is the error in one word, empty where it is not from the API; `detail` is the sentence for people.
    `retryable` says whether the same question may succeed later, `retry_after` in how many seconds it is welcome.
    `body` is all that an error response said, like `turn_uuid` of a `thread_busy`.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        status: int = 0,
        retryable: bool = False,
        retry_after: float | None = None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.body = body or {}


class Unreachable(ChatError):
    """The server could not be reached, or not again, within the client's patience."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="unreachable", retryable=True)


class BrokenStream(ChatError):
    """The server, or something before it, sends what is no stream of this API."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="broken_stream")


class Lost(Exception):
    """Within the client: this connection leads no further, for the reason `error`, but another one may."""

    def __init__(self, error: ChatError) -> None:
        super().__init__(error.detail)
        self.error = error
