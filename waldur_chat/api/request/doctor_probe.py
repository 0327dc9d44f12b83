"""Test requests of `manage.py chat_doctor`: the doctor answers them itself, instead of the site's provider.

Such a request is signed with the site's `SECRET_KEY` and valid for a minute. It passes the same authentication and
switches as any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import django
from django.conf import settings as django_settings
from django.core import signing
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException

from waldur_chat.asgi import disconnect_listener
from waldur_chat.conf import ProviderSpec, Settings

HEADER = "X-Waldur-Chat-Probe"
BACKEND = "waldur_chat.providers.probe.ProbeProvider"
MAX_AGE_SECONDS = 60
_SALT = "waldur_chat.probe"
_FACTS = (
    "heartbeat_seconds",
    "first_event_seconds",
    "silence_seconds",
    "turn_seconds",
    "input_max_length",
    "stream_format",
    "turns_per_user",
    "turns_per_process",
    "turns_per_site",
)


class ProbeInvalid(APIException):
    """400: the probe was signed with another key, or too long ago. No provider is asked, since that costs money."""

    status_code = 400
    default_code = "probe_invalid"
    default_detail = _("This probe is not of this site, or too old.")


def sign(host: str, port: int, nonce: str) -> str:
    """The value of the header: the address on which the doctor listens, and the id of the probe."""
    return signing.dumps({"host": host, "port": port, "nonce": nonce}, salt=_SALT)


def settings_for(request: HttpRequest, settings: Settings) -> Settings:
    """The settings for this request: the site's, or for a probe those with the doctor as provider.

    Raises `ProbeInvalid`.
    """
    signed = request.headers.get(HEADER)
    if signed is None:
        return settings
    try:
        options = signing.loads(signed, salt=_SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature as error:
        raise ProbeInvalid from error
    options["facts"] = _facts(request, settings)
    probe = ProviderSpec(name="probe", backend=BACKEND, options=options, place="the doctor's probe")
    return replace(settings, providers={"default": probe}, attempts=1, context="")


def _facts(request: HttpRequest, settings: Settings) -> dict[str, Any]:
    """What the doctor needs to know about the site. None of it is secret."""
    if isinstance(request, ASGIRequest):
        interface, protocol = "asgi", f"HTTP/{request.scope['http_version']}"
    else:
        interface, protocol = "wsgi", request.META["SERVER_PROTOCOL"]
    return {
        "interface": interface,
        "protocol": protocol,
        "hears_hangups": interface == "wsgi" or django.VERSION >= (5, 0) or disconnect_listener.is_listening(),
        "body_max_bytes": django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        **{name: getattr(settings, name) for name in _FACTS},
    }
