"""Map failures of connections to errors of this package. Messages contain no address and no key."""

from __future__ import annotations

import asyncio

from waldur_chat.errors import ProviderConnectTooSlow, ProviderError, ProviderUnreachable


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
