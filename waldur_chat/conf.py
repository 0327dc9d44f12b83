"""The typed view of `settings.WALDUR_CHAT`, made anew at each access and never kept.

What the dict does not say is taken from the host (Waldur's constance), then from the environment
(`OPENAI_BASE_URL`, `OPENAI_API_KEY`, `WALDUR_CHAT_MODEL`), then from the defaults below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import constance_settings

OFFLINE = "waldur_chat.providers.offline.OfflineProvider"
OPENAI = "waldur_chat.providers.openai.OpenAIProvider"
ROLES = ("disabled", "staff", "staff_and_support", "all", "anonymous")
STREAM_FORMATS = ("sse", "ndjson", "text")
BUSY_THREAD = ("refuse", "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One provider as the settings name it, and who is asked when it fails.

    `place` says where it stands, for error messages; options hold secrets.
    """

    name: str
    backend: str
    options: Mapping[str, Any] = field(repr=False)
    place: str
    fallback: str = ""


def _rule(test: Callable[[Any], bool], words: str) -> dict[str, Any]:
    return {"test": test, "words": words}


_FLAG = _rule(lambda value: isinstance(value, bool), "True or False")
_TEXT = _rule(lambda value: isinstance(value, str), "a string")
_WORDS = _rule(lambda value: isinstance(value, str) and bool(value.strip()), "a string that is not empty")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, each with its default and, in its metadata, the rule that `manage.py check` holds it to."""

    enabled: bool = field(default=True, metadata=_FLAG)
    enabled_roles: Literal["disabled", "staff", "staff_and_support", "all", "anonymous"] = field(
        default="all", metadata=_rule(lambda value: value in ROLES, f"one of {', '.join(ROLES)}")
    )
    providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    system_prompt: str = field(default="", metadata=_TEXT, repr=False)
    opening_prompt: str = field(
        default="Greet the user in one or two sentences and say what you can help with.",
        metadata=_WORDS,
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
    assistant_name: str = field(default="the assistant", metadata=_WORDS)
    organization: str = field(default="", metadata=_TEXT)
    user_tokens_daily: int = field(default=-1, metadata=_TOKENS)
    user_tokens_weekly: int = field(default=-1, metadata=_TOKENS)
    user_tokens_monthly: int = field(default=-1, metadata=_TOKENS)
    site_tokens_daily: int = field(default=-1, metadata=_TOKENS)
    site_tokens_weekly: int = field(default=-1, metadata=_TOKENS)
    site_tokens_monthly: int = field(default=-1, metadata=_TOKENS)
    budget_status: Literal[429, 409] = field(
        default=429, metadata=_rule(lambda value: value in (429, 409), "429 or 409")
    )
    retention_days: int | None = field(default=None, metadata=_LIMIT)
    url_prefix: str = field(default="chat", metadata=_PREFIX)
    shortcuts: bool = field(default=True, metadata=_FLAG)

    @property
    def chain(self) -> tuple[ProviderSpec, ...]:
        """The providers that are asked, each when the one before it fails; empty where none is configured."""
        return chain(self.providers)


_FIELDS = {one.name.upper(): one for one in fields(Settings)}
NAMES = tuple(_FIELDS)


def load() -> Settings:
    """The settings as they are now; queries the database where the host keeps values there.

    Raises `ImproperlyConfigured`, which names the place, for what cannot be; an unknown name only `check` minds.
    """
    own = site_settings()
    for place, words in problems({name: value for name, value in own.items() if name in NAMES}):
        raise ImproperlyConfigured(f"{place}: {words}")
    host = constance_settings.read()
    for place, words in problems(host):
        raise ImproperlyConfigured(f"{place} as the host keeps it in constance: {words}")
    values = {name.lower(): value for name, value in {**host, **own}.items() if name in NAMES}
    values["providers"] = provider_specs(host)
    return Settings(**values)


def problems(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the names and values of `settings.WALDUR_CHAT`: the place, and what to do there."""
    for name, value in own.items():
        if name not in _FIELDS:
            meant = get_close_matches(str(name), NAMES, n=1)
            yield f"WALDUR_CHAT[{name!r}]", f"There is no such setting.{f' Did you mean {meant[0]}?' if meant else ''}"
        elif (rule := _FIELDS[name].metadata) and not rule["test"](value):
            yield f"WALDUR_CHAT[{name!r}]", f"It must be {rule['words']}."


