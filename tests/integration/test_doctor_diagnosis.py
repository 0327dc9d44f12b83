"""The doctor says why a request does not get through, whoever answers it."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.needs import program
from tests.integration.doctoring import TOKEN, probe_client, saying
from waldur_chat.doctor.diagnosis import diagnose
from waldur_chat.doctor.examine import Plan, examine
from waldur_chat.doctor.findings import Finding
from waldur_chat.doctor.http_client import Address, HttpCall


def answer(status: int, *, code: str = "", location: str = "", content_type: str = "text/plain") -> bytes:
    """An answer of an application, with a code, or of another."""
    body = json.dumps({"detail": "no", "code": code}) if code else "[]"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return (head + (f"Location: {location}\r\n" if location else "") + f"\r\n{body}").encode()


def first_finding(url: str) -> Finding:
    """What the examination of this address finds."""
    with probe_client(url, TOKEN) as there:
        (result,) = examine(there, Plan())
    return result.findings[0]


ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("probe_refused", {"status": 400, "code": "probe_invalid"}),
    ("authorization_stripped", {"status": 401, "code": "not_authenticated"}),
    ("token_wrong", {"status": 401, "code": "authentication_failed"}),
    ("user_refused", {"status": 403, "code": "permission_denied"}),
    ("chat_disabled", {"status": 404, "code": "chat_disabled"}),
    ("chat_not_configured", {"status": 409, "code": "chat_not_configured"}),
    ("accept_rewritten", {"status": 406, "code": "not_acceptable"}),
    ("site_busy", {"status": 429, "code": "too_many_turns"}),
    ("probe_unreachable", {"status": 502, "code": "provider_unreachable"}),
    ("access_denied_by_proxy", {"status": 401}),
    ("access_denied_by_proxy", {"status": 403}),
    ("proxy_limits_requests", {"status": 429}),
    ("application_error", {"status": 500}),
    ("upstream_down", {"status": 503}),
    ("unexpected_answer", {"status": 418}),
    ("probe_lost", {"status": 200}),
    ("prefix_lost", {"status": 404}),
    ("prefix_lost", {"status": 200, "content_type": "text/html"}),
    ("host_not_passed", {"status": 400}),
    ("slash_lost", {"status": 301, "location": "/api/chat/stream/"}),
    ("redirected", {"status": 302, "location": "/login/"}),
    ("redirected", {"status": 302, "location": "https://elsewhere.example/"}),
]


@pytest.mark.parametrize(("name", "given"), ANSWERS)
def test_what_answers_in_the_probes_place_is_named(name: str, given: dict[str, Any]) -> None:
    with saying(answer(**given)) as url:
        finding = first_finding(url)
    assert finding.id == name
    assert str(given["status"]) in finding.seen
    assert given.get("code", "") in finding.seen


def test_a_redirect_to_https_is_named_with_the_address() -> None:
    with saying(b"") as url:
        secure = f"{url.replace('http:', 'https:')}stream/"
    with probe_client(url) as there:
        finding = diagnose(there, _answered(answer(301, location=secure), url))
    assert (finding.id, finding.cure) == ("redirect_to_https", f"Give clients {secure}")


def _answered(data: bytes, url: str) -> HttpCall:
    """A call to another server that got this answer."""
    with saying(data) as there:
        call = HttpCall(Address(url=there), "/", b"", {})
        assert call.wait(10)
        return call


def test_a_redirect_to_itself_is_named() -> None:
    url = "https://site.example/api/chat/"
    with probe_client(url) as there:
        assert diagnose(there, _answered(answer(301, location=f"{url}stream/"), url)).id == "redirect_loop"


def test_a_host_that_django_refuses_is_named(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["site.example"]
    with saying(answer(400)) as url:
        assert first_finding(url).id == "host_refused"


def test_an_address_without_the_api_is_named_with_the_right_one() -> None:
    with saying(answer(404)) as url:
        finding = first_finding(url.replace("/api", ""))
        assert (finding.id, finding.cure) == ("wrong_url", f"manage.py chat_doctor {url}")


def test_an_address_is_named_also_where_the_project_does_not_know_the_right_one(settings: Any) -> None:
    settings.WALDUR_CHAT = {"URL_PREFIX": "elsewhere"}
    with saying(answer(404)) as url:
        assert first_finding(url).id == "wrong_url"


@pytest.mark.parametrize("data", [b"", b"nonsense\r\n"])
def test_a_server_that_speaks_no_http_is_named(data: bytes) -> None:
    with saying(data) as url:
        assert first_finding(url).id == "site_unreachable"


@pytest.mark.parametrize(("is_connected", "name"), [(True, "workers_busy"), (False, "site_unreachable")])
def test_workers_that_are_busy_are_told_from_a_site_that_is_not_there(is_connected: bool, name: str) -> None:
    with saying(b"") as url:
        call = _answered(answer(200), url)
        call.status = 0
        call._socket = call._socket if is_connected else None
        with probe_client(url) as there:
            finding = diagnose(there, call)
        assert (finding.id, "no answer" in finding.seen) == (name, True)


def test_a_closed_port_is_named() -> None:
    with saying(b"") as url:
        pass
    assert "Refused" in first_finding(url).seen


def test_an_answer_that_was_cut_is_a_failure() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    assert "IncompleteRead" in repr(_answered(data, "http://x/").failure)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, in one file."""
    file = tmp_path / "certificate.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    command += ["-keyout", "-", "-out", "-", "-addext", "subjectAltName=IP:127.0.0.1"]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return file


@pytest.mark.parametrize(
    ("trusted", "host", "name"),
    [
        (True, "127.0.0.1", "prefix_lost"),
        (True, "localhost", "certificate_wrong_host"),
        (False, "127.0.0.1", "certificate_untrusted"),
    ],
)
def test_certificates_are_checked(certificate: Path, trusted: bool, host: str, name: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with saying(answer(404), tls) as url, probe_client(url) as there:
        address = Address(url=url.replace("127.0.0.1", host), certificates=str(certificate) if trusted else "")
        call = HttpCall(address, "/", b"", {})
        assert call.wait(10)
        finding = diagnose(there, call)
        call.leave()
    assert finding.id == name
