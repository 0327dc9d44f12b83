"""The exceptions of the client.

ChatError            an error response of the server, or the error that ended a turn
├── Unreachable      there is no connection, or it broke and the answer cannot be resumed
└── BrokenStream     the response is not a stream of this API
"""

from __future__ import annotations

from collections.abc import Mapping


class ChatError(Exception):
    """A question has no complete answer.

    `status` is the HTTP status, also for an error after the first byte; 0 if the server did not respond.
    `code` is the API's error code, empty if the error is not from the API; `detail` is a sentence for users.
    `retryable` says whether the same question may succeed later, `retry_after` after how many seconds to retry.
    `body` holds all fields of an error response, such as `turn_uuid` for `thread_busy`.
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
    """The server could not be reached, or not reached again, within `Limits.patience_seconds`."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="unreachable", retryable=True)


class BrokenStream(ChatError):
    """The server, or a proxy in front of it, sent something that is not a stream of this API."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="broken_stream")


class ConnectionLost(Exception):
    """Internal: this connection failed with `error`, but the next one may succeed."""

    def __init__(self, error: ChatError) -> None:
        super().__init__(error.detail)
        self.error = error
