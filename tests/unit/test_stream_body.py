"""The body of a stream under ASGI, apart from any server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import django
import pytest

from tests.unit.aio import run
from waldur_chat.api.responses.stream_body import AsyncBody
from waldur_chat.conf import Settings
from waldur_chat.wire.sse import SSEEncoder


@pytest.mark.parametrize(("version", "closes"), [((4, 2), True), ((5, 0), False)])
def test_with_django_4_it_is_closed_when_its_task_ends(
    version: tuple[int, int], closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django, "VERSION", version)
    closed: list[None] = []
    source: Any = SimpleNamespace(position=0, close=lambda: closed.append(None))

    async def main() -> None:
        body = AsyncBody(source, SSEEncoder(), Settings(providers={}))

        async def send() -> None:
            body._close_with_task()
            await asyncio.sleep(60)

        sending = asyncio.create_task(send())
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait({sending})
        await asyncio.sleep(0)
        assert bool(closed) is closes
        body.source = None

    run(main())
