"""Closes connections that httpcore forgets when a task is cancelled, which would stay open for as long as the process.

There are two sorts: those of requests that are cancelled when the connection stands, but before they are sent
(httpcore2 closes these itself); and those that httpcore is about to close for another reason at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import ref

from waldur_chat.runtime import shortcuts


def close_forgotten(client: Any) -> None:
    """Let an HTTP client do so, whichever way it goes; one that does not stand on httpcore is left alone."""
    if not shortcuts.is_on("httpcore_leaks"):
        return
    for way in (client._transport, *client._mounts.values()):
        pool: Any = getattr(way, "_pool", None)
        if hasattr(pool, "connections") and hasattr(pool, "_requests"):
            pool.handle_async_request = partial(_handle, ref(pool), type(pool).handle_async_request)


async def _handle(known: Callable[[], Any], handle: Callable[[Any, Any], Awaitable[Any]], request: Any) -> Any:
    pool = known()  # It would point to itself.
    try:
        response = await handle(pool, request)
    except BaseException:
        in_use = {one.connection for one in pool._requests}
        for connection in pool.connections:
            if connection not in in_use and not connection.is_idle() and not connection.is_closed():
                with suppress(Exception):
                    await connection.aclose()
        raise
    with suppress(AttributeError):  # Another release may be made in another way.
        for stream in (response.stream, response.stream._stream):
            stream.aclose = partial(_close, ref(stream), type(stream).aclose)
    return response


async def _close(known: Callable[[], Any], close: Callable[[Any], Any]) -> None:
    """Close a stream, in a task that nobody cancels."""
    await asyncio.shield(close(known()))
