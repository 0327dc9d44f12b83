"""Which transport asks a service, and why."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.offline import OfflineProvider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport import choice
from waldur_chat.providers.transport.choice import CERTIFICATE_VARIABLES, PROXY_VARIABLES, choose

PLAIN = "http://model.internal:8000/v1"
ENCRYPTED = "https://model.example/v1"


@pytest.fixture(autouse=True)
def aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed, and the system has certificates."""
    monkeypatch.setattr(choice, "is_aiohttp_installed", lambda: True)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile="/ca.pem", capath=None))


@pytest.mark.parametrize("address", [PLAIN, ENCRYPTED])
def test_a_plain_address_is_asked_by_aiohttp(address: str) -> None:
    assert str(choose(address)) == "aiohttp, since the address is plain and aiohttp is installed"


def test_without_aiohttp_the_sdk_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "is_aiohttp_installed", lambda: False)
    assert str(choose(PLAIN)) == "sdk, since aiohttp is not installed (the extra `fast`)"


@pytest.mark.parametrize("name", PROXY_VARIABLES)
@pytest.mark.parametrize("address", [PLAIN, ENCRYPTED])
def test_where_there_may_be_a_proxy_the_sdk_is_taken(name: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.internal")
    assert str(choose(address)) == f"sdk, since {name} is set"


@pytest.mark.parametrize("name", CERTIFICATE_VARIABLES)
def test_where_there_are_other_certificates_the_sdk_asks_what_is_encrypted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/etc/ssl/ours.pem")
    assert str(choose(ENCRYPTED)) == f"sdk, since {name} is set"
    assert choose(PLAIN).name == "aiohttp"


def test_a_variable_that_is_empty_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "")
    assert choose(ENCRYPTED).name == "aiohttp"


def test_a_system_without_certificates_leaves_what_is_encrypted_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=None, capath=None))
    assert choose(ENCRYPTED).reason == "the system has no certificates of its own"
    assert choose(PLAIN).name == "aiohttp"


def test_a_user_name_in_the_address_is_for_the_sdk() -> None:
    assert choose("http://user:password@host/v1").reason == "the address has a user name in it"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"base_url": PLAIN, "client": {"organization": "acme"}}, "the option `client` is for the SDK"),
        ({"base_url": PLAIN, "client": {"azure_endpoint": "https://x"}}, "the option `client` is for the SDK"),
        ({}, "there is no key, and the SDK may know another"),
        ({"base_url": f"{PLAIN}?a=b"}, "base_url has a query"),
    ],
)
def test_what_only_the_sdk_can_do_is_left_to_it(options: dict[str, Any], reason: str) -> None:
    chosen = OpenAIProvider(**options).transport_choice()
    assert (chosen.name, chosen.reason) == ("sdk", reason)


@pytest.mark.parametrize("options", [{"base_url": PLAIN}, {"base_url": PLAIN, "api_key": "sk"}, {"api_key": "sk"}])
def test_an_address_and_a_key_are_all_that_is_plain(options: dict[str, Any]) -> None:
    assert OpenAIProvider(**options).transport_choice().name == "aiohttp"


def test_the_environments_address_and_key_are_plain_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    assert OpenAIProvider().transport_choice().name == "aiohttp"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user@host/v1")
    assert OpenAIProvider().transport_choice().name == "sdk"


@pytest.mark.parametrize("name", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "OPENAI_NEW"])
def test_variables_that_change_the_sdks_requests_are_for_the_sdk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "value")
    assert OpenAIProvider(base_url=PLAIN).transport_choice().reason == f"{name} is set"
    assert LangServeProvider(url=PLAIN).transport_choice().name == "aiohttp"


def test_a_provider_without_a_service_has_no_choice() -> None:
    assert OfflineProvider().transport_choice() is None
