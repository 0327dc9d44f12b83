"""Whether the client of a WSGI request has gone.

WSGI notices that only by writing. But gunicorn shows its socket, and Linux tells without reading whether the other side
has closed it.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any

_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def has_hung_up(environ: Mapping[str, Any]) -> bool:
    """True when the client is known to have closed its connection; False also where nothing can be known."""
    socket = environ.get("gunicorn.socket")
    if socket is None or socket.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(socket, _GONE)
    return bool(poll.poll(0))
