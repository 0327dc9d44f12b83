"""What `manage.py check` says of wrong settings: the place, and what to do."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks as django_checks
from django.db import connection
from django.urls import path

from waldur_chat import checks
from waldur_chat.conf import NAMES, OFFLINE
from waldur_chat.models import Seat
from waldur_chat.runtime import shortcuts

OURS = (
    checks.check_settings,
    checks.check_providers,
    checks.check_constance,
    checks.check_rates,
    checks.check_limits,
    checks.check_authentication,
    checks.check_urls,
    checks.check_database,
    checks.check_routers,
    checks.check_shortcuts,
)
DEPLOYED = (checks.check_offline, checks.check_addresses, checks.check_cache)
LANGSERVE = "waldur_chat.providers.langserve.LangServeProvider"

# For each setting, a value that it must refuse. A new setting without a line here fails the test below.
WRONG = {
    "ENABLED": "yes",
    "FINISH_SECONDS": -1,
    "ENABLED_ROLES": "admins",
    "SYSTEM_PROMPT": None,
    "OPENING_PROMPT": " ",
    "INPUT_MAX_LENGTH": 0,
    "STREAM_FORMAT": "xml",
    "SHOW_REASONING": 1,
    "HEARTBEAT_SECONDS": 0,
    "CONNECT_SECONDS": 0,
    "FIRST_EVENT_SECONDS": "60",
    "SILENCE_SECONDS": None,
    "TURN_SECONDS": -1,
    "SHUTDOWN_SECONDS": 0,
    "ANSWER_MAX_LENGTH": 0,
    "ATTEMPTS": 0,
    "BREAKER_FAILURES": 1.5,
    "BREAKER_SECONDS": "30",
    "TURNS_PER_USER": 0,
    "TURNS_PER_PROCESS": -1,
    "TURNS_PER_SITE": True,
    "QUEUE_LENGTH": None,
    "QUEUE_SECONDS": 0,
    "STORAGE": "no",
    "HISTORY_MESSAGES": -1,
    "HISTORY_TOKENS": None,
    "TITLES": 1,
    "BUSY_THREAD": "wait",
    "ASSISTANT_NAME": "",
    "ORGANIZATION": None,
    "USER_TOKENS_DAILY": -2,
    "USER_TOKENS_WEEKLY": None,
    "USER_TOKENS_MONTHLY": "9",
    "SITE_TOKENS_DAILY": 1.5,
    "SITE_TOKENS_WEEKLY": True,
    "SITE_TOKENS_MONTHLY": -2,
    "BUDGET_STATUS": 403,
    "RETENTION_DAYS": 0,
    "URL_PREFIX": "",
    "SHORTCUTS": 0,
}

urlpatterns = [path("nothing/", lambda request: None)]


def provider(**entry: Any) -> dict[str, Any]:
    """Settings with one provider."""
    return {"PROVIDERS": {"default": entry}}


def messages(*of: Any) -> list[str]:
    """What our checks say, each with its id."""
    return [f"{one.id}: {one.msg} {one.hint or ''}" for check in of or OURS for one in check(None)]


def test_every_check_is_bound() -> None:
    assert set(OURS) <= django_checks.registry.registry.registered_checks
    assert set(DEPLOYED) <= django_checks.registry.registry.deployment_checks


def test_every_check_has_its_line_in_the_docstring() -> None:
    ours = {one.__doc__.split()[0].strip(".,") for one in (*OURS, *DEPLOYED)}
    assert ours <= set(re.findall(r"waldur_chat\.([EW]\d+)", checks.__doc__ or ""))
    assert len(ours) == len(OURS) + len(DEPLOYED)


def test_a_site_without_settings_has_nothing_to_mend(settings: Any) -> None:
    settings.WALDUR_CHAT = {}
    assert messages() == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "PROVIDERS"])
def test_every_setting_is_checked(settings: Any, name: str) -> None:
    settings.WALDUR_CHAT = {name: WRONG[name]}
    assert messages()[0].startswith(f"waldur_chat.E001: WALDUR_CHAT['{name}']: It must be ")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("nonsense", "E001: WALDUR_CHAT: must be a dict."),
        ({"ENABELD": True}, "E001: WALDUR_CHAT['ENABELD']: There is no such setting. Did you mean ENABLED?"),
        ({"QQQ": True}, "E001: WALDUR_CHAT['QQQ']: There is no such setting."),
        ({"PROVIDERS": []}, "E002: WALDUR_CHAT['PROVIDERS']: must be a dict"),
        ({"PROVIDERS": {"default": "x"}}, "E002: WALDUR_CHAT['PROVIDERS']['default']: must be a dict with 'BACKEND'"),
        (provider(BACKEND="a.B", OPTION={}), "E002: WALDUR_CHAT['PROVIDERS']['default']: unknown key 'OPTION'"),
        (provider(BACKEND="a.B", OPTIONS=[]), "E002: WALDUR_CHAT['PROVIDERS']['default']['OPTIONS']: must be a dict"),
        (provider(BACKEND="no.such.Class"), "E002: WALDUR_CHAT['PROVIDERS']['default']['BACKEND']: "),
        (provider(BACKEND="pathlib.Path"), "pathlib.Path is not a subclass of Provider."),
        (
            provider(BACKEND="waldur_chat.providers.openai.OpenAIProvider", OPTIONS={"modle": "x"}),
            "E002: WALDUR_CHAT['PROVIDERS']['default']['OPTIONS']: unknown option 'modle'. Did you mean 'model'?",
        ),
        (
            provider(BACKEND="waldur_chat.providers.langserve.LangServeProvider"),
            "E002: WALDUR_CHAT['PROVIDERS']['default']: ",
        ),
        (
            provider(BACKEND="waldur_chat.providers.openai.OpenAIProvider", OPTIONS={"completion": {"n": 9}}),
            "completion: 'n' is not allowed.",
        ),
        (provider(BACKEND=OFFLINE, FALLBACK=7), "['default']['FALLBACK']: must be the name of another provider."),
        (provider(BACKEND=OFFLINE, FALLBACK="b"), "['default']['FALLBACK']: there is no provider 'b'."),
        (provider(BACKEND=OFFLINE, FALLBACK="default"), "['default']['FALLBACK']: 'default' comes before it"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(settings: Any, own: Any, expected: str) -> None:
    settings.WALDUR_CHAT = own
    assert expected in messages()[0]


def test_a_wrong_address_in_the_environment_is_found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WALDUR_CHAT = {}
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:11434/v1")
    assert "waldur_chat.E002: the environment['default']: base_url must be an address" in messages()[0]


@pytest.mark.parametrize("rate", ["often", "10", "10/x", "0/minute", 10])
def test_a_rate_that_cannot_be_read_is_named(settings: Any, rate: object) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chat_stream": rate}}
    assert messages()[0].startswith("waldur_chat.E006: REST_FRAMEWORK[\"DEFAULT_THROTTLE_RATES\"]['chat_stream']: ")


@pytest.mark.parametrize(("short", "long"), checks.SHORTER)
def test_a_limit_that_never_takes_effect_is_named(settings: Any, short: str, long: str) -> None:
    settings.WALDUR_CHAT = {short: 1000, "FIRST_EVENT_SECONDS": 500, "TURN_SECONDS": 700} | {short: 1000}
    assert f"waldur_chat.W007: WALDUR_CHAT['{short}'] is longer than WALDUR_CHAT['{long}']." in " ".join(messages())


def test_a_default_that_a_shorter_turn_makes_useless_is_nobodys_mistake(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURN_SECONDS": 5}
    assert messages(checks.check_limits) == []


def test_in_production_the_offline_provider_is_worth_a_warning(settings: Any) -> None:
    settings.WALDUR_CHAT = {}
    assert messages(*DEPLOYED)[0].startswith("waldur_chat.W008: ")


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("http://llm.example.com/stream", "secret", ["waldur_chat.W009"]),
        ("http://llm.example.com/stream", "", []),
        ("http://127.0.0.1:11434/stream", "secret", []),
        ("https://llm.example.com/stream", "secret", []),
    ],
)
def test_a_key_in_clear_text_is_worth_a_warning(settings: Any, url: str, token: str, said: list[str]) -> None:
    settings.WALDUR_CHAT = provider(BACKEND=LANGSERVE, OPTIONS={"url": url, "token": token})
    found = messages(*DEPLOYED)
    assert [one.split(":")[0] for one in found] == said
    assert "secret" not in str(found)


def test_rates_that_every_process_counts_by_itself_are_worth_a_warning(settings: Any) -> None:
    settings.WALDUR_CHAT = provider(BACKEND=LANGSERVE, OPTIONS={"url": "https://llm.example.com/stream"})
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chat_stream": "9/minute"}}
    assert messages(*DEPLOYED)[0].startswith("waldur_chat.W010: ")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
    assert messages(*DEPLOYED) == []


def test_what_cannot_be_read_is_left_to_the_other_checks(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURN_SECONDS": "soon", "SILENCE_SECONDS": 40, "PROVIDERS": []}
    assert messages(*DEPLOYED, checks.check_limits) == []
    settings.WALDUR_CHAT = "nonsense"
    assert messages(*DEPLOYED, checks.check_limits) == []


def test_a_host_without_tokens_is_told_of_it(settings: Any) -> None:
    settings.REST_FRAMEWORK = {}
    settings.INSTALLED_APPS = [app for app in django_settings.INSTALLED_APPS if app != "rest_framework.authtoken"]
    assert messages()[0].startswith("waldur_chat.E003: ")


def test_a_site_whose_urls_lead_nowhere_is_told_of_it(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    assert messages()[0].startswith("waldur_chat.W004: ")


def test_what_the_plugin_could_not_do_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = __name__
    monkeypatch.setattr(apps.get_app_config("waldur_chat"), "problem", "The prefix is taken.")
    assert messages()[0].startswith("waldur_chat.W005: The prefix is taken.")


def test_a_project_without_urls_is_none_of_our_business(settings: Any) -> None:
    settings.ROOT_URLCONF = ""
    assert messages() == []


def test_a_database_that_would_let_two_take_one_place_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.features, "supports_partial_indexes", False)
    assert messages()[0].startswith(f"waldur_chat.E011: The default database ({connection.vendor}) cannot hold ")


@pytest.mark.parametrize(("alias", "said"), [("chat", ["waldur_chat.E012"]), ("default", []), (None, [])])
def test_a_router_that_puts_our_tables_elsewhere_is_named(settings: Any, alias: str | None, said: list[str]) -> None:
    class Router:
        def db_for_write(self, model: Any, **hints: Any) -> str | None:
            return alias if model is Seat else None

    settings.DATABASE_ROUTERS = [Router()]
    found = messages()
    assert [one.split(":")[0] for one in found] == said
    assert all("into another database: Seat." in one for one in found)


def test_a_shortcut_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch, with_shortcuts: None) -> None:
    one, need = shortcuts.SHORTCUTS[0], shortcuts.Name(path="django.no_such_name")
    monkeypatch.setattr(shortcuts, "SHORTCUTS", (replace(one, needs=(need,)),))
    (words,) = messages()
    assert words.startswith(
        f"waldur_chat.W014: The shortcut {one.name} is off: this release of django has no django.no"
    )


def test_no_error_of_ours_stops_the_commands_of_a_waldur(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "waldur_chat.extension", ModuleType("extension"))
    settings.WALDUR_CHAT = {"ENABELD": True}
    assert [one.level for one in checks.check_settings(None)] == [django_checks.WARNING]
