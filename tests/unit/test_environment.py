"""What in the environment keeps the HTTP client from being made is told by the name of its variable alone."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from tests.unit.aio import PROMPT, answer_once, run
from tests.unit.conftest import use_transport
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport import environment, sdk
from waldur_chat.providers.transport.environment import environment_problems

SECRET = "pass-word"


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == package else object())


def release(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def read(name: str) -> str:
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr(environment, "version", read)


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"socks5://user:{SECRET}@proxy:1", "socksio is not installed"),
        ("SOCKS5H://proxy:1", "socksio is not installed"),
        (f"ftp://user:{SECRET}@proxy:1", "a scheme that the HTTP client does not know"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "socksio")
    monkeypatch.setenv(name, value)
    (told,) = environment_problems()
    assert told.startswith(f"{name} ")
    assert problem in told
    assert SECRET not in told


@pytest.mark.parametrize("value", ["http://proxy:1", "HTTPS://proxy", "proxy:3128", ""])
def test_a_proxy_that_can_be_used_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "socksio")
    monkeypatch.setenv("HTTP_PROXY", value)
    assert environment_problems() == []


def test_with_the_package_a_socks_proxy_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "another")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1")
    assert environment_problems() == []


def test_a_file_of_certificates_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert environment_problems() == ["SSL_CERT_FILE names a file that does not exist."]
    (tmp_path / "ca.pem").touch()
    assert environment_problems() == []


@pytest.mark.parametrize(
    ("hosts", "openai", "is_wrong"),
    [
        ("localhost,[::1]", "2.9.0", True),
        ("fd00::/8, localhost", "1.109.1", True),
        ("localhost,[::1]", None, True),
        ("localhost,[::1]", "3.0.0", False),
        ("localhost,::1,10.0.0.0/8,.internal,host:8080", "2.9.0", False),
    ],
)
def test_addresses_that_httpx_cannot_read_are_told(
    hosts: str, openai: str | None, is_wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, openai)
    monkeypatch.setenv("NO_PROXY", hosts)
    assert bool(environment_problems()) is is_wrong


@pytest.mark.parametrize(
    "provider",
    [OpenAIProvider(base_url="http://127.0.0.1:1/v1"), LangServeProvider(url="http://127.0.0.1:1/stream")],
    ids=repr,
)
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ImportError(SECRET), "ALL_PROXY names a SOCKS proxy, and the package socksio is not installed."),
        (OSError(SECRET), "Check the variables for proxies and certificates."),
    ],
)
def test_a_client_that_cannot_be_made_is_a_wrong_setting(
    provider: Provider, error: Exception, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(openai: object) -> None:
        raise error

    use_transport("sdk", monkeypatch)
    without(monkeypatch, "socksio")
    monkeypatch.setattr(sdk, "_open_http_client", fail)
    monkeypatch.setenv("NO_PROXY", "localhost")
    if isinstance(error, ImportError):
        monkeypatch.setenv("ALL_PROXY", f"socks5://user:{SECRET}@127.0.0.1:1")
    expected = f"The HTTP client cannot be made ({type(error).__name__}). {problem}"
    with pytest.raises(ChatNotConfigured, match=f"^{re.escape(expected)}$"):
        run(answer_once(provider, PROMPT))
