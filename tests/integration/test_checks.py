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
from rest_framework.authentication import TokenAuthentication

from waldur_chat import checks
from waldur_chat.conf import NAMES, OFFLINE, load
from waldur_chat.conf.provider_specs import _report
from waldur_chat.models import Seat
from waldur_chat.runtime import shortcuts

OURS = (
    checks.check_settings,
    checks.check_providers,
    checks.check_constance,
    checks.check_rates,
    checks.check_limits,
    checks.check_authentication,
    checks.check_authenticators,
    checks.check_model_variables,
    checks.check_urls,
    checks.check_database,
    checks.check_routers,
    checks.check_shortcuts,
    checks.check_environment,
    checks.check_tenants,
    checks.check_budgets,
    checks.check_tool_entries,
    checks.check_tool_views,
    checks.check_tool_schemas,
    checks.check_tool_names,
    checks.check_own_views,
    checks.check_tool_answers,
    checks.check_approvals,
    checks.check_tool_imports,
    checks.check_tool_authentication,
    checks.check_metrics,
    checks.check_metrics_directory,
)
DEPLOYED = (checks.check_offline, checks.check_addresses, checks.check_cache)
LANGSERVE = "waldur_chat.providers.langserve.LangServeProvider"

# For each setting, a value that it must refuse. A new setting without a line here fails the test below.
WRONG = {
    "ENABLED": "yes",
    "NOTICE": 3,
    "FINISH_SECONDS": -1,
    "ENABLED_ROLES": "admins",
    "SYSTEM_PROMPT": None,
    "CUSTOM_INSTRUCTIONS": None,
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
    "EXPORTS_AT_ONCE": 0,
    "TURNS_PER_SITE": True,
    "QUEUE_LENGTH": None,
    "QUEUE_SECONDS": 0,
    "REQUESTS_PER_MINUTE": 0,
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
    "REQUEST_IMPERSONATOR": "no.such.callable",
    "TOOL_SECONDS": 0,
    "TOOL_REQUEST_META": ["HTTP_AUTHORIZATION"],
    "TOOL_AUTHENTICATION": "no.such.callable",
    "RETENTION_DAYS": 0,
    "TOOL_ROUNDS": 0,
    "TOOLS_OFFERED": 0,
    "TOOL_CALLS": 0,
    "TOOL_RESULT_LENGTH": 0,
    "CONTEXT": 7,
    "CONTEXT_SECONDS": 0,
    "CONTEXT_LENGTH": 0,
    "URL_PREFIX": "",
    "SHORTCUTS": 0,
    "METRICS": 1,
    "METRICS_TOKEN": None,
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


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("PROVIDERS", "TOOLS")])
def test_every_setting_is_checked(settings: Any, name: str) -> None:
    settings.WALDUR_CHAT = {name: WRONG[name]}
    assert messages()[0].startswith(f"waldur_chat.E001: WALDUR_CHAT['{name}']: It must be ")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("nonsense", "E001: WALDUR_CHAT: must be a dict."),
        ({"ENABELD": True}, "E001: WALDUR_CHAT['ENABELD']: There is no such setting. Did you mean ENABLED?"),
        ({"QQQ": True}, "E001: WALDUR_CHAT['QQQ']: There is no such setting."),
        ({"PROVIDERS": {}}, "E002: WALDUR_CHAT['PROVIDERS']: there is no 'default'"),
        ({"PROVIDERS": {"main": {"BACKEND": OFFLINE}}}, "E002: WALDUR_CHAT['PROVIDERS']: there is no 'default'"),
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


class OwnTokens(TokenAuthentication):
    """Tokens of the host's own table."""

    model = Any


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("rest_framework.authentication.TokenAuthentication", ["waldur_chat.E003"]),
        (f"{__name__}.OwnTokens", []),
        ("rest_framework.authentication.SessionAuthentication", []),
    ],
)
def test_a_host_that_names_tokens_without_a_table_is_told_of_it(settings: Any, kind: str, said: list[str]) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": [kind]}
    settings.INSTALLED_APPS = [app for app in django_settings.INSTALLED_APPS if app != "rest_framework.authtoken"]
    assert [one.split(":")[0] for one in messages()] == said


