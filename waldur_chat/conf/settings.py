"""The typed view of `settings.WALDUR_CHAT`, built at each access so that `override_settings` works.

A missing key is taken from the host's django-constance (see `constance`), then, for providers, from the environment
(see `provider_specs`), then from the defaults in `Settings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from waldur_chat.conf import constance
from waldur_chat.conf.notice import DEFAULT_NOTICE, is_notice
from waldur_chat.conf.provider_specs import ProviderSpec, fallback_chain, provider_specs

ROLES = ("disabled", "staff", "staff_and_support", "all", "anonymous")
STREAM_FORMATS = ("sse", "ndjson", "text")
BUSY_THREAD = ("refuse", "cancel")
IN_CONSTANCE = "as the host keeps it in constance"


def _rule(is_valid: Callable[[Any], bool], requirement: str) -> dict[str, Any]:
    """Metadata of a setting. For an invalid value, `manage.py check` reports "It must be `requirement`."."""
    return {"is_valid": is_valid, "requirement": requirement}


def is_callable(path: Any) -> bool:
    """Whether this is the dotted path of a callable."""
    try:
        return callable(import_string(path))
    except (AttributeError, ImportError, TypeError, ValueError):
        return False


_FLAG = _rule(lambda value: isinstance(value, bool), "True or False")
_TEXT = _rule(lambda value: isinstance(value, str), "a string")
_NOT_EMPTY = _rule(lambda value: isinstance(value, str) and bool(value.strip()), "a string that is not empty")
# `type() is int`, since a bool is an int too, and True would be 1.
_COUNT = _rule(lambda value: type(value) is int and value > 0, "a whole number above 0")
_LIMIT = _rule(
    lambda value: value is None or (type(value) is int and value > 0), "a whole number above 0, or None for no limit"
)
_LENGTH = _rule(lambda value: type(value) is int and value >= 0, "a whole number, 0 or above")
_TOKENS = _rule(lambda value: type(value) is int and value >= -1, "a whole number of tokens, or -1 for no limit")
_SECONDS = _rule(lambda value: type(value) in (int, float) and value > 0, "a number of seconds above 0")
_PREFIX = _rule(
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[\w-]+(/[\w-]+)*", value)),
    "words of letters, digits, - and _ with / between them",
)
_MAY_BE_KEPT = re.compile(r"HTTP_(?!(AUTHORIZATION|COOKIE|PROXY|ACCEPT|IF|RANGE|X_HTTP_METHOD)(_|$))\w+").fullmatch
_META = _rule(
    lambda value: isinstance(value, (list, tuple)) and all(isinstance(one, str) and _MAY_BE_KEPT(one) for one in value),
    "a list of names in request.META, such as HTTP_X_TIME_ZONE, and none of credentials or of what was asked for",
)


NO_SETTING = {"is_setting": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, each with its default and, in its metadata, its validation rule."""

    enabled: bool = field(default=True, metadata=_FLAG)
    enabled_roles: Literal["disabled", "staff", "staff_and_support", "all", "anonymous"] = field(
        default="all", metadata=_rule(lambda value: value in ROLES, f"one of {', '.join(ROLES)}")
    )
    providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    system_prompt: str = field(default="", metadata=_TEXT, repr=False)
    custom_instructions: str = field(default="", metadata=_TEXT, repr=False)
    opening_prompt: str = field(
        default="Greet the user in one or two sentences and say what you can help with.",
        metadata=_NOT_EMPTY,
        repr=False,
    )
    input_max_length: int = field(default=50_000, metadata=_COUNT)
    stream_format: Literal["sse", "ndjson", "text"] = field(
        default="sse",
        metadata=_rule(lambda value: value in STREAM_FORMATS, f"one of {', '.join(STREAM_FORMATS)}"),
    )
    show_reasoning: bool = field(default=False, metadata=_FLAG)
    heartbeat_seconds: float = field(default=10.0, metadata=_SECONDS)
    connect_seconds: float = field(default=5.0, metadata=_SECONDS)
    first_event_seconds: float = field(default=60.0, metadata=_SECONDS)
    silence_seconds: float = field(default=30.0, metadata=_SECONDS)
    turn_seconds: float = field(default=120.0, metadata=_SECONDS)
    shutdown_seconds: float = field(default=20.0, metadata=_SECONDS)
    answer_max_length: int = field(default=1_000_000, metadata=_COUNT)
    attempts: int = field(default=2, metadata=_COUNT)
    breaker_failures: int = field(default=5, metadata=_COUNT)
    breaker_seconds: float = field(default=30.0, metadata=_SECONDS)
    turns_per_user: int | None = field(default=None, metadata=_LIMIT)
    turns_per_process: int | None = field(default=2000, metadata=_LIMIT)
    turns_per_site: int | None = field(default=None, metadata=_LIMIT)
    queue_length: int = field(default=100, metadata=_LENGTH)
    queue_seconds: float = field(default=10.0, metadata=_SECONDS)
    requests_per_minute: int | None = field(default=None, metadata=_LIMIT)
    storage: bool = field(default=True, metadata=_FLAG)
    history_messages: int = field(default=50, metadata=_LENGTH)
    history_tokens: int = field(default=16_000, metadata=_LENGTH)
    finish_seconds: float | None = field(
        default=None,
        metadata=_rule(
            lambda value: value is None or (type(value) in (int, float) and value >= 0),
            "a number of seconds, 0 or above, or None for no limit",
        ),
    )
    titles: bool = field(default=True, metadata=_FLAG)
    busy_thread: Literal["refuse", "cancel"] = field(
        default="refuse",
        metadata=_rule(lambda value: value in BUSY_THREAD, f"one of {', '.join(BUSY_THREAD)}"),
    )
    assistant_name: str = field(default="the assistant", metadata=_NOT_EMPTY)
    organization: str = field(default="", metadata=_TEXT)
    notice: str | Mapping[str, str] = field(
        default=DEFAULT_NOTICE, metadata=_rule(is_notice, "a string, or a dict from language codes to strings")
    )
    user_tokens_daily: int = field(default=-1, metadata=_TOKENS)
    user_tokens_weekly: int = field(default=-1, metadata=_TOKENS)
    user_tokens_monthly: int = field(default=-1, metadata=_TOKENS)
    site_tokens_daily: int = field(default=-1, metadata=_TOKENS)
    site_tokens_weekly: int = field(default=-1, metadata=_TOKENS)
    site_tokens_monthly: int = field(default=-1, metadata=_TOKENS)
    budget_status: Literal[429, 409] = field(
        default=429, metadata=_rule(lambda value: value in (429, 409), "429 or 409")
    )
    request_impersonator: str = field(
        default="waldur_chat.users.impersonator",
        metadata=_rule(lambda value: value == "" or is_callable(value), "the dotted path of a callable, or empty"),
    )
    tools: Mapping[str, Any] = field(default_factory=dict)
    tools_offered: int = field(default=20, metadata=_COUNT)
    tool_rounds: int = field(default=10, metadata=_COUNT)
    tool_calls: int = field(default=20, metadata=_COUNT)
    tool_result_length: int = field(default=16_000, metadata=_COUNT)
    tool_seconds: float = field(default=30.0, metadata=_SECONDS)
    tool_request_meta: Sequence[str] = field(default=(), metadata=_META)
    tool_authentication: str = field(
        default="",
        metadata=_rule(lambda value: value == "" or is_callable(value), "the dotted path of a callable, or empty"),
    )
    context: str = field(default="", metadata=_TEXT)
    context_seconds: float = field(default=10.0, metadata=_SECONDS)
    context_length: int = field(default=16_000, metadata=_COUNT)
    exports_at_once: int = field(default=4, metadata=_COUNT)
    retention_days: int | None = field(default=None, metadata=_LIMIT)
    url_prefix: str = field(default="chat", metadata=_PREFIX)
    shortcuts: bool = field(default=True, metadata=_FLAG)
    metrics: bool = field(default=False, metadata=_FLAG)
    metrics_token: str = field(default="", metadata=_TEXT, repr=False)
    first_provider: str = field(default="default", metadata=NO_SETTING)
    """The provider that is asked first. Not a setting of its own, see `asking()`."""

    @property
    def chain(self) -> tuple[ProviderSpec, ...]:
        """The first provider and its fallbacks, in the order in which they are called; empty if there is none."""
        return fallback_chain(self.providers, self.first_provider)

    def asking(self, name: str) -> Settings:
        """The same, but with the provider of this name as the first; empty for the default.

        Raises `ValueError`, which lists the names, if there is none.
        """
        if not name:
            return self
        if name not in self.providers:
            raise ValueError(
                f"There is no provider {name!r}. The settings have: {', '.join(self.providers) or 'none'}."
            )
        return replace(self, first_provider=name)


