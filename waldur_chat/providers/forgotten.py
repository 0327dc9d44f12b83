"""Closes connections that httpcore 1 forgets: those whose request is cancelled when they stand, but before it is sent.

They would stay open for as long as the process, and take the place of others. httpcore2 closes them itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import ref


def close_forgotten(client: Any) -> None:
    """Let an HTTP client do so, whichever way it goes; one that does not stand on httpcore is left alone."""
    for way in (client._transport, *client._mounts.values()):
        pool: Any = getattr(way, "_pool", None)
        if hasattr(pool, "connections") and hasattr(pool, "_requests"):
            pool.handle_async_request = partial(_handle, ref(pool), type(pool).handle_async_request)


async def _handle(known: Callable[[], Any], handle: Callable[[Any, Any], Awaitable[Any]], request: Any) -> Any:
    pool = known()  # It would point to itself.
    try:
        return await handle(pool, request)
    except BaseException:
        in_use = {one.connection for one in pool._requests}
        for connection in pool.connections:
            if connection not in in_use and not connection.is_idle() and not connection.is_closed():
                with suppress(Exception):
                    await connection.aclose()
        raise
