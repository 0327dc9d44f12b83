"""Cancel a request when its client disconnects, by the ASGI protocol alone.

Needed for Django 4.2, which reads nothing after the body of a request. Django listens itself from 5.0 on
(https://docs.djangoproject.com/en/5.0/topics/async/#handling-disconnects), so this module goes with the support of 4.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

ASGI = Callable[[Any, Any, Any], Awaitable[None]]

_is_listening: ContextVar[bool] = ContextVar("waldur_chat_listens", default=False)


def is_listening() -> bool:
    """Whether the current request is served by an application that `cancel_on_disconnect` has wrapped."""
    return _is_listening.get()


def cancel_on_disconnect(application: ASGI) -> ASGI:
    """Wrap the application: its task is cancelled when the client disconnects after sending the request body."""

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        token = _is_listening.set(True)
        listener = _Listener(receive)
        serving = asyncio.ensure_future(application(scope, listener.receive, send))
        _is_listening.reset(token)
        listener.call_on_disconnect(serving.cancel)
        try:
            await asyncio.wait({serving})
        except asyncio.CancelledError:  # The server cancels: the application must see it too, and the server its end.
            serving.cancel()
            await asyncio.wait({serving})
            raise
        finally:
            await listener.stop()
        # A cancellation by the disconnect ends here: for the server it would be an error of the application.
        if not (serving.cancelled() and listener.has_disconnected):
            serving.result()

    return listen


class _Listener:
    """Reads one more message once the application has read the body: only a disconnect can follow."""

    has_disconnected = False

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self._next: asyncio.Future[Any] | None = None
        self._on_disconnect: Callable[[], object]

    def call_on_disconnect(self, callback: Callable[[], object]) -> None:
        self._on_disconnect = callback

    async def receive(self) -> Any:
        """Return the next ASGI message. An application that reads past the body waits for the same disconnect."""
        if self._next is not None:
            # Shielded: a reader that gives up must not end the listening.
            return await asyncio.shield(self._next)
        message = await self._receive()
        if not message.get("more_body"):
            self._next = asyncio.ensure_future(self._receive())
            self._next.add_done_callback(self._message_arrived)
        return message

    async def stop(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.cancel()
            with suppress(asyncio.CancelledError):
                await self._next

    def _message_arrived(self, message: asyncio.Future[Any]) -> None:
        """Handle the disconnect. A `receive` that fails counts as one: such a server has lost the client as well."""
        if not message.cancelled():
            self.has_disconnected = True
            # Mark the exception as retrieved, or asyncio logs it. A caller of `receive()` gets it nevertheless.
            message.exception()
            self._on_disconnect()
