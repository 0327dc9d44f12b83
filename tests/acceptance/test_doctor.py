"""`manage.py chat_doctor` against real servers: what is planted is named, with its cure, and nothing else is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.doctor.sites import LIMITS, LONGEST, application, chat, database, examine, nginx, quick
from tests.acceptance.needs import program
from tests.processes import Running, free_port

CACHE = {
    "proxy_cache": "store",
    "proxy_cache_methods": "POST",
    "proxy_cache_valid": "200 1m",
    "proxy_cache_key": "$request_uri",
    "proxy_ignore_headers": "Cache-Control X-Accel-Buffering Vary",
}
HOST = "proxy_set_header Host $http_host"
MIDDLEWARE = "tests.acceptance.doctor.middleware"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all sites have their database."""
    directory = tmp_path_factory.mktemp("site")
    database(directory)
    return directory


@pytest.fixture(scope="module")
def uvicorn(home: Path) -> Iterator[Running]:
    """A sound site."""
    with application("uvicorn", home) as running:
        yield running


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread", "runserver"])
def test_a_sound_server_is_clean(server: str, home: Path) -> None:
    with application(server, home) as running:
        examined = examine(chat(running), home, "--max-silence", LONGEST)
    assert examined.ids == []
    assert examined.status == bool(examined.findings)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
def test_a_sound_server_behind_a_sound_nginx_is_clean(server: str, home: Path, tmp_path: Path) -> None:
    with application(server, home) as running, nginx(tmp_path, running.port) as proxy:
        arguments = ["--max-silence", LONGEST, "--direct", chat(running)]
        examined = examine(chat(proxy), home, *arguments)
    assert examined.ids == []


