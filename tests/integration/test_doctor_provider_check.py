"""The doctor asks the site's own providers, and names what is wrong with their settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from tests.fake.running import serving
from tests.fake.service import Service
from waldur_chat import conf
from waldur_chat.doctor import provider_check, tool_check
from waldur_chat.doctor.findings import Finding
from waldur_chat.engine.rounds.runner import RoundResult
from waldur_chat.providers.transport import choice


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a fake service, on a loop of its own."""
    with serving(_Below()) as address:
        yield address


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


def test_by_what_each_provider_is_reached_is_told(ask: Any, settings: Any, monkeypatch: Any) -> None:
    for name in choice.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(choice, "is_aiohttp_installed", lambda: False)
    ask()
    providers = settings.WALDUR_CHAT["PROVIDERS"]
    wrong = {"BACKEND": conf.OPENAI, "OPTIONS": {"modle": "x"}, "FALLBACK": "third"}
    offline = {"BACKEND": conf.OFFLINE}
    chain = {"default": {**providers["default"], "FALLBACK": "second"}, "second": wrong, "third": offline}
    settings.WALDUR_CHAT = {"PROVIDERS": chain}
    told = provider_check.transports(conf.load())
    assert told == "default by sdk, since aiohttp is not installed (the extra `fast`)"


def test_nothing_is_told_of_providers_without_a_service(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": conf.OFFLINE}}}
    assert provider_check.transports(conf.load()) == ""


# Tools.

ASK_USER = {"TOOLS": {"ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"}}}


def test_a_model_that_calls_tools_is_clean(ask: Any) -> None:
    assert ask("call=say_word&arguments={}", **ASK_USER) == []


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("tools_vllm_options", "tools=vllm"),
        ("tools_llama_jinja", "tools=jinja"),
        ("tools_llama_jinja", "tools=llama"),
        ("tools_model", "tools=ollama"),
        ("tools_refused", "tools=alibaba"),
        ("tools_refused", "tools=unclear"),
        ("tools_in_text", 'text={"name": "say_word", "arguments": {"word": "OK"}}'),
        ("tools_unread", "text=[TOOL_CALLS]say_word[ARGS]{}"),
        ("tools_unread", "text=<function=say_word></function>"),
        ("tools_not_called", "text=OK"),
        ("tools_not_called", "text=I cannot use say_word."),
    ],
)
def test_why_no_tool_is_called_is_named(ask: Any, name: str, behaviour: str) -> None:
    (finding,) = ask(behaviour, **ASK_USER)
    assert finding.id == name
    assert finding.seen.startswith("default: ")
    assert "{" not in finding.cure.replace("{word}", "")


def test_what_a_refusal_of_tools_says_is_shown(ask: Any) -> None:
    assert "status 500 (server_error, 500)" in ask("tools=jinja", **ASK_USER)[0].seen


def test_calls_in_text_that_are_read_are_clean(ask: Any, settings: Any) -> None:
    ask('text={"name": "say_word"}', **ASK_USER)
    settings.WALDUR_CHAT["PROVIDERS"]["default"]["OPTIONS"]["calls_in_text"] = True
    assert provider_check.check_providers(conf.load()) == []


def test_a_provider_that_is_sent_no_tools_is_named(ask: Any, settings: Any) -> None:
    ask(**ASK_USER)
    settings.WALDUR_CHAT["PROVIDERS"]["default"]["OPTIONS"]["tools"] = False
    (finding,) = provider_check.check_providers(conf.load())
    assert finding.id == "tools_off"
    assert finding.cure.startswith("WALDUR_CHAT['PROVIDERS']['default'][\"OPTIONS\"][\"tools\"]: remove it")


def test_a_site_without_tools_asks_for_no_call(ask: Any) -> None:
    assert ask("tools=vllm") == []


def test_a_model_that_does_not_answer_is_not_asked_for_a_call(ask: Any) -> None:
    assert [finding.id for finding in ask("status=401&tools=vllm", **ASK_USER)] == ["key_wrong"]


def test_the_offline_provider_calls_tools(settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": conf.OFFLINE, "OPTIONS": {"delay": 0}}}, **ASK_USER}
    assert [finding.id for finding in provider_check.check_providers(conf.load())] == []


def test_calls_of_the_doctor_have_waited_for_nobody() -> None:
    async def main() -> None:
        assert await tool_check.CallNoter().run_decided(lambda event: None) == RoundResult()

    async_to_sync(main)()
