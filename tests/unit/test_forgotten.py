"""What httpcore forgets is closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.unit.aio import run
from waldur_chat.providers.forgotten import close_forgotten


class _Silent(asyncio.Protocol):
    """Takes requests, and says nothing."""


async def _kept_after_cancelling(client: Any, way: Any) -> list[Any]:
    """The connections that are open after requests that were cancelled at each of their first steps."""
    server = await asyncio.get_running_loop().create_server(_Silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, client:
        for steps in range(60):
            asking = asyncio.create_task(client.get(f"http://{host}:{port}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            with suppress(asyncio.CancelledError, httpx.ReadTimeout):  # Python 3.10 may lose a cancellation.
                await asking
        return [one for one in way._pool.connections if not one.is_closed()]


@pytest.mark.parametrize("is_mounted", [False, True])
def test_a_request_that_is_cancelled_at_any_moment_leaves_no_connection(*, is_mounted: bool) -> None:
    way = httpx.AsyncHTTPTransport()
    ways = {"mounts": {"http://": way, "http://elsewhere": None}} if is_mounted else {"transport": way}
    client = httpx.AsyncClient(**ways, timeout=0.5)  # type: ignore[arg-type]
    close_forgotten(client)
    assert run(_kept_after_cancelling(client, way)) == []


def test_what_others_use_stays_open() -> None:
    async def main() -> None:
        way = httpx.AsyncHTTPTransport()
        client = httpx.AsyncClient(transport=way)
        close_forgotten(client)
        server = await asyncio.get_running_loop().create_server(_Silent, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with server, client:
            one, other = (asyncio.create_task(client.get(f"http://{host}:{port}")) for _ in range(2))
            await asyncio.sleep(0.1)
            other.cancel()
            await asyncio.wait({other})
            assert [connection.is_closed() for connection in way._pool.connections] == [False]
            one.cancel()
            await asyncio.wait({one})

    run(main())
