"""What in the environment keeps the SDK's HTTP client from being made. Nothing is imported or opened to find out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
SCHEMES = ("http", "https", "socks5", "socks5h")
HTTPX_IS_OF_OPENAI = 2
"""Up to this release the SDK uses httpx, which cannot read some addresses in NO_PROXY: httpx2, from 3 on, can.

https://github.com/encode/httpx/issues/3221 (networks), https://github.com/encode/httpx/pull/2659 (brackets)
"""


def environment_problems() -> list[str]:
    """What is wrong, with the name of the variable. Values are left out: the address of a proxy may hold a password."""
    return [*_proxy_problems(), *_certificate_problems(), *_exception_problems()]


def _proxy_problems() -> Iterator[str]:
    for name, value in _set(*_PROXIES):
        scheme = value.partition("://")[0].lower() if "://" in value else "http"
        if scheme not in SCHEMES:
            yield f"{name} has a scheme that the HTTP client does not know."
        elif scheme.startswith("socks") and find_spec("socksio") is None:
            yield f"{name} names a SOCKS proxy, and the package socksio is not installed."


def _certificate_problems() -> Iterator[str]:
    path = os.environ.get("SSL_CERT_FILE", "")
    if path and not Path(path).is_file():
        yield "SSL_CERT_FILE names a file that does not exist."


def _exception_problems() -> Iterator[str]:
    if _release_of_openai() > HTTPX_IS_OF_OPENAI:
        return
    for name, value in _set("no_proxy"):
        hosts = [host.strip() for host in value.split(",")]
        if any(host.startswith("[") or (host.count(":") > 1 and "/" in host) for host in hosts):
            yield f"{name} has an IPv6 address in brackets, or an IPv6 network, which httpx cannot read."


def _set(*names: str) -> Iterator[tuple[str, str]]:
    """The variables of these names that are not empty, in both spellings."""
    for spelling in (spelling for name in names for spelling in (name, name.upper())):
        if value := os.environ.get(spelling, "").strip():
            yield spelling, value


def _release_of_openai() -> int:
    try:
        return int(version("openai").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 0