def test_a_host_that_authenticates_nobody_is_told_of_it(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": []}
    assert [one.split(":")[0] for one in messages()] == ["waldur_chat.W021"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WALDUR_CHAT_MODEL": "m"}, "waldur_chat.W022: WALDUR_CHAT_MODEL names a model"),
        ({"OPENAI_BASE_URL": "http://localhost:11434/v1"}, "waldur_chat.W022: OPENAI_BASE_URL is set"),
        ({"OPENAI_BASE_URL": "https://api.openai.com/v1"}, ""),
        ({"OPENAI_BASE_URL": "http://localhost:11434/v1", "WALDUR_CHAT_MODEL": "m"}, ""),
        ({"OPENAI_API_KEY": "k", "WALDUR_CHAT_MODEL": "m"}, ""),
    ],
)
def test_half_an_environment_is_named(
    settings: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.WALDUR_CHAT = {}
    found = messages()
    assert (len(found), "".join(found).startswith(said)) == (bool(said), True)
    settings.WALDUR_CHAT = provider(BACKEND=OFFLINE)
    assert messages() == []


def test_half_an_environment_is_logged_once(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _report.cache_clear()
    monkeypatch.setenv("WALDUR_CHAT_MODEL", "m")
    settings.WALDUR_CHAT = {}
    for _ in range(2):
        load()
    assert [record.name for record in caplog.records] == ["waldur_chat.conf.provider_specs"]


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
    assert messages()[0].startswith(f"waldur_chat.W011: The default database ({connection.vendor}) cannot hold ")


@pytest.mark.parametrize(("alias", "said"), [("chat", ["waldur_chat.E012"]), ("default", []), (None, [])])
def test_a_router_that_puts_our_tables_elsewhere_is_named(settings: Any, alias: str | None, said: list[str]) -> None:
    class Router:
        def db_for_write(self, model: Any, **hints: Any) -> str | None:
            return alias if model is Seat else None

    settings.DATABASE_ROUTERS = [Router()]
    found = messages()
    assert [one.split(":")[0] for one in found] == said
    assert all("into another database: Seat." in one for one in found)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            {"USER_TOKENS_DAILY": 5},
            ["waldur_chat.W016: WALDUR_CHAT['USER_TOKENS_DAILY']: No question fits into 5 tokens"],
        ),
        ({"SITE_TOKENS_WEEKLY": 50, "SYSTEM_PROMPT": "x" * 100}, ["WALDUR_CHAT['SITE_TOKENS_WEEKLY']"]),
        ({"USER_TOKENS_DAILY": 3000, "SITE_TOKENS_MONTHLY": 18}, []),
        ({"USER_TOKENS_DAILY": 0, "SITE_TOKENS_DAILY": -1, "SYSTEM_PROMPT": "x" * 100}, []),
    ],
)
def test_a_budget_that_no_question_fits_is_named(settings: Any, own: dict[str, Any], said: list[str]) -> None:
    settings.WALDUR_CHAT = own
    found = messages(checks.check_budgets)
    assert len(found) == len(said)
    assert all(part in message for part, message in zip(said, found, strict=True))


def test_a_shortcut_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch, with_shortcuts: None) -> None:
    (one, *others), need = shortcuts.SHORTCUTS, shortcuts.Name(path="django.no_such_name")
    monkeypatch.setattr(shortcuts, "SHORTCUTS", (replace(one, needs=(need,)), *others))
    (words,) = messages()
    assert words.startswith(
        f"waldur_chat.W014: The shortcut {one.name} is off: this release of django has no django.no"
    )


def test_an_environment_in_which_no_http_client_can_be_made_is_told(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": {"client": {"timeout": 9}}}
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    assert checks.check_environment(None) == []  # The offline provider sends nothing.
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": provider}}
    (told,) = checks.check_environment(None)
    assert (told.id, told.msg) == ("waldur_chat.W015", "SSL_CERT_FILE names a file that does not exist.")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert checks.check_environment(None) == []
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": "no.such.Provider"}}}
    assert checks.check_environment(None) == []


def test_no_error_of_ours_stops_the_commands_of_a_waldur(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "waldur_chat.extension", ModuleType("extension"))
    settings.WALDUR_CHAT = {"ENABELD": True}
    assert [one.level for one in checks.check_settings(None)] == [django_checks.WARNING]


class TestTenants:
    def test_conversations_are_where_users_are(self, settings: Any) -> None:
        settings.TENANT_APPS = ["django.contrib.auth.apps.AuthConfig"]
        assert messages()[0].startswith("waldur_chat.W020: TENANT_APPS has the users, but not waldur_chat")

    @pytest.mark.parametrize("names", [(), ["django.contrib.auth", "waldur_chat"], ["waldur_chat"], ["other"]])
    def test_other_places_are_right(self, settings: Any, names: Any) -> None:
        settings.TENANT_APPS = names
        assert messages() == []

    def test_a_library_that_sets_schemas_by_other_means(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(apps, "is_installed", lambda name: True)
        assert messages()[0].startswith("waldur_chat.W020: The threads of waldur_chat cannot follow a request")
