"""Choose the transport for a service: `aiohttp` for plain addresses, `sdk` for everything else."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PROXY_VARIABLES = (*_PROXIES, *(name.upper() for name in _PROXIES))
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that matter for https addresses only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A transport, and the reason for it."""

    name: Literal["aiohttp", "sdk"]
    reason: str

    def __str__(self) -> str:
        return f"{self.name}, since {self.reason}"


def choose(address: str, unusual: str = "") -> Choice:
    """The transport for this address. `unusual` is the provider's own reason for the SDK, if it has one.

    The environment is read each time. Variables for proxies and certificates require the SDK's HTTP client.
    """
    for reason in (unusual, _of_address(address), _of_environment(address)):
        if reason:
            return Choice(name="sdk", reason=reason)
    if not is_aiohttp_installed():
        return Choice(name="sdk", reason="aiohttp is not installed (the extra `fast`)")
    return Choice(name="aiohttp", reason="the address is plain and aiohttp is installed")


def is_aiohttp_installed() -> bool:
    """Whether aiohttp can be imported. Does not import it, since that is slow."""
    return find_spec("aiohttp") is not None


def _of_address(address: str) -> str:
    if "@" in urlsplit(address).netloc:
        return "the address has a user name in it"
    if _is_encrypted(address) and not _has_system_certificates():
        return "the system has no certificates of its own"
    return ""


def _of_environment(address: str) -> str:
    names = (*PROXY_VARIABLES, *(CERTIFICATE_VARIABLES if _is_encrypted(address) else ()))
    return first_set(names)


def first_set(names: Iterable[str]) -> str:
    """The reason "NAME is set" for the first of these variables that is not empty; empty without one."""
    return next((f"{name} is set" for name in names if os.environ.get(name)), "")


def _is_encrypted(address: str) -> bool:
    return address.lower().startswith("https:")


def _has_system_certificates() -> bool:
    """Whether aiohttp finds certificates to trust. Up to openai 2 the SDK's client brings its own (certifi)."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or paths.capath)
