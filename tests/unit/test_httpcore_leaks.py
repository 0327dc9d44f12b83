"""What httpcore 1 leaks at cancellation is closed, also where a task is cancelled while it closes something."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError
from typing import Any

import httpcore
import httpx
import pytest

from tests.unit.aio import run
from waldur_chat.providers.transport import httpcore_leaks


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
    httpcore_leaks.install(client)

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
    httpcore_leaks.install(client)

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
    httpcore_leaks.install(client)

    async def main() -> None:
        async with _address(_Endless, client) as address:
            response = await client.send(client.build_request("GET", address), stream=True)
            closing = asyncio.create_task(response.aclose())
            await _cancel_after(steps, closing)
            await asyncio.wait({closing})
            await asyncio.sleep(0.05)
            assert (way._pool.connections, way._pool._requests) == ([], [])  # type: ignore[attr-defined]

    run(main())


def test_it_is_available_with_httpcore_1() -> None:
    assert httpcore_leaks.is_available()


@pytest.mark.parametrize("versions", [{"openai": "3.0.0", "httpcore": "2.0.0"}, {}])
def test_it_is_off_with_another_httpcore_and_without_any(
    versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(httpcore_leaks, "version", version)
    assert not httpcore_leaks.is_available()


class _Hiding:
    """Has what another object has, but for some names."""

    def __init__(self, shown: Any, *hidden: str) -> None:
        self._shown = shown
        self._hidden = hidden

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(name)
        return getattr(self._shown, name)


@pytest.mark.parametrize("name", ["_transport", "_mounts"])
def test_a_client_that_is_made_in_another_way_is_left_alone(name: str) -> None:
    client = httpx.AsyncClient()
    httpcore_leaks.install(_Hiding(client, name))
    assert "handle_async_request" not in vars(client._transport._pool)  # type: ignore[attr-defined]
    run(client.aclose())


@pytest.mark.parametrize(
    ("owner", "name"), [(httpx.AsyncHTTPTransport, "_pool"), (httpcore.AsyncConnectionPool, "_requests")]
)
def test_it_is_off_without_the_names_that_nobody_promises(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(self: object) -> None:
        raise AttributeError(name)

    monkeypatch.setattr(owner, name, property(no_such_name, lambda self, value: None), raising=False)
    assert not httpcore_leaks.is_available()
    httpcore_leaks.install(httpx.AsyncClient())


def test_it_is_off_without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert not httpcore_leaks.is_available()
