"""Connections to the host of an address, through the proxy that the environment names for it, if it names one."""

from __future__ import annotations

import http.client
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from waldur_chat.tools.mcp.failures import NotReached

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A connection that is not opened yet, what to ask it for, and headers for the proxy on its way."""

    connection: http.client.HTTPConnection
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def route(url: str, seconds: float) -> Route:
    """The way to an address. `seconds` is the limit of each step of connecting. Raises `NotReached`."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    proxy = _proxy(parts.scheme, host)
    if proxy is None:
        return Route(connection=_connection(parts.scheme, host, port, seconds), target=target)
    through = _connection(parts.scheme, proxy.hostname or "", proxy.port or PORTS["http"], seconds)
    if parts.scheme == "http":
        return Route(connection=through, target=url, headers=_credentials(proxy))
    through.set_tunnel(host, port, headers=_credentials(proxy))
    return Route(connection=through, target=target)


def _connection(scheme: str, host: str, port: int, seconds: float) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=_tls())


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that this machine trusts. They are read once, since that takes a tenth of a second."""
    return ssl.create_default_context()


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """The proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, unless NO_PROXY names the host."""
    proxies = getproxies()
    address = proxies.get(scheme) or proxies.get("all", "")
    if not address or proxy_bypass(host):
        return None
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        is_usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise NotReached("The environment names a proxy that cannot be used: it must begin with http://.")
    return parts


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