# What is planted into nginx: directives of the location, and what the cure must say.
LOCATIONS: dict[str, tuple[dict[str, str], str]] = {
    "proxy_compression": (
        {"proxy_hide_header": "Content-Encoding", "gzip": "on", "gzip_types": "*", "gzip_proxied": "any"},
        "gzip off;",
    ),
    "proxy_hides_hangups": ({"proxy_ignore_client_abort": "on"}, "proxy_ignore_client_abort off;"),
    "accept_rewritten": ({"proxy_set_header": f'Accept "*/*";\n{HOST}'}, "proxy_set_header Accept $http_accept;"),
    "authorization_stripped": ({"proxy_set_header": f'Authorization "";\n{HOST}'}, "$http_authorization;"),
    "probe_lost": ({"proxy_set_header": f'X-Waldur-Chat-Probe "";\n{HOST}'}, "proxy_pass_request_headers on;"),
    "errors_rewritten": (
        {"proxy_intercept_errors": "on", "error_page": "400 502 /oops"},
        "proxy_intercept_errors off;",
    ),
    "proxy_body_limit": ({"client_max_body_size": "100k"}, "client_max_body_size 587k;"),
    "http_1_0": ({"proxy_http_version": "1.0"}, "proxy_http_version 1.1;"),
    "unframed": ({"chunked_transfer_encoding": "off"}, "chunked_transfer_encoding on;"),
    "cached": (CACHE, "proxy_cache off;"),
    "prefix_lost": ({"proxy_pass": "http://127.0.0.1:{application}/else/"}, "proxy_pass http://application;"),
    "slash_lost": ({"rewrite": "^(.*)/$ $1 break"}, "rewrite"),
    "redirected": ({"return": "302 /login/"}, "auth_request off;"),
    "access_denied_by_proxy": ({"deny": "all"}, "allow all;"),
    "proxy_limits_requests": ({"limit_conn": "one 1"}, "limit_conn"),
    "upstream_down": ({"proxy_pass": "http://127.0.0.1:1"}, "proxy_pass"),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_what_nginx_does_is_named(name: str, uvicorn: Running, home: Path, tmp_path: Path) -> None:
    directives, cure = LOCATIONS[name]
    http = f"proxy_cache_path {tmp_path}/store keys_zone=store:1m; limit_conn_zone $server_addr zone=one:1m;"
    with nginx(tmp_path, uvicorn.port, directives, http=http) as proxy:
        examined = quick(chat(proxy), home, "--direct", chat(uvicorn))
    assert examined.ids == [name]
    assert cure in examined.cures
    assert examined.status == 1


def test_a_second_proxy_that_buffers_is_named(uvicorn: Running, home: Path, tmp_path: Path) -> None:
    """The first one keeps X-Accel-Buffering to itself. With HTTP/1.1 nginx passes pieces on although it buffers."""
    with ExitStack() as stack:
        inner = stack.enter_context(nginx(tmp_path / "inner", uvicorn.port))
        outer = stack.enter_context(nginx(tmp_path / "outer", inner.port, {"proxy_http_version": "1.0"}))
        examined = quick(chat(outer), home, "--direct", chat(uvicorn))
    assert examined.ids == ["proxy_buffering"]
    assert "proxy_buffering off;" in examined.cures


def test_a_proxy_that_buffers_whatever_it_is_told_is_named(home: Path, tmp_path: Path) -> None:
    location = {"proxy_ignore_headers": "X-Accel-Buffering", "proxy_http_version": "1.0"}
    with application("gunicorn-gthread", home) as running, nginx(tmp_path, running.port, location) as proxy:
        examined = quick(chat(proxy), home)
    assert examined.ids == ["http_1_0", "proxy_buffering"]
    assert "proxy_ignore_headers X-Accel-Buffering;" in examined.cures


@pytest.mark.parametrize("timeout", ["1s", "2s"])
def test_a_limit_on_silence_is_named(timeout: str, uvicorn: Running, home: Path, tmp_path: Path) -> None:
    with nginx(tmp_path, uvicorn.port, {"proxy_read_timeout": timeout}) as proxy:
        examined = examine(chat(proxy), home, "--max-silence", LONGEST)
    assert examined.ids == ["idle_limit"]
    assert "proxy_read_timeout 15s;" in examined.cures
    assert ("between" in examined.findings[-1]["seen"]) == (timeout == "1s")


def test_a_limit_on_the_whole_answer_is_named(home: Path) -> None:
    with application("gunicorn-sync", home, "--workers", "6", "--timeout", "2") as running:
        examined = examine(chat(running), home, "--max-silence", LONGEST)
    assert examined.ids == ["response_time_limit"]
    assert "--worker-class gthread" in examined.cures


def test_workers_that_carry_one_stream_each_are_named(home: Path, tmp_path: Path) -> None:
    with application("gunicorn-sync", home) as running, nginx(tmp_path, running.port) as proxy:
        examined = examine(chat(proxy), home, "--max-silence", "1")
    assert examined.ids == ["one_stream_per_worker"]
    assert "--worker-class gthread" in examined.cures


# What is planted into the host: its settings, its middleware, and what the cure must say.
APPLICATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("middleware_buffering", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.reads_streams_whole"]}, "streaming_content"),
    ("middleware_buffering", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.gives_the_wrong_colour"]}, "async"),
    ("middleware_compression", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.compresses_streams"]}, "GZipMiddleware"),
    ("middleware_hides_hangups", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.reads_ahead"]}, "without closing it"),
    ("accept_rewritten", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.drops_accept"]}, "HTTP_ACCEPT"),
    ("application_error", {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.raises"]}, "LOGGING"),
    ("django_body_limit", {"DATA_UPLOAD_MAX_MEMORY_SIZE": 100_000}, "DATA_UPLOAD_MAX_MEMORY_SIZE = 601024"),
    ("host_refused", {"ALLOWED_HOSTS": ["chat.example"]}, 'ALLOWED_HOSTS = ["127.0.0.1"]'),
    ("redirect_to_https", {"SECURE_SSL_REDIRECT": True}, "Give clients https://127.0.0.1"),
    ("probe_refused", {"SECRET_KEY": "another than the doctor's"}, "the site's own settings"),
]


@pytest.mark.parametrize(("name", "settings", "cure"), APPLICATIONS)
def test_what_the_application_does_is_named(
    name: str, settings: dict[str, Any], cure: str, home: Path, tmp_path: Path
) -> None:
    with application("uvicorn", home, host=settings) as running, nginx(tmp_path, running.port) as proxy:
        own = settings if name == "host_refused" else {}
        examined = examine(chat(proxy), home, "--quick", "--direct", chat(running), host=own)
    assert examined.ids == [name]
    assert cure in examined.cures


def test_without_a_proxy_it_is_the_application(home: Path) -> None:
    host = {"MORE_MIDDLEWARE": [f"{MIDDLEWARE}.gives_the_wrong_colour"]}
    with application("uvicorn", home, host=host) as running:
        assert quick(chat(running), home).ids == ["middleware_buffering"]


@pytest.mark.parametrize(
    ("name", "settings", "cure"),
    [
        ("chat_disabled", {"ENABLED": False}, '"ENABLED": True'),
        ("user_refused", {"ENABLED_ROLES": "staff"}, '"ENABLED_ROLES": "all"'),
        ("chat_not_configured", {"PROVIDERS": {}}, '"PROVIDERS"'),
    ],
)
def test_what_the_switches_do_is_named(name: str, settings: dict[str, Any], cure: str, home: Path) -> None:
    with application("uvicorn", home, settings=settings) as running:
        examined = quick(chat(running), home)
    assert examined.ids == [name]
    assert cure in examined.cures


def test_a_limit_of_rates_is_named(home: Path) -> None:
    rates = {"REST_FRAMEWORK": {"DEFAULT_THROTTLE_RATES": {"chat_stream": "3/hour"}}}
    with application("uvicorn", home, host=rates) as running:
        assert quick(chat(running), home).ids == ["site_busy"]


def test_another_host_from_the_proxy_is_named(home: Path, tmp_path: Path) -> None:
    host = {"ALLOWED_HOSTS": ["127.0.0.1"]}
    location = {"proxy_set_header": "Host application"}
    with application("uvicorn", home, host=host) as running, nginx(tmp_path, running.port, location) as proxy:
        examined = examine(chat(proxy), home, "--quick", host=host)
    assert examined.ids == ["host_not_passed"]
    assert "proxy_set_header Host $host;" in examined.cures


def test_a_wrong_token_is_named(uvicorn: Running, home: Path) -> None:
    assert examine(chat(uvicorn), home, "--quick", token="nobodys").ids == ["token_wrong"]


def test_a_wrong_address_is_named(uvicorn: Running, home: Path) -> None:
    examined = quick(f"{uvicorn.address}/chat/", home)
    assert examined.ids == ["wrong_url"]
    assert f"chat_doctor {chat(uvicorn)}" in examined.cures


def test_a_closed_port_is_named(home: Path) -> None:
    assert quick(f"http://127.0.0.1:{free_port()}/api/chat/", home).ids == ["site_unreachable"]


@pytest.mark.parametrize(
    ("name", "model", "cure"),
    [
        ("key_wrong", "status=401", "OPENAI_API_KEY"),
        ("model_missing", "status=404", "WALDUR_CHAT_MODEL"),
        ("usage_missing", "usage=none", "stream_options"),
    ],
)
def test_what_is_wrong_with_the_model_is_named(
    name: str, model: str, cure: str, uvicorn: Running, home: Path, model_service: Running
) -> None:
    variables = {
        "OPENAI_BASE_URL": f"{model_service.address}/v1",
        "OPENAI_API_KEY": "sk-test",
        "WALDUR_CHAT_MODEL": model,
        "WALDUR_CHAT_SETTINGS": json.dumps({**LIMITS, "FIRST_EVENT_SECONDS": 60}),  # The SDK is imported within it.
    }
    examined = examine(chat(uvicorn), home, "--quick", model=variables)
    assert examined.ids == [name]
    assert cure in examined.cures


@pytest.fixture
def ssl(tmp_path: Path) -> str:
    """Directives of a server with a certificate for the address it has."""
    return certificate(tmp_path, "IP:127.0.0.1")


def certificate(directory: Path, name: str) -> str:
    """Make a self-signed certificate, and give the directives that serve it."""
    key, made = str(directory / "key.pem"), str(directory / "certificate.pem")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", "/CN=test",
            "-out", made, "-addext", f"subjectAltName={name}")  # fmt: skip
    return f"ssl_certificate {made}; ssl_certificate_key {key};"


def openssl(*arguments: str) -> None:
    """Run it."""
    subprocess.run([program("openssl"), *arguments], check=True, capture_output=True)


def test_a_site_with_tls_is_clean(ssl: str, uvicorn: Running, home: Path, tmp_path: Path) -> None:
    with nginx(tmp_path, uvicorn.port, server=ssl) as proxy:
        assert quick(chat(proxy, "https"), home, "--insecure-ca", str(tmp_path / "certificate.pem")).ids == []


def test_a_self_signed_certificate_is_named(ssl: str, uvicorn: Running, home: Path, tmp_path: Path) -> None:
    with nginx(tmp_path, uvicorn.port, server=ssl) as proxy:
        examined = quick(chat(proxy, "https"), home)
    assert examined.ids == ["certificate_untrusted"]
    assert "fullchain.pem" in examined.cures


def test_a_certificate_of_another_host_is_named(uvicorn: Running, home: Path, tmp_path: Path) -> None:
    with nginx(tmp_path, uvicorn.port, server=certificate(tmp_path, "DNS:chat.example")) as proxy:
        examined = quick(chat(proxy, "https"), home, "--insecure-ca", str(tmp_path / "certificate.pem"))
    assert examined.ids == ["certificate_wrong_host"]


def test_an_expired_certificate_is_named(ssl: str, uvicorn: Running, home: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "certificate.pem")
    openssl("x509", "-in", file, "-signkey", str(tmp_path / "key.pem"), "-days", "-1", "-out", file)
    with nginx(tmp_path, uvicorn.port, server=ssl) as proxy:
        examined = quick(chat(proxy, "https"), home, "--insecure-ca", file)
    assert examined.ids == ["certificate_expired"]


def test_tls_that_django_does_not_know_of_is_named(ssl: str, home: Path, tmp_path: Path) -> None:
    host = {"SECURE_SSL_REDIRECT": True}
    trusted = ["--insecure-ca", str(tmp_path / "certificate.pem")]
    with application("uvicorn", home, host=host) as running, nginx(tmp_path, running.port, server=ssl) as proxy:
        examined = quick(chat(proxy, "https"), home, *trusted)
    assert examined.ids == ["redirect_loop"]
    assert "SECURE_PROXY_SSL_HEADER" in examined.cures
