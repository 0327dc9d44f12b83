"""The doctor asks the site's own providers, and names what is wrong with their settings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fake.service import Service
from waldur_chat import conf
from waldur_chat.doctor import provider_check
from waldur_chat.doctor.findings import Finding


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a fake service, on a loop of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(_Below().listen("127.0.0.1"))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.close()


class _Below(Service):
    """Answers below `/v1` and `/html`, where every answer is a page; elsewhere nothing is found."""

    async def _answer(self, target: str, headers: Any, body: dict[str, Any], reader: Any, writer: Any) -> None:
        if target.startswith("/html/chat"):
            body = {**body, "model": "html=1"}
        elif not target.startswith(("/v1/", "/html/v1/")):
            body = {**body, "model": "status=404"}
        await super()._answer("/v1/chat/completions", headers, body, reader, writer)


@pytest.fixture
def ask(settings: Any, service: str) -> Callable[..., list[Finding]]:
    """Ask a model of the fake service, whose name says how it behaves."""

    def ask(name: str = "tokens=1", base: str = "/v1", **own: Any) -> list[Finding]:
        options = {"base_url": f"{service}{base}", "model": name, "api_key": "sk-test"}
        entry = {"BACKEND": conf.OPENAI, "OPTIONS": options}
        settings.WALDUR_CHAT = {"PROVIDERS": {"default": entry}, **own}
        return provider_check.check_providers(conf.load())

    return ask


def test_a_provider_that_answers_is_clean(ask: Any) -> None:
    assert ask() == []


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("key_wrong", "status=401"),
        ("key_wrong", "status=403"),
        ("model_missing", "status=404"),
        ("provider_refused", "status=422"),
        ("provider_failing", "status=500"),
        ("provider_failing", "status=429"),
        ("usage_missing", "tokens=1&usage=none"),
    ],
)
def test_what_is_wrong_is_named(ask: Any, name: str, behaviour: str) -> None:
    (finding,) = ask(behaviour)
    assert finding.id == name
    assert finding.seen.startswith("default: ")
    assert "{" not in finding.cure


def test_the_log_of_a_failure_is_shown(ask: Any) -> None:
    assert "status 401" in ask("status=401")[0].seen


def test_nothing_that_listens_is_named(settings: Any) -> None:
    entry = {"BACKEND": conf.OPENAI, "OPTIONS": {"base_url": "http://127.0.0.1:1/v1", "api_key": "sk-test"}}
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": entry}}
    assert [finding.id for finding in provider_check.check_providers(conf.load())] == ["provider_unreachable"]


@pytest.mark.parametrize("base", ["", "/html"])
def test_an_address_without_v1_is_named_with_the_right_one(ask: Any, service: str, base: str) -> None:
    (finding,) = ask(base=base)
    assert finding.id == "provider_address"
    assert finding.cure.endswith(f"""['default']["OPTIONS"]["base_url"] = "{service}{base}/v1\"""")


def test_an_address_that_is_wrong_with_v1_too_is_no_cure(ask: Any) -> None:
    assert [finding.id for finding in ask(base="/else")] == ["model_missing"]


def test_every_provider_in_line_is_asked_for_itself(ask: Any, settings: Any, service: str) -> None:
    ask()
    providers = settings.WALDUR_CHAT["PROVIDERS"]
    bad = {"BACKEND": conf.OPENAI, "OPTIONS": {**providers["default"]["OPTIONS"], "model": "status=401"}}
    chain = {"default": {**bad, "FALLBACK": "second"}, "second": {**bad, "FALLBACK": "third"}, "third": bad}
    settings.WALDUR_CHAT = {"PROVIDERS": chain}
    found = provider_check.check_providers(conf.load())
    assert [finding.seen.partition(":")[0] for finding in found] == ["default", "second", "third"]


def test_settings_in_the_environment_are_named_as_such(settings: Any, service: str, monkeypatch: Any) -> None:
    settings.WALDUR_CHAT = {}
    monkeypatch.setenv("OPENAI_BASE_URL", f"{service}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("WALDUR_CHAT_MODEL", "status=404")
    assert provider_check.check_providers(conf.load())[0].cure.startswith("WALDUR_CHAT_MODEL: ")


def test_no_provider_is_named(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {}}
    assert [finding.id for finding in provider_check.check_providers(conf.load())] == ["chat_not_configured"]


def test_options_that_cannot_work_are_named(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": conf.OPENAI, "OPTIONS": {"modle": "x"}}}}
    (finding,) = provider_check.check_providers(conf.load())
    assert finding.id == "chat_not_configured"
    assert "Did you mean" in finding.seen
