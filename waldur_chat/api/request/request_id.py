"""The id of a request, the same in the logs of the client, the site and the provider."""

from __future__ import annotations

import re
from uuid import uuid4

from django.http import HttpRequest

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(request: HttpRequest) -> str:
    """The id from the client or a proxy; 32 new hexadecimal digits if there is none, or it is unsafe to log."""
    return sane_or_new(request.headers.get(HEADER, ""))


def sane_or_new(given: str) -> str:
    """The given id if it is safe to log, else a new one."""
    return given if _SANE.fullmatch(given) else uuid4().hex
