"""Which facts of a request are kept for the calls of tools: where it came from, never what it asked for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import translation

from waldur_chat import conf

KEPT = (
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
    "HTTP_HOST",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT_LANGUAGE",
)
PREFIXES = ("HTTP_X_FORWARDED_",)
SCHEME = "wsgi.url_scheme"


def kept_meta(request: Any) -> dict[str, str]:
    """The kept part of `request.META`, with the scheme, and the language that a cookie has chosen."""
    named = set(conf.site_value("TOOL_REQUEST_META"))
    meta = {
        name: value
        for name, value in request.META.items()
        if isinstance(value, str) and (name in KEPT or name in named or name.startswith(PREFIXES))
    }
    meta[SCHEME] = str(request.scheme)
    if settings.LANGUAGE_COOKIE_NAME in request.COOKIES and (language := translation.get_language()):
        meta["HTTP_ACCEPT_LANGUAGE"] = language
    return meta
