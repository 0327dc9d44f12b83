"""Detect whether the client of a WSGI request has disconnected.

WSGI itself notices that only by a failing write. gunicorn and uWSGI expose the socket of the request, and on Linux
`poll()` tells without reading whether the client has closed it.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from waldur_chat.runtime import shortcuts

_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def has_hung_up(environ: Mapping[str, Any]) -> bool:
    """Whether the client has certainly closed its connection; False if the server does not tell.

    Called in the thread of the request.
    """
    descriptor = _descriptor(environ) if shortcuts.is_on("server_socket") else -1
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, _GONE)
    return bool(poll.poll(0))


def _descriptor(environ: Mapping[str, Any]) -> int:
    """The file descriptor of the connection; -1 if it is unknown, or closed."""
    if "gunicorn.socket" in environ:
        return int(environ["gunicorn.socket"].fileno())
    if "uwsgi.version" in environ:
        return int(import_module("uwsgi").connection_fd())
    return -1
