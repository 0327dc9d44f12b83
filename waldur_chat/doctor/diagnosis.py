"""Why a request does not get through: an answer that is not the probe's, named."""

from __future__ import annotations

import ssl
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http.request import validate_host
from django.urls import NoReverseMatch, reverse

from waldur_chat import conf
from waldur_chat.doctor.findings import Finding, found
from waldur_chat.doctor.http_client import Call
from waldur_chat.doctor.probes import Bench

_CERTIFICATES = {10: "certificate_expired", 9: "certificate_expired", 62: "certificate_wrong_host"}
_CERTIFICATES[64] = "certificate_wrong_host"
"""What OpenSSL's numbers mean; all others mean that the issuer is not trusted."""
_CODES = {
    "probe_invalid": "probe_refused",
    "not_authenticated": "authorization_stripped",
    "authentication_failed": "token_wrong",
    "permission_denied": "user_refused",
    "chat_disabled": "chat_disabled",
    "chat_not_configured": "chat_not_configured",
    "not_acceptable": "accept_rewritten",
    "too_many_turns": "site_busy",
    "throttled": "site_busy",
    "chat_busy": "site_busy",
    "server_stopping": "site_busy",
    "provider_unreachable": "probe_unreachable",
    "provider_connect_timeout": "probe_unreachable",
}
"""What our own errors mean when a probe gets them."""
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
"""What the statuses of others mean."""


def diagnose(bench: Bench, call: Call, *, others_pass: bool = False) -> Finding:
    """The reason why this call did not reach the doctor's end; `others_pass` says that another one did."""
    host = urlsplit(bench.url).hostname
    values = {
        "host": host,
        "path": urlsplit(bench.address.url).path,
        "listen": f"{bench.listener.host}:{bench.listener.port}",
        "kilobytes": 1024,
        "expected": _expected(bench.url) or "with the address of the API up to and without stream/",
    }
    if not call.status:
        return found(_failure(call), f"{bench.url}: {_words(call)}", **values)
    name = _CODES.get(call.code) or _by_status(bench, call, str(host))
    location = call.headers.get("Location")
    if others_pass and call.status in (200, 503):
        name = {"probe_lost": "cached", "upstream_down": "proxy_limits_requests"}.get(name, name)
    seen = f"{call.status} {call.headers.get_content_type()} of {call.server or 'an unnamed server'}"
    seen += f", code {call.code}" if call.code else ""
    seen += f", to {location}" if location else ""
    return found(name, seen, location=location, **values)


def _failure(call: Call) -> str:
    if isinstance(call.failure, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(call.failure.verify_code, "certificate_untrusted")
    return "site_unreachable"


def _words(call: Call) -> str:
    if isinstance(call.failure, ssl.SSLCertVerificationError):
        return call.failure.verify_message
    return f"{type(call.failure).__name__}: {call.failure}" if call.failure else "no answer"


def _by_status(bench: Bench, call: Call, host: str) -> str:
    """What an answer means that has no code of ours."""
    if 300 <= call.status < 400:
        return _redirect(bench.url, call.headers.get("Location", ""))
    if call.status == 400:
        return "host_not_passed" if validate_host(host, settings.ALLOWED_HOSTS) else "host_refused"
    if call.status == 404 or (call.status == 200 and call.headers.get_content_type() == "text/html"):
        return "prefix_lost" if _expected(bench.url) == bench.address.url else "wrong_url"
    if call.status == 200:
        return "probe_lost"
    return _STATUSES.get(call.status, "unexpected_answer")


def _redirect(url: str, location: str) -> str:
    target = urljoin(url, location)
    if target == url:  # Django's own redirects to a slash name no site, those to https do.
        return "slash_lost" if location.startswith("/") else "redirect_loop"
    is_same = target.partition("://")[2] == url.partition("://")[2]
    return "redirect_to_https" if is_same and target.startswith("https:") else "redirected"


def _expected(url: str) -> str:
    """Where this project has the API, on the site of the URL; empty where it cannot be told."""
    try:
        path = reverse(f"{conf.site_value('URL_PREFIX')}-stream")
    except NoReverseMatch:
        return ""
    return urljoin(url, path).removesuffix("stream/")
