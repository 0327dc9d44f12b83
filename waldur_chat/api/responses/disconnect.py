"""Whether the client of a WSGI request has gone.

WSGI notices that only by writing. But gunicorn and uWSGI show its connection, and Linux tells without reading whether
the other side has closed it.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from waldur_chat.runtime import shortcuts

_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def has_hung_up(environ: Mapping[str, Any]) -> bool:
    """True when the client is known to have closed its connection; False also where nothing can be known.

    Used in the thread of the request.
    """
    descriptor = _descriptor(environ) if shortcuts.is_on("server_socket") else -1
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, _GONE)
    return bool(poll.poll(0))


def _descriptor(environ: Mapping[str, Any]) -> int:
    """That of the connection; -1 where it is not shown, or closed."""
    if "gunicorn.socket" in environ:
        return int(environ["gunicorn.socket"].fileno())
    if "uwsgi.version" in environ:
        return int(import_module("uwsgi").connection_fd())
    return -1
