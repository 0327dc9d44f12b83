"""Asks Django's own ASGI handler, with the shorter way through it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

from django.core.handlers.asgi import ASGIHandler

from tests.unit.aio import run
from waldur_chat.asgi.middleware import inline, install


def ask(where: str, *, through_door: bool = True) -> tuple[int, dict[bytes, bytes]]:
    """The status and the head of the answer to a request."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        handler = ASGIHandler()
        install(handler)
        received = [{"type": "http.request", "body": b""}]

        async def receive() -> Any:
            return received.pop() if received else await asyncio.Event().wait()

        scope = {"type": "http", "method": "POST", "path": where, "headers": [(b"host", b"localhost")]}
        with inline() if through_door else nullcontext():
            await handler(scope, receive, send)

    run(main())
    return sent[0]["status"], dict(sent[0]["headers"])
