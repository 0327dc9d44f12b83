"""Notices that the client of a request has left, for Django 4.2, which does not listen; by the ASGI protocol alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

ASGI = Callable[[Any, Any, Any], Awaitable[None]]

_is_listening: ContextVar[bool] = ContextVar("waldur_chat_listens", default=False)


def is_listening() -> bool:
    """Whether the request that runs now is served so."""
    return _is_listening.get()


def listening(application: ASGI) -> ASGI:
    """The application, which is cancelled when the client leaves once the body of its request has arrived."""

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        token = _is_listening.set(True)
        listener = _Listener(receive)
        serving = asyncio.ensure_future(application(scope, listener.receive, send))
        _is_listening.reset(token)
        listener.call_when_left(serving.cancel)
        try:
            await asyncio.wait({serving})
        except asyncio.CancelledError:  # The server's: that is passed on.
            serving.cancel()
            await asyncio.wait({serving})
            raise
        finally:
            await listener.stop()
        if not (serving.cancelled() and listener.has_left):
            serving.result()

    return listen


class _Listener:
    """Reads on when an application has read the body of its request: nothing but a disconnect can follow."""

    has_left = False

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self._next: asyncio.Future[Any] | None = None
        self._leave: Callable[[], object]

    def call_when_left(self, leave: Callable[[], object]) -> None:
        self._leave = leave

    async def receive(self) -> Any:
        """See the ASGI protocol. Who asks for more than the body waits for the disconnect too."""
        if self._next is not None:
            return await asyncio.shield(self._next)
        message = await self._receive()
        if not message.get("more_body"):
            self._next = asyncio.ensure_future(self._receive())
            self._next.add_done_callback(self._heard)
        return message

    async def stop(self) -> None:
        """Listen no more."""
        if self._next is not None and not self._next.done():
            self._next.cancel()
            with suppress(asyncio.CancelledError):
                await self._next

    def _heard(self, message: asyncio.Future[Any]) -> None:
        """A server that fails to listen has lost the client too."""
        if not message.cancelled():
            self.has_left = True
            message.exception()  # It is told to whoever awaits the message.
            self._leave()
