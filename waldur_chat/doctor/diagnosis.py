"""Why a request does not reach the probe provider: the diagnosis of an answer that came from elsewhere."""

from __future__ import annotations

import ssl
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http.request import validate_host
from django.urls import NoReverseMatch, reverse

from waldur_chat import conf
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.doctor.http_client import HttpCall
from waldur_chat.doctor.probes import ProbeClient

_CERTIFICATES = {10: "certificate_expired", 9: "certificate_expired", 62: "certificate_wrong_host"}
_CERTIFICATES[64] = "certificate_wrong_host"
"""By OpenSSL's verify codes; every other code means that the issuer is not trusted."""
_CODES = {
    "probe_invalid": "probe_refused",
    "not_authenticated": "authorization_stripped",
    "authentication_failed": "token_wrong",
    "permission_denied": "user_refused",
    "chat_disabled": "chat_disabled",
    "chat_not_configured": "chat_not_configured",
    "not_acceptable": "accept_rewritten",
    "site_throttled": "site_busy",
    "too_many_turns": "site_busy",
    "throttled": "site_busy",
    "chat_busy": "site_busy",
    "server_stopping": "site_busy",
    "provider_unreachable": "probe_unreachable",
    "provider_connect_timeout": "probe_unreachable",
}
"""By our own error codes, when they answer a probe."""
_STATUSES = {
    401: "access_denied_by_proxy",
    403: "access_denied_by_proxy",
    413: "proxy_body_limit",
    429: "proxy_limits_requests",
    500: "application_error",
    502: "upstream_down",
    503: "upstream_down",
    504: "upstream_down",
}
"""By HTTP status, for answers without one of our error codes."""


def diagnose(client: ProbeClient, call: HttpCall, *, others_pass: bool = False) -> Finding:
    """Find out why this call did not reach the probe provider; `others_pass` says that another one did."""
    host = urlsplit(client.url).hostname
    values = {
        "host": host,
        "path": urlsplit(client.address.url).path,
        "listen": f"{client.listener.host}:{client.listener.port}",
        "kilobytes": 1024,
        "expected": _expected(client.url) or "with the address of the API up to and without stream/",
    }
    if not call.status:
        return make_finding(_failure(call), f"{client.url}: {_failure_text(call)}", **values)
    name = _CODES.get(call.code) or _by_status(client, call, str(host))
    location = call.headers.get("Location")
    if others_pass and call.status in (200, 503):
        name = {"probe_lost": "cached", "upstream_down": "proxy_limits_requests"}.get(name, name)
    seen = f"{call.status} {call.headers.get_content_type()} of {call.server or 'an unnamed server'}"
    seen += f", code {call.code}" if call.code else ""
    seen += f", to {location}" if location else ""
    return make_finding(name, seen, location=location, **values)


def _failure(call: HttpCall) -> str:
    if isinstance(call.failure, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(call.failure.verify_code, "certificate_untrusted")
    return "workers_busy" if call.is_silent else "site_unreachable"


def _failure_text(call: HttpCall) -> str:
    if isinstance(call.failure, ssl.SSLCertVerificationError):
        return call.failure.verify_message
    return f"{type(call.failure).__name__}: {call.failure}" if call.failure else "no answer"


def _by_status(client: ProbeClient, call: HttpCall, host: str) -> str:
    """Diagnose an answer without one of our error codes."""
    if 300 <= call.status < 400:
        return _redirect(client.url, call.headers.get("Location", ""))
    if call.status == 400:
        return "host_not_passed" if validate_host(host, settings.ALLOWED_HOSTS) else "host_refused"
    if call.status == 404 or (call.status == 200 and call.headers.get_content_type() == "text/html"):
        return "prefix_lost" if _expected(client.url) == client.address.url else "wrong_url"
    if call.status == 200:
        return "probe_lost"
    return _STATUSES.get(call.status, "unexpected_answer")


def _redirect(url: str, location: str) -> str:
    target = urljoin(url, location)
    if target == url:  # Django redirects to a slash by path, and to https by URL.
        return "slash_lost" if location.startswith("/") else "redirect_loop"
    is_same = target.partition("://")[2] == url.partition("://")[2]
    return "redirect_to_https" if is_same and target.startswith("https:") else "redirected"


def _expected(url: str) -> str:
    """The URL of the API on this host according to the project's URLconf; empty if it has no such route."""
    try:
        path = reverse(f"{conf.site_value('URL_PREFIX')}-stream")
    except NoReverseMatch:
        return ""
    return urljoin(url, path).removesuffix("stream/")
