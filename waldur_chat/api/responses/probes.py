"""Health and readiness in front of Django: without its middleware, its threads, and `ALLOWED_HOSTS`.

Readiness with credentials is left to the view, which shows staff the details.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from waldur_chat.api.request.request_id import HEADER, sane_or_new
from waldur_chat.health import ALIVE, Readiness, areadiness, readiness

ASGI = Callable[..., Any]
WSGI = Callable[[Any, Any], Iterable[bytes]]
Find = Callable[[str], str]
"""Returns which probe a path leads to, `HEALTH` or `READY`; empty if none."""

HEALTH, READY = "health", "ready"
METHODS = ("GET", "HEAD")
ENDINGS = (f"/{HEALTH}/", f"/{READY}/")
"""A path with another ending is not looked at further."""

BODY = json.dumps(ALIVE, separators=(",", ":")).encode()
REASONS = {200: "OK", 503: "Service Unavailable"}


def asgi(application: ASGI, find: Callable[[Any], str]) -> ASGI:
    """Return the application with probes in front; `find` is given the scope of a request that may be one."""

    async def with_probes(scope: Any, receive: Any, send: Any) -> None:
        probe = find(scope) if _may_be_probe(scope) else ""
        headers = dict(scope["headers"]) if probe else {}
        if not probe or (probe == READY and (b"authorization" in headers or b"cookie" in headers)):
            await application(scope, receive, send)
            return
        found = await areadiness() if probe == READY else None
        status, body = _answer(found, scope["query_string"].decode("latin-1"))
        request_id = headers.get(HEADER.lower().encode(), b"").decode("latin-1")
        head = [(name.lower().encode(), value.encode()) for name, value in _head(body, request_id)]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})

    return with_probes


def wsgi(application: WSGI, find: Find) -> WSGI:
    """Return the application with probes in front; `find` is given a path."""

    def with_probes(environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        probe = find(path) if environ["REQUEST_METHOD"] in METHODS and path.endswith(ENDINGS) else ""
        if not probe or (probe == READY and ("HTTP_AUTHORIZATION" in environ or "HTTP_COOKIE" in environ)):
            return application(environ, start_response)
        found = readiness() if probe == READY else None
        status, body = _answer(found, environ.get("QUERY_STRING", ""))
        start_response(f"{status} {REASONS[status]}", _head(body, environ.get("HTTP_X_REQUEST_ID", "")))
        return [body] if environ["REQUEST_METHOD"] == "GET" else []

    return with_probes


def _may_be_probe(scope: Any) -> bool:
    return scope["type"] == "http" and scope["method"] in METHODS and scope["path"].endswith(ENDINGS)


def _answer(found: Readiness | None, query: str) -> tuple[int, bytes]:
    """Status and body; of health if nothing was looked at."""
    strict = "strict=1" in query.split("&")
    return (found.status(strict=strict), found.encoded_body(strict=strict)) if found else (200, BODY)


def _head(body: bytes, request_id: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        (HEADER, sane_or_new(request_id)),
    ]
