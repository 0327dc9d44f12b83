"""What the package uses of libraries beyond their public API, in two tables.

A *shortcut* saves time or threads by names that a library may change in any release. Each is checked once per process,
at its first use: if a name is missing or has changed, the shortcut is off, a log line says so, and requests take
Django's ordinary way. `WALDUR_CHAT["SHORTCUTS"] = False`, or `WALDUR_CHAT_SHORTCUTS=0` in the environment of the
process, turns all of them off. *Needs* are names without an alternative; the tests check them on every supported
version. `.ci/internals` finds names that neither table lists; docs/internals.md shows both.
"""

from __future__ import annotations

import inspect
import logging
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pkgutil import resolve_name

from django.conf import settings

logger = logging.getLogger(__name__)

ENVIRONMENT = "WALDUR_CHAT_SHORTCUTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name that must exist, with these parameters.

    `uses` is for a function that a shortcut replaces: if its code uses any other name, it does something unknown.
    """

    path: str
    parameters: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """A faster path than the ordinary one.

    `needs` are checked once. `attributes` belong to objects that are created later; they are checked at each use, and
    the shortcut does nothing without them. `since` is missing in older releases; then the shortcut is off without a log
    line.
    """

    name: str
    what: str
    without: str
    package: str
    tried: str
    needs: tuple[Name, ...] = ()
    attributes: tuple[str, ...] = ()
    since: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A name without an alternative."""

    path: str
    what: str
    package: str
    tried: str


SHORTCUTS = (
    Shortcut(
        name="inline_middleware",
        what="Django's own middleware that only looks at a chat request runs on the event loop, without a thread",
        without="asgiref takes each of its methods to a thread and back: 0.6 to 1.8 ms more for a request",
        package="django",
        tried="4.2 to 6.1",
        needs=(
            Name(path="django.core.handlers.base.BaseHandler._middleware_chain"),
            Name(path="django.core.handlers.base.BaseHandler._view_middleware"),
            Name(
                path="django.utils.deprecation.MiddlewareMixin.__acall__",
                parameters=("self", "request"),
                uses=frozenset({"hasattr", "sync_to_async", "process_request", "get_response", "process_response"}),
            ),
        ),
    ),
    Shortcut(
        name="request_executor",
        what="what is synchronous of a chat request runs in a thread that is kept for the next one",
        without="asgiref makes a thread for each request, and another that waits for its end",
        package="asgiref",
        tried="3.13 (older ones take no executor)",
        needs=(Name(path="asgiref.sync.ThreadSensitiveContext"),),
        since=Name(path="asgiref.sync.ThreadSensitiveContext", parameters=("executor",)),
    ),
    Shortcut(
        name="release_thread",
        what="a request with a thread of asgiref's releases it while it waits for a model",
        without="each stream keeps a thread to its end",
        package="asgiref",
        tried="3.8 to 3.13",
        needs=(
            Name(path="asgiref.sync.SyncToAsync.thread_sensitive_context"),
            Name(path="asgiref.sync.SyncToAsync.context_to_thread_executor"),
            Name(path="asgiref.sync.AsyncToSync.executors"),
        ),
    ),
    Shortcut(
        name="statement_batches",
        what="statements of a turn that need nothing of each other are executed in one round trip",
        without="each statement is a round trip to PostgreSQL",
        package="psycopg",
        tried="psycopg 3.1 to 3.3, Django 4.2 to 6.1",
        needs=(Name(path="psycopg.ClientCursor.nextset"),),
    ),
    Shortcut(
        name="httpcore_leaks",
        what="connections that httpcore 1 forgets when a request is cancelled are closed",
        without="each stays open for as long as the process",
        package="httpcore",
        tried="1.0",
        needs=(
            Name(path="httpcore.AsyncConnectionPool.connections"),
            Name(path="httpcore.AsyncConnectionPool.handle_async_request", parameters=("self", "request")),
        ),
        attributes=(
            "_transport, _mounts of an httpx.AsyncClient",
            "_requests of a pool",
            "_stream of a response's stream",
        ),
    ),
    Shortcut(
        name="server_socket",
        what="under WSGI the socket of the request shows at once that its client has left",
        without="a heartbeat that cannot be written shows it",
        package="gunicorn, uWSGI",
        tried="gunicorn 20 to 26, uWSGI 2.0",
        attributes=('environ["gunicorn.socket"].fileno()', "uwsgi.connection_fd()"),
    ),
    Shortcut(
        name="server_shutdown",
        what="turns end in time when the server is stopping, and uvicorn waits for those without a reader",
        without="the server cuts what still runs when its own time of grace is over",
        package="uvicorn, gunicorn",
        tried="uvicorn 0.23 to 0.51, gunicorn 20 to 27",
        attributes=(
            "should_exit, server_state.tasks of a uvicorn.Server",
            "alive of a gunicorn worker, for ASGI self of the coroutine that serves",
        ),
    ),
)

NEEDS = (
    Need(
        path="rest_framework.request.Request._request",
        what="Django's request within DRF's: its length before it is read, and which kind of server carries it",
        package="djangorestframework",
        tried="3.15 to 3.17",
    ),
    Need(
        path="django.http.HttpResponseBase._resource_closers",
        what="what the response of a view holds, closed without the signal that a server's request has ended",
        package="django",
        tried="4.2 to 6.1",
    ),
)


def are_enabled() -> bool:
    """Whether the site allows shortcuts."""
    configured = getattr(settings, "WALDUR_CHAT", {})
    enabled = configured.get("SHORTCUTS", True) if isinstance(configured, dict) else True
    return enabled is not False and os.environ.get(ENVIRONMENT, "1") != "0"


def missing() -> list[tuple[Shortcut, str]]:
    """Return the shortcuts that are off although the site allows them, each with the missing or changed name."""
    if not are_enabled():
        return []
    found = ((one, _missing(one)) for one in SHORTCUTS if is_installed(one))
    return [(one, path) for one, path in found if path]


@cache
def is_on(name: str) -> bool:
    """Whether this process takes the shortcut of this name: checked once, and a log line says why it is off."""
    shortcut = next(one for one in SHORTCUTS if one.name == name)
    if not are_enabled() or not is_installed(shortcut):
        return False
    if path := _missing(shortcut):
        message = "The shortcut %s is off, since this release of %s has no %s as it was; without it, %s."
        logger.warning(message, name, shortcut.package, path, shortcut.without)
    return not path and (shortcut.since is None or _is_unchanged(shortcut.since))


def is_installed(shortcut: Shortcut) -> bool:
    """Whether the library of the shortcut is installed."""
    return not shortcut.needs or find_spec(shortcut.needs[0].path.partition(".")[0]) is not None


def _missing(shortcut: Shortcut) -> str:
    """Return the first name that is missing or has changed."""
    return next((need.path for need in shortcut.needs if not _is_unchanged(need)), "")


def _is_unchanged(need: Name) -> bool:
    try:
        found = resolve_name(need.path)
        parameters = inspect.signature(found).parameters if need.parameters else ()
        used = found.__code__.co_names if need.uses else ()
    except (ImportError, AttributeError, TypeError, ValueError):
        return False
    return set(need.parameters) <= set(parameters) and set(used) <= need.uses
