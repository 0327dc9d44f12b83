"""What goes wrong over HTTP, as one of our errors. No message tells an address, a key or anything of a body."""

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
    """The error that it means that a request could not be sent, or that no response came.

    A timeout can only be that of connecting, since transports set no other. Which class it has depends on the library;
    that a `TimeoutError` caused it does not.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)):  # They are two classes before Python 3.11.
            return ProviderConnectTooSlow("The provider did not take the connection in time.")
        cause, last = cause.__cause__ or cause.__context__, cause
    return ProviderUnreachable(f"No connection to the provider: {type(last).__name__}.")


def status_error(status: int, headers: Mapping[str, str]) -> ProviderError:
    """The error that an HTTP status other than 200 means."""
    message = f"The provider answered with status {status}."
    if status in (429, 503, 529):
        return ProviderBusy(message, retry_after=_seconds(headers.get("retry-after")))
    if status in (408, 504):
        return ProviderTooSlow(message)
    if status >= 500:
        return ProviderFailed(message)
    return ProviderRefused(message, provider_status=status)


def check_head(status: int, headers: Mapping[str, str]) -> None:
    """Raise the error that the head of a response means, unless an answer follows that can be read as it comes.

    The body is left alone: it may be endless, and may quote keys and prompts.
    """
    if status != 200:
        raise status_error(status, headers)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProviderFailed("The provider compressed its answer although it was asked not to.")


def _seconds(value: str | None) -> int | None:
    """`Retry-After` as a number of seconds; the form that is a date is rare enough to go without (RFC 9110, 10.2.3)."""
    if not (value and value.isascii() and value.isdigit()):
        return None
    return MAX_RETRY_AFTER_SECONDS if len(value) > 9 else min(int(value), MAX_RETRY_AFTER_SECONDS)