def site_value(name: str) -> Any:
    """One setting as the site has it or by default; for those that no host keeps elsewhere. Queries no database.

    Raises `ImproperlyConfigured` for a value that cannot be.
    """
    default = _FIELDS[name]
    value = site_settings().get(name, default.default)
    if not default.metadata["test"](value):
        raise ImproperlyConfigured(f"WALDUR_CHAT[{name!r}]: It must be {default.metadata['words']}.")
    return value


def site_settings() -> Mapping[str, Any]:
    """`settings.WALDUR_CHAT` as it stands there."""
    own = getattr(settings, "WALDUR_CHAT", {})
    if not isinstance(own, Mapping):
        raise ImproperlyConfigured("WALDUR_CHAT: must be a dict.")
    return own


def provider_specs(host: Mapping[str, Any]) -> dict[str, ProviderSpec]:
    """The providers by name. `host` is what the host keeps in constance, see `constance_settings.read()`."""
    own = site_settings()
    if "PROVIDERS" in own:
        return _specs(own["PROVIDERS"], "WALDUR_CHAT['PROVIDERS']")
    if host.get("PROVIDERS"):
        return _specs(host["PROVIDERS"], "constance")
    if environment := _environment():
        return _specs({"default": {"BACKEND": OPENAI, "OPTIONS": environment}}, "the environment")
    if "PROVIDERS" in host:
        return {}
    return _specs({"default": {"BACKEND": OFFLINE}}, "the default")


def _environment() -> dict[str, str]:
    names = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY", "model": "WALDUR_CHAT_MODEL"}
    options = {option: value for option, name in names.items() if (value := os.environ.get(name))}
    return options if options.keys() & {"base_url", "api_key"} else {}


def _specs(providers: object, place: str) -> dict[str, ProviderSpec]:
    if not isinstance(providers, Mapping):
        raise ImproperlyConfigured(f"{place}: must be a dict of providers by name.")
    specs = {name: _spec(name, entry, f"{place}[{name!r}]") for name, entry in providers.items()}
    for name in specs:
        chain(specs, name)
    return specs


def chain(specs: Mapping[str, ProviderSpec], name: str = "default") -> tuple[ProviderSpec, ...]:
    """A provider and its fallbacks; empty where there is none of that name.

    Raises `ImproperlyConfigured` for a fallback that does not exist or that comes again.
    """
    if name not in specs:
        return ()
    found = [specs[name]]
    while following := found[-1].fallback:
        place = f"{found[-1].place}['FALLBACK']"
        if following not in specs:
            raise ImproperlyConfigured(f"{place}: there is no provider {following!r}.")
        if specs[following] in found:
            raise ImproperlyConfigured(f"{place}: {following!r} comes before it; fallbacks must not go in a circle.")
        found.append(specs[following])
    return tuple(found)


def _spec(name: str, entry: object, place: str) -> ProviderSpec:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("BACKEND"), str):
        raise ImproperlyConfigured(f"{place}: must be a dict with 'BACKEND', the dotted path of a provider class.")
    if unknown := set(entry) - {"BACKEND", "OPTIONS", "FALLBACK"}:
        raise ImproperlyConfigured(
            f"{place}: unknown key {min(unknown, key=str)!r}; it takes BACKEND, OPTIONS and FALLBACK."
        )
    options = entry.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured(f"{place}['OPTIONS']: must be a dict of keyword arguments.")
    fallback = entry.get("FALLBACK", "")
    if not isinstance(fallback, str):
        raise ImproperlyConfigured(f"{place}['FALLBACK']: must be the name of another provider.")
    return ProviderSpec(name=name, backend=entry["BACKEND"], options=options, place=place, fallback=fallback)
