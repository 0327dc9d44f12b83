"""Kills its own process before one of the steps of a request in the database, which the request names."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

HEADER = "X-Die-At"
BACKGROUND = ("waldur-chat-heartbeat", "waldur-chat-reaper", "waldur-chat-follower", "waldur-chat-watchdog")
"""Threads whose statements are no steps of a request."""

_lock = threading.Lock()
_left = 0


def install() -> None:
    """Count statements and commits of this process from now on."""
    for owner, name in ((CursorWrapper, "_execute"), (CursorWrapper, "_executemany"), (BaseDatabaseWrapper, "_commit")):
        setattr(owner, name, _counted(getattr(owner, name)))


class DyingMiddleware:
    """Reads how many steps are left from the request."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        global _left
        if HEADER in request.headers:
            _left = int(request.headers[HEADER])
        return self.get_response(request)


def _counted(original: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread().name not in BACKGROUND:
            _step()
        return original(*arguments, **named)

    return counted


def _step() -> None:
    global _left
    with _lock:
        if _left == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        _left = max(0, _left - 1)
