"""Serves requests as an ASGI server does, through the door and Django's own handler."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from django.core.handlers.asgi import ASGIHandler

from waldur_chat import shedding


class Served:
    """One request to the API. Its client stays until it is told to `leave()`."""

    def __init__(self, operation: str, token: str, question: str = "Hi") -> None:
        self.status = 0
        self.body = b""
        self.application: Callable[..., Any] = shedding.asgi(ASGIHandler())
        self._left = asyncio.Event()
        self._question = [json.dumps({"input": question}).encode()]
        headers = {
            "authorization": f"Token {token}",
            "content-type": "application/json",
            "content-length": str(len(self._question[0])),
        }
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": f"/api/chat/{operation}/",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }

    async def serve(self) -> None:
        """What the server does."""
        await self.application(self._scope, self._receive, self._send)

    def leave(self) -> None:
        """Hang up."""
        self._left.set()

    async def _receive(self) -> Any:
        if self._question:
            return {"type": "http.request", "body": self._question.pop()}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
