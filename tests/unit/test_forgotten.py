"""What httpcore forgets is closed, also where a task is cancelled while it closes something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.unit.aio import run
from waldur_chat.providers.forgotten import close_forgotten


class _Silent(asyncio.Protocol):
    """Takes requests, and says nothing."""


class _Endless(asyncio.Protocol):
    """Begins an answer, and says nothing more."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")


@asynccontextmanager
async def _address(server: type[asyncio.Protocol], client: httpx.AsyncClient) -> AsyncIterator[str]:
    """Of such a server; it and the client are closed at the end."""
    serving = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    host, port = serving.sockets[0].getsockname()
    async with serving, client:
        yield f"http://{host}:{port}"


async def _cancel_after(steps: int, task: asyncio.Task[Any]) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()


@pytest.mark.parametrize("is_mounted", [False, True])
def test_a_request_that_is_cancelled_at_any_moment_leaves_no_connection(*, is_mounted: bool) -> None:
    way = httpx.AsyncHTTPTransport()
    ways = {"mounts": {"http://": way, "http://elsewhere": None}} if is_mounted else {"transport": way}
    client = httpx.AsyncClient(**ways, timeout=0.5)  # type: ignore[arg-type]
    close_forgotten(client)

    async def main() -> None:
        async with _address(_Silent, client) as address:
            for steps in range(60):
                asking = asyncio.create_task(client.get(address))
                await _cancel_after(steps, asking)
                with suppress(asyncio.CancelledError, httpx.ReadTimeout):  # Python 3.10 may lose a cancellation.
                    await asking
            assert [one for one in way._pool.connections if not one.is_closed()] == []

    run(main())


def test_what_others_use_stays_open() -> None:
    way = httpx.AsyncHTTPTransport()
    client = httpx.AsyncClient(transport=way)
    close_forgotten(client)

    async def main() -> None:
        async with _address(_Silent, client) as address:
            one, other = (asyncio.create_task(client.get(address)) for _ in range(2))
            await asyncio.sleep(0.1)
            other.cancel()
            await asyncio.wait({other})
            assert [connection.is_closed() for connection in way._pool.connections] == [False]
            one.cancel()
            await asyncio.wait({one})

    run(main())


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_response_is_closed_to_the_end_by_a_task_that_is_cancelled(steps: int) -> None:
    way = httpx.AsyncHTTPTransport()
    client = httpx.AsyncClient(transport=way)
    close_forgotten(client)

    async def main() -> None:
        async with _address(_Endless, client) as address:
            response = await client.send(client.build_request("GET", address), stream=True)
            closing = asyncio.create_task(response.aclose())
            await _cancel_after(steps, closing)
            await asyncio.wait({closing})
            await asyncio.sleep(0.05)
            assert (way._pool.connections, way._pool._requests) == ([], [])  # type: ignore[attr-defined]

    run(main())
