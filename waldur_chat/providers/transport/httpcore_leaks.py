"""Workaround for httpcore 1, which leaks connections at cancellation: they stay open as long as the process.

- A request is cancelled after the pool has assigned a connection to it, and before that is established: the pool keeps
  the connection, which is neither idle nor closed. https://github.com/encode/httpcore/issues/1093, and before it
  https://github.com/encode/httpcore/issues/658 and https://github.com/encode/httpcore/issues/830
- Reading a response is cancelled while httpcore closes it, after an earlier cancellation or the end of the body: the
  close is interrupted and cannot be repeated. https://github.com/encode/httpcore/issues/1115

Concerns every release of httpcore 1 (1.0.9 is the last), which openai uses below version 3. httpcore2 closes both
(https://github.com/pydantic/httpx2/pull/983). To be deleted once openai 3 is the oldest supported release.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any
from weakref import ref


def is_available() -> bool:
    """Whether httpcore 1 is installed, and the private names exist that the workaround needs.

    These are `_transport` and `_mounts` of httpx's client, `_pool` of its transport, `_requests` of httpcore's pool.
    """
    try:
        if not version("httpcore").startswith("1."):
            return False
        httpx = import_module("httpx")
        # A context of our own, since the default one reads certificates, which is slow.
        transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return [*_pools(httpx.AsyncClient(transport=transport))] == [transport._pool]
    except (ImportError, AttributeError, TypeError, ValueError):
        return False


def install(client: Any) -> None:
    """Make an `AsyncClient` of httpx close what httpcore leaks. A client with other internals is left unchanged."""
    with suppress(AttributeError):
        for pool in _pools(client):
            pool.handle_async_request = partial(_handle, ref(pool), type(pool).handle_async_request)


def _pools(client: Any) -> Iterator[Any]:
    """The pools of httpcore 1 that a client uses: its own, and those for proxies."""
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)  # None is mounted for hosts without a proxy.
        if type(pool).__module__.partition(".")[0] == "httpcore" and hasattr(pool, "_requests"):
            yield pool


async def _handle(pool_ref: Callable[[], Any], handle: Callable[[Any, Any], Awaitable[Any]], request: Any) -> Any:
    pool = pool_ref()  # A strong reference would be a cycle: this function is an attribute of the pool.
    try:
        response = await handle(pool, request)
    except BaseException:
        in_use = {one.connection for one in pool._requests}
        for connection in pool.connections:
            # Assigned to no request, not reusable and not closed: nothing but a leak.
            if connection not in in_use and not connection.is_idle() and not connection.is_closed():
                with suppress(Exception):
                    await connection.aclose()
        raise
    with suppress(AttributeError):
        for stream in (response.stream, response.stream._stream):
            stream.aclose = partial(_close, ref(stream), type(stream).aclose)
    return response


async def _close(stream_ref: Callable[[], Any], close: Callable[[Any], Any]) -> None:
    """Close a stream in a task of its own, which a cancellation of the caller does not interrupt."""
    await asyncio.shield(close(stream_ref()))