_FIELDS = {one.name.upper(): one for one in fields(Settings) if one.metadata != NO_SETTING}
NAMES = tuple(_FIELDS)


def load() -> Settings:
    """The current settings. Reads the database or Redis if the host has django-constance.

    Raises `ImproperlyConfigured`, which names the place, for an invalid value, and if constance cannot be read. Unknown
    names are ignored here; `manage.py check` reports them.
    """
    site = site_settings()
    for place, message in problems({name: value for name, value in site.items() if name in NAMES}):
        raise ImproperlyConfigured(f"{place}: {message}")
    # Validated before they are merged, so that the message names the source of the value.
    host = host_settings()
    for place, message in problems(host):
        raise ImproperlyConfigured(f"{place} {IN_CONSTANCE}: {message}")
    values = {name.lower(): value for name, value in {**host, **site}.items() if name in NAMES}
    values["providers"] = provider_specs(site, host)
    return Settings(**values)


def problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Validate names and values in the shape of `WALDUR_CHAT`; yield pairs of a place and a message."""
    for name, value in values.items():
        if name not in _FIELDS:
            similar = get_close_matches(str(name), NAMES, n=1)
            yield (
                f"WALDUR_CHAT[{name!r}]",
                f"There is no such setting.{f' Did you mean {similar[0]}?' if similar else ''}",
            )
        elif (rule := _FIELDS[name].metadata) and not rule["is_valid"](value):
            yield f"WALDUR_CHAT[{name!r}]", f"It must be {rule['requirement']}."


def site_value(name: str) -> Any:
    """One setting from `settings.WALDUR_CHAT`, or its default, without a query. Only for settings that constance lacks.

    Raises `ImproperlyConfigured` for an invalid value.
    """
    setting = _FIELDS[name]
    value = site_settings().get(name, setting.default)
    if not setting.metadata["is_valid"](value):
        raise ImproperlyConfigured(f"WALDUR_CHAT[{name!r}]: It must be {setting.metadata['requirement']}.")
    return value


def site_settings() -> Mapping[str, Any]:
    """`settings.WALDUR_CHAT`, not validated. Raises `ImproperlyConfigured` if it is not a dict."""
    site = getattr(settings, "WALDUR_CHAT", {})
    if not isinstance(site, Mapping):
        raise ImproperlyConfigured("WALDUR_CHAT: must be a dict.")
    return site


def host_settings() -> Mapping[str, Any]:
    """The host's values in django-constance, in the shape of `WALDUR_CHAT`, not validated; in one read.

    Raises `ImproperlyConfigured` if constance cannot be read.
    """
    return constance.read()
