"""The id by which one request is found in every log: the client's own, ours and the provider's."""

from __future__ import annotations

import re
from uuid import uuid4

from django.http import HttpRequest

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(request: HttpRequest) -> str:
    """The id that the client or a proxy gave; a new one, 32 hexadecimal digits, where that is none or not sane."""
    return sane_or_new(request.headers.get(HEADER, ""))


def sane_or_new(given: str) -> str:
    """See request_id()."""
    return given if _SANE.fullmatch(given) else uuid4().hex
