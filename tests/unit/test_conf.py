"""The typed view of the settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf
from waldur_chat.conf import OFFLINE, OPENAI, ProviderSpec, Settings
from waldur_chat.messages import Message, Prompt

NOT_RULED_HERE = {"PROVIDERS", "TOOLS"}
WRONG: dict[str, list[object]] = {
    "ENABLED": [1, "yes", None],
    "ENABLED_ROLES": ["nobody", "", None, ["all"]],
    "SYSTEM_PROMPT": [None, 7],
    "OPENING_PROMPT": ["", "  ", None],
    "INPUT_MAX_LENGTH": [0, -1, 1.5, "9", True, None],
    "STREAM_FORMAT": ["json", None],
    "SHOW_REASONING": [0, "no"],
    "HEARTBEAT_SECONDS": [0, -1, "9", True, None],
    "CONNECT_SECONDS": [0, "9", None],
    "FIRST_EVENT_SECONDS": [0, "9", None],
    "SILENCE_SECONDS": [0, "9", None],
    "TURN_SECONDS": [0, "9", None],
    "SHUTDOWN_SECONDS": [0, "9", None],
    "ANSWER_MAX_LENGTH": [0, 1.5, "9", True, None],
    "ATTEMPTS": [0, 1.5, "9", True, None],
    "BREAKER_FAILURES": [0, 1.5, "9", True, None],
    "BREAKER_SECONDS": [0, "9", None],
    "TURNS_PER_USER": [0, -1, 1.5, "9", True],
    "TURNS_PER_PROCESS": [0, -1, 1.5, "9", True],
    "EXPORTS_AT_ONCE": [0, None, 1.5],
    "REQUEST_IMPERSONATOR": ["no.such.callable", "os.sep", None],
    "TOOL_SECONDS": [0, "9", None],
    "CONTEXT": [7, None],
    "CONTEXT_SECONDS": [0, "9", None],
    "CONTEXT_LENGTH": [0, 1.5, "9", True, None],
    "TOOL_REQUEST_META": ["HTTP_X_ZONE", ["HTTP_COOKIE"], ["HTTP_IF_MATCH"], ["PATH_INFO"], [7], None],
    "TOOL_AUTHENTICATION": ["no.such.callable", None],
    "CUSTOM_INSTRUCTIONS": [None, 5],
    "REQUESTS_PER_MINUTE": [0, -1, 1.5],
    "TURNS_PER_SITE": [0, -1, 1.5, "9", True],
    "QUEUE_SECONDS": [0, "9", None],
    "QUEUE_LENGTH": [-1, 1.5, "9", True, None],
    "STORAGE": [0, "no", None],
    "HISTORY_MESSAGES": [-1, 1.5, "9", True, None],
    "FINISH_SECONDS": [-1, "9", True],
    "HISTORY_TOKENS": [-1, 1.5, "9", True, None],
    "TITLES": [1, "yes", None],
    "BUSY_THREAD": ["wait", "", None],
    "ASSISTANT_NAME": ["", " ", None],
    "ORGANIZATION": [None, 7],
    "NOTICE": [None, 7, ["en"], {"en": None}, {7: "AI"}],
    "USER_TOKENS_DAILY": [-2, 1.5, "9", True, None],
    "USER_TOKENS_WEEKLY": [-2, 1.5, "9", True, None],
    "USER_TOKENS_MONTHLY": [-2, 1.5, "9", True, None],
    "SITE_TOKENS_DAILY": [-2, 1.5, "9", True, None],
    "SITE_TOKENS_WEEKLY": [-2, 1.5, "9", True, None],
    "SITE_TOKENS_MONTHLY": [-2, 1.5, "9", True, None],
    "BUDGET_STATUS": [403, "429", None],
    "RETENTION_DAYS": [0, -1, 1.5, "9", True],
    "TOOL_ROUNDS": [0, 1.5, "9", True, None],
    "TOOLS_OFFERED": [0, 1.5, "9", True, None],
    "TOOL_CALLS": [0, 1.5, "9", True, None],
    "TOOL_RESULT_LENGTH": [0, 1.5, "9", True, None],
    "URL_PREFIX": ["", "/chat", "chat/", "a//b", "^chat", None, 7],
    "SHORTCUTS": [None, 0, "no"],
    "METRICS": [None, 0, "yes"],
    "METRICS_TOKEN": [None, 7],
}


WORDS = [("enabled_roles", conf.ROLES), ("stream_format", conf.STREAM_FORMATS), ("busy_thread", conf.BUSY_THREAD)]


@pytest.fixture(autouse=True)
def own(settings: Any) -> Any:
    """The settings of Django, with nothing of ours."""
    del settings.WALDUR_CHAT
    return settings


def provider() -> ProviderSpec:
    (found,) = conf.load().chain
    return found


def test_every_setting_has_a_default() -> None:
    assert conf.load() == Settings(providers=conf.load().providers)


def test_every_default_obeys_its_own_rule() -> None:
    own = {
        one.name.upper(): one.default
        for one in fields(Settings)
        if one.name != "providers" and one.name.upper() in conf.NAMES
    }
    assert list(conf.problems(own)) == []


def test_every_setting_has_a_rule_with_wrong_values_here() -> None:
    assert set(WRONG) == set(conf.NAMES) - NOT_RULED_HERE


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_a_problem(name: str, value: object) -> None:
    ((place, words),) = conf.problems({name: value})
    assert place == f"WALDUR_CHAT['{name}']"
    assert words.startswith("It must be ")


@pytest.mark.parametrize(
    ("name", "advice"),
    [("TURN_SECOND", "There is no such setting. Did you mean TURN_SECONDS?"), (7, "There is no such setting.")],
)
def test_an_unknown_name_is_a_problem(name: Any, advice: str) -> None:
    assert list(conf.problems({name: 1})) == [(f"WALDUR_CHAT[{name!r}]", advice)]


@pytest.mark.parametrize(("value", "prefix"), [({}, "chat"), ({"URL_PREFIX": "assistant/v1"}, "assistant/v1")])
def test_one_setting_can_be_asked_for(own: Any, value: object, prefix: str) -> None:
    own.WALDUR_CHAT = value
    assert conf.site_value("URL_PREFIX") == prefix


def test_one_setting_that_cannot_be_is_told_with_its_place(own: Any) -> None:
    own.WALDUR_CHAT = {"URL_PREFIX": "^chat"}
    with pytest.raises(ImproperlyConfigured, match=r"WALDUR_CHAT\['URL_PREFIX'\]: It must be words"):
        conf.site_value("URL_PREFIX")


def test_providers_have_a_check_of_their_own() -> None:
    assert list(conf.problems({"PROVIDERS": 7})) == []


@pytest.mark.parametrize(("name", "values"), WORDS)
def test_the_types_name_the_same_words_as_the_rules(name: str, values: tuple[str, ...]) -> None:
    assert get_args(get_type_hints(Settings)[name]) == values


def test_the_settings_are_read_at_each_access(own: Any) -> None:
    own.WALDUR_CHAT = {"TURN_SECONDS": 5}
    assert conf.load().turn_seconds == 5
    own.WALDUR_CHAT = {"TURN_SECONDS": 6}
    assert conf.load().turn_seconds == 6


def test_unknown_names_change_nothing(own: Any) -> None:
    own.WALDUR_CHAT = {"TURN_SECOND": 5, "turn_seconds": 5}
    assert conf.load().turn_seconds == 120


def test_a_fresh_install_is_offline() -> None:
    assert (provider().backend, provider().options) == (OFFLINE, {})


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({"OPENAI_BASE_URL": "http://x/v1"}, {"base_url": "http://x/v1"}),
        ({"OPENAI_API_KEY": "k"}, {"api_key": "k"}),
        (
            {"OPENAI_BASE_URL": "http://x/v1", "OPENAI_API_KEY": "k", "WALDUR_CHAT_MODEL": "m"},
            {"base_url": "http://x/v1", "api_key": "k", "model": "m"},
        ),
    ],
)
def test_the_environment_names_a_provider(
    environment: dict[str, str], options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (provider().backend, provider().options) == (OPENAI, options)


@pytest.mark.parametrize("name", ["WALDUR_CHAT_MODEL", "OPENAI_BASE_URL"])
def test_a_model_or_an_empty_address_is_no_provider(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "m" if name == "WALDUR_CHAT_MODEL" else "")
    assert provider().backend == OFFLINE


def test_the_sites_providers_win_over_the_environment(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    own.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": "a.B", "OPTIONS": {"c": 1}}}}
    place = "WALDUR_CHAT['PROVIDERS']['default']"
    assert provider() == ProviderSpec(name="default", backend="a.B", options={"c": 1}, place=place)


@pytest.mark.parametrize("providers", [{}, {"other": {"BACKEND": "a.B"}}])
def test_without_a_default_there_is_no_provider(own: Any, providers: object) -> None:
    own.WALDUR_CHAT = {"PROVIDERS": providers}
    assert conf.load().chain == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (7, "WALDUR_CHAT: must be a dict"),
        ({"PROVIDERS": 7}, r"WALDUR_CHAT\['PROVIDERS'\]: must be a dict"),
        ({"PROVIDERS": {"default": 7}}, r"\['default'\]: must be a dict with 'BACKEND'"),
        ({"PROVIDERS": {"default": {}}}, r"\['default'\]: must be a dict with 'BACKEND'"),
        ({"PROVIDERS": {"default": {"BACKEND": 7}}}, r"\['default'\]: must be a dict with 'BACKEND'"),
        ({"PROVIDERS": {"default": {"BACKEND": "a.B", "MODEL": 1}}}, "unknown key 'MODEL'"),
        ({"PROVIDERS": {"default": {"BACKEND": "a.B", "OPTIONS": 7}}}, r"\['OPTIONS'\]: must be a dict"),
    ],
)
def test_a_wrong_shape_is_told_with_its_place(own: Any, value: object, words: str) -> None:
    own.WALDUR_CHAT = value
    with pytest.raises(ImproperlyConfigured, match=words):
        conf.load()


def test_no_secret_is_shown(own: Any) -> None:
    own.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": "a.B", "OPTIONS": {"api_key": "sk-very-secret"}}}}
    assert "secret" not in repr(conf.load())


def test_repr_tells_no_prompts() -> None:
    settings = conf.Settings(system_prompt="secret", opening_prompt="secret")
    prompt = Prompt(messages=(Message(role="user", text="secret"),))
    assert "secret" not in f"{settings!r} {prompt!r}"
