"""Map HTTP failures to errors of this package. Messages contain no address, no key and nothing of a body."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from waldur_chat.errors import (
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderError,
    ProviderFailed,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)

MAX_RETRY_AFTER_SECONDS = 3600


def connection_error(error: Exception) -> ProviderError:
    """The error for a request that could not be sent, or got no response.

    A timeout is one of connecting, since transports set no other. Libraries have different classes for it, but all of
    them have a `TimeoutError` in the chain of causes.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)):  # Two classes before Python 3.11.
            return ProviderConnectTooSlow("The provider did not take the connection in time.")
        cause, last = cause.__cause__ or cause.__context__, cause
    return ProviderUnreachable(f"No connection to the provider: {type(last).__name__}.")


def status_error(status: int, headers: Mapping[str, str]) -> ProviderError:
    """The error for an HTTP status other than 200."""
    message = f"The provider answered with status {status}."
    if status in (429, 503, 529):
        return ProviderBusy(message, retry_after=_seconds(headers.get("retry-after")))
    if status in (408, 504):
        return ProviderTooSlow(message)
    if status >= 500:
        return ProviderFailed(message)
    return ProviderRefused(message, provider_status=status)


def check_head(status: int, headers: Mapping[str, str]) -> None:
    """Raise the error for this status and these headers, unless an uncompressed answer follows.

    The body of an error is not read: it may be endless, and may quote keys and prompts.
    """
    if status != 200:
        raise status_error(status, headers)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProviderFailed("The provider compressed its answer although it was asked not to.")


def _seconds(value: str | None) -> int | None:
    """`Retry-After` in seconds; None for its other form, a date, which is rare (RFC 9110, section 10.2.3)."""
    if not (value and value.isascii() and value.isdigit()):
        return None
    return MAX_RETRY_AFTER_SECONDS if len(value) > 9 else min(int(value), MAX_RETRY_AFTER_SECONDS)
