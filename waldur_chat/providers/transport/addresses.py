"""Validate addresses and keys of the settings."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def check_address(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` unless the option is an HTTP address without white space around it."""
    if not (isinstance(value, str) and re.fullmatch(r"[!-~]+", value) and _is_address(value)):
        raise ImproperlyConfigured(f"{name} must be an address that begins with http:// or https://.")


def check_key(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` if the option cannot be sent in a header. Often a line feed is at its end."""
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise ImproperlyConfigured(f"{name} must be a string of ASCII without spaces or line feeds around it.")


def _is_address(value: str) -> bool:
    try:
        address = urlsplit(value)
        works = address.scheme in ("http", "https") and address.port != 0
    except ValueError:
        return False
    return works and bool(re.fullmatch(r"(.*@)?(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?", address.netloc))
