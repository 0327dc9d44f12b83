"""Refuses chat requests in front of Django when this process is full, for sites that must stand floods.

    application = shedding.asgi(get_asgi_application())  # asgi.py
    application = shedding.wsgi(get_wsgi_application())  # wsgi.py

Django refuses what is too much as well, but only after the site's middleware and authentication, which cost it
milliseconds. Here no more chat requests are let in than can run and wait, `TURNS_PER_PROCESS` and `QUEUE_LENGTH`, and
the others cost a tenth of a millisecond; who sent them is not asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import django

from waldur_chat.api.request.request_id import HEADER, sane_or_new
from waldur_chat.asgi import middleware
from waldur_chat.asgi.disconnect_listener import ASGI, cancel_on_disconnect
from waldur_chat.asgi.executor import request_executor
from waldur_chat.conf import site_value
from waldur_chat.engine.limiter import RETRY_AFTER_SECONDS
from waldur_chat.errors import ChatBusy

WSGI = Callable[[Any, Any], Iterable[bytes]]

BODY = json.dumps({"detail": ChatBusy.sentence, "code": ChatBusy.code, "retry_after": RETRY_AFTER_SECONDS}).encode()


class LoadShedder:
    """Counts the chat requests that are inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def enter(self) -> bool:
        """Whether there is room; who is let in must leave."""
        running = site_value("TURNS_PER_PROCESS")
        with self._lock:
            has_room = running is None or self._inside < running + site_value("QUEUE_LENGTH")
            self._inside += has_room
        return has_room

    def leave(self) -> None:
        """Make room."""
        with self._lock:
            self._inside -= 1


class _CountedResponse:
    """A WSGI response whose request leaves when it is closed."""

    def __init__(self, response: Iterable[bytes], door: LoadShedder) -> None:
        self._response = response
        self._door = door

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        """Called by the server, whatever became of the response."""
        try:
            close = getattr(self._response, "close", None)
            if close:
                close()
        finally:
            self._door.leave()


def asgi(application: ASGI) -> ASGI:
    """The application, with the door in front; chat requests take a shorter way through it where it is Django's own."""
    door = LoadShedder()
    middleware.install(application)
    # From 5.0 on Django listens for the disconnect itself.
    serve = application if django.VERSION >= (5, 0) else cancel_on_disconnect(application)

    async def with_door(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not _is_chat(scope["method"], scope["path"], scope.get("root_path", "")):
            await application(scope, receive, send)
        elif door.enter():
            try:
                async with request_executor(receive) as receive_in_turn:
                    with middleware.inline():
                        await serve(scope, receive_in_turn, send)
            finally:
                door.leave()
        else:
            given = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
            headers = [(name.lower().encode(), value.encode()) for name, value in _head(given)]
            await send({"type": "http.response.start", "status": ChatBusy.status, "headers": headers})
            await send({"type": "http.response.body", "body": BODY})

    return with_door


def wsgi(application: WSGI) -> WSGI:
    """See asgi()."""
    door = LoadShedder()

    def with_door(environ: Any, start_response: Any) -> Iterable[bytes]:
        if not _is_chat(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), ""):
            return application(environ, start_response)
        if not door.enter():
            start_response(f"{ChatBusy.status} Service Unavailable", _head(environ.get("HTTP_X_REQUEST_ID", "")))
            return [BODY]
        try:
            return _CountedResponse(application(environ, start_response), door)
        except BaseException:
            door.leave()
            raise

    return with_door


def _head(request_id: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(BODY))),
        ("Retry-After", str(RETRY_AFTER_SECONDS)),
        (HEADER, sane_or_new(request_id)),
    ]


@lru_cache(maxsize=1024)
def _is_chat(method: str, path: str, root: str) -> bool:
    """Whether the request would come to the API; imported here, since this module is imported before the settings."""
    from django.urls import Resolver404, resolve

    from waldur_chat.api.views.chat import ChatViewSet

    try:
        viewset = getattr(resolve(path.removeprefix(root)).func, "cls", None)
    except Resolver404:
        return False
    return method == "POST" and isinstance(viewset, type) and issubclass(viewset, ChatViewSet)
