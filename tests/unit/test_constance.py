"""What a Waldur host keeps in django-constance, read by the real constance from its backends."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.constance_host import CACHING_REDIS, REDIS, CountingBackend, FakeRedis, Host, use_backend
from waldur_chat import conf, registry
from waldur_chat.conf import OFFLINE, OPENAI, ProviderSpec
from waldur_chat.conf import constance as host_constance
from waldur_chat.providers.langserve import LangServeProvider

LANGSERVE = f"{LangServeProvider.__module__}.{LangServeProvider.__name__}"
OF_2025 = {
    "LLM_CHAT_ENABLED": False,
    "LLM_INFERENCES_BACKEND_TYPE": "ollama",
    "LLM_INFERENCES_API_URL": "",
    "LLM_INFERENCES_API_TOKEN": "",
    "LLM_INFERENCES_MODEL": "gemma3:27b",
}
OF_2026 = {
    "AI_ASSISTANT_ENABLED": False,
    "AI_ASSISTANT_ENABLED_ROLES": "disabled",
    "AI_ASSISTANT_BACKEND_TYPE": "ollama",
    "AI_ASSISTANT_API_URL": "",
    "AI_ASSISTANT_API_TOKEN": "",
    "AI_ASSISTANT_MODEL": "",
    "AI_ASSISTANT_COMPLETION_KWARGS": "{}",
    "AI_ASSISTANT_STREAM_TIMEOUT_SECONDS": 120,
}


def spec() -> ProviderSpec:
    (found,) = conf.load().chain
    return found


def test_a_host_without_constance_has_no_values() -> None:
    assert host_constance.read() == {}


def test_a_host_that_only_names_values_has_none(settings: Any) -> None:
    settings.CONSTANCE_CONFIG = {name: (value, "") for name, value in OF_2025.items()}
    assert host_constance.read() == {}


def test_a_host_of_another_kind_has_none(host: Host) -> None:
    host({"SITE_NAME": "Waldur"})
    assert host_constance.read() == {}
    assert spec().backend == OFFLINE


def test_a_host_may_have_some_of_the_names(host: Host) -> None:
    host({"AI_ASSISTANT_ENABLED_ROLES": "staff"})
    assert host_constance.read() == {"ENABLED_ROLES": "staff"}
    assert spec().backend == OFFLINE


@pytest.mark.parametrize("defaults", [OF_2025, OF_2026])
def test_a_host_that_was_not_set_up_is_switched_off_and_has_no_provider(host: Host, defaults: dict[str, Any]) -> None:
    host(defaults)
    assert not conf.load().enabled
    assert conf.load().chain == ()


def test_the_values_of_2025_name_a_langserve(host: Host) -> None:
    host(OF_2025, LLM_CHAT_ENABLED=True, LLM_INFERENCES_API_URL="http://ai/stream", LLM_INFERENCES_API_TOKEN="t")
    assert conf.load().enabled
    assert (spec().backend, spec().options) == (LANGSERVE, {"url": "http://ai/stream", "token": "t"})


def test_the_values_of_2026_name_an_openai_compatible_service(host: Host) -> None:
    host(
        OF_2026,
        AI_ASSISTANT_ENABLED=True,
        AI_ASSISTANT_API_URL="http://ai/v1",
        AI_ASSISTANT_API_TOKEN="t",
        AI_ASSISTANT_MODEL="qwen3",
        AI_ASSISTANT_COMPLETION_KWARGS='{"temperature": 0.2}',
    )
    assert conf.load().enabled
    assert spec().backend == OPENAI
    assert spec().options == {
        "base_url": "http://ai/v1",
        "api_key": "t",
        "model": "qwen3",
        "max_tokens_field": "max_tokens",
        "completion": {"temperature": 0.2},
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("openai", "max_completion_tokens"),
        ("vllm", "max_tokens"),
        ("Ollama", "max_tokens"),
        ("", None),
        (None, None),
        ("another", None),
    ],
)
def test_the_kind_of_service_names_the_limit_of_an_answer(host: Host, kind: str | None, name: str | None) -> None:
    host({**OF_2026, "AI_ASSISTANT_BACKEND_TYPE": kind}, AI_ASSISTANT_API_URL="http://ai/v1")
    assert spec().options.get("max_tokens_field") == name


@pytest.mark.parametrize(("value", "limit"), [(60, 60), (0, None), (-1, None), (None, None)])
def test_the_sites_rate_of_requests_is_taken(host: Host, value: int | None, limit: int | None) -> None:
    host({"AI_ASSISTANT_GLOBAL_REQUESTS_PER_MINUTE": value})
    assert conf.load().requests_per_minute == limit


def test_custom_instructions_and_the_role_anonymous_are_taken(host: Host) -> None:
    own = {"AI_ASSISTANT_SYSTEM_PROMPT_CUSTOM_INSTRUCTIONS": ""}
    host({**OF_2026, **own}, **dict.fromkeys(own, "Be brief."), AI_ASSISTANT_ENABLED_ROLES="anonymous")
    assert (conf.load().custom_instructions, conf.load().enabled_roles) == ("Be brief.", "anonymous")


def test_a_service_may_have_no_key_and_no_model(host: Host) -> None:
    host(OF_2026, AI_ASSISTANT_API_URL="http://ai/v1")
    assert spec().options == {
        "base_url": "http://ai/v1",
        "api_key": "",
        "max_tokens_field": "max_tokens",
        "completion": {},
    }


def test_the_newer_names_win(host: Host) -> None:
    host(
        OF_2025 | OF_2026,
        LLM_CHAT_ENABLED=True,
        LLM_INFERENCES_API_URL="http://old/stream",
        AI_ASSISTANT_API_URL="http://new/v1",
    )
    assert not conf.load().enabled
    assert spec().options["base_url"] == "http://new/v1"


def test_an_older_address_counts_while_there_is_no_newer_one(host: Host) -> None:
    host(OF_2025 | OF_2026, LLM_INFERENCES_API_URL="http://old/stream")
    assert spec().backend == LANGSERVE


@pytest.mark.parametrize(
    ("value", "completion"),
    [
        ('{"top_p": 1}', {"top_p": 1}),
        ({"top_p": 1}, {"top_p": 1}),
        ("", {}),
        ("{", {}),
        ("[1]", {}),
        (None, {}),
        (7, {}),
    ],
)
def test_completion_options_are_an_object_or_its_json(host: Host, value: Any, completion: object) -> None:
    host(OF_2026, AI_ASSISTANT_API_URL="http://ai/v1", AI_ASSISTANT_COMPLETION_KWARGS=value)
    assert spec().options["completion"] == completion


def test_roles_and_time_are_taken_over(host: Host) -> None:
    host(OF_2026, AI_ASSISTANT_ENABLED_ROLES="staff", AI_ASSISTANT_STREAM_TIMEOUT_SECONDS=30)
    assert (conf.load().enabled_roles, conf.load().turn_seconds) == ("staff", 30.0)


LIMITS = {
    "AI_ASSISTANT_HISTORY_LIMIT": 50,
    "AI_ASSISTANT_SESSION_RETENTION_DAYS": 90,
    "AI_ASSISTANT_TOKEN_LIMIT_DAILY": -1,
    "AI_ASSISTANT_TOKEN_LIMIT_WEEKLY": -1,
    "AI_ASSISTANT_TOKEN_LIMIT_MONTHLY": -1,
    "AI_ASSISTANT_GLOBAL_DAILY_TOKEN_BUDGET": -1,
}


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("AI_ASSISTANT_HISTORY_LIMIT", "history_messages"),
        ("AI_ASSISTANT_SESSION_RETENTION_DAYS", "retention_days"),
        ("AI_ASSISTANT_TOKEN_LIMIT_DAILY", "user_tokens_daily"),
        ("AI_ASSISTANT_TOKEN_LIMIT_WEEKLY", "user_tokens_weekly"),
        ("AI_ASSISTANT_TOKEN_LIMIT_MONTHLY", "user_tokens_monthly"),
        ("AI_ASSISTANT_GLOBAL_DAILY_TOKEN_BUDGET", "site_tokens_daily"),
    ],
)
def test_numbers_are_taken_over(host: Host, name: str, ours: str) -> None:
    host(LIMITS, **{name: 7})
    assert getattr(conf.load(), ours) == 7


def test_a_limit_of_nothing_is_a_limit(host: Host) -> None:
    host(LIMITS, AI_ASSISTANT_HISTORY_LIMIT=0, AI_ASSISTANT_TOKEN_LIMIT_DAILY=0)
    assert (conf.load().history_messages, conf.load().user_tokens_daily) == (0, 0)


def test_a_number_that_was_not_given_is_ours(host: Host) -> None:
    host(LIMITS, AI_ASSISTANT_HISTORY_LIMIT=None)
    assert conf.load().history_messages == conf.Settings().history_messages


def test_keeping_for_no_days_is_keeping_for_ever(host: Host) -> None:
    host(LIMITS, AI_ASSISTANT_SESSION_RETENTION_DAYS=0)
    assert host_constance.read()["RETENTION_DAYS"] is None
    assert conf.load().retention_days is None


NAMES = {"AI_ASSISTANT_NAME": "Ada", "SITE_NAME": "Waldur"}


def test_names_are_taken_over(host: Host) -> None:
    host(NAMES)
    assert (conf.load().assistant_name, conf.load().organization) == ("Ada", "Waldur")


def test_empty_names_are_none(host: Host) -> None:
    host(NAMES, AI_ASSISTANT_NAME="", SITE_NAME="")
    assert (conf.load().assistant_name, conf.load().organization) == ("the assistant", "")


def test_empty_roles_and_time_are_none(host: Host) -> None:
    host(OF_2026, AI_ASSISTANT_ENABLED_ROLES="", AI_ASSISTANT_STREAM_TIMEOUT_SECONDS=0)
    assert (conf.load().enabled_roles, conf.load().turn_seconds) == ("all", 120.0)


def test_settings_of_the_site_win(host: Host, settings: Any) -> None:
    host(OF_2026, AI_ASSISTANT_API_URL="http://ai/v1", AI_ASSISTANT_STREAM_TIMEOUT_SECONDS=30)
    settings.WALDUR_CHAT = {"ENABLED": True, "TURN_SECONDS": 5, "PROVIDERS": {"default": {"BACKEND": OFFLINE}}}
    assert (conf.load().enabled, conf.load().turn_seconds, spec().backend) == (True, 5, OFFLINE)


def test_the_environment_counts_where_the_host_has_no_address(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host(OF_2026)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert spec().options == {"api_key": "k"}


@pytest.mark.parametrize(
    "values",
    [
        {"LLM_INFERENCES_API_URL": "http://ai/stream"},
        {"AI_ASSISTANT_API_URL": "http://ai/v1", "AI_ASSISTANT_COMPLETION_KWARGS": '{"temperature": 0}'},
    ],
)
def test_a_provider_can_be_made_of_what_the_host_says(host: Host, values: dict[str, Any]) -> None:
    host(OF_2025 | OF_2026, **values)
    registry.build(spec())


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_on_tokens_among_the_completion_options_is_ours(host: Host, name: str) -> None:
    chosen = {name: 99, "stream": False, "n": 3}
    host(OF_2026, AI_ASSISTANT_API_URL="http://ai/v1", AI_ASSISTANT_COMPLETION_KWARGS=chosen)
    assert spec().options["max_output_tokens"] == 99
    assert spec().options["completion"] == {}


def test_values_are_read_together_off_the_event_loop_and_never_written(host: Host) -> None:
    host(OF_2025 | OF_2026, AI_ASSISTANT_ENABLED=True)
    assert conf.load().enabled
    assert CountingBackend.calls == ["mget"]


def test_values_that_were_never_stored_have_the_defaults_of_the_host(host: Host) -> None:
    host(LIMITS | {"AI_ASSISTANT_ENABLED": True, "AI_ASSISTANT_HISTORY_LIMIT": 3})
    assert (conf.load().enabled, conf.load().history_messages, conf.load().retention_days) == (True, 3, 90)


def test_a_stored_none_is_a_value_that_is_missing(host: Host) -> None:
    host(LIMITS | {"AI_ASSISTANT_HISTORY_LIMIT": 3}, AI_ASSISTANT_HISTORY_LIMIT=None)
    assert conf.load().history_messages == 3


@pytest.mark.parametrize("backend", [REDIS, CACHING_REDIS])
def test_values_in_redis_are_read_as_this_release_writes_them(
    host: Host, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    use_backend(monkeypatch, backend)
    host(OF_2026, AI_ASSISTANT_ENABLED=True, AI_ASSISTANT_STREAM_TIMEOUT_SECONDS=30, AI_ASSISTANT_API_URL="http://ä/v1")
    settings = conf.load()
    assert (settings.enabled, settings.turn_seconds) == (True, 30)
    assert settings.chain[0].options["base_url"] == "http://ä/v1"
    assert "set" not in FakeRedis.calls


def test_redis_is_asked_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    use_backend(monkeypatch, REDIS)
    host(OF_2025 | OF_2026)
    conf.load()
    assert FakeRedis.calls == ["mget"]


def test_a_backend_that_caches_is_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    use_backend(monkeypatch, CACHING_REDIS)
    host(OF_2026)
    conf.load()
    FakeRedis.calls.clear()
    conf.load()
    assert FakeRedis.calls == []


def test_what_cannot_be_decoded_is_told_with_its_reason(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    use_backend(monkeypatch, REDIS)
    host(OF_2026)
    FakeRedis.store["constance:AI_ASSISTANT_ENABLED"] = b"{of another release"
    with pytest.raises(ImproperlyConfigured, match=r"^constance cannot be read: \w+Error: \S"):
        conf.load()


def test_a_backend_that_cannot_read_several_values_is_asked_for_each(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mget(backend: object, keys: object) -> None:
        raise NotImplementedError

    host(OF_2026, AI_ASSISTANT_ENABLED_ROLES="staff")
    monkeypatch.setattr(CountingBackend, "mget", mget)
    assert conf.load().enabled_roles == "staff"
    assert CountingBackend.calls == ["get"] * len(OF_2026)


def test_a_release_without_a_function_for_several_values_is_asked_by_its_backend(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("constance.utils.get_values_for_keys", raising=False)
    host(OF_2026, AI_ASSISTANT_ENABLED_ROLES="staff")
    assert (conf.load().enabled_roles, conf.load().turn_seconds) == ("staff", 120)
    assert CountingBackend.calls == ["mget"] * 2


def test_a_value_without_a_default_is_told(host: Host, settings: Any) -> None:
    host(OF_2026)
    settings.CONSTANCE_CONFIG = {"AI_ASSISTANT_ENABLED": ()}
    with pytest.raises(ImproperlyConfigured, match="constance cannot be read: IndexError"):
        conf.load()
