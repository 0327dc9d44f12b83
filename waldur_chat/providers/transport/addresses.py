"""Whether addresses and keys of the settings can be sent at all."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def check_address(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` for an option that is no address of HTTP, or has white space around it."""
    if not (isinstance(value, str) and re.fullmatch(r"[!-~]+", value) and _is_address(value)):
        raise ImproperlyConfigured(f"{name} must be an address that begins with http:// or https://.")


def check_key(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` for an option that no header can carry; a line feed at its end is the usual case."""
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise ImproperlyConfigured(f"{name} must be a string of ASCII without spaces or line feeds around it.")


def _is_address(value: str) -> bool:
    try:
        address = urlsplit(value)
        works = address.scheme in ("http", "https") and address.port != 0
    except ValueError:
        return False
    return works and bool(re.fullmatch(r"(.*@)?(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?", address.netloc))
