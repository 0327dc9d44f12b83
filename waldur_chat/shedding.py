"""Load shedding: refuses chat requests in front of Django when this process is full.

    application = shedding.asgi(get_asgi_application())  # asgi.py
    application = shedding.wsgi(get_wsgi_application())  # wsgi.py

Django refuses excess requests as well, but only after the site's middleware and authentication, which take
milliseconds. The load shedder admits as many chat requests as can run and wait (`TURNS_PER_PROCESS` plus
`QUEUE_LENGTH`) and refuses others in a tenth of a millisecond, without authentication.

Health and readiness are answered here as well (`api.responses.probes`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import django
from django.conf import settings
from django.urls import Resolver404, resolve
from django.utils.translation import get_language_from_path, override

from waldur_chat.api.request import chat_paths
from waldur_chat.api.request.request_id import HEADER, sane_or_new
from waldur_chat.api.responses import probes
from waldur_chat.asgi import middleware
from waldur_chat.asgi.disconnect_listener import ASGI, cancel_on_disconnect
from waldur_chat.asgi.executor import request_executor
from waldur_chat.conf import site_value
from waldur_chat.engine.limiter import RETRY_AFTER_SECONDS
from waldur_chat.errors import ChatBusy
from waldur_chat.metrics import observer

WSGI = Callable[[Any, Any], Iterable[bytes]]

BODY = json.dumps({"detail": ChatBusy.sentence, "code": ChatBusy.code, "retry_after": RETRY_AFTER_SECONDS}).encode()


class LoadShedder:
    """Counts the admitted chat requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._admitted = 0

    def enter(self) -> bool:
        """Admit a request if there is room; `leave()` must then follow. Returns whether there was."""
        running = site_value("TURNS_PER_PROCESS")
        with self._lock:
            has_room = running is None or self._admitted < running + site_value("QUEUE_LENGTH")
            self._admitted += has_room
        if not has_room:
            observer().request_refused(ChatBusy.code)
        return has_room

    def leave(self) -> None:
        """Release the place of an admitted request."""
        with self._lock:
            self._admitted -= 1


class _CountedResponse:
    """A WSGI response that releases the place of its request when it is closed."""

    def __init__(self, response: Iterable[bytes], shedder: LoadShedder) -> None:
        self._response = response
        self._shedder = shedder

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        """Close the response; called by the server in any case."""
        try:
            close = getattr(self._response, "close", None)
            if close:
                close()
        finally:
            self._shedder.leave()


def asgi(application: ASGI) -> ASGI:
    """Return the application behind a load shedder and probes, with the ASGI shortcuts for Django's own middleware."""
    shedder = LoadShedder()
    middleware.install(application)
    # Django 5.0 and newer listen for disconnects: https://code.djangoproject.com/ticket/33738. This goes with 4.2.
    serve = application if django.VERSION >= (5, 0) else cancel_on_disconnect(application)

    async def with_shedder(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not _is_chat_scope(scope):
            await application(scope, receive, send)
        elif shedder.enter():
            try:
                async with request_executor(receive) as receive_in_turn:
                    with middleware.inline():
                        await serve(scope, receive_in_turn, send)
            finally:
                shedder.leave()
        else:
            request_id = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
            headers = [(name.lower().encode(), value.encode()) for name, value in _head(request_id)]
            await send({"type": "http.response.start", "status": ChatBusy.status, "headers": headers})
            await send({"type": "http.response.body", "body": BODY})

    return probes.asgi(with_shedder, lambda scope: _probe(_path(scope)))


def wsgi(application: WSGI) -> WSGI:
    """Return the application behind a load shedder and probes."""
    shedder = LoadShedder()

    def with_shedder(environ: Any, start_response: Any) -> Iterable[bytes]:
        if not _is_chat(environ["REQUEST_METHOD"], environ.get("HTTP_HOST", ""), environ.get("PATH_INFO", "")):
            return application(environ, start_response)
        if not shedder.enter():
            start_response(f"{ChatBusy.status} Service Unavailable", _head(environ.get("HTTP_X_REQUEST_ID", "")))
            return [BODY]
        try:
            return _CountedResponse(application(environ, start_response), shedder)
        except BaseException:
            shedder.leave()
            raise

    return probes.wsgi(with_shedder, _probe)


def _head(request_id: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(BODY))),
        ("Retry-After", str(RETRY_AFTER_SECONDS)),
        (HEADER, sane_or_new(request_id)),
    ]


def _is_chat_scope(scope: Any) -> bool:
    """Whether this is a request to the chat API."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return _is_chat(scope["method"], host, _path(scope))


def _path(scope: Any) -> str:
    """The path that is Django's to resolve. That of a scope begins with what is not."""
    path: str = scope["path"]
    return path.removeprefix(settings.FORCE_SCRIPT_NAME or scope.get("root_path", ""))


def _is_chat(method: str, host: str, path: str) -> bool:
    """The imports of views, here and below, need settings, which this module must not."""
    if method != "POST":
        return False
    from waldur_chat.api.views.chat import ChatViewSet

    viewset = _viewset_at(path, settings.ROOT_URLCONF)
    return (viewset is not None and issubclass(viewset, ChatViewSet)) or chat_paths.is_known(host, path)


def _probe(path: str) -> str:
    """Which probe the site's URLs have at this path. A viewset that a site has put in its place answers for itself."""
    from waldur_chat.api.views.health import HealthViewSet, ReadyViewSet

    viewset = _viewset_at(path, settings.ROOT_URLCONF)
    return probes.HEALTH if viewset is HealthViewSet else probes.READY if viewset is ReadyViewSet else ""


@lru_cache(maxsize=1024)
def _viewset_at(path: str, urlconf: Any) -> type | None:
    """The viewset to which the site's URLs lead from here; None for other views."""
    # Within i18n_patterns the language of the path, which middleware would activate, decides what it leads to.
    with override(get_language_from_path(path) or settings.LANGUAGE_CODE):
        try:
            viewset = getattr(resolve(path, urlconf).func, "cls", None)
        except Resolver404:
            return None
    return viewset if isinstance(viewset, type) else None
