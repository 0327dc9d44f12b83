"""Workaround for httpcore 1, which leaks connections at cancellation: they stay open as long as the process.

- A request that is cancelled when it was given a connection, and before that is established: the pool keeps the
  connection, which is neither idle nor closed. https://github.com/encode/httpcore/issues/1093, and before it
  https://github.com/encode/httpcore/issues/658 and https://github.com/encode/httpcore/issues/830
- A response whose reading is cancelled while httpcore closes it for another reason (an earlier cancellation, the end of
  its body): closing is not gone on with. No issue of its own was found upstream (November 2026).

Concerns every httpcore 1 (1.0.9 is the last), on which openai stands below version 3. httpcore2 closes both
(https://github.com/pydantic/httpx2/pull/983). To be deleted once openai 3 is the oldest release that is supported.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from weakref import ref


def is_needed() -> bool:
    """Whether the openai SDK that is installed stands on httpcore 1."""
    try:
        return int(version("openai").partition(".")[0]) < 3
    except (PackageNotFoundError, ValueError):
        return False


def is_available() -> bool:
    """Whether httpcore 1 is there, and the names that it and httpx do not promise.

    These are `_transport` and `_mounts` of httpx's client, `_pool` of its transport, `_requests` of httpcore's pool.
    """
    try:
        if not version("httpcore").startswith("1."):
            return False
        httpx = import_module("httpx")
        way = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # Reads no certificates.
        return [*_pools(httpx.AsyncClient(transport=way))] == [way._pool]
    except (ImportError, AttributeError, TypeError, ValueError):
        return False


def install(client: Any) -> None:
    """Let an `AsyncClient` of httpx close what httpcore leaks; one that is made in another way is left alone."""
    with suppress(AttributeError):
        for pool in _pools(client):
            pool.handle_async_request = partial(_handle, ref(pool), type(pool).handle_async_request)


def _pools(client: Any) -> Iterator[Any]:
    """The pools of httpcore 1 by which a client may send: its own, and those for proxies."""
    for way in (client._transport, *client._mounts.values()):
        pool = getattr(way, "_pool", None)  # None is mounted for hosts that no proxy is asked for.
        if type(pool).__module__.partition(".")[0] == "httpcore" and hasattr(pool, "_requests"):
            yield pool


async def _handle(known: Callable[[], Any], handle: Callable[[Any, Any], Awaitable[Any]], request: Any) -> Any:
    pool = known()  # A reference of its own would be a cycle.
    try:
        response = await handle(pool, request)
    except BaseException:
        in_use = {one.connection for one in pool._requests}
        for connection in pool.connections:
            if connection not in in_use and not connection.is_idle() and not connection.is_closed():
                with suppress(Exception):
                    await connection.aclose()
        raise
    with suppress(AttributeError):
        for stream in (response.stream, response.stream._stream):
            stream.aclose = partial(_close, ref(stream), type(stream).aclose)
    return response


async def _close(known: Callable[[], Any], close: Callable[[Any], Any]) -> None:
    """Close a stream, in a task that nobody cancels."""
    await asyncio.shield(close(known()))
